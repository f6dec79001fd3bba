"""The one limiter: how often, and how much at once. Every door asks it, each by names of its own."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from portal.core.counts import Counts
from portal.errors import RateLimited

_MOST = 20_000
_SHARE = 4
"""A burst may take the quarter of a minute's requests at once, at least five."""


@dataclass(slots=True)
class Bucket:
    """What is left of a rate."""

    rate: int
    left: float
    at: float

    @property
    def burst(self) -> int:
        """The most there can be in it."""
        return max(self.rate // _SHARE, min(self.rate, 5))

    def take(self, now: float) -> float:
        """Take one; 0, or the seconds until there is one."""
        self.left = min(self.burst, self.left + (now - self.at) * self.rate / 60)
        self.at = now
        if self.left >= 1:
            self.left -= 1
            return 0
        return (1 - self.left) * 60 / self.rate

    @property
    def full_in(self) -> float:
        """Seconds until it is full again."""
        return (self.burst - self.left) * 60 / self.rate


class Limiter:
    """Buckets and counts in memory, by name; whoever has not been here for long makes room."""

    def __init__(self, *, clock: Callable[[], float] = monotonic, counts: Counts | None = None) -> None:
        """`counts` is kept of what is taken here, for other servers to take as well."""
        self._clock, self._counts = clock, counts
        self._buckets: dict[str, Bucket] = {}
        self._open: dict[str, int] = {}

    def take(self, name: str, rate: int) -> Bucket:
        """One request of so many a minute. Raises RateLimited with when to come back."""
        now = self._clock()
        bucket = self._buckets.get(name)
        if bucket is None or bucket.rate != rate:
            bucket = self._new(name, rate, now)
        wait = bucket.take(now)
        if wait:
            raise RateLimited(f"Too many requests: {rate} a minute are allowed.", retry_after=math.ceil(wait * 10) / 10)
        if self._counts is not None:
            self._counts.add("rate", name, rate, 1)
        return bucket

    def taken(self, name: str, rate: int, times: int) -> None:
        """So many were let in elsewhere."""
        bucket = self._buckets.get(name)
        if bucket is None or bucket.rate != rate:
            bucket = self._new(name, rate, self._clock())
        bucket.left = max(bucket.left - times, -bucket.burst)

    def _new(self, name: str, rate: int, now: float) -> Bucket:
        if len(self._buckets) >= _MOST:
            del self._buckets[next(iter(self._buckets))]
        bucket = self._buckets[name] = Bucket(rate, 0, now)
        bucket.left = bucket.burst
        return bucket

    @contextmanager
    def inside(self, name: str, most: int) -> Iterator[None]:
        """One of so many at once. Raises RateLimited."""
        count = self._open.get(name, 0)
        if count >= most:
            raise RateLimited(f"Too many requests at once: {most} are allowed.", retry_after=1)
        self._open[name] = count + 1
        try:
            yield
        finally:
            left = self._open[name] - 1
            if left:
                self._open[name] = left
            else:
                del self._open[name]
