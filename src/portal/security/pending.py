"""What was begun with somebody who is not known yet, and may be finished once, within minutes."""

import hashlib
import secrets
from collections.abc import Callable
from time import monotonic
from typing import Generic, Protocol, TypeVar

from portal.core.clock import micros
from portal.core.items import JsonObject

T = TypeVar("T")

SECONDS = 600.0
_MOST = 5000
"""So that whoever only ever begins does not fill the memory: the oldest make room."""


class Kept(Protocol):
    """Where it is kept when the next request may come to another server."""

    async def keep(self, token_hash: str, value: JsonObject, until: int) -> None:
        """Until this time, in microseconds UTC."""

    async def take(self, token_hash: str, now: int) -> JsonObject | None:
        """Use it up: of two takers one gets it."""

    async def change(self, token_hash: str, value: JsonObject, until: int, now: int) -> bool:
        """Put this in its place; False where it is not there any more."""


class Pending(Generic[T]):
    """By a token that nobody guesses. In memory."""

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, tuple[float, T]] = {}

    async def begin(self, what: T) -> str:
        """The token it is finished with."""
        token = secrets.token_urlsafe(32)
        await self.put(token, what)
        return token

    async def put(self, token: str, what: T) -> None:
        """The same with a token that there is already."""
        if len(self._begun) >= _MOST:
            del self._begun[next(iter(self._begun))]
        self._begun[token] = (self._clock() + SECONDS, what)

    async def change(self, token: str, what: T) -> bool:
        """Put this in the place of what was begun; False where that is too old, or finished already."""
        if self._begun.get(token, (0.0,))[0] <= self._clock():
            return False
        self._begun[token] = (self._clock() + SECONDS, what)
        return True

    async def finish(self, token: str) -> T | None:
        """What was begun; None for what is unknown, too old, or finished already."""
        until, what = self._begun.pop(token, (0.0, None))
        return what if until > self._clock() else None


class KeptPending(Pending[T]):
    """The same where several servers share it, and all kinds of what is begun: a token of one is none of another."""

    def __init__(
        self, *, kept: Kept, kind: str, pack: Callable[[T], JsonObject], unpack: Callable[[JsonObject], T]
    ) -> None:
        super().__init__()
        self._kept, self._kind, self._pack, self._unpack = kept, kind, pack, unpack

    async def put(self, token: str, what: T) -> None:
        """See Pending. Raises StorageError."""
        await self._kept.keep(self._hash(token), self._pack(what), _until(micros()))

    async def change(self, token: str, what: T) -> bool:
        """See Pending. Raises StorageError."""
        now = micros()
        return await self._kept.change(self._hash(token), self._pack(what), _until(now), now)

    async def finish(self, token: str) -> T | None:
        """See Pending. Raises StorageError."""
        found = await self._kept.take(self._hash(token), micros())
        return None if found is None else self._unpack(found)

    def _hash(self, token: str) -> str:
        return hashlib.sha256(f"{self._kind} {token}".encode("utf-8", "surrogatepass")).hexdigest()


def _until(now: int) -> int:
    return now + round(SECONDS * 1e6)
