"""A circuit breaker: after several failures in a row nothing is sent for a while, then one call at a time tries again.

Pure: it is told what happened, and asks the clock it was given.
"""

import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["closed", "half-open", "open"]
LONGEST = 3600.0
"""Seconds it rests at most, whatever a server says."""
_MOST_DOUBLINGS = 3
_PROBING = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """So many failures in a row within so many seconds open it for so many; times in seconds."""

    failures: int = 5
    """0: it never opens."""
    window: float = 60
    rest: float = 15


class Breaker:
    """Closed, open until a time, or after that half-open: then exactly one call is let through, and its end decides.

    A call is any object; the one on trial is held weakly, so one that is gone without a word holds nothing up.
    """

    def __init__(self, tolerance: Tolerance, *, clock: Callable[[], float]) -> None:
        """`clock` tells seconds that never go back."""
        self.failures = 0
        """How many there were before it opened, and since."""
        self._tolerance = tolerance
        self._clock = clock
        self._recent: deque[float] = deque(maxlen=max(tolerance.failures, 1))
        self._until: float | None = None
        self._openings = 0
        self._probe: weakref.ref[object] | None = None

    def tune(self, tolerance: Tolerance) -> None:
        """Be as tolerant as this from now on; one that rests goes on resting."""
        self._tolerance = tolerance
        self._recent = deque(self._recent, maxlen=max(tolerance.failures, 1))

    @property
    def is_closed(self) -> bool:
        """Whether calls go through as if it were not there."""
        return self._until is None

    @property
    def state(self) -> State:
        """Half-open is one whose time is over, and that waits for a call to try."""
        if self._until is None:
            return "closed"
        return "open" if self._until > self._clock() else "half-open"

    @property
    def is_troubled(self) -> bool:
        """Whether it is not closed, or a failure has not been followed by a success yet."""
        return self._until is not None or bool(self._recent)

    def resting(self) -> float:
        """Seconds until a call is let through; 0 when one would be now."""
        if self._until is None:
            return 0.0
        left = self._until - self._clock()
        if left > 0:
            return left
        return _PROBING if self._probe is not None and self._probe() is not None else 0.0

    def enter(self, call: object) -> float:
        """Let this call through and answer 0, or say in how many seconds it may come back."""
        wait = self.resting()
        if wait == 0 and self._until is not None:
            self._probe = weakref.ref(call)
        return wait

    def answered(self, call: object) -> None:
        """The first sign of an answer: if it is the call on trial, everybody may call again."""
        if self._is_probe(call):
            self._until, self._probe, self._openings, self.failures = None, None, 0, 0
            self._recent.clear()

    def failed(self, call: object, retry_after: float | None = None) -> None:
        """A call that was let through failed; `retry_after` is when its server wants to be asked again."""
        if not self._tolerance.failures:
            return
        now = self._clock()
        if self._until is None:
            self._recent.append(now)
            self.failures = sum(1 for then in self._recent if now - then <= self._tolerance.window)
            if self.failures >= self._tolerance.failures or retry_after:
                self._open(now, retry_after)
        elif self._is_probe(call):
            self.failures += 1
            self._open(now, retry_after)
        elif retry_after:
            self._until = max(self._until, now + min(retry_after, LONGEST))

    def _open(self, now: float, retry_after: float | None) -> None:
        """Longer and longer, unless the server itself says how long."""
        rest = retry_after or self._tolerance.rest * 2 ** min(self._openings, _MOST_DOUBLINGS)
        self._until, self._probe = now + min(rest, LONGEST), None
        self._openings += 1

    def left(self, call: object, *, well: bool) -> None:
        """A call is over: where all was well, earlier failures are forgotten. If it was on trial still, the next one
        is."""
        if self._is_probe(call):
            self._probe = None
        if well and self._until is None:
            self._recent.clear()

    def _is_probe(self, call: object) -> bool:
        return self._probe is not None and self._probe() is call
