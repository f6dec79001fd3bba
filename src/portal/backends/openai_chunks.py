"""From the chunks of a Chat Completions or legacy completions stream to model events: pure."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from portal.backends.wire import count, json_text, logprobs, mapping, rows, text
from portal.core.items import JsonObject
from portal.core.model import (
    Finished,
    FinishReason,
    ModelEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.core.tokens import Tally
from portal.core.usage import read_usage

_REASONS: Mapping[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_BROKEN = frozenset({"error", "abort"})
_REASONING = ("reasoning_content", "reasoning", "thinking")


class Chunks:
    """What of one answer must be remembered while it streams. `broken` is set when the server said it gave up."""

    def __init__(self, *, prompt_tokens: int) -> None:
        self._prompt_tokens = prompt_tokens
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._calls: dict[int, int] = {}
        self._usage: TokenUsage | None = None
        self._written = Tally()
        self.broken = False

    @property
    def complete(self) -> bool:
        """Whether every choice that began has ended."""
        return bool(self._finished) and not self._open

    def events(self, chunk: JsonObject) -> list[ModelEvent]:
        """The events of one chunk, or of a whole answer where a server does not stream."""
        self._usage = read_usage(chunk.get("usage")) or self._usage
        made: list[ModelEvent] = []
        for choice in rows(chunk.get("choices")):
            made.extend(self._choice(choice))
        return made

    def _choice(self, choice: JsonObject) -> list[ModelEvent]:
        number = count(choice.get("index")) or 0
        if number not in self._finished:
            self._open.add(number)
        if "text" in choice:
            made = self._text(choice["text"], number, legacy_logprobs(choice.get("logprobs")))
        else:
            made = self._delta(mapping(choice.get("delta") or choice.get("message")), choice, number)
        reason = text(choice.get("finish_reason"))
        if reason in _BROKEN:
            self.broken = True
        elif reason and number not in self._finished:
            made.append(self._finish(number, _REASONS.get(reason, "stop")))
        return made

    def _finish(self, number: int, reason: FinishReason) -> Finished:
        self._open.discard(number)
        self._finished.add(number)
        return Finished(reason, number)

    def _delta(self, delta: Mapping[str, Any], choice: JsonObject, number: int) -> list[ModelEvent]:
        made: list[ModelEvent] = []
        thought = next((delta[name] for name in _REASONING if isinstance(delta.get(name), str)), "")
        if thought:
            self._written.add(thought)
            made.append(ReasoningDelta(thought, number))
        made += self._text(delta.get("content"), number, logprobs(mapping(choice.get("logprobs")).get("content")))
        if refusal := text(delta.get("refusal")):
            self._written.add(refusal)
            made.append(RefusalDelta(refusal, number))
        made.extend(self._call(call, number) for call in rows(delta.get("tool_calls")))
        return made

    def _text(self, content: object, number: int, likely: Sequence[JsonObject] | None) -> list[ModelEvent]:
        """Some servers send content as a list of parts."""
        if isinstance(content, list):
            content = "".join(text(part.get("text")) or "" for part in rows(content))
        written = text(content) or ""
        if not written and not likely:
            return []
        self._written.add(written)
        return [TextDelta(written, number, likely or None)]

    def _call(self, call: JsonObject, number: int) -> ToolCallDelta:
        """Some servers leave out the index, or send arguments as an object."""
        function = mapping(call.get("function"))
        name = text(function.get("name"))
        index = count(call.get("index"))
        if index is None:
            index = max(self._calls.get(number, -1) + (1 if name else 0), 0)
        self._calls[number] = index
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            arguments = json_text(arguments)
        self._written.add(arguments)
        return ToolCallDelta(index, text(call.get("id")), name, arguments, number)

    def end(self, *, said_done: bool) -> list[ModelEvent]:
        """After the last chunk. A server that said `[DONE]` may leave out finish reasons; the counts are estimated
        where it gave none. Check `complete` afterwards: False means that the answer was cut."""
        made: list[ModelEvent] = []
        if said_done and not self.broken:
            made.extend(self._finish(number, "stop") for number in sorted(self._open))
        if self.complete and not self.broken:
            made.append(self._usage or self._estimated())
        return made

    def _estimated(self) -> TokenUsage:
        return TokenUsage(self._prompt_tokens, self._written.tokens, estimated=True)


def legacy_logprobs(sent: object) -> list[JsonObject] | None:
    """The parallel lists of `/v1/completions` as Chat Completions' entries; newer servers send those at once."""
    lists = mapping(sent)
    if "content" in lists:
        return logprobs(lists["content"])
    tokens, likely, others = (_list(lists.get(name)) for name in ("tokens", "token_logprobs", "top_logprobs"))
    made = [
        {**_entry(token, value), "top_logprobs": [_entry(*other) for other in mapping(top).items()]}
        for token, value, top in itertools.zip_longest(tokens, likely[: len(tokens)], others[: len(tokens)])
        if isinstance(token, str)
    ]
    return made or None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _entry(token: str, logprob: object) -> JsonObject:
    return {
        "token": token,
        "logprob": logprob if isinstance(logprob, int | float) else None,
        "bytes": list(token.encode()),
    }
