"""Ollama over a real socket: what it is sent, what is made of what it says."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portal.backends.http import Deadlines
from portal.backends.ollama import Config, Ollama, create
from portal.core.model import Finished, ModelEvent, ModelRequest, Progress, TextDelta, TokenUsage, ToolCallDelta
from portal.errors import (
    BackendError,
    BackendProtocolError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    BadRequest,
    SettingsError,
)
from portal.settings import BackendSettings, Settings
from portal.testing.model_server import Answer, Fault, ToolCall
from portal.testing.ollama_server import OllamaModel, OllamaServer

HI = [{"role": "user", "content": "hi there"}]
ABLE = ("completion", "tools", "vision", "thinking")
PIXEL = base64.b64encode(b"\x89PNG").decode()


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    models = [
        OllamaModel(name="able:latest", capabilities=ABLE, context_length=16384, size=17_300_000_000),
        OllamaModel(name="nomic-embed-text:latest", capabilities=("embedding",), family="nomic-bert"),
    ]
    async with OllamaServer(models=models) as made:
        yield made


@pytest.fixture
async def backend(server: OllamaServer) -> AsyncIterator[Ollama]:
    made = Ollama(Config(url=server.url))
    yield made
    await made.aclose()


async def run(backend: Ollama, *, messages: Any = HI, prompt: Any = None, **parameters: Any) -> list[ModelEvent]:
    model = parameters.pop("model", "able:latest")
    request = ModelRequest(model=model, messages=messages, prompt=prompt, parameters=parameters)
    return [event async for event in backend.stream(request)]


async def sent(server: OllamaServer, backend: Ollama, **parameters: Any) -> dict[str, Any]:
    await run(backend, **parameters)
    body: dict[str, Any] = server.requests[-1].body
    return body


SAMPLING = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.05,
    "typical_p": 0.7,
    "seed": 42,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "repeat_penalty": 1.1,
    "repeat_last_n": 64,
    "mirostat": 1,
    "mirostat_tau": 5.0,
    "mirostat_eta": 0.1,
    "num_ctx": 2048,
    "num_batch": 128,
    "num_gpu": 1,
    "num_thread": 2,
    "num_keep": 5,
    "use_mmap": True,
}


async def test_every_sampling_parameter_arrives(server: OllamaServer, backend: Ollama) -> None:
    body = await sent(server, backend, **SAMPLING, max_tokens=50, stop="END")
    assert body["options"] == {**SAMPLING, "num_predict": 50, "stop": ["END"]}
    assert body["messages"] == HI
    assert body["stream"] is True


async def test_parameters_by_their_other_names(server: OllamaServer, backend: Ollama) -> None:
    body = await sent(server, backend, max_completion_tokens=7, repetition_penalty=1.2, stop=["a", "b"])
    assert body["options"]["num_predict"] == 7
    assert body["options"]["repeat_penalty"] == 1.2
    assert body["options"]["stop"] == ["a", "b"]


async def test_own_options_win_and_unknown_fields_pass(server: OllamaServer, backend: Ollama) -> None:
    body = await sent(server, backend, temperature=1, options={"temperature": 0}, user="u", logit_bias={"1": 2}, n=None)
    assert body["options"]["temperature"] == 0
    assert body["user"] == "u"
    assert body["logit_bias"] == {"1": 2}
    assert "n" not in body


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "json_object"}, "json"),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}, {"type": "object"}),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "json"),
        ({"type": "text"}, None),
    ],
)
async def test_response_format(server: OllamaServer, backend: Ollama, given: Any, expected: Any) -> None:
    assert (await sent(server, backend, response_format=given)).get("format") == expected


@pytest.mark.parametrize(
    ("effort", "expected"),
    [("none", False), ("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high"), ("xhigh", "high")],
)
async def test_reasoning_effort_is_think(server: OllamaServer, backend: Ollama, effort: str, expected: Any) -> None:
    assert (await sent(server, backend, reasoning_effort=effort))["think"] == expected


async def test_think_itself_is_passed_on(server: OllamaServer, backend: Ollama) -> None:
    assert (await sent(server, backend, think=True, reasoning_effort="low"))["think"] is True
    assert "think" not in await sent(server, backend)


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("auto", ["a", "b"]),
        (None, ["a", "b"]),
        ("none", None),
        ({"type": "function", "function": {"name": "b"}}, ["b"]),
    ],
)
async def test_tool_choice(server: OllamaServer, backend: Ollama, choice: Any, names: Any) -> None:
    body = await sent(server, backend, tools=[tool("a"), tool("b")], tool_choice=choice)
    assert (names and [offered["function"]["name"] for offered in body["tools"]]) == names
    assert "tools" in body or names is None


async def test_messages_become_ollamas(server: OllamaServer, backend: Ollama) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": '{"city": "Oslo"}'}}
    broken = {"id": "call_2", "type": "function", "function": {"name": "get", "arguments": "oops"}}
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    plain = {"type": "image_url", "image_url": "data:image/svg+xml,%3Csvg/%3E"}
    await run(
        backend,
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, image, plain]},
            {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call, broken]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
            {"role": "tool", "tool_call_id": "call_2", "name": "given", "content": [{"type": "text", "text": "x"}]},
            {"role": "user", "content": "and?"},
        ],
    )
    system, user, assistant, result, named, _ = server.requests[-1].body["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert user["content"] == "a\n\nb"
    assert user["images"] == [PIXEL, base64.b64encode(b"<svg/>").decode()]
    assert assistant["thinking"] == "hm"
    assert assistant["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
    assert assistant["tool_calls"][1]["function"]["arguments"] == {"arguments": "oops"}
    assert (result["tool_name"], result["content"]) == ("get", "sunny")
    assert (named["tool_name"], named["content"]) == ("given", "x")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
    ],
)
async def test_content_it_cannot_take_is_refused(server: OllamaServer, backend: Ollama, part: Any) -> None:
    with pytest.raises(BackendRejected) as caught:
        await run(backend, messages=[{"role": "user", "content": [part]}])
    assert caught.value.status == 400
    assert caught.value.param == "messages"
    assert server.requests == []


async def test_logprobs(backend: Ollama) -> None:
    events = await run(backend, logprobs=True, top_logprobs=2)
    first = next(event for event in events if isinstance(event, TextDelta))
    assert first.logprobs
    assert first.logprobs[0]["token"] == "hi"
    assert len(first.logprobs[0]["top_logprobs"]) == 2


async def test_no_logprobs_unless_wanted(server: OllamaServer, backend: Ollama) -> None:
    events = await run(backend, logprobs=False)
    assert all(event.logprobs is None for event in events if isinstance(event, TextDelta))
    assert "logprobs" not in server.requests[-1].body


async def test_a_length_is_told(backend: Ollama) -> None:
    events = await run(backend, messages=[{"role": "user", "content": "one two three"}], max_tokens=2)
    assert Finished("length") in events


async def test_tool_calls_get_ids_and_numbers(server: OllamaServer, backend: Ollama) -> None:
    calls = [ToolCall(name="a", arguments={}), ToolCall(name="b", arguments={"x": [1]}, id="call_own")]
    server.script(Answer(tool_calls=calls))
    events = [event for event in await run(backend, tools=[tool("a")]) if isinstance(event, ToolCallDelta)]
    assert [(event.index, event.name, json.loads(event.arguments)) for event in events] == [
        (0, "a", {}),
        (1, "b", {"x": [1]}),
    ]
    assert events[0].id
    assert events[1].id == "call_own"


async def test_usage_is_estimated_where_ollama_leaves_it_out(server: OllamaServer, backend: Ollama) -> None:
    line = {"model": "able", "message": {"role": "assistant", "content": "abcdefgh"}, "done": True}
    server.script(Answer(frames=[json.dumps(line).encode() + b"\n"]))
    usage = (await run(backend))[-1]
    assert isinstance(usage, TokenUsage)
    assert usage.estimated
    assert usage.output_tokens == 2
    assert usage.input_tokens > 0


async def test_raw_completions(server: OllamaServer, backend: Ollama) -> None:
    events = await run(backend, messages=[], prompt=["one two", "three"], n=2, logprobs=1)
    texts = {
        choice: "".join(event.text for event in events if isinstance(event, TextDelta) and event.choice == choice)
        for choice in range(4)
    }
    assert texts == {0: "one two", 1: "one two", 2: "three", 3: "three"}
    bodies = [request.body for request in server.requests]
    assert {body["prompt"] for body in bodies} == {"one two", "three"}
    assert all(body["raw"] is True and body["logprobs"] is True and body["top_logprobs"] == 1 for body in bodies)


async def test_many_prompts_are_asked_a_few_at_a_time(server: OllamaServer, backend: Ollama) -> None:
    gates = [asyncio.Event() for _ in range(10)]
    server.script(*(Answer(text=["a", "b"], gate=gate, after=1) for gate in gates))
    prompts = [f"prompt {number}" for number in range(10)]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(backend, messages=[], prompt=prompts))
        for answered in range(7):
            await server.wait_requests(len(server.requests) - asked(server) + answered + 4)
            for _ in range(3):  # time for more of them to come, if more were sent
                await backend.models()
            assert asked(server) == answered + 4
            gates[answered].set()
        for gate in gates:
            gate.set()
    events = running.result()
    texts = dict.fromkeys(range(10), "")
    for event in events:
        if isinstance(event, TextDelta):
            texts[event.choice] += event.text
    assert texts == dict.fromkeys(range(10), "ab")
    begun = [request.body["prompt"] for request in server.requests if request.path == "/api/generate"]
    assert sorted(begun[:4]) == prompts[:4]
    assert begun[4:] == prompts[4:]


@pytest.mark.parametrize("number", [129, 10**12, -1, "many", [1], 1.5])
async def test_a_number_of_answers_that_is_none(server: OllamaServer, backend: Ollama, number: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        await run(backend, n=number)
    assert refused.value.param == "n"
    assert asked(server) == 0


def asked(server: OllamaServer) -> int:
    return sum(request.path == "/api/generate" for request in server.requests)


async def test_a_suffix_needs_the_models_template(server: OllamaServer, backend: Ollama) -> None:
    body = await sent(server, backend, messages=[], prompt="def f(", suffix="return 1")
    assert body["raw"] is False
    assert body["suffix"] == "return 1"


async def test_one_failing_choice_ends_them_all(server: OllamaServer, backend: Ollama) -> None:
    server.script(
        Answer(text=["a", "b"], gate=asyncio.Event(), after=1),
        Answer(text=["a"], status=500, error="model runner has crashed"),
    )
    with pytest.raises(BackendUnavailable, match="model runner has crashed"):
        await run(backend, n=2)
    await server.wait_active(0)


# Models


async def test_models_with_all_that_ollama_knows(server: OllamaServer, backend: Ollama) -> None:
    server.loaded["able:latest"] = 4096
    able, embedder = await backend.models()
    assert able.capabilities == {"chat", "completion", "tools", "vision", "thinking"}
    assert (able.context_window, able.parameters, able.quantization) == (16384, 1_000_000, "Q4_K_M")
    assert able.given == 16384
    assert (able.size, able.family, able.loaded) == (17_300_000_000, "llama", True)
    assert (able.held, embedder.held) == (17_300_000_000, None)
    assert able.created == 1767323045
    assert embedder.capabilities == {"embeddings"}
    assert embedder.loaded is False


async def test_details_are_asked_once_for_each_digest(server: OllamaServer, backend: Ollama) -> None:
    await backend.models()
    await backend.models()
    assert [request.path for request in server.requests].count("/api/show") == 2
    server.models["able:latest"] = OllamaModel(name="able:latest", context_length=1024)
    assert (await backend.models())[0].context_window == 1024


async def test_an_ollama_from_before_capabilities() -> None:
    models = [
        OllamaModel(name="old:7b", capabilities=None, parameter_count=0, parameter_size="6.7B"),
        OllamaModel(name="bge-m3:latest", capabilities=None, family="bert"),
        OllamaModel(name="llava:13b", capabilities=None),
    ]
    async with OllamaServer(models=models) as server:
        backend = Ollama(Config(url=f"{server.url}/v1/"))
        old, embedder, seeing = await backend.models()
        await backend.aclose()
    assert old.capabilities == {"chat", "completion"}
    assert old.parameters == 6_700_000_000
    assert embedder.capabilities == {"embeddings"}
    assert "vision" in seeing.capabilities


async def test_an_api_key_is_sent_and_not_shown(server: OllamaServer) -> None:
    backend = Ollama(Config(url=server.url.replace("http://", "http://me:hunter2@"), name="far"))
    keyed = Ollama(Config(url=server.url, api_key="secret-key"))
    await keyed.models()
    assert server.requests[0].headers["Authorization"] == "Bearer secret-key"
    await server.stop()
    for one in (backend, keyed):
        with pytest.raises(BackendUnavailable) as caught:
            await one.models()
        assert "hunter2" not in caught.value.message + one.url
        assert "secret-key" not in caught.value.message
        await one.aclose()


# Context


async def context(server: OllamaServer, backend: Ollama, words: int, **parameters: Any) -> int:
    body = await sent(server, backend, messages=[{"role": "user", "content": "word " * words}], **parameters)
    size: int = body["options"]["num_ctx"]
    return size


async def test_num_ctx_fits_the_conversation(server: OllamaServer, backend: Ollama) -> None:
    await backend.models()
    assert await context(server, backend, 10) == 4096
    assert await context(server, backend, 3000) == 8192
    assert await context(server, backend, 10, max_tokens=6000) == 8192
    assert await context(server, backend, 10, tools=[tool("x" * 20000)]) == 16384
    assert server.truncated == [0, 0, 0, 0]


async def test_num_ctx_stays_where_it_is_enough(server: OllamaServer, backend: Ollama) -> None:
    """Each change makes Ollama load the model again."""
    await backend.models()
    assert await context(server, backend, 3000) == 8192
    assert await context(server, backend, 10) == 8192
    server.loaded.clear()
    await backend.models()
    assert await context(server, backend, 10) == 4096


async def test_pictures_count(server: OllamaServer, backend: Ollama) -> None:
    await backend.models()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    body = await sent(server, backend, messages=[{"role": "user", "content": [image] * 8}])
    assert body["options"]["num_ctx"] == 16384


async def test_the_authors_num_ctx_is_the_least() -> None:
    model = OllamaModel(
        name="tuned:latest", context_length=131072, parameters='stop "x"\nnum_ctx                 65536'
    )
    async with OllamaServer(models=[model]) as server:
        backend = Ollama(Config(url=server.url))
        await backend.models()
        body = await sent(server, backend, model="tuned:latest")
        await backend.aclose()
    assert body["options"]["num_ctx"] == 65536


async def test_too_long_a_conversation_is_said(server: OllamaServer, backend: Ollama) -> None:
    await backend.models()
    messages = [{"role": "user", "content": "word " * 20000}]
    events = await run(backend, messages=messages)
    assert server.requests[-1].body["options"]["num_ctx"] == 16384
    said = [event.detail for event in events if isinstance(event, Progress)]
    assert any("oldest part" in detail for detail in said)


async def test_transport_options_can_be_left_to_the_server(server: OllamaServer) -> None:
    bare = Ollama(Config(url=server.url, fill_options=False, keep_alive="30m"))
    body = await sent(server, bare)
    assert body["options"] == {}
    assert "keep_alive" not in body
    await bare.aclose()
    filling = Ollama(Config(url=server.url, keep_alive="30m"))
    assert (await sent(server, filling))["keep_alive"] == "30m"
    assert (await sent(server, filling, keep_alive="1h"))["keep_alive"] == "1h"
    await filling.embed("nomic-embed-text", ["x"])
    assert server.requests[-1].body["keep_alive"] == "30m"
    await filling.aclose()


async def test_loading_is_said_while_it_is_known(server: OllamaServer, backend: Ollama) -> None:
    await backend.models()
    server.loading.clear()
    events = backend.stream(ModelRequest(model="able:latest", messages=HI))
    first = await anext(events)
    assert first == Progress("loading", "ollama is loading able:latest (17.3 GB) into memory.")
    server.loading.set()
    assert any([isinstance(event, TextDelta) async for event in events])
    assert not any(isinstance(event, Progress) for event in await run(backend))


# Failures in Ollama's words


@pytest.mark.parametrize(
    ("parameters", "status", "words"),
    [
        ({"model": "missing"}, 404, "model 'missing' not found"),
        ({"temperature": "hot"}, 400, 'option "temperature" must be of type float32'),
        ({"model": "nomic-embed-text"}, 400, "does not support chat"),
        ({"format": "xml"}, 400, "invalid format"),
        ({"think": "very"}, 400, "invalid think value"),
    ],
)
async def test_a_refusal_keeps_status_and_words(
    backend: Ollama, parameters: dict[str, Any], status: int, words: str
) -> None:
    with pytest.raises(BackendRejected) as caught:
        await run(backend, **parameters)
    assert caught.value.status == status
    assert words in caught.value.message


async def test_a_failure_in_the_stream_keeps_its_words(server: OllamaServer, backend: Ollama) -> None:
    server.script(Answer(text=["a", "b"], fault=Fault.ERROR, after=1, error="llama runner process has terminated"))
    with pytest.raises(BackendError, match="llama runner process has terminated"):
        await run(backend)


@pytest.mark.parametrize("frame", [b"[1]\n", b'"text"\n', b"not json\n"])
async def test_lines_that_are_no_objects(server: OllamaServer, backend: Ollama, frame: bytes) -> None:
    server.script(Answer(frames=[frame]))
    with pytest.raises(BackendProtocolError):
        await run(backend)


async def test_embedding_failures(server: OllamaServer, backend: Ollama) -> None:
    with pytest.raises(BackendRejected, match="not found"):
        await backend.embed("missing", ["x"])
    made = await backend.embed("nomic-embed-text", ["", ""])
    assert made.estimated


async def test_a_server_that_is_something_else() -> None:
    from portal.testing.openai_server import OpenAIServer

    async with OpenAIServer() as server:
        backend = Ollama(Config(url=server.url))
        with pytest.raises(BackendRejected):
            await backend.models()
        await backend.aclose()


async def test_slow_details_do_not_hold_up_the_list() -> None:
    """A listing answers with what it has; the next one has the rest."""
    server = _SlowShow(models=[OllamaModel(name="slow:7b", capabilities=("completion", "thinking"))])
    async with server:
        backend = Ollama(Config(url=server.url, listing_timeout=0.2))
        (before,) = await backend.models()
        server.release.set()
        (after,) = await backend.models()
        await backend.aclose()
    assert "thinking" not in before.capabilities
    assert before.parameters is not None
    assert "thinking" in after.capabilities


class _SlowShow(OllamaServer):
    def __init__(self, *, models: Any) -> None:
        super().__init__(models=models)
        self.release = asyncio.Event()

    async def _show(self, request: Any) -> Any:
        await self.release.wait()
        return await super()._show(request)


async def test_a_model_without_details_is_listed_all_the_same() -> None:
    server = _BrokenShow()
    async with server:
        backend = Ollama(Config(url=server.url))
        (info,) = await backend.models()
        await backend.aclose()
    assert info.id == "tiny:latest"
    assert info.loaded is None


class _BrokenShow(OllamaServer):
    async def _show(self, request: Any) -> Any:
        return self.refusal(500, "corrupt manifest")

    async def _ps(self, request: Any) -> Any:
        return self.refusal(404, "404 page not found")


@pytest.mark.parametrize("answer", [[], {"models": 3}, "x"])
async def test_nonsense_for_a_list(answer: Any) -> None:
    server = _OddTags(answer)
    async with server:
        backend = Ollama(Config(url=server.url))
        with pytest.raises(BackendProtocolError):
            await backend.models()
        await backend.aclose()


class _OddTags(OllamaServer):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self._odd = answer

    async def _tags(self, request: Any) -> Any:
        from aiohttp import web

        return web.json_response(self._odd)

    async def _embed(self, request: Any) -> Any:
        from aiohttp import web

        return web.json_response(self._odd)


async def test_entries_that_tell_little() -> None:
    async with _OddTags({"models": [{"name": "bare", "modified_at": "lately"}, {"size": 1}, 3]}) as server:
        backend = Ollama(Config(url=server.url))
        (info,) = await backend.models()
        await backend.aclose()
    assert (info.id, info.created, info.size, info.family) == ("bare", 0, None, None)
    assert "chat" in info.capabilities


@pytest.mark.parametrize(
    "answer", [[], 1, None, {}, *({"embeddings": odd} for odd in ([], {}, [1], [[]], [["1"]], [[1e300]], [[1], [2]]))]
)
async def test_nonsense_for_vectors(answer: Any) -> None:
    async with _OddTags(answer) as server:
        backend = Ollama(Config(url=server.url))
        with pytest.raises(BackendProtocolError):
            await backend.embed("m", ["x"])
        await backend.aclose()


async def test_created_from_settings(server: OllamaServer) -> None:
    settings = Settings(discovery={"timeout": 9}, ollama={"max_context": 4096})  # type: ignore[arg-type]
    address = server.url.removeprefix("http://")
    backend = create(BackendSettings(kind="ollama", url=address, name="mine", api_key="k"), settings)  # type: ignore[arg-type]
    assert backend.name == "mine"
    assert backend.url == server.url
    await backend.models()
    assert server.requests[0].headers["Authorization"] == "Bearer k"
    assert await context(server, backend, 9000) == 4096
    await backend.aclose()
    assert create(BackendSettings(kind="ollama"), settings).url == "http://127.0.0.1:11434"


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://host:port", "http://[::1"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(SettingsError):
        create(BackendSettings(kind="ollama", url=url), Settings())


async def test_a_hanging_server_is_given_up(server: OllamaServer) -> None:
    backend = Ollama(Config(url=server.url, deadlines=Deadlines(first_byte=0.1, idle=0.1)))
    server.script(Answer(fault=Fault.HANG))
    with pytest.raises(BackendTimeout):
        await run(backend)
    await server.wait_disconnected()
    await backend.aclose()
