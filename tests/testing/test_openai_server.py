"""The stand-in of OpenAI's API, seen by OpenAI's own Python client."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest

from portal.testing.model_server import Answer, Fault, ToolCall
from portal.testing.openai_server import OpenAIServer

HI: list[Any] = [{"role": "user", "content": "hi there"}]


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(models=["tiny", {"id": "big", "max_model_len": 9}], api_key="k") as made:
        yield made


@pytest.fixture
async def client(server: OpenAIServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0) as made:
        yield made


async def test_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["tiny", "big"]
    assert (await client.models.retrieve("big")).id == "big"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("none")


async def test_chat_whole(server: OpenAIServer, client: openai.AsyncOpenAI) -> None:
    server.script(Answer(text=["a", "b"], tool_calls=[ToolCall(name="f", arguments={"x": 1})], thinking=["hm"]))
    made = await client.chat.completions.create(model="tiny", messages=HI, logprobs=True, top_logprobs=1)
    (choice,) = made.choices
    assert choice.message.content == "ab"
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    assert choice.logprobs
    assert choice.logprobs.content
    assert made.usage
    assert made.usage.completion_tokens == 4
    server.script(Answer(refusal="no"))
    assert (await client.chat.completions.create(model="tiny", messages=HI)).choices[0].message.refusal == "no"


async def test_chat_in_pieces(server: OpenAIServer, client: openai.AsyncOpenAI) -> None:
    server.script(Answer(text=["a", "b"], tool_calls=[ToolCall(name="f", arguments={"x": 1})]))
    stream = await client.chat.completions.create(
        model="tiny", messages=HI, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "ab"
    calls = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or ()]
    assert "".join(call.function.arguments or "" for call in calls if call.function) == '{"x": 1}'
    assert chunks[-1].usage
    assert chunks[-1].choices == []


async def test_stop_length_and_n(client: openai.AsyncOpenAI) -> None:
    made = await client.chat.completions.create(model="tiny", messages=HI, n=2, stop="th")
    assert [choice.message.content for choice in made.choices] == ["hi ", "hi "]
    short = await client.chat.completions.create(model="tiny", messages=HI, max_completion_tokens=1)
    assert short.choices[0].finish_reason == "length"


async def test_completions_and_embeddings(client: openai.AsyncOpenAI) -> None:
    many = await client.completions.create(model="tiny", prompt="a b", logprobs=10**12)
    assert many.choices[0].logprobs
    assert many.choices[0].logprobs.top_logprobs
    assert len(many.choices[0].logprobs.top_logprobs[0]) == 20
    made = await client.completions.create(model="tiny", prompt=["a b", "c"], logprobs=1)
    assert [choice.text for choice in made.choices] == ["a b", "c"]
    assert made.choices[0].logprobs
    chunks = [chunk async for chunk in await client.completions.create(model="tiny", prompt="a b", stream=True)]
    assert "".join(chunk.choices[0].text for chunk in chunks) == "a b"
    as_base64 = await client.embeddings.create(model="tiny", input="a", dimensions=4)
    as_floats = await client.embeddings.create(model="tiny", input=["a"], dimensions=4, encoding_format="float")
    assert as_base64.data[0].embedding == pytest.approx(as_floats.data[0].embedding)


@pytest.mark.parametrize(
    ("arguments", "code", "param"),
    [
        ({"temperature": 3}, "decimal_above_max_value", "temperature"),
        ({"temperature": -1}, "decimal_below_min_value", "temperature"),
        ({"temperature": "hot"}, "invalid_type", "temperature"),
        ({"extra_body": {"top_k": 5}}, "unknown_parameter", "top_k"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "user"}]}, None, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "missing_required_parameter", "messages[0].tool_call_id"),
        ({"messages": ["x"]}, "invalid_type", "messages[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            "invalid_value",
            "messages[0].content[0].type",
        ),
        ({"stream_options": {"include_usage": True}}, None, "stream_options"),
    ],
)
async def test_refusals(client: openai.AsyncOpenAI, arguments: dict[str, Any], code: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**{"model": "tiny", "messages": HI, **arguments})
    assert (caught.value.code, caught.value.param) == (code, param)


async def test_other_refusals(server: OpenAIServer, client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="none", messages=HI)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        await client.completions.create(model="none", prompt="x")
    with pytest.raises(openai.NotFoundError):
        await client.embeddings.create(model="none", input="x")
    with pytest.raises(openai.AuthenticationError):
        [model async for model in client.with_options(api_key="wrong").models.list()]
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as session:
        for body in (b"", b"{", b"[]"):
            async with session.post(f"{server.url}/v1/chat/completions", data=body) as answer:
                assert "could not parse" in (await answer.json())["error"]["message"]
        async with session.post(f"{server.url}/v1/embeddings", json={"model": "tiny"}) as answer:
            assert (await answer.json())["error"]["param"] == "input"
        async with session.get(f"{server.url}/props") as answer:
            assert answer.status == 404


async def test_faults_are_what_they_say(server: OpenAIServer, client: openai.AsyncOpenAI) -> None:
    server.script(Answer(text=["a", "b"], fault=Fault.ERROR, after=2, error="boom"), Answer(status=503, error="busy"))
    stream = await client.chat.completions.create(model="tiny", messages=HI, stream=True)
    with pytest.raises(openai.APIError, match="boom"):
        [chunk async for chunk in stream]
    with pytest.raises(openai.InternalServerError, match="busy"):
        await client.chat.completions.create(model="tiny", messages=HI)


async def test_parts_are_read(server: OpenAIServer, client: openai.AsyncOpenAI) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    content: Any = [{"type": "text", "text": "see"}, image]
    made = await client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": content}])
    assert made.choices[0].message.content == "see"
    empty = await client.chat.completions.create(model="tiny", messages=[])
    assert empty.choices[0].message.content is None
