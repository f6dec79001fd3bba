"""The official `anthropic` package against a running Portal, its asynchronous and its synchronous client."""

import asyncio

import anthropic
import pytest
from anthropic import beta_async_tool
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import BaseModel, TypeAdapter
from tests.interfaces.anthropic.conftest import EVENTS, asked

from portal.backends.scripted import CUT
from portal.core.model import ReasoningDelta, TextDelta, ToolCallDelta
from portal.errors import BackendUnavailable, RateLimited

pytestmark = pytest.mark.asyncio(loop_scope="module")

HI = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CAT = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}


def valid(kind, value):
    """`value` is really a `kind`: the package itself does not check what it is given."""
    TypeAdapter(kind).validate_python(value.model_dump(mode="json", warnings="none"))
    return value


async def test_a_message(client, backend):
    backend.answer("Hel", "lo")
    made = valid(Message, await client.messages.create(**asked(system="Be brief.", stop_sequences=["END"])))
    assert made.content[0].text == "Hello"
    assert made.stop_reason == "end_turn"
    assert made._request_id.startswith("req_")
    assert backend.requests[-1].messages[0] == {"role": "system", "content": "Be brief."}


async def test_raw_events(client, backend):
    backend.script(TextDelta("Hel"), TextDelta("lo"), ToolCallDelta(0, "a", "weather", '{"city": "Oslo"}'))
    events = [event async for event in await client.messages.create(**asked(stream=True, tools=[WEATHER]))]
    for event in events:
        EVENTS.validate_python(event.model_dump(mode="json", exclude_unset=True))
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert RawMessageStreamEvent


async def test_the_streaming_helper(client, backend):
    backend.script(ReasoningDelta("Hm."), TextDelta("Hel"), TextDelta("lo"))
    thinking = {"type": "enabled", "budget_tokens": 2000}
    async with client.messages.stream(**asked(model="vendor/thinker:7b", thinking=thinking)) as stream:
        texts = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    assert texts == ["Hel", "lo"]
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].thinking == "Hm."
    assert final.usage.output_tokens > 0
    assert stream.request_id.startswith("req_")


async def test_a_loop_of_tools(client, backend):
    backend.script(ReasoningDelta("Hm."), TextDelta("Wait."), ToolCallDelta(0, "call_1", "weather", '{"city":"Oslo"}'))
    backend.answer("Sunny.")
    turns = [*HI]
    thinking = {"type": "adaptive"}
    async with client.messages.stream(**asked(messages=turns, tools=[WEATHER], thinking=thinking)) as stream:
        first = await stream.get_final_message()
    assert first.stop_reason == "tool_use"
    (use,) = [block for block in first.content if block.type == "tool_use"]
    assert (use.name, use.input) == ("weather", {"city": "Oslo"})
    turns += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": [CAT]}]},
    ]
    second = await client.messages.create(**asked(messages=turns, tools=[WEATHER], thinking=thinking))
    assert second.content[0].text == "Sunny."
    told = backend.requests[-1].messages
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "user"]
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"] == "call_1"
    assert told[1]["reasoning_content"] == "Hm."
    assert told[3]["content"][1]["image_url"]["url"] == "data:image/png;base64,AA=="


async def test_the_packages_own_tool_runner(client, backend):
    @beta_async_tool
    async def weather(city: str) -> str:
        """The weather.

        Args:
            city: where.
        """
        return f"{city}: sun"

    backend.script(ToolCallDelta(0, "call_1", "weather", '{"city":"Oslo"}'))
    backend.answer("Sunny.")
    final = await client.beta.messages.tool_runner(**asked(), tools=[weather]).until_done()
    assert final.content[0].text == "Sunny."
    assert backend.requests[-1].messages[-1]["content"] == "Oslo: sun"


async def test_structured_output(client, backend):
    class Answer(BaseModel):
        city: str

    backend.answer('{"city":', '"Oslo"}')
    made = await client.messages.parse(**asked(), output_format=Answer)
    assert made.parsed_output == Answer(city="Oslo")
    assert backend.requests[-1].parameters["response_format"]["json_schema"]["schema"]["required"] == ["city"]


async def test_pictures(client, backend):
    backend.answer("A cat")
    await client.messages.create(**asked([{"type": "text", "text": "What?"}, CAT]))
    assert backend.requests[-1].messages[0]["content"][1] == {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,AA=="},
    }


async def test_count_and_models(client):
    counted = await client.messages.count_tokens(model="tiny", messages=HI, tools=[WEATHER], system="Be brief.")
    assert counted.input_tokens > 10
    assert (await client.beta.messages.count_tokens(model="tiny", messages=HI)).input_tokens > 0
    names = [model.id async for model in client.models.list(limit=3)]
    assert len(names) == len(set(names))
    assert {"auto", "tiny", "portal-guide"} <= set(names)
    assert (await client.models.retrieve("vendor/thinker:7b")).display_name == "vendor/thinker:7b"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("change", "failure", "kind", "name"),
    [
        ({"model": "tinny"}, None, anthropic.NotFoundError, "not_found_error"),
        ({"messages": []}, None, anthropic.BadRequestError, "invalid_request_error"),
        ({"system": "x" * 2**20}, None, anthropic.APIStatusError, "request_too_large"),
        ({}, RateLimited("busy"), anthropic.RateLimitError, "rate_limit_error"),
        ({}, BackendUnavailable("away"), anthropic.InternalServerError, "overloaded_error"),
    ],
)
async def test_failures(client, backend, stream, change, failure, kind, name):
    if failure:
        backend.script(failure)
    with pytest.raises(kind) as raised:
        await client.messages.create(**asked(stream=stream) | change)
    assert raised.value.type == name
    assert raised.value.request_id.startswith("req_")


async def test_a_wrong_key(client):
    with pytest.raises(anthropic.AuthenticationError):
        await client.with_options(api_key="portal-wrong").messages.create(**asked())


async def test_a_cut_stream_raises(client, backend):
    backend.script(TextDelta("Hel"), CUT)
    with pytest.raises(anthropic.APIStatusError) as raised:
        async for _ in await client.messages.create(**asked(stream=True)):
            pass
    assert raised.value.type == "api_error"
    assert "broke off" in raised.value.api_message


def synchronous(url, key):
    """What a plain script does, in order."""
    with anthropic.Anthropic(base_url=url, auth_token=key, api_key=None, max_retries=0) as client:
        message = client.messages.create(**asked())
        with client.messages.stream(**asked()) as stream:
            text = "".join(stream.text_stream)
        raw = list(client.messages.create(**asked(stream=True)))
        count = client.messages.count_tokens(model="tiny", messages=HI)
        return {
            "message": message.content[0].text,
            "stream": text,
            "raw": raw[-2].delta.stop_reason,
            "count": count.input_tokens > 0,
            "models": "auto" in {model.id for model in client.models.list()},
        }


async def test_the_synchronous_client(portal, backend):
    for word in ("One", "Two", "Three"):
        backend.answer(word)
    assert await asyncio.to_thread(synchronous, portal.url, portal.key) == {
        "message": "One",
        "stream": "Two",
        "raw": "end_turn",
        "count": True,
        "models": True,
    }
