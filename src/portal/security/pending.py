"""What was begun with somebody who is not known yet, and may be finished once, within minutes."""

import secrets
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")

SECONDS = 600.0
_MOST = 5000
"""So that whoever only ever begins does not fill the memory: the oldest make room."""


class Pending(Generic[T]):
    """By a token that nobody guesses."""

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, tuple[float, T]] = {}

    def begin(self, what: T) -> str:
        """The token it is finished with."""
        if len(self._begun) >= _MOST:
            del self._begun[next(iter(self._begun))]
        token = secrets.token_urlsafe(32)
        self._begun[token] = (self._clock() + SECONDS, what)
        return token

    def finish(self, token: str) -> T | None:
        """What was begun; None for what is unknown, too old, or finished already."""
        until, what = self._begun.pop(token, (0.0, None))
        return what if until > self._clock() else None
