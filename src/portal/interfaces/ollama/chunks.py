"""From a model's events to Ollama's answers: line by line, or one whole object. Pure, and linear in the answer."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import orjson

from portal.core.clock import now
from portal.core.items import JsonObject
from portal.core.model import (
    Finished,
    ModelEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)

ESTIMATED = "portal:estimated"


def created_at() -> str:
    """Now, as Ollama writes it."""
    return now().isoformat().replace("+00:00", "Z")


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Answer:
    """One answer as it grows; `chat` says in which of the two shapes."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self._usage: TokenUsage | None = None
        self._model = model
        self._chat = chat
        self._calls: dict[int, _Call] = {}
        self._reason = "stop"
        self._began = perf_counter_ns()
        self._spoke = 0

    async def frames(self, events: AsyncIterator[ModelEvent]) -> AsyncGenerator[bytes, None]:
        """The lines up to and with that of `done`; nothing after an error, which comes out as it is."""
        async for event in events:
            if (made := self._made(event)) is not None:
                yield orjson.dumps(made, option=orjson.OPT_APPEND_NEWLINE)
        yield orjson.dumps(self._last(""), option=orjson.OPT_APPEND_NEWLINE)

    async def whole(self, events: AsyncIterator[ModelEvent]) -> JsonObject:
        """The same in one object."""
        texts: list[str] = []
        thinking: list[str] = []
        calls: list[JsonObject] = []
        logprobs: list[JsonObject] = []
        async for event in events:
            part = self._made(event)
            if part is None:
                continue
            said = part["message"] if self._chat else part
            texts.append(said["content" if self._chat else "response"])
            logprobs += part.get("logprobs", ())
            thinking.append(said.get("thinking", ""))
            calls += said.get("tool_calls", ())
        more = {"thinking": "".join(thinking), "tool_calls": calls, "logprobs": logprobs}
        return self._last("".join(texts), **{name: value for name, value in more.items() if value})

    def _made(self, event: ModelEvent) -> JsonObject | None:
        """What an event adds; None where that is nothing yet."""
        match event:
            case TextDelta() | RefusalDelta():
                likely = event.logprobs if isinstance(event, TextDelta) else None
                return self._line(event.text, logprobs=list(likely or ()))
            case ReasoningDelta():
                return self._line("", thinking=event.text)
            case ToolCallDelta():
                self._call(event)
            case Finished():
                self._reason = "stop" if event.reason == "tool_calls" else event.reason
                if self._calls:
                    return self._line("", tool_calls=[_call(index, call) for index, call in self._calls.items()])
            case TokenUsage():
                self._usage = event
        return None

    def _call(self, event: ToolCallDelta) -> None:
        call = self._calls.setdefault(event.index, _Call())
        call.id = event.id or call.id
        call.name = event.name or call.name
        call.arguments.append(event.arguments)

    def _line(
        self, text: str, *, done: bool = False, logprobs: list[JsonObject] | None = None, **more: Any
    ) -> JsonObject:
        self._spoke = self._spoke or perf_counter_ns()
        said = {"message": {"role": "assistant", "content": text, **more}} if self._chat else {"response": text, **more}
        extra = {"logprobs": logprobs} if logprobs else {}
        return {"model": self._model, "created_at": created_at(), **said, "done": done, **extra}

    def _last(self, text: str, **more: Any) -> JsonObject:
        line = self._line(text, done=True, **more)
        usage, ended = self._usage or TokenUsage(0, 0, estimated=True), perf_counter_ns()
        line |= {
            "done_reason": self._reason,
            "total_duration": ended - self._began,
            "load_duration": 0,
            "prompt_eval_count": usage.input_tokens,
            "prompt_eval_duration": self._spoke - self._began,
            "eval_count": usage.output_tokens,
            "eval_duration": ended - self._spoke,
        }
        return {**line, ESTIMATED: True} if usage.estimated else line


def _call(index: int, call: _Call) -> JsonObject:
    """A call that is complete; arguments that are no object are shown as they were written."""
    written = "".join(call.arguments)
    try:
        arguments = orjson.loads(written or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        arguments = {"arguments": written}
    return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": arguments}}


def silence(model: str) -> bytes:
    """A line of a chat that says nothing."""
    said = {"model": model, "created_at": created_at(), "message": {"role": "assistant", "content": ""}, "done": False}
    return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def idle(model: str, *, chat: bool, unload: bool) -> JsonObject:
    """The answer to a request without words, by which Ollama's clients load a model, or let it go."""
    said: JsonObject = {"message": {"role": "assistant", "content": ""}} if chat else {"response": ""}
    reason = "unload" if unload else "load"
    return {"model": model, "created_at": created_at(), **said, "done": True, "done_reason": reason}
