"""What an answer comes to while it streams: its size, bounded where it is kept until its end, and its tokens."""

from collections.abc import Callable, Sequence

from portal.core.items import JsonObject
from portal.core.model import (
    Citation,
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

MOST = 64 * 2**20
"""Bytes of an answer that is kept whole."""
_EACH = 64
"""Bytes that a piece weighs beside its text."""
_LIKELY = 100
"""Bytes of one token with its probability."""


class Measure:
    """Add every event of one answer. `kept`: all of it stays in memory until its end, else the calls of tools alone."""

    def __init__(self, *, kept: bool, most: int = MOST) -> None:
        self.counted: TokenUsage | None = None
        """What the model server counted."""
        self.begun = False
        """There was more than progress."""
        self._tally = Tally()
        self._kept = kept
        self._most = most
        self._size = 0

    def add(self, event: ModelEvent) -> None:
        """One more.

        Raises:
            BackendProtocolError: the answer is too large.
        """
        if isinstance(event, TextDelta):  # nearly all of them are
            self.begun = True
            self._tally.add(event.text)
            if self._kept:
                likely = event.logprobs
                self._grow(len(event.text) + (_weight(likely) if likely else 0))
        elif not isinstance(event, Progress):
            self.begun = True
            self._other(event)

    def _other(self, event: ModelEvent) -> None:
        if isinstance(event, TokenUsage):
            self.counted = event
        elif isinstance(event, ToolCallDelta):
            self._tally.add(event.arguments)
            self._grow(len(event.arguments))
        elif isinstance(event, Citation):
            self._keep(len(str(event.annotation)))
        elif isinstance(event, ReasoningDelta | RefusalDelta):
            self._tally.add(event.text)
            self._keep(len(event.text))

    def _keep(self, size: int) -> None:
        if self._kept:
            self._grow(size)

    def _grow(self, size: int) -> None:
        self._size += _EACH + size
        if self._size > self._most:
            raise BackendProtocolError(
                f"The model server's answer is over {self._most // 2**20} MB, more than Portal keeps in memory.",
                code="answer_too_large",
            )

    def usage(self, count_input: Callable[[], int]) -> TokenUsage | None:
        """What the call cost: as the server counted, else an estimate of what came; None where nothing did."""
        if self.counted is not None or not self.begun:
            return self.counted
        return TokenUsage(count_input(), self._tally.tokens, estimated=True)


def _weight(likely: Sequence[JsonObject]) -> int:
    return sum(_LIKELY * (1 + len(one.get("top_logprobs") or ())) for one in likely)
