"""What model calls were like, for Prometheus: counted as they are accounted for, written out when somebody asks."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from portal.core.ports import UsageLog
from portal.core.records import UsageRecord
from portal.observability.figures import SPEEDS, Counter, Family, Histogram, gauge, written

Source: TypeAlias = Callable[[], Awaitable[Iterable[Family]]]
"""Tells how things are now, when somebody asks."""
_FEWEST = 8
"""Tokens of an answer too short to tell how fast it came."""


class Metrics:
    """Implements UsageLog before another one: counts what passes."""

    def __init__(self, *, log: UsageLog, sources: Iterable[Source] = ()) -> None:
        """`sources` tell of the rest of Portal; more may be added until somebody asks."""
        self.sources = list(sources)
        self.running = 0
        """Model calls under way."""
        self._log = log
        self._requests = Counter("door", "model", "status")
        self._tokens = Counter("model", "direction")
        self._seconds = Histogram("door", "model")
        self._first = Histogram("door", "model")
        self._speed = Histogram("model", limits=SPEEDS)

    def begun(self) -> None:
        """See UsageLog."""
        self.running += 1
        self._log.begun()

    def record(self, usage: UsageRecord) -> None:
        """See UsageLog."""
        self.running -= 1
        self._requests.add((usage.door, usage.model, usage.status))
        self._tokens.add((usage.model, "input"), usage.input_tokens)
        self._tokens.add((usage.model, "output"), usage.output_tokens)
        self._seconds.observe((usage.door, usage.model), usage.milliseconds / 1000)
        first = usage.first_milliseconds
        if first is not None:
            self._first.observe((usage.door, usage.model), first / 1000)
            if usage.output_tokens >= _FEWEST and usage.milliseconds > first:
                self._speed.observe((usage.model,), usage.output_tokens * 1000 / (usage.milliseconds - first))
        self._log.record(usage)

    async def render(self, *, open_metrics: bool = False) -> str:
        """All of it, in Prometheus' text format or in OpenMetrics."""
        families = [
            self._requests.family("portal_requests", "Model calls that ended, by how."),
            self._tokens.family("portal_tokens", "Tokens of model calls."),
            self._seconds.family("portal_request_duration_seconds", "From a call to the end of its answer."),
            self._first.family("portal_time_to_first_token_seconds", "From a call to its streamed answer's beginning."),
            self._speed.family("portal_tokens_per_second", "Tokens a second of a streamed answer, once it had begun."),
            gauge("portal_requests_running", "Model calls under way.", ((), self.running)),
        ]
        for source in self.sources:
            families += await source()
        return written(families, open_metrics=open_metrics)
