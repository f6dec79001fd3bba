"""Real answers of a real engine through the OpenAI-compatible backend."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.core.model import Finished, ModelEvent, ModelRequest, TextDelta, TokenUsage, ToolCallDelta

pytestmark = [pytest.mark.engine, pytest.mark.slow]
MODEL = "portal-tiny-q8_0"


@pytest.fixture
async def backend(engine_url: str) -> AsyncIterator[OpenAICompatible]:
    made = OpenAICompatible(Config(url=engine_url))
    yield made
    await made.aclose()


async def run(backend: OpenAICompatible, *said: str, **parameters: Any) -> list[ModelEvent]:
    roles = ["user", "assistant"]
    messages = [{"role": roles[index % 2], "content": text} for index, text in enumerate(said)]
    request = ModelRequest(model=MODEL, messages=messages, parameters={"temperature": 0, **parameters})
    return [event async for event in backend.stream(request)]


def text_of(events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_it_answers(backend: OpenAICompatible) -> None:
    (info,) = await backend.models()
    assert (info.id, info.context_window) == (MODEL, 1024)
    events = await run(backend, "What is 7 + 5?")
    assert text_of(events) == "7 + 5 = 12"
    assert events[-2] == Finished("stop")
    assert events[-1] == TokenUsage(16, 8)
    assert text_of(await run(backend, "My name is Ann.", "Nice to meet you, Ann!", "What is my name?")) == (
        "Your name is Ann."
    )
    short = await run(backend, "What is 7 + 5?", max_tokens=2)
    assert (text_of(short), short[-2]) == ("7 +", Finished("length"))


async def test_it_calls_a_tool(backend: OpenAICompatible) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [
        {"type": "function", "function": {"name": name, "parameters": parameters}}
        for name in ("get_weather", "get_time")
    ]
    events = await run(backend, "What is the weather in Oslo?", tools=tools)
    (call,) = [event for event in events if isinstance(event, ToolCallDelta)]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    assert events[-2] == Finished("tool_calls")


async def test_it_is_held_to_a_schema(plain_engine_url: str) -> None:
    backend = OpenAICompatible(Config(url=plain_engine_url))
    schema = {"anyOf": [{"type": "object", "properties": {"mood": {"type": "string", "enum": ["calm", "merry"]}}}]}
    wanted = {"type": "json_schema", "json_schema": {"name": "mood", "schema": schema}}
    events = await run(backend, "Hello", response_format=wanted)
    await backend.aclose()
    assert json.loads(text_of(events))["mood"] in ("calm", "merry")


async def test_leaving_frees_the_engine(backend: OpenAICompatible) -> None:
    request = ModelRequest(model=MODEL, messages=[{"role": "user", "content": "Tell me a story"}])
    events = backend.stream(request)
    async for event in events:
        if isinstance(event, TextDelta):
            break
    await events.aclose()
    assert text_of(await run(backend, "Hello")) == "Hello! How can I help you?"
