"""What happens beside the model calls, counted for `/metrics`: each part is handed the one method it reports to."""

from collections import deque
from collections.abc import Iterator

from portal.observability.figures import SHORT, Counter, Family, Histogram

MOST = 200
"""Families of tools that are told apart."""
_KEPT = 240
"""The newest delays of the event loop, one minute of them."""


class Meters:
    """All of them."""

    def __init__(self) -> None:
        self._retries = Counter("model")
        self._fallbacks = Counter("model")
        self._tools = Counter("family", "status")
        self._families: set[str] = set()
        self._tool_seconds = Histogram("family")
        self._waits = Histogram("backend")
        self._batches = Histogram(limits=SHORT)
        self._delays = Histogram(limits=SHORT)
        self.delays: deque[float] = deque(maxlen=_KEPT)
        """Seconds by which the event loop was late, the newest."""
        self.batches: deque[float] = deque(maxlen=_KEPT)
        """Seconds that batches of the database took, the newest."""

    def retried(self, model: str, again: bool) -> None:
        """A call had to be tried again: `again` of the same server, else another model or server took over from this
        model."""
        (self._retries if again else self._fallbacks).add((model,))

    def tool(self, family: str, status: str, seconds: float) -> None:
        """A tool has run. Families beyond so many, such as those of servers that come and go, are counted as one."""
        if family not in self._families:
            if len(self._families) >= MOST:
                family = "other"
            self._families.add(family)
        self._tools.add((family, status))
        self._tool_seconds.observe((family,), seconds)

    def waited(self, backend: str, seconds: float) -> None:
        """A call had to wait for its turn, until it came or the caller gave up."""
        self._waits.observe((backend,), seconds)

    def stored(self, seconds: float) -> None:
        """A batch of writes was committed, or refused."""
        self._batches.observe((), seconds)
        self.batches.append(seconds)

    def delayed(self, seconds: float) -> None:
        """The event loop was late by so much."""
        self._delays.observe((), seconds)
        self.delays.append(seconds)

    def families(self) -> Iterator[Family]:
        """As they stand."""
        for name, what, meter in (
            ("portal_retries", "Times the same server was asked again after a passing failure.", self._retries),
            ("portal_fallbacks", "Times another model or server took over from this model.", self._fallbacks),
            ("portal_tool_runs", "Tool calls that ran, by family and outcome.", self._tools),
            ("portal_tool_duration_seconds", "From a tool's start to its result.", self._tool_seconds),
            ("portal_backend_wait_seconds", "How long calls waited for their turn on a busy server.", self._waits),
            ("portal_database_batch_seconds", "From a batch of writes to its commit.", self._batches),
            ("portal_event_loop_delay_seconds", "By how much the event loop was late.", self._delays),
        ):
            yield meter.family(name, what)
