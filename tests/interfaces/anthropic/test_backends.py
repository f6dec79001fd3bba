"""The same calls over every kind of model server: what it receives, and what the client sees of its answer."""

import asyncio
import json
from pathlib import Path

import anthropic
import pytest
import pytest_asyncio
from tests.interfaces.anthropic.conftest import asked

from portal.backends import embedded, ollama, openai_compatible
from portal.testing.model_server import Answer, Fault, ToolCall
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal
from portal.testing.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIXEL = "iVBORw0KGgo="
CAT = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
WEATHER = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
FUNCTION = {"name": "weather", "description": "The weather of a city.", "parameters": WEATHER["input_schema"]}
TINY = Path(__file__).parents[2] / "fixtures" / "tinymodel"
ABLE = ("completion", "tools", "vision", "thinking")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stands(tmp_path_factory):
    """A stand-in of each kind of model server, and Portal over both."""
    engine = ScriptedEngine()
    models = [OllamaModel(name="smart", capabilities=ABLE), OllamaModel(name="plain", capabilities=("completion",))]
    async with OllamaServer(models=models) as one, OpenAIServer(models=["hosted"], extra=["top_k"]) as two:
        backends = [
            ollama.Ollama(ollama.Config(url=one.url)),
            openai_compatible.OpenAICompatible(openai_compatible.Config(url=two.url)),
            embedded.Embedded(embedded.Config(folder=TINY), engine=engine),
        ]
        folder, never_rest = (
            tmp_path_factory.mktemp("portal") / "data",
            {"faults": {"retries": 0, "breaker_failures": 0}},
        )
        async with open_test_portal(folder, backends=backends, settings=never_rest) as portal:
            yield {"smart": one, "plain": one, "hosted": two, "engine": engine}, portal


@pytest_asyncio.fixture(loop_scope="module")
async def client(stands):
    _, portal = stands
    async with anthropic.AsyncAnthropic(base_url=portal.url, api_key=portal.key, max_retries=0) as made:
        yield made


@pytest.fixture(params=["smart", "hosted"])
def server(request, stands):
    found = stands[0][request.param]
    found.requests.clear()
    found.model = request.param
    return found


async def final(client, server, **more):
    """The answer, streamed."""
    async with client.messages.stream(**asked(**more) | {"model": server.model}) as stream:
        return await stream.get_final_message()


def received(server):
    return server.requests[-1].body


async def test_text(client, server):
    server.answer("Hel", "lo")
    server.answer("Hel", "lo")
    whole = await client.messages.create(**asked(), extra_body={"model": server.model})
    streamed = await final(client, server)
    for made in (whole, streamed):
        assert made.content[0].text == "Hello"
        assert made.stop_reason == "end_turn"
        assert made.model == server.model
        assert made.usage.output_tokens == 2


async def test_what_it_receives(client, server):
    server.answer("Hello")
    more = {"temperature": 0.5, "top_p": 0.9, "top_k": 5}
    await final(client, server, system="Be brief.", stop_sequences=["END"], metadata={"user_id": "u"}, extra_body=more)
    body = received(server)
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    if server.model == "hosted":
        assert body == {
            "model": "hosted",
            "messages": body["messages"],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 100,
            **more,
        }
    else:
        options = body["options"]
        assert options.pop("num_ctx")
        assert options == {"num_predict": 100, **more}
        assert body.keys() == {"model", "messages", "stream", "options"}


async def test_a_loop_of_tools(client, server):
    server.script(
        Answer(text=["Wait."], tool_calls=[ToolCall(name="weather", arguments={"city": "Oslo"}, id="call_1")])
    )
    first = await final(client, server, tools=[WEATHER], tool_choice={"type": "auto"})
    assert first.stop_reason == "tool_use"
    said, use = first.content
    assert (said.text, use.id, use.name, use.input) == ("Wait.", "call_1", "weather", {"city": "Oslo"})
    assert received(server)["tools"] == [{"type": "function", "function": FUNCTION}]
    result = {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "sun"}, CAT]}
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result, {"type": "text", "text": "So?"}]},
    ]
    server.answer("Sunny.")
    second = await final(client, server, messages=turns, tools=[WEATHER])
    assert second.content[0].text == "Sunny."
    _, called, told, seen = received(server)["messages"]
    assert told["content"] == "sun"
    if server.model == "hosted":
        assert told["tool_call_id"] == called["tool_calls"][0]["id"] == "call_1"
        assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == {"city": "Oslo"}
        assert [part["type"] for part in seen["content"]] == ["text", "image_url", "text"]
    else:
        assert told["tool_name"] == "weather"
        assert called["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
        assert seen["images"] == [PIXEL]


async def test_two_calls_at_once(client, server):
    calls = [ToolCall(name="weather", arguments={"city": city}) for city in ("Oslo", "Bern")]
    server.script(Answer(tool_calls=calls))
    made = await final(client, server, tools=[WEATHER])
    assert [block.input["city"] for block in made.content] == ["Oslo", "Bern"]
    assert len({block.id for block in made.content}) == 2


async def test_thinking(client, server):
    server.script(Answer(thinking=["Hm", "."], text=["Hello"]))
    made = await final(client, server, thinking={"type": "enabled", "budget_tokens": 5000})
    assert [block.type for block in made.content] == ["thinking", "text"]
    assert made.content[0].thinking == "Hm."
    told = received(server)
    assert (told["think"] if server.model == "smart" else told["reasoning_effort"]) == "medium"


async def test_a_model_that_does_not_think_answers_all_the_same(client, stands):
    server = stands[0]["plain"]
    server.model = "plain"
    server.answer("Hello")
    made = await final(client, server, thinking={"type": "enabled", "budget_tokens": 5000})
    assert made.content[0].text == "Hello"
    assert "think" not in received(server)


async def test_the_engine_inside_portal(client, stands):
    engine = stands[0]["engine"]
    call = json.dumps({"name": "weather", "arguments": {"city": "Oslo"}})
    engine.script("<think>", "Hm.", "</think>", "Wait.", "<tool_call>", call, "</tool_call>")
    thinking = {"type": "enabled", "budget_tokens": 2000}
    engine.model = "portal-tiny-q8_0"
    made = await final(client, engine, tools=[WEATHER], thinking=thinking, stop_sequences=["END"])
    assert [block.type for block in made.content] == ["thinking", "text", "tool_use"]
    assert made.content[2].input == {"city": "Oslo"}
    engine.script("One ", "END", " two")
    again = await final(client, engine, stop_sequences=["END"])
    assert (again.content[0].text, again.stop_reason) == ("One ", "stop_sequence")


@pytest.mark.parametrize(
    ("owner", "tokenizer", "exact"),
    [
        ("vllm", True, True),
        ("llamacpp", True, True),
        ("vllm", False, False),
        ("llamacpp", False, False),
        ("x", True, False),
    ],
)
async def test_tokens_as_the_server_counts_them(tmp_path, owner, tokenizer, exact):
    async with OpenAIServer(models=[{"id": "m", "owned_by": owner}], tokenizer=tokenizer) as server:
        backend = openai_compatible.OpenAICompatible(openai_compatible.Config(url=server.url))
        async with (
            open_test_portal(tmp_path / "data", backends=[backend]) as portal,
            anthropic.AsyncAnthropic(base_url=portal.url, api_key=portal.key) as client,
        ):
            turns = [{"role": "user", "content": "one two three"}]
            bare = await client.messages.count_tokens(model="m", messages=turns)
            tools = await client.messages.count_tokens(model="m", messages=turns, tools=[WEATHER], system="Be brief.")
    assert (bare.input_tokens == 4) is exact
    assert tools.input_tokens > bare.input_tokens + 10


async def test_the_guide_names_its_pages(client):
    turns = [{"role": "user", "content": "How do I create an API key?"}]
    made = await client.messages.create(model="portal-guide", max_tokens=1000, messages=turns)
    assert made.content[0].text
    assert made.content[0].citations[0].url.startswith("/manual/")


async def test_a_picture_by_its_address(client, server):
    far = {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}}
    if server.model == "hosted":
        server.answer("A cat")
        await final(client, server, messages=[{"role": "user", "content": [far]}])
        assert received(server)["messages"][0]["content"][0]["image_url"]["url"] == "https://example.org/cat.png"
    else:
        with pytest.raises(anthropic.BadRequestError, match="by their address"):
            await final(client, server, messages=[{"role": "user", "content": [far]}])


async def test_stop_sequences_on_every_server(client, server):
    server.answer("One ", "E", "ND", " two")
    made = await final(client, server, stop_sequences=["END"])
    assert (made.content[0].text, made.stop_reason, made.stop_sequence) == ("One ", "stop_sequence", "END")
    await server.wait_active(0)


async def test_the_answers_bound(client, server):
    server.answer("a", "b", "c")
    made = await final(client, server, max_tokens=2)
    assert (made.content[0].text, made.stop_reason) == ("ab", "max_tokens")


async def test_many_tools_and_a_long_system(client, server):
    server.answer("Hello")
    tools = [{**WEATHER, "name": f"mcp__server__tool_{at}", "description": "x" * 2000} for at in range(150)]
    system = [{"type": "text", "text": "y" * 100_000, "cache_control": {"type": "ephemeral"}}]
    headers = {"anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14"}
    made = await final(client, server, tools=tools, system=system, extra_headers=headers)
    assert made.content[0].text == "Hello"
    assert len(received(server)["tools"]) == 150


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.CUT, Fault.ERROR, Fault.GARBAGE])
async def test_a_server_that_breaks_off(client, server, fault):
    server.script(Answer(text=["Hel", "lo", "!"], fault=fault, after=2))
    with pytest.raises(anthropic.APIStatusError) as raised:
        await final(client, server)
    assert raised.value.type in ("api_error", "overloaded_error")
    assert raised.value.status_code == 200


async def test_a_server_that_fails_at_once(client, server):
    server.script(Answer(status=500, error="no memory"))
    with pytest.raises(anthropic.InternalServerError, match="no memory"):
        await final(client, server)
    asked_again = server.model == "hosted"  # without `stream_options`, which may have been at fault
    server.script(*[Answer(status=400, error="prompt too long")] * (1 + asked_again))
    with pytest.raises(anthropic.BadRequestError, match="prompt too long"):
        await final(client, server)


async def test_a_client_that_leaves(client, server):
    gate = asyncio.Event()
    before = server.disconnected
    server.script(Answer(text=["Hel", "lo"], gate=gate, after=2))
    async with client.messages.stream(**asked() | {"model": server.model}) as stream:
        async for _ in stream.text_stream:
            break
    await server.wait_disconnected(before + 1)
    await server.wait_active(0)
