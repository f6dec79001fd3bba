"""From a model's events to Chat Completions: chunk by chunk, or one whole answer. Pure, and linear in the answer."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from portal.core.clock import micros, seconds
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.model import (
    Citation,
    Finished,
    ModelEvent,
    Progress,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)

DONE = b"data: [DONE]\n\n"
ESTIMATED = "portal:estimated"


def usage_object(usage: TokenUsage) -> JsonObject:
    """Token counts in Chat Completions' shape; `portal:estimated` is there when Portal counted."""
    made: JsonObject = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
    return {**made, ESTIMATED: True} if usage.estimated else made


def _annotation(citation: JsonObject) -> JsonObject:
    """A citation as Chat Completions nests it."""
    kind = citation["type"]
    return {"type": kind, kind: {name: value for name, value in citation.items() if name != "type"}}


_Delta: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta | Citation


def _delta(event: _Delta) -> JsonObject:
    """What an event adds to its choice's message."""
    match event:
        case TextDelta():
            return {"content": event.text}
        case ReasoningDelta():
            return {"reasoning_content": event.text}
        case RefusalDelta():
            return {"refusal": event.text}
        case ToolCallDelta():
            return {"tool_calls": [_call_delta(event)]}
        case Citation():
            return {"annotations": [_annotation(event.annotation)]}


def _call_delta(event: ToolCallDelta) -> JsonObject:
    function: JsonObject = {"arguments": event.arguments}
    if event.name is not None:
        function["name"] = event.name
    made: JsonObject = {"index": event.index, "function": function}
    return {**made, "id": event.id, "type": "function"} if event.id is not None else made


def asks_for_usage(payload: JsonObject) -> bool:
    """Whether the stream's last chunk is to have the usage."""
    return (payload.get("stream_options") or {}).get("include_usage") is True


class ChatStream:
    """The chunks of one streamed answer."""

    def __init__(self, model: str, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._begun: set[int] = set()
        shared = {
            "id": new_id("chatcmpl"),
            "object": "chat.completion.chunk",
            "created": seconds(micros()),
            "model": model,
        }
        self._head = b"data: " + orjson.dumps(shared)[:-1]
        self._tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"

    async def frames(self, events: AsyncIterator[ModelEvent]) -> AsyncGenerator[bytes, None]:
        """Server-sent events up to and with `[DONE]`; nothing after an error, which comes out as it is."""
        usage: TokenUsage | None = None
        async for event in events:
            if isinstance(event, TokenUsage):
                usage = event
            elif isinstance(event, Finished):
                yield self._frame(event.choice, {}, reason=event.reason)
            elif isinstance(event, _Delta):
                logprobs = event.logprobs if isinstance(event, TextDelta) else None
                yield self._frame(event.choice, _delta(event), logprobs=logprobs)
        if self._include_usage and usage is not None:
            yield b'%b,"choices":[],"usage":%b}\n\n' % (self._head, orjson.dumps(usage_object(usage)))
        yield DONE

    def _frame(
        self,
        choice: int,
        delta: JsonObject,
        *,
        logprobs: Sequence[JsonObject] | None = None,
        reason: str | None = None,
    ) -> bytes:
        if choice not in self._begun:
            self._begun.add(choice)
            delta = {"role": "assistant", "content": "", **delta}
        made = {
            "index": choice,
            "delta": delta,
            "logprobs": {"content": list(logprobs), "refusal": None} if logprobs else None,
            "finish_reason": reason,
        }
        return b'%b,"choices":[%b]%b' % (self._head, orjson.dumps(made), self._tail)


@dataclass(slots=True)
class _Choice:
    """One choice of a whole answer as it grows."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, JsonObject] = field(default_factory=dict)
    arguments: dict[int, list[str]] = field(default_factory=dict)
    annotations: list[JsonObject] = field(default_factory=list)
    logprobs: list[JsonObject] = field(default_factory=list)
    reason: str = "stop"

    def feed(self, event: _Delta | Finished) -> None:
        match event:
            case TextDelta():
                self.text.append(event.text)
                self.logprobs.extend(event.logprobs or ())
            case ReasoningDelta():
                self.reasoning.append(event.text)
            case RefusalDelta():
                self.refusal.append(event.text)
            case ToolCallDelta():
                self._call(event)
            case Citation():
                self.annotations.append(_annotation(event.annotation))
            case Finished():
                self.reason = event.reason

    def _call(self, event: ToolCallDelta) -> None:
        call = self.calls.setdefault(event.index, {"id": None, "type": "function", "function": {"name": ""}})
        call["id"] = event.id or call["id"]
        call["function"]["name"] = event.name or call["function"]["name"]
        self.arguments.setdefault(event.index, []).append(event.arguments)

    def message(self) -> JsonObject:
        made: JsonObject = {
            "role": "assistant",
            "content": "".join(self.text) or (None if self.calls or self.refusal else ""),
            "refusal": "".join(self.refusal) or None,
        }
        if self.reasoning:
            made["reasoning_content"] = "".join(self.reasoning)
        if self.annotations:
            made["annotations"] = self.annotations
        if self.calls:
            made["tool_calls"] = [self._whole_call(index) for index in sorted(self.calls)]
        return made

    def _whole_call(self, index: int) -> JsonObject:
        call = self.calls[index]
        function = {**call["function"], "arguments": "".join(self.arguments[index])}
        return {**call, "id": call["id"] or new_id("call"), "function": function}


async def whole_chat(events: AsyncIterator[ModelEvent], model: str) -> JsonObject:
    """The chat completion object of a whole answer."""
    choices: dict[int, _Choice] = {}
    usage = TokenUsage(0, 0, estimated=True)
    async for event in events:
        if isinstance(event, TokenUsage):
            usage = event
        elif not isinstance(event, Progress):
            choices.setdefault(event.choice, _Choice()).feed(event)
    return {
        "id": new_id("chatcmpl"),
        "object": "chat.completion",
        "created": seconds(micros()),
        "model": model,
        "choices": [
            {
                "index": number,
                "message": choice.message(),
                "logprobs": {"content": choice.logprobs, "refusal": None} if choice.logprobs else None,
                "finish_reason": choice.reason,
            }
            for number, choice in sorted(choices.items())
        ],
        "usage": usage_object(usage),
    }
