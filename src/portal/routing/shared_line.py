"""A limit of calls that several Portals on one database keep together, for the model servers that ask for it.

Each call has a row in the database, in the order in which they came, whichever Portal they came to: those in front run.
A Portal says from time to time which calls are its own; those of one that is gone go with it. While the database does
not answer, each goes by itself with its share of the slots, so that calls go on.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from portal.core.ids import uuid7
from portal.core.items import JsonObject
from portal.core.peers import Notices, SharedCalls, Standing
from portal.errors import StorageError
from portal.routing.line import Line, Place

log = logging.getLogger(__name__)

_LOOK = 1.0
"""Seconds between two looks of a Portal that knows of calls there, for what it was not told."""
_AGAIN = 0.5
"""Seconds until a database that failed is asked again."""
_NOTICE = "calls"


class SharedLine(Line):
    """The calls of this Portal in such a line. `settled` and `alone` move them, nothing else does."""

    def __init__(self, backend: str, *, slots: int, length: int, changed: Callable[[str], None]) -> None:
        """Calls `changed` with the name of the model server whenever a call comes or goes; `length` counts the calls of
        all Portals."""
        super().__init__(slots=slots, length=length)
        self.backend = backend
        self.shared = True
        self.closed = False
        self._all = slots
        self._changed = changed
        self._ids: dict[Place, str] = {}
        self._before: dict[str, int] = {}

    def enter(self) -> Place | None:
        """See Line. It has to wait for the database, if that is there."""
        place = super().enter()
        if place is not None:
            self._ids[place] = uuid7()
            self._changed(self.backend)
        return place

    def before(self, place: Place) -> int | None:
        """See Line."""
        if not self.shared:
            return super().before(place)
        before = self._before.get(self._ids[place])
        return None if before is None else max(before - self._all, 0)

    def leave(self, place: Place) -> None:
        """See Line."""
        self._before.pop(self._ids.pop(place), None)
        super().leave(place)
        self._changed(self.backend)

    def close(self) -> None:
        """See Line."""
        self.closed = True
        self._changed(self.backend)

    def calls(self, *, waiting: bool = True) -> Sequence[str]:
        """What runs, and what waits here, in the order in which it came."""
        return [call for place, call in self._ids.items() if waiting or place.admitted]

    def settled(self, standing: Standing) -> None:
        """How many calls are before each. Places only ever get further: whoever came later is behind."""
        if not self.shared:
            for number, place in enumerate(self._waiting):  # taken in meanwhile: nobody refuses it any more
                self._before.setdefault(self._ids[place], self._all + number)
        self.shared, self.slots = True, self._all
        self.elsewhere = sum(place < self._all for place in standing.others)
        for place in list(self._waiting):
            call = self._ids[place]
            before = standing.before.get(call)
            if before is None:  # it came meanwhile
                continue
            if before < self._all:
                self._admit(place)
            else:
                place.refused = call not in self._before and before >= self._all + self.length
            self._before[call] = before
        self._move_up()

    def alone(self, servers: int) -> None:
        """Go by oneself, with a share of so many servers, until it is settled again."""
        self.shared, self.slots, self.elsewhere = False, max(self._all // servers, 1), 0
        self._move_up()

    def _has_room(self) -> bool:
        return not self.shared and super()._has_room()

    def _may_wait(self) -> bool:
        return len(self._waiting) < self.length + (self._all if self.shared else 0)


class SharedLines:
    """All of them, and what settles them with the other Portals."""

    def __init__(self, *, calls: SharedCalls, notices: Notices, servers: Callable[[], int]) -> None:
        """`servers` is how many Portals there are, this one included."""
        self._calls, self._notices, self._servers = calls, notices, servers
        self._lines: dict[str, list[SharedLine]] = {}
        self._due: set[str] = set()
        self._stale: set[str] = set()
        self._news = asyncio.Event()
        self._look = 0.0
        """When to look next, by the loop's clock."""
        self._away = False
        self._others_back = 0.0
        """Until then only what runs is said, so that the others can say what runs there before anybody moves up."""
        notices.on(_NOTICE, self._heard)

    def open(self, backend: str, *, slots: int, length: int) -> SharedLine:
        """The line of a model server, which has this name on every Portal. One of before ends once it is empty."""
        line = SharedLine(backend, slots=slots, length=length, changed=self._hurry)
        if self._away:
            line.alone(self._servers())
        self._lines.setdefault(backend, []).append(line)
        return line

    async def run(self) -> None:
        """Until it is cancelled: settle what changed."""
        try:
            while True:
                for backend in await self._next():
                    await self._settle(backend)
                if self._away:
                    await asyncio.sleep(_AGAIN)
        finally:
            await self._calls.aclose()

    def _hurry(self, backend: str) -> None:
        self._due.add(backend)
        self._news.set()

    def _heard(self, sender: str, body: JsonObject) -> None:
        """Another Portal's calls there changed: whoever waits may be next, the others look at it in passing."""
        backend = body["backend"]
        if any(line.waiting for line in self._lines.get(backend, ())):
            self._hurry(backend)
        elif backend in self._lines:
            self._stale.add(backend)
            self._news.set()

    async def _next(self) -> Collection[str]:
        """What is due, now or at the next look."""
        if not self._due:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._look if self._stale or self._busy() else None):
                    await self._news.wait()
        self._news.clear()
        if (now := asyncio.get_running_loop().time()) >= self._look:
            self._due |= self._stale | self._busy()
            self._stale.clear()
            self._look = now + _LOOK
        due, self._due = self._due, set()
        return due

    def _busy(self) -> set[str]:
        return {name for name, lines in self._lines.items() if any(line.calls() or line.elsewhere for line in lines)}

    async def _settle(self, backend: str) -> None:
        known = self._lines.get(backend, ())
        lines = self._lines[backend] = [line for line in known if line.calls() or not line.closed]
        waiting = not self._away and asyncio.get_running_loop().time() >= self._others_back
        calls = [call for line in lines for call in line.calls(waiting=waiting)]
        try:
            standing = await self._calls.settle(backend, calls)
        except StorageError as error:
            self._lost(error)
            self._due.add(backend)
            return
        if self._away:
            log.info("calls of model servers are counted with the other servers again")
            self._away = False
            self._others_back = asyncio.get_running_loop().time() + _LOOK
            self._due |= self._lines.keys() - {backend}  # those without calls went by themselves, too
        for line in lines:
            line.settled(standing)
        if standing.changed:
            self._notices.tell(_NOTICE, {"backend": backend})
        if not lines:
            del self._lines[backend]

    def _lost(self, error: StorageError) -> None:
        if not self._away:
            log.warning("calls of model servers cannot be counted with the other servers: %s", error)
        self._away = True
        for lines in self._lines.values():
            for line in lines:
                line.alone(self._servers())
