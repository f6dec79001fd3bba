"""Chunks of answers that no server should send: what can be read of them is, and they end as other answers do."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.backends import ollama, openai_compatible
from portal.backends.ollama import Ollama
from portal.backends.openai_chunks import Chunks
from portal.backends.openai_compatible import OpenAICompatible
from portal.core.model import Finished, ModelEvent, ModelRequest, TextDelta, TokenUsage, ToolCallDelta
from portal.testing.model_server import Answer
from portal.testing.ollama_server import OllamaServer
from portal.testing.openai_server import OpenAIServer

DEEP: Any = json.loads("[" * 400 + "]" * 400)
CALL: dict[str, Any] = {"name": "look", "arguments": DEEP}


async def run(backend: Ollama | OpenAICompatible, **parameters: Any) -> list[ModelEvent]:
    request = ModelRequest(model="tiny", messages=[{"role": "user", "content": "hi"}], parameters=parameters)
    try:
        return [event async for event in backend.stream(request)]
    finally:
        await backend.aclose()


def check(events: list[ModelEvent]) -> None:
    """Nothing in them that a door could not send on."""
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text in ("", "good")
    assert all(isinstance(event.arguments, str) for event in events if isinstance(event, ToolCallDelta))
    assert sum(isinstance(event, Finished) for event in events) == 1
    (usage,) = [event for event in events if isinstance(event, TokenUsage)]
    assert usage.input_tokens >= 0
    assert usage.output_tokens >= 0


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": [7, {"delta": ["x"]}]},
        {"choices": {"delta": 1}},
        {"choices": [{"index": "0", "delta": {"content": 7}}]},
        {"choices": [{"index": [0], "delta": {"content": [1, {"text": 2}, {"text": "good"}]}}]},
        {"choices": [{"delta": {"content": {"text": "x"}, "refusal": ["no"]}}]},
        {"choices": [{"delta": {"reasoning_content": ["x"], "tool_calls": 3}}]},
        {"choices": [{"delta": {"tool_calls": [1, {"function": ["f"]}, {"index": "1", "id": 3, "function": CALL}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": -1, "function": {"name": ["x"]}}]}}]},
        {"choices": [{"delta": {"content": "good"}, "logprobs": ["x"]}]},
        {"choices": [{"delta": {"content": "good"}, "logprobs": {"content": [1, {"token": 1}, {"token": "good"}]}}]},
        {"choices": [{"text": "good", "logprobs": {"tokens": ["good"], "token_logprobs": [], "top_logprobs": 1}}]},
        {"choices": [{"text": "good", "logprobs": {"tokens": [1, "x"], "token_logprobs": ["a"]}}]},
        {"choices": [{"text": ["good"], "logprobs": 7}]},
        {"choices": [{"delta": {}, "finish_reason": ["stop"]}]},
        {"choices": [], "usage": {"prompt_tokens": "3", "completion_tokens": [1], "prompt_tokens_details": [1]}},
    ],
)
async def test_chunks_of_openais(odd: dict[str, Any]) -> None:
    async with OpenAIServer() as server:
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        frames = [b"data: %b\n\n" % written(chunk) for chunk in (odd, end)]
        server.script(Answer(frames=[*frames, b"data: [DONE]\n\n"]))
        check(await run(OpenAICompatible(openai_compatible.Config(url=server.url))))


@pytest.mark.parametrize(
    "odd",
    [
        {"message": ["x"]},
        {"message": {"content": 7, "thinking": ["x"]}},
        {"message": {"content": "good"}, "logprobs": [1, {"token": 2}]},
        {"message": {"content": "", "tool_calls": 7}},
        {"message": {"content": "", "tool_calls": [1, {"function": ["f"]}, {"id": 3, "function": CALL}]}},
        {"message": {"content": "good"}, "prompt_eval_count": "3", "eval_count": [1], "done_reason": ["stop"]},
    ],
)
@pytest.mark.parametrize("done", [False, True])
async def test_lines_of_ollamas(odd: dict[str, Any], done: bool) -> None:
    async with OllamaServer() as server:
        end = {"message": {"content": ""}, "done": True, "done_reason": "stop", "eval_count": -1}
        lines = [{**odd, "done": True}] if done else [odd, end]
        server.script(Answer(frames=[written(line) + b"\n" for line in lines]))
        check(await run(Ollama(ollama.Config(url=server.url))))


def written(value: object) -> bytes:
    """JSON as deep as it may be; orjson itself writes none so deep."""
    return json.dumps(value).encode()


KEYS = st.sampled_from(
    [
        "choices",
        "delta",
        "message",
        "index",
        "content",
        "text",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "usage",
        "logprobs",
        "tokens",
        "token_logprobs",
        "top_logprobs",
        "token",
        "finish_reason",
        "refusal",
        "prompt_tokens",
    ]
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=5))
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)
CHOICE = st.dictionaries(KEYS, JSON, max_size=5)


@given(chunks=st.lists(st.fixed_dictionaries({"choices": st.lists(CHOICE, max_size=3), "usage": JSON}), max_size=3))
def test_any_chunks_at_all(chunks: list[dict[str, Any]]) -> None:
    reading = Chunks(prompt_tokens=1)
    events = [event for chunk in chunks for event in reading.events(chunk)]
    for event in [*events, *reading.end(said_done=True)]:
        assert orjson.dumps(event)
