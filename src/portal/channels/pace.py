"""When calls to a platform may leave: each chat at its own interval, all of them together at a rate."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from portal.errors import RateLimited

T = TypeVar("T")

_PAUSE = 1.0
"""Seconds to wait where a platform says "too many" but not for how long."""
_LONGEST = 3600.0


class Pace:
    """Calls to one chat go one by one. One that was refused for its rate holds up its own chat alone."""

    def __init__(self, *, interval: float, per_second: float) -> None:
        self._interval = interval
        self._gap = 1 / per_second
        self._free_at = 0.0
        self._chats: dict[str, _Chat] = {}

    async def call(self, chat: str, work: Callable[[], Awaitable[T]]) -> T:
        """Its turn in that chat, at the chat's pace; again, after the pause it asks for, until it is not refused."""
        async with self._of(chat) as lane:
            while True:
                await self._wait(lane)
                try:
                    return await work()
                except RateLimited as error:
                    lane.free_at = _now() + min(error.retry_after or _PAUSE, _LONGEST)

    async def attempt(self, chat: str, work: Callable[[], Awaitable[object]]) -> bool:
        """Only if it can leave at once, for what the next call makes good; whether it did."""
        lane, now = self._chats.get(chat), _now()
        if self._free_at > now or (lane is not None and (lane.lock.locked() or lane.free_at > now)):
            return False
        async with self._of(chat) as lane:
            await self._wait(lane)
            try:
                await work()
            except RateLimited as error:
                lane.free_at = _now() + min(error.retry_after or _PAUSE, _LONGEST)
                return False
        return True

    def _of(self, chat: str) -> "_Chat":
        if len(self._chats) > _MANY:
            now = _now()
            self._chats = {name: one for name, one in self._chats.items() if one.users or one.free_at > now}
        return self._chats.setdefault(chat, _Chat())

    async def _wait(self, lane: "_Chat") -> None:
        """Until it is the chat's time, and then a place among all chats."""
        await _until(lane.free_at)
        at = max(_now(), self._free_at)
        self._free_at = at + self._gap
        lane.free_at = at + self._interval
        await _until(at)


_MANY = 1000


class _Chat:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.free_at = 0.0
        self.users = 0

    async def __aenter__(self) -> "_Chat":
        self.users += 1
        try:
            await self.lock.acquire()
        except BaseException:
            self.users -= 1
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.users -= 1
        self.lock.release()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _until(moment: float) -> None:
    pause = moment - _now()
    if pause > 0:
        await asyncio.sleep(pause)
