"""From a model's events to a message of Anthropic's: event by event, or one whole message. Pure, and linear in the
answer."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Any

import orjson

from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.marks import held_back
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
from portal.core.tokens import Tally
from portal.errors import BackendProtocolError
from portal.interfaces.openai.chat_chunks import ESTIMATED

_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_SIGNATURE = "portal"
"""What stands where Anthropic proves that its model thought this; clients send it back, and nobody checks it here."""
_PING: JsonObject = {"type": "ping"}
_TEXT: JsonObject = {"type": "text", "text": ""}
_THINKING: JsonObject = {"type": "thinking", "thinking": "", "signature": ""}


def usage_object(usage: TokenUsage) -> JsonObject:
    """Token counts in Anthropic's shape: its input leaves out what the cache had."""
    made: JsonObject = {
        "input_tokens": max(usage.input_tokens - usage.cached_tokens, 0),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        made["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return {**made, ESTIMATED: True} if usage.estimated else made


class Answer:
    """One answer as it grows: feed it a model's events, it gives the stream events that they make.

    `stopped` says that a stop sequence was met: what the model goes on with is not wanted.
    """

    def __init__(
        self,
        *,
        model: str,
        input_tokens: int,
        stops: Sequence[str] = (),
        thinking: bool = False,
        most_calls: int | None = None,
    ) -> None:
        """`input_tokens` is an estimate; `thinking` whether the client sees it; `most_calls` how many it takes."""
        self.stopped: str | None = None
        self._model = model
        self._input = input_tokens
        self._stops = stops
        self._thinking = thinking
        self._most_calls = most_calls
        self._usage: TokenUsage | None = None
        self._begun = False
        self._blocks = 0
        self._open: str | int | None = None
        self._calls: set[int] = set()
        self._written = Tally()
        self._held = ""
        self._reason = "end_turn"

    @property
    def usage(self) -> TokenUsage:
        """The model server's counts; estimated where it did not come to give them."""
        return self._usage or TokenUsage(self._input, self._written.tokens, estimated=True)

    def feed(self, event: ModelEvent) -> list[JsonObject]:
        """What the client is told of this event.

        Raises:
            BackendProtocolError: the model server went back to a tool call that was complete.
        """
        if isinstance(event, Progress):
            return []
        made = [] if self._begun else self._begin()
        if isinstance(event, TokenUsage):
            self._usage = event
        elif event.choice == 0:
            made += self._told(event) if isinstance(event, TextDelta) else [*self._flush(), *self._told(event)]
        return made

    def _begin(self) -> list[JsonObject]:
        self._begun = True
        message: JsonObject = {
            "id": new_id("msg"),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_object(TokenUsage(self._input, 0)),
        }
        return [{"type": "message_start", "message": message}, _PING]

    def _told(
        self, event: TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta | Citation | Finished
    ) -> list[JsonObject]:
        match event:
            case TextDelta():
                return self._text(event.text)
            case RefusalDelta():
                self._reason = "refusal"
                return self._text(event.text)
            case ReasoningDelta():
                return self._thought(event.text)
            case ToolCallDelta():
                return self._call(event)
            case Citation():
                return self._cited(event.annotation)
            case Finished():
                if self._reason != "refusal":
                    self._reason = _REASONS[event.reason]
                return []

    def _text(self, text: str) -> list[JsonObject]:
        if not self._stops:
            return self._write(text)
        self._held += text
        found = [(at, stop) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            certain, self.stopped = min(found)
        else:
            certain = len(self._held) - held_back(self._held, self._stops)
        text, self._held = self._held[:certain], "" if found else self._held[certain:]
        return self._write(text)

    def _flush(self) -> list[JsonObject]:
        """What might have become a stop sequence did not."""
        held, self._held = self._held, ""
        return self._write(held)

    def _write(self, text: str) -> list[JsonObject]:
        if not text:
            return []
        self._written.add(text)
        return [*self._enter("text", _TEXT), self._delta({"type": "text_delta", "text": text})]

    def _thought(self, text: str) -> list[JsonObject]:
        self._written.add(text)
        if not self._thinking or not text:
            return []
        return [*self._enter("thinking", _THINKING), self._delta({"type": "thinking_delta", "thinking": text})]

    def _call(self, event: ToolCallDelta) -> list[JsonObject]:
        new = event.index not in self._calls
        if new and len(self._calls) == self._most_calls:
            return []
        made: list[JsonObject] = []
        if new:
            self._calls.add(event.index)
            head = {"type": "tool_use", "id": event.id or new_id("toolu"), "name": event.name or "", "input": {}}
            made = self._enter(event.index, head)
        elif self._open != event.index:
            raise BackendProtocolError("The model server mixed the arguments of several tool calls.")
        if event.arguments:
            self._written.add(event.arguments)
            made.append(self._delta({"type": "input_json_delta", "partial_json": event.arguments}))
        return made

    def _cited(self, annotation: JsonObject) -> list[JsonObject]:
        """A page the text so far rests on."""
        page = {"url": annotation.get("url", ""), "title": annotation.get("title")}
        citation = {"type": "web_search_result_location", "cited_text": "", "encrypted_index": "", **page}
        return [*self._enter("text", _TEXT), self._delta({"type": "citations_delta", "citation": citation})]

    def _delta(self, delta: JsonObject) -> JsonObject:
        return {"type": "content_block_delta", "index": self._blocks - 1, "delta": delta}

    def _enter(self, kind: str | int, block: JsonObject) -> list[JsonObject]:
        """Go on in the open block where it is of this kind (or this call's), else end it and open another."""
        if self._open == kind:
            return []
        made = self._leave()
        self._open = kind
        self._blocks += 1
        return [*made, {"type": "content_block_start", "index": self._blocks - 1, "content_block": block}]

    def _leave(self) -> list[JsonObject]:
        if self._open is None:
            return []
        signed = self._open == "thinking"
        self._open = None
        made = [self._delta({"type": "signature_delta", "signature": _SIGNATURE})] if signed else []
        return [*made, {"type": "content_block_stop", "index": self._blocks - 1}]

    def end(self) -> list[JsonObject]:
        """The end of the message, once the events are through."""
        made = [*self._flush(), *self._leave()]
        reason = self._reason
        if self.stopped is not None:
            reason = "stop_sequence"
        elif reason == "end_turn" and self._calls:
            reason = "tool_use"
        delta = {"stop_reason": reason, "stop_sequence": self.stopped}
        return [
            *made,
            {"type": "message_delta", "delta": delta, "usage": usage_object(self.usage)},
            {"type": "message_stop"},
        ]


class MessageStream:
    """The frames of one streamed answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def frames(self, events: AsyncIterator[ModelEvent]) -> AsyncGenerator[bytes, None]:
        """Server-sent events up to and with `message_stop`; nothing after an error, which comes out as it is."""
        answer = self._answer
        async for event in events:
            if made := answer.feed(event):
                yield _frames(made)
            if answer.stopped is not None:
                break
        yield _frames(answer.end())


def _frames(events: Iterable[JsonObject]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events)


async def whole_message(events: AsyncIterator[ModelEvent], answer: Answer) -> JsonObject:
    """The whole message."""
    message = _Whole()
    async for event in events:
        message.add(answer.feed(event))
        if answer.stopped is not None:
            break
    message.add(answer.end())
    return message.made


class _Whole:
    """Puts a message together from its stream events."""

    def __init__(self) -> None:
        self.made: JsonObject = {}
        self._pieces: list[str] = []

    def add(self, events: Iterable[JsonObject]) -> None:
        for event in events:
            match event["type"]:
                case "message_start":
                    self.made = event["message"]
                case "content_block_start":
                    self._pieces = []
                    self.made["content"].append(dict(event["content_block"]))
                case "content_block_delta":
                    self._add_delta(event["delta"])
                case "content_block_stop":
                    self._close(self.made["content"][-1])
                case "message_delta":
                    self.made |= {**event["delta"], "usage": event["usage"]}

    def _add_delta(self, delta: JsonObject) -> None:
        block = self.made["content"][-1]
        match delta["type"]:
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "citations_delta":
                block.setdefault("citations", []).append(delta["citation"])
            case _:
                self._pieces.append(delta.get("text") or delta.get("thinking") or delta["partial_json"])

    def _close(self, block: JsonObject) -> None:
        text = "".join(self._pieces)
        if block["type"] == "tool_use":
            block["input"] = _arguments(text)
        else:
            block[block["type"]] = text


def _arguments(text: str) -> Any:
    """What the model wrote, where it is an object; else its own text, for the tool to refuse and the model to see."""
    try:
        made = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        made = None
    return made if isinstance(made, dict) else {"arguments": text}
