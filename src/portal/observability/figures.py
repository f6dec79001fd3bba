"""Figures as Prometheus knows them: counted as things happen, written out when somebody asks.

A figure costs a look-up in a dictionary and an addition; the official client costs about as much for each of its
metrics, and an import.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Labels: TypeAlias = tuple[str, ...]
Pairs: TypeAlias = Sequence[tuple[str, str]]
Sample: TypeAlias = tuple[str, Pairs, float]
"""What follows the family's name, labels, value."""

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds of what ought to take none."""
SPEEDS = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0)
"""Tokens a second."""

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class Family:
    """One figure with all its labels. A counter's name comes without `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    what: str
    samples: Iterable[Sample]


class Counter:
    """Only ever grows."""

    def __init__(self, *names: str) -> None:
        """`names` are those of its labels."""
        self._names = names
        self._values: defaultdict[Labels, float] = defaultdict(float)

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        """Count; `labels` in the order of their names."""
        self._values[labels] += amount

    def family(self, name: str, what: str) -> Family:
        """As it stands."""
        samples = [("_total", list(zip(self._names, labels, strict=True)), n) for labels, n in self._values.items()]
        return Family(name, "counter", what, samples)


class Histogram:
    """How often it was how much."""

    def __init__(self, *names: str, limits: Sequence[float] = SECONDS) -> None:
        """`limits` are upper ones, rising."""
        self._names = names
        self._limits = limits
        self._counts: defaultdict[Labels, list[int]] = defaultdict(lambda: [0] * (len(limits) + 1))
        self._sums: defaultdict[Labels, float] = defaultdict(float)

    def observe(self, labels: Labels, value: float) -> None:
        """It was so much once more."""
        self._counts[labels][bisect_left(self._limits, value)] += 1
        self._sums[labels] += value

    def family(self, name: str, what: str) -> Family:
        """As it stands."""
        return Family(name, "histogram", what, list(self._samples()))

    def _samples(self) -> Iterator[Sample]:
        limits = (*map(str, self._limits), "+Inf")
        for labels, counts in self._counts.items():
            pairs = list(zip(self._names, labels, strict=True))
            for limit, count in zip(limits, accumulate(counts), strict=True):
                yield "_bucket", [*pairs, ("le", limit)], count
            yield "_sum", pairs, self._sums[labels]
            yield "_count", pairs, sum(counts)


def gauge(name: str, what: str, *values: tuple[Pairs, float]) -> Family:
    """What goes up and down."""
    return Family(name, "gauge", what, [("", pairs, value) for pairs, value in values])


def counted(name: str, what: str, *values: tuple[Pairs, float]) -> Family:
    """What somebody else counts."""
    return Family(name, "counter", what, [("_total", pairs, value) for pairs, value in values])


def written(families: Iterable[Family], *, open_metrics: bool = False) -> str:
    """In Prometheus' text format, or in OpenMetrics."""
    lines: list[str] = []
    for family in families:
        head = family.name if open_metrics or family.kind != "counter" else f"{family.name}_total"
        lines += [f"# HELP {head} {family.what}", f"# TYPE {head} {family.kind}"]
        lines += [_sample(family.name + ending, pairs, value) for ending, pairs, value in family.samples]
    return "\n".join([*lines, "# EOF", ""] if open_metrics else [*lines, ""])


def _sample(name: str, labels: Pairs, value: float) -> str:
    pairs = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels)
    return f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}"
