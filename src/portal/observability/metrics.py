"""What model calls were like, for Prometheus: counted as they are accounted for, written out when somebody asks.

A figure costs a look-up in a dictionary and an addition; the official client costs about as much for each of its
metrics, and an import.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

from portal.core.items import JsonObject
from portal.core.ports import UsageLog
from portal.core.records import UsageRecord

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels: TypeAlias = tuple[str, ...]
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class _Counter:
    kind = "counter"

    def __init__(self, *names: str) -> None:
        self._names = names
        self._values: defaultdict[Labels, float] = defaultdict(float)

    def add(self, labels: Labels, amount: float = 1) -> None:
        self._values[labels] += amount

    def samples(self, name: str) -> Iterator[str]:
        for labels, value in self._values.items():
            yield _sample(name, zip(self._names, labels, strict=True), value)


class _Histogram:
    kind = "histogram"

    def __init__(self, *names: str) -> None:
        self._names = names
        self._counts: defaultdict[Labels, list[int]] = defaultdict(lambda: [0] * (len(_BUCKETS) + 1))
        self._sums: defaultdict[Labels, float] = defaultdict(float)

    def observe(self, labels: Labels, value: float) -> None:
        self._counts[labels][bisect_left(_BUCKETS, value)] += 1
        self._sums[labels] += value

    def samples(self, name: str) -> Iterator[str]:
        for labels, counts in self._counts.items():
            pairs = list(zip(self._names, labels, strict=True))
            for limit, count in zip((*map(str, _BUCKETS), "+Inf"), accumulate(counts), strict=True):
                yield _sample(f"{name}_bucket", [*pairs, ("le", limit)], count)
            yield _sample(f"{name}_sum", pairs, self._sums[labels])
            yield _sample(f"{name}_count", pairs, sum(counts))


def _sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    pairs = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels)
    return f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}"


class Metrics:
    """Implements UsageLog before another one: counts what passes."""

    def __init__(
        self,
        *,
        log: UsageLog,
        backends: Callable[[], Mapping[str, bool]],
        channels: Callable[[], Iterable[JsonObject]] = tuple,
    ) -> None:
        """`backends` says of each model server, by its name, whether it answers; `channels` how each of them is."""
        self._log = log
        self.channels = channels
        self.parts: Callable[[], Iterable[tuple[str, bool, int]]] = tuple
        """Of what goes on beside the requests: name, whether it is well, times begun again."""
        self._backends = backends
        self._running = 0
        self._requests = _Counter("door", "model", "status")
        self._tokens = _Counter("model", "direction")
        self._seconds = _Histogram("door", "model")
        self._first = _Histogram("door", "model")

    def begun(self) -> None:
        """See UsageLog."""
        self._running += 1
        self._log.begun()

    def record(self, usage: UsageRecord) -> None:
        """See UsageLog."""
        self._running -= 1
        self._requests.add((usage.door, usage.model, usage.status))
        self._tokens.add((usage.model, "input"), usage.input_tokens)
        self._tokens.add((usage.model, "output"), usage.output_tokens)
        self._seconds.observe((usage.door, usage.model), usage.milliseconds / 1000)
        if usage.first_milliseconds is not None:
            self._first.observe((usage.door, usage.model), usage.first_milliseconds / 1000)
        self._log.record(usage)

    async def summary(self, owner: str, since: int) -> Sequence[JsonObject]:
        """See UsageLog."""
        return await self._log.summary(owner, since)

    def render(self) -> str:
        """All of it, in Prometheus' text format."""
        lines: list[str] = []
        for name, what, family in (
            ("portal_requests_total", "Model calls that ended, by how.", self._requests),
            ("portal_tokens_total", "Tokens of model calls.", self._tokens),
            ("portal_request_duration_seconds", "From a call to the end of its answer.", self._seconds),
            ("portal_time_to_first_token_seconds", "From a call to its streamed answer's beginning.", self._first),
        ):
            lines += [f"# HELP {name} {what}", f"# TYPE {name} {family.kind}", *family.samples(name)]
        lines += _gauge("portal_requests_running", "Model calls under way.", [([], self._running)])
        up = [([("backend", name)], int(there)) for name, there in self._backends().items()]
        lines += _gauge("portal_backend_up", "Whether a model server answers.", up)
        return "\n".join([*lines, *self._channels(), *self._supervised(), ""])

    @property
    def running(self) -> int:
        """Model calls under way."""
        return self._running

    def _supervised(self) -> Iterator[str]:
        known = list(self.parts())
        if known:
            well = [([("part", name)], int(up)) for name, up, _ in known]
            yield from _gauge("portal_part_up", "Whether a part of Portal is going.", well)
            again = [([("part", name)], restarts) for name, _, restarts in known]
            yield from _gauge("portal_part_restarts", "Times it failed and was begun again.", again)

    def _channels(self) -> Iterator[str]:
        known: list[JsonObject] = [{"state": "", "events": 0, "repairs": 0, **one} for one in self.channels()]
        figures: dict[str, tuple[str, list[int]]] = {
            "portal_channel_up": (
                "Whether a chat platform is connected and heard.",
                [one["state"] == "up" for one in known],
            ),
            "portal_channel_events": ("Events accepted since the start.", [one["events"] for one in known]),
            "portal_channel_repairs": ("Times it was deaf and connected anew.", [one["repairs"] for one in known]),
        }
        for name, (what, values) in figures.items() if known else ():
            samples = [([("channel", one["name"])], int(value)) for one, value in zip(known, values, strict=True)]
            yield from _gauge(name, what, samples)


def _gauge(name: str, what: str, samples: Iterable[tuple[list[tuple[str, str]], int]]) -> list[str]:
    written = [_sample(name, labels, value) for labels, value in samples]
    return [f"# HELP {name} {what}", f"# TYPE {name} gauge", *written]
