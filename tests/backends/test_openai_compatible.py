"""OpenAI's API over a real socket: what is sent, and what is made of what all kinds of servers answer."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from portal.backends.openai_compatible import Config, OpenAICompatible, api_root, create
from portal.core.model import (
    Finished,
    ModelEvent,
    ModelInfo,
    ModelRequest,
    RawRequest,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.core.ports import Forwarding
from portal.errors import (
    BackendError,
    BackendInterrupted,
    BackendKeyRefused,
    BackendProtocolError,
    BackendRejected,
    BackendUnavailable,
)
from portal.settings import BackendSettings, Settings
from portal.testing.model_server import Answer, Fault, ToolCall
from portal.testing.openai_server import OpenAIServer

HI = [{"role": "user", "content": "hi there"}]


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(extra=["top_k", "min_p", "repeat_penalty", "chat_template_kwargs"]) as made:
        yield made


@pytest.fixture
async def backend(server: OpenAIServer) -> AsyncIterator[OpenAICompatible]:
    made = OpenAICompatible(Config(url=server.url))
    yield made
    await made.aclose()


async def run(backend: OpenAICompatible, *, messages: Any = HI, prompt: Any = None, **more: Any) -> list[ModelEvent]:
    request = ModelRequest(model=more.pop("model", "tiny"), messages=messages, prompt=prompt, parameters=more)
    return [event async for event in backend.stream(request)]


async def raw(server: OpenAIServer, backend: OpenAICompatible, *frames: bytes, **parameters: Any) -> list[ModelEvent]:
    """The events made of a stream of exactly these bytes, in these pieces."""
    server.script(Answer(frames=frames))
    return await run(backend, **parameters)


def text_of(events: list[ModelEvent], choice: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta) and event.choice == choice)


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    content = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("http://h:1", "http://h:1/v1"),
        ("http://h:1/", "http://h:1/v1"),
        ("http://h:1/v1", "http://h:1/v1"),
        ("http://h:1/v1/", "http://h:1/v1"),
        ("http://h/proxy", "http://h/proxy/v1"),
        ("https://h/v1beta/openai", "https://h/v1beta/openai"),
        ("https://h/api/paas/v4", "https://h/api/paas/v4"),
    ],
)
def test_the_api_root(url: str, root: str) -> None:
    assert api_root(url) == root


PARAMETERS = {
    "temperature": 0.5,
    "top_p": 0.9,
    "n": 1,
    "stop": ["END"],
    "max_tokens": 50,
    "max_completion_tokens": 60,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "logit_bias": {"5": 1},
    "seed": 42,
    "user": "u",
    "logprobs": True,
    "top_logprobs": 2,
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
    "reasoning_effort": "low",
    "metadata": {"a": "b"},
    "top_k": 40,
    "min_p": 0.05,
    "repeat_penalty": 1.1,
    "chat_template_kwargs": {"enable_thinking": False},
}


async def test_every_parameter_arrives_unchanged(server: OpenAIServer, backend: OpenAICompatible) -> None:
    await run(backend, **PARAMETERS)
    assert server.requests[-1].body == {
        **PARAMETERS,
        "model": "tiny",
        "messages": HI,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_completions_for_a_prompt(server: OpenAIServer, backend: OpenAICompatible) -> None:
    events = await run(backend, messages=[], prompt=["one two", "three"], logprobs=2, echo=False)
    assert server.requests[-1].path == "/v1/completions"
    assert "messages" not in server.requests[-1].body
    assert (text_of(events, 0), text_of(events, 1)) == ("one two", "three")
    first = next(event for event in events if isinstance(event, TextDelta))
    assert first.logprobs
    assert first.logprobs[0]["token"] == "one"
    assert len(first.logprobs[0]["top_logprobs"]) == 2


async def test_logprobs_in_chat(backend: OpenAICompatible) -> None:
    events = await run(backend, logprobs=True, top_logprobs=3)
    first = next(event for event in events if isinstance(event, TextDelta))
    assert first.logprobs
    assert len(first.logprobs[0]["top_logprobs"]) == 3


async def test_refusals(server: OpenAIServer, backend: OpenAICompatible) -> None:
    server.script(Answer(refusal="I will not."))
    assert RefusalDelta("I will not.") in await run(backend)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_by_either_name(field: str) -> None:
    async with OpenAIServer(reasoning=field) as server:
        backend = OpenAICompatible(Config(url=server.url))
        server.script(Answer(thinking=["hm"], text=["x"]))
        assert ReasoningDelta("hm") in await run(backend)
        await backend.aclose()


async def test_usage_with_its_details(server: OpenAIServer, backend: OpenAICompatible) -> None:
    server.script(Answer(thinking=["a", "b"], text=["c"]))
    assert (await run(backend))[-1] == TokenUsage(2, 3, reasoning_tokens=2)


async def test_usage_is_estimated_where_the_server_counts_nothing() -> None:
    async with OpenAIServer(usage=False) as server:
        backend = OpenAICompatible(Config(url=server.url))
        usage = (await run(backend, tools=[{"type": "function", "function": {"name": "f"}}]))[-1]
        assert isinstance(usage, TokenUsage)
        assert usage.estimated
        assert usage.input_tokens > 8
        assert usage.output_tokens == 2
        completion = (await run(backend, messages=[], prompt="abcdefgh"))[-1]
        assert isinstance(completion, TokenUsage)
        assert completion.input_tokens == 2
        await backend.aclose()


async def test_a_server_without_stream_options_is_asked_again(server: OpenAIServer) -> None:
    async with OpenAIServer(stream_options=False) as plain:
        backend = OpenAICompatible(Config(url=plain.url))
        assert text_of(await run(backend)) == "hi there"
        assert text_of(await run(backend)) == "hi there"
        assert ["stream_options" in request.body for request in plain.requests] == [True, False, False]
        with pytest.raises(BackendRejected, match="stream_options"):
            await run(backend, stream_options={"include_usage": True})
        await backend.aclose()


async def test_a_refusal_for_another_reason_stays_one(server: OpenAIServer, backend: OpenAICompatible) -> None:
    with pytest.raises(BackendRejected) as caught:
        await run(backend, temperature=9)
    assert (caught.value.status, caught.value.param) == (400, "temperature")
    assert caught.value.code == "decimal_above_max_value"
    assert text_of(await run(backend)) == "hi there"
    assert server.requests[-1].body["stream_options"] == {"include_usage": True}


async def test_clients_own_stream_options_are_kept(server: OpenAIServer, backend: OpenAICompatible) -> None:
    await run(backend, stream_options={"include_obfuscation": False})
    assert server.requests[-1].body["stream_options"] == {"include_obfuscation": False, "include_usage": True}


# Decoding


async def test_events_in_every_framing_the_standard_allows(server: OpenAIServer, backend: OpenAICompatible) -> None:
    whole = b"".join(
        [
            b"\xef\xbb\xbf: a comment\r\n\r\n",
            b"event: message\rid: 7\rretry: 10\r",
            b'data: {"choices": [{"index": 0,\rdata:  "delta": {"content": "h\xc3\xa9"}}]}\r\r',
            b'data:{"choices": [{"index": 0, "delta": {"content": "llo"}, "finish_reason": "stop"}]}\r\n\r\n',
            b"data: [DONE]\r\n\r\n",
        ]
    )
    for size in (1, 2, 3, 7, len(whole)):
        frames = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert text_of(await raw(server, backend, *frames)) == "héllo"


async def test_a_missing_last_empty_line(server: OpenAIServer, backend: OpenAICompatible) -> None:
    events = await raw(server, backend, chunk({"content": "a"}), chunk({}, "stop"), b"data: [DONE]")
    assert text_of(events) == "a"
    events = await raw(server, backend, chunk({"content": "a"}), chunk({}, "stop").rstrip())
    assert events[-2] == Finished("stop")


async def test_done_may_stand_for_the_finish_reason(server: OpenAIServer, backend: OpenAICompatible) -> None:
    events = await raw(server, backend, chunk({"content": "a"}), DONE)
    assert events[-2] == Finished("stop")


async def test_a_finish_reason_may_stand_for_done(server: OpenAIServer, backend: OpenAICompatible) -> None:
    events = await raw(server, backend, chunk({"content": "a"}), chunk({}, "length"))
    assert events[-2] == Finished("length")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
    ],
)
async def test_finish_reasons(server: OpenAIServer, backend: OpenAICompatible, reason: str, expected: Any) -> None:
    assert Finished(expected) in await raw(server, backend, chunk({"content": "a"}), chunk({}, reason), DONE)


@pytest.mark.parametrize("reason", ["error", "abort"])
async def test_a_server_that_says_it_gave_up(server: OpenAIServer, backend: OpenAICompatible, reason: str) -> None:
    with pytest.raises(BackendInterrupted):
        await raw(server, backend, chunk({"content": "a"}), chunk({}, reason), DONE)


@pytest.mark.parametrize(
    "frames",
    [
        (),
        (chunk({"content": "a"}),),
        (chunk({"content": "a"}), b'data: {"choices": [{"ind'),
        (DONE,),
        (b"hello\n",),
    ],
)
async def test_what_ends_early_is_cut(server: OpenAIServer, backend: OpenAICompatible, frames: Any) -> None:
    with pytest.raises(BackendInterrupted):
        await raw(server, backend, *frames)


async def test_a_break_after_the_end_is_none(server: OpenAIServer, backend: OpenAICompatible) -> None:
    frames = [chunk({"content": "a"}), chunk({}, "stop"), b'data: {"usage": {"promp', b"never"]
    server.script(Answer(frames=frames, fault=Fault.RESET, after=3))
    events = await run(backend)
    assert events[-2] == Finished("stop")
    assert isinstance(events[-1], TokenUsage)
    assert events[-1].estimated


@pytest.mark.parametrize(
    "frame",
    [
        b'data: {"error": {"message": "out of memory", "code": 500}}\n\n',
        b'data: {"error": "out of memory"}\n\n',
        b'event: error\ndata: {"message": "out of memory"}\n\n',
    ],
)
async def test_errors_in_the_stream(server: OpenAIServer, backend: OpenAICompatible, frame: bytes) -> None:
    with pytest.raises(BackendError, match="out of memory"):
        await raw(server, backend, chunk({"content": "a"}), frame)


@pytest.mark.parametrize("frame", [b"data: nonsense\n\n", b"data: [1]\n\n"])
async def test_events_that_are_no_objects(server: OpenAIServer, backend: OpenAICompatible, frame: bytes) -> None:
    with pytest.raises(BackendProtocolError):
        await raw(server, backend, frame)


async def test_an_answer_in_one_piece(server: OpenAIServer, backend: OpenAICompatible) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = {"role": "assistant", "content": "hello", "tool_calls": [call]}
    answer = {
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    }
    server.script(Answer(frames=[json.dumps(answer).encode()], headers={"Content-Type": "application/json"}))
    events = await run(backend)
    assert text_of(events) == "hello"
    assert ToolCallDelta(0, "c", "f", '{"a": 1}') in events
    assert events[-2:] == [Finished("tool_calls"), TokenUsage(3, 4)]


async def test_a_piece_that_is_no_answer(server: OpenAIServer, backend: OpenAICompatible) -> None:
    server.script(Answer(frames=[b'{"status": "fine"}'], headers={"Content-Type": "application/json"}))
    with pytest.raises(BackendProtocolError):
        await run(backend)


async def test_tool_calls_of_servers_with_habits_of_their_own(server: OpenAIServer, backend: OpenAICompatible) -> None:
    """Without an index, with arguments as an object, with content as parts."""
    first = {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}
    second = {"id": "b", "function": {"name": "g", "arguments": ""}}
    more = {"function": {"arguments": "{}"}}
    frames = [
        chunk({"content": [{"type": "text", "text": "so"}]}),
        chunk({"tool_calls": [first]}),
        chunk({"tool_calls": [second]}),
        chunk({"tool_calls": [more]}),
        chunk({}, "tool_calls"),
        chunk({}, "tool_calls"),
    ]
    events = await raw(server, backend, *frames, DONE)
    assert text_of(events) == "so"
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(call.index, call.id, call.name, call.arguments) for call in calls] == [
        (0, "a", "f", '{"x":1}'),
        (1, "b", "g", ""),
        (1, None, None, "{}"),
    ]
    assert sum(isinstance(event, Finished) for event in events) == 1


async def test_modern_logprobs_in_completions(server: OpenAIServer, backend: OpenAICompatible) -> None:
    entry = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    choice = {"index": 0, "text": "a", "logprobs": {"content": [entry]}, "finish_reason": "stop"}
    frame = b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"
    events = await raw(server, backend, frame, DONE, messages=[], prompt="x")
    assert events[0] == TextDelta("a", 0, [entry])


# Models


async def listed(*models: Any, **more: Any) -> list[ModelInfo]:
    async with OpenAIServer(models=models, **more) as server:
        backend = OpenAICompatible(Config(url=server.url))
        found = await backend.models()
        await backend.aclose()
    return list(found)


async def test_models_that_tell_nothing() -> None:
    plain, embedder = await listed("qwen3-8b", "nomic-embed-text-v1.5")
    assert (plain.capabilities, plain.parameters) == ({"chat", "completion"}, 8_000_000_000)
    assert plain.context_window is None
    assert embedder.capabilities == {"embeddings"}


async def test_vllm() -> None:
    (info,) = await listed({"id": "m", "owned_by": "vllm", "max_model_len": 4096})
    assert info.context_window == 4096


@pytest.mark.parametrize(
    ("entry", "capabilities"),
    [
        ({"capabilities": ["completion", "multimodal"]}, {"chat", "completion", "vision"}),
        ({"capabilities": {"vision": True, "function_calling": True, "audio": False}}, {"vision", "tools"}),
        ({"capabilities": ["embeddings"]}, {"embeddings"}),
        ({"type": "embeddings"}, {"embeddings"}),
        ({"type": "vlm"}, {"vision"}),
    ],
)
async def test_capabilities_that_servers_tell(entry: dict[str, Any], capabilities: set[str]) -> None:
    (info,) = await listed({"id": "m", **entry})
    assert capabilities <= info.capabilities
    assert ("chat" in info.capabilities) == ("embeddings" not in capabilities)


async def test_llama_cpp() -> None:
    meta = {"n_ctx_train": 131072, "n_params": 8_030_261_248, "size": 4_912_898_048}
    props = {
        "default_generation_settings": {"n_ctx": 16384},
        "modalities": {"vision": True, "audio": False},
        "chat_template": "{% if tools %}...",
    }
    entry = {"id": "m.gguf", "owned_by": "llamacpp", "meta": meta}
    (info,) = await listed(entry, props=props)
    assert (info.context_window, info.parameters, info.size) == (16384, 8_030_261_248, 4_912_898_048)
    assert info.capabilities == {"chat", "completion", "vision", "tools"}
    (without,) = await listed(entry)
    assert without.context_window == 131072


async def test_lm_studio() -> None:
    more = {
        "id": "qwen2-vl-7b",
        "object": "model",
        "type": "vlm",
        "arch": "qwen2_vl",
        "quantization": "4bit",
        "state": "loaded",
        "max_context_length": 32768,
        "capabilities": ["tool_use"],
    }
    entry = {"id": "qwen2-vl-7b", "owned_by": "organization_owner"}
    (info,) = await listed(entry, lm_studio={"object": "list", "data": [more]})
    assert (info.family, info.quantization, info.loaded) == ("qwen2_vl", "4bit", True)
    assert info.context_window == 32768
    assert {"chat", "vision", "tools"} <= info.capabilities
    (older,) = await listed(entry)
    assert older.loaded is None


async def test_llama_cpps_second_list() -> None:
    entry = {"id": "m", "owned_by": "llamacpp"}
    second = [{"model": "m", "capabilities": ["completion", "multimodal"]}]
    async with _Odd({"object": "list", "data": [entry], "models": second}) as server:
        backend = OpenAICompatible(Config(url=server.url))
        (info,) = await backend.models()
        await backend.aclose()
    assert "vision" in info.capabilities


class _Odd(OpenAIServer):
    """Answers every list and embedding with one thing."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self._odd = answer

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(self._odd)

    async def _beside(self, request: web.Request) -> web.Response:
        return web.json_response([1])

    async def _embeddings(self, request: web.Request) -> web.Response:
        return web.json_response(self._odd)

    async def _rerank(self, request: web.Request) -> web.Response:
        return web.json_response(self._odd)


@pytest.mark.parametrize("answer", [[], {"data": 1}, {"data": [1]}, {"data": [{"name": "x"}]}, None, {"ok": True}])
async def test_nonsense_for_a_list(answer: Any) -> None:
    async with _Odd(answer) as server:
        backend = OpenAICompatible(Config(url=server.url))
        with pytest.raises(BackendProtocolError):
            await backend.models()
        with pytest.raises(BackendProtocolError):
            await backend.embed("m", ["x", "y"])
        await backend.aclose()


async def test_embeddings_come_back_in_order() -> None:
    rows = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    async with _Odd({"data": rows}) as server:
        backend = OpenAICompatible(Config(url=server.url))
        made = await backend.embed("m", ["x", "y"])
        await backend.aclose()
    assert made.vectors == [[1.0], [2.0]]
    assert made.estimated


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"a": 1},
        [],
        [{"embedding": [1.0]}],
        [{"embedding": [1.0]}] * 3,
        [1, 2],
        [{"index": 0}, {"index": 1}],
        [{"embedding": [1.0]}, {"embedding": "AAAA"}],
        [{"embedding": [1.0]}, {"embedding": []}],
        [{"embedding": [1.0]}, {"embedding": ["1"]}],
        [{"embedding": [1.0]}, {"embedding": [None]}],
        [{"embedding": [1.0]}, {"embedding": [True]}],
        [{"embedding": [1.0]}, {"embedding": [1e300]}],
        [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}],
        [{"index": "0", "embedding": [1.0]}, {"index": "1", "embedding": [1.0]}],
        [{"index": [0], "embedding": [1.0]}, {"index": None, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 7, "embedding": [1.0]}],
    ],
)
async def test_what_are_no_embeddings(data: Any) -> None:
    async with _Odd({"data": data}) as server:
        backend = OpenAICompatible(Config(url=server.url))
        with pytest.raises(BackendProtocolError, match="one vector for each text"):
            await backend.embed("m", ["x", "y"])
        await backend.aclose()


@pytest.mark.parametrize("more", [{}, {"index": 0}])
@pytest.mark.parametrize("usage", [None, [1], "x", {"prompt_tokens": "many"}, {"prompt_tokens": [1]}])
async def test_embeddings_without_number_or_usage(more: dict[str, Any], usage: Any) -> None:
    rows = [{"embedding": [1, 0.5], **more}, {"embedding": [2.0, 3], **more}]
    async with _Odd({"data": rows, "usage": usage}) as server:
        backend = OpenAICompatible(Config(url=server.url))
        made = await backend.embed("m", ["x", "y"])
        await backend.aclose()
    assert made.vectors == [[1, 0.5], [2.0, 3]]
    assert made.estimated
    assert made.input_tokens > 0


# Keys and relaying


async def test_the_key_of_this_server_is_sent() -> None:
    async with OpenAIServer(api_key="right") as server:
        right = OpenAICompatible(Config(url=server.url, api_key="right"))
        wrong = OpenAICompatible(Config(url=server.url, api_key="wrong-key"))
        assert text_of(await run(right)) == "hi there"
        for call in (wrong.models(), run(wrong)):
            with pytest.raises(BackendKeyRefused, match=r"did not accept Portal's key \(401\)") as caught:
                await call
            assert "wrong-key" not in caught.value.message
        await right.aclose()
        await wrong.aclose()


async def test_bytes_are_relayed(server: OpenAIServer, backend: OpenAICompatible) -> None:
    assert isinstance(backend, Forwarding)
    body = b'{ "model":"tiny",  "messages":[{"role":"user","content":"hi there"}], "stream":true }'
    answer = await backend.forward(RawRequest(method="POST", path="/chat/completions", body=body))
    content = b"".join([piece async for piece in answer.body])
    await answer.aclose()
    assert answer.status == 200
    assert answer.content_type.startswith("text/event-stream")
    assert content.endswith(b"data: [DONE]\n\n")
    assert server.requests[-1].raw == body
    assert "Authorization" not in server.requests[-1].headers


async def test_a_relayed_refusal_is_an_answer(backend: OpenAICompatible) -> None:
    answer = await backend.forward(RawRequest(method="GET", path="/models/none"))
    content = b"".join([piece async for piece in answer.body])
    assert answer.status == 404
    assert json.loads(content)["error"]["code"] == "model_not_found"
    await answer.aclose()


async def test_closing_a_relay_cancels_the_call(server: OpenAIServer, backend: OpenAICompatible) -> None:
    server.script(Answer(text=["a", "b"], fault=Fault.HANG, after=2))
    body = json.dumps({"model": "tiny", "messages": HI, "stream": True}).encode()
    answer = await backend.forward(RawRequest(method="POST", path="/chat/completions", body=body))
    assert await anext(answer.body)
    await answer.aclose()
    await server.wait_disconnected()


async def test_a_relay_to_nowhere(server: OpenAIServer, backend: OpenAICompatible) -> None:
    await server.stop()
    with pytest.raises(BackendUnavailable):
        await backend.forward(RawRequest(method="GET", path="/models"))


async def test_created_from_settings(server: OpenAIServer) -> None:
    given = BackendSettings(kind="openai_compatible", url=server.url, name="mine", api_key="k")  # type: ignore[arg-type]
    backend = create(given, Settings())
    await backend.models()
    assert (backend.name, backend.url) == ("mine", f"{server.url}/v1")
    assert server.requests[0].headers["Authorization"] == "Bearer k"
    await backend.aclose()


async def test_tool_calls_of_the_strict_server(server: OpenAIServer, backend: OpenAICompatible) -> None:
    server.script(Answer(tool_calls=[ToolCall(name="f", arguments={"a": 1}), ToolCall(name="g", arguments={})]))
    calls = [event for event in await run(backend) if isinstance(event, ToolCallDelta)]
    assert {call.index for call in calls} == {0, 1}
    assert "".join(call.arguments for call in calls if call.index == 0) == '{"a": 1}'


def scored(*rows: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"index": index, "relevance_score": score} for index, score in rows]


async def test_scores_come_back_in_order() -> None:
    async with _Odd({"results": scored((1, 2), (0, -3.5))}) as server:
        backend = OpenAICompatible(Config(url=server.url))
        made = await backend.rerank("m", "q", ["x", "y"])
        await backend.aclose()
    assert (made.scores, made.estimated) == ([-3.5, 2.0], True)


@pytest.mark.parametrize(
    "results",
    [
        None,
        {},
        [1, 2],
        scored((0, 1.0)),
        scored((0, 1.0), (0, 1.0)),
        scored((0, 1.0), (2, 1.0)),
        scored((0, 1.0), ("1", 1.0)),
        scored((0, 1.0), (True, 1.0)),
        scored((0, 1.0), (1, "high")),
        scored((0, 1.0), (1, None)),
        scored((0, 1.0), (1, True)),
        [{"index": 0, "relevance_score": 1.0}, {"index": 1, "score": 1.0}],
    ],
)
async def test_what_are_no_scores(results: Any) -> None:
    async with _Odd({"results": results}) as server:
        backend = OpenAICompatible(Config(url=server.url))
        with pytest.raises(BackendProtocolError, match="one score for each document"):
            await backend.rerank("m", "q", ["x", "y"])
        await backend.aclose()
