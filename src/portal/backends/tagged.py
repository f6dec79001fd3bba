"""Text in which a model marks its reasoning and its tool calls, taken apart as it streams: pure."""

from collections.abc import Sequence

import orjson

from portal.core.ids import new_id
from portal.core.marks import held_back
from portal.core.model import ModelEvent, ReasoningDelta, TextDelta, ToolCallDelta

_THINK, _CALL = ("<think>", "</think>"), ("<tool_call>", "</tool_call>")


class TaggedText:
    """Feed it an answer's text; it gives events. Tool calls are looked for only where tools were offered."""

    def __init__(self, *, tools: bool, thinking: bool, choice: int) -> None:
        """`thinking`: the prompt ended inside the reasoning already."""
        self.calls = 0
        self._choice = choice
        self._tags = (_THINK, _CALL) if tools else (_THINK,)
        self._inside: tuple[str, str] | None = _THINK if thinking else None
        self._buffer = ""
        self._written = False

    def feed(self, text: str) -> list[ModelEvent]:
        """The events that are certain now."""
        self._buffer += text
        made: list[ModelEvent] = []
        while self._step(made):
            pass
        return made

    def _step(self, made: list[ModelEvent]) -> bool:
        """Go up to the next mark; whether there was one."""
        marks = [self._inside[1]] if self._inside else [opening for opening, _ in self._tags]
        found = [(place, mark) for mark in marks if (place := self._buffer.find(mark)) >= 0]
        if found:
            place, mark = min(found)
            self._piece(self._buffer[:place], made, whole=True)
            self._buffer = self._buffer[place + len(mark) :]
            self._inside = None if self._inside else next(tag for tag in self._tags if tag[0] == mark)
            return True
        if self._inside is not _CALL:
            keep = held_back(self._buffer, marks)
            certain = len(self._buffer) - keep
            self._piece(self._buffer[:certain], made, whole=False)
            self._buffer = self._buffer[certain:]
        return False

    def _piece(self, text: str, made: list[ModelEvent], *, whole: bool) -> None:
        if self._inside is _CALL:
            made.extend(self._call(text))
        elif self._inside is _THINK:
            made.extend([ReasoningDelta(text, self._choice)] if text else [])
        elif text := self._answer(text, whole=whole):
            self._written = True
            made.append(TextDelta(text, self._choice))

    def _answer(self, text: str, *, whole: bool) -> str:
        """White space around marks, and before the first word, is none of the answer's."""
        if not self._written:
            return text.lstrip()
        return "" if whole and not text.strip() else text

    def _call(self, text: str) -> Sequence[ModelEvent]:
        """One call; what is none stays text, so that nothing the model wrote is lost."""
        call = parsed_call(text)
        if call is None:
            return [TextDelta(f"{_CALL[0]}{text}{_CALL[1]}", self._choice)]
        index, self.calls = self.calls, self.calls + 1
        return [ToolCallDelta(index, new_id("call"), call[0], call[1], self._choice)]

    def end(self) -> list[ModelEvent]:
        """At the end of the answer: what was held back. An unclosed call counts where it is whole."""
        made: list[ModelEvent] = []
        if self._inside is _CALL and parsed_call(self._buffer) is None:
            made.append(TextDelta(_CALL[0] + self._buffer, self._choice))
        else:
            self._piece(self._buffer, made, whole=True)
        self._buffer = ""
        return made


def parsed_call(text: str) -> tuple[str, str] | None:
    """Name and arguments (as JSON text) of a call written as JSON; None if it is not one."""
    try:
        call = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    arguments = call.get("arguments", call.get("parameters", {}))
    return call["name"], arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
