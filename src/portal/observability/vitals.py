"""Looks now and then whether the database answers and how much room the disk has, so that nobody who asks has to."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from time import monotonic

from portal.core.health import Condition
from portal.errors import PortalError, StorageFull, StorageReadOnly

EVERY = 5.0
"""Seconds between two looks."""
PATIENCE = 5.0
"""Seconds that the database has to answer."""
LOW, TIGHT = 2**30, 256 * 2**20
"""Bytes of room: below the first it is told, below the second it is tried whether anything can be written still."""
SLOW = 1.0
"""Seconds from which on an answer is slow; two in a row are told of."""
_TRIED = bytes(64 * 1024)


class Vitals:
    """What is known of both."""

    def __init__(
        self,
        *,
        ask: Callable[[], Awaitable[object]],
        folder: Path,
        changed: Callable[[], None],
        room: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        every: float = EVERY,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`ask` is a question to the database; `room` gives the free bytes of a folder's disk; `changed` is called when
        a state changes; `every` is in seconds."""
        self._ask, self._folder, self._changed, self._room, self._every = ask, folder, changed, room, every
        self._clock, self._slow = clock, 0
        self._database = Condition(kind="database")
        self._disk = Condition(kind="disk")

    def check(self) -> Iterable[Condition]:
        """See HealthCheck."""
        return self._database, self._disk

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Look now."""
        before = self._database.state, self._disk.state
        self._database = await self._asked()
        self._disk = await asyncio.to_thread(self._looked)
        if before != (self._database.state, self._disk.state):
            self._changed()

    async def _asked(self) -> Condition:
        began = self._clock()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ask()
        except TimeoutError:
            return _away(f"The database did not answer within {PATIENCE:g} seconds.")
        except (StorageFull, StorageReadOnly) as error:
            remedy = "Make room, or have it take changes again; all that is kept can be read meanwhile."
            return Condition(kind="database", state="degraded", detail=error.message, remedy=remedy)
        except PortalError as error:
            return _away(error.message)
        took = self._clock() - began
        self._slow = self._slow + 1 if took > SLOW else 0
        if self._slow < 2:
            return Condition(kind="database")
        why, remedy = f"The database is slow: its answer took {took:.1f} seconds.", "Look what else its server does."
        return Condition(kind="database", state="degraded", detail=why, remedy=remedy)

    def _looked(self) -> Condition:
        try:
            room = self._room(self._folder)
        except OSError as error:
            why = f"The data folder {self._folder} cannot be looked at: {error.strerror or error}"
            return Condition(kind="disk", state="degraded", detail=why, remedy="Make the folder readable for Portal.")
        said = f"{room / 2**30:.1f} GB are free on the disk of the data folder."
        if room >= LOW:
            return Condition(kind="disk", detail=said)
        remedy = f"Make room on the disk of {self._folder}."
        if room < TIGHT and not self._writable():
            why = "The disk is full: everything can be read, but nothing new is kept."
            return Condition(kind="disk", state="degraded", detail=why, remedy=remedy)
        return Condition(kind="disk", state="degraded" if room < TIGHT else "note", detail=said, remedy=remedy)

    def _writable(self) -> bool:
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                file.write(_TRIED)
        except OSError:
            return False
        return True


def _away(why: str) -> Condition:
    remedy = "Look whether the database server runs and can be reached; Portal goes on by itself when it is back."
    return Condition(kind="database", state="down", detail=why, remedy=remedy)
