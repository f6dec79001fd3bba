"""A line in which everybody waits for their own things alone: of one person one is served at a time, in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Line:
    """Of things by id, each somebody's."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, str]] = []
        self._served: set[str] = set()
        self._news = asyncio.Event()

    def join(self, owner: str, thing: str) -> None:
        """At the end."""
        self._waiting.append((owner, thing))
        self._news.set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[tuple[str, str]]:
        """The first thing whose owner is not served already: theirs until the context is left."""
        while (first := self._first()) is None:
            self._news.clear()
            await self._news.wait()
        self._waiting.remove(first)
        self._served.add(first[0])
        try:
            yield first
        finally:
            self._served.discard(first[0])
            self._news.set()

    def _first(self) -> tuple[str, str] | None:
        return next((one for one in self._waiting if one[0] not in self._served), None)
