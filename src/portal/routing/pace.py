"""How fast models answer, from real calls: exponentially weighted, in memory."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from portal.core.model import ModelInfo
from portal.core.ports import UsageLog
from portal.core.records import UsageRecord

_WEIGHT = 0.25
"""Of the newest call."""
_FEWEST = 8
"""Tokens of an answer too short to tell anything."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What was seen of one model."""

    tokens: float
    """A second, while it writes."""
    first: float | None
    """Seconds until it begins to, once it was in memory."""


class Paces:
    """By backend and model."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Pace] = {}

    def note(self, model: ModelInfo, call: UsageRecord) -> Pace | None:
        """Take a completed call in; what is known now, or None where it told nothing: only a streamed answer does."""
        first = call.first_milliseconds
        if first is None or call.output_tokens < _FEWEST or call.milliseconds <= first:
            return None
        before = self._seen.get((model.backend, model.id))
        tokens = call.output_tokens * 1000 / (call.milliseconds - first)
        waited = first / 1000
        if before is not None:
            tokens = before.tokens + _WEIGHT * (tokens - before.tokens)
            waited = waited if before.first is None else before.first + _WEIGHT * (waited - before.first)
        known = before.first if before else None
        pace = Pace(tokens, known if model.loaded is False else waited)
        self._seen[model.backend, model.id] = pace
        return pace

    def told(self, model: ModelInfo) -> ModelInfo:
        """The model with what was seen of it."""
        seen = self._seen.get((model.backend, model.id))
        return replace(model, pace=seen.tokens, first_token=seen.first) if seen else model


class WatchedCalls:
    """Implements UsageLog around another one: whoever wants to learn from a call is told of each."""

    def __init__(self, log: UsageLog, told: Callable[[UsageRecord], None]) -> None:
        self._log = log
        self._told = told

    def begun(self) -> None:
        """See UsageLog."""
        self._log.begun()

    def record(self, usage: UsageRecord) -> None:
        """See UsageLog."""
        self._log.record(usage)
        self._told(usage)
