"""A server's place among the others on one PostgreSQL: it is registered, shows that it lives, and may have the duty.

Two signs of life: an advisory lock of its own, which is gone the moment its process or connection is, and a time that
it renews, which stands still while it is paused. Whoever is without either is buried by the first to see it: its
connections are cut, its row goes, and what it writes from then on fails (see fence.py). Times are the database's, so
clocks that differ do no harm.
"""

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from socket import gethostname
from time import monotonic
from typing import TYPE_CHECKING

import psycopg

from portal.core.clock import micros
from portal.core.duty import Duty
from portal.core.ids import new_id
from portal.errors import StorageError
from portal.storage.fence import LEADER, Fence
from portal.storage.sessions import session

if TYPE_CHECKING:
    from psycopg.rows import DictRow

    Connection = psycopg.AsyncConnection[DictRow]

log = logging.getLogger(__name__)

BEAT = 1.0
"""Seconds between two signs of life."""
_STUCK = 5.0
"""Seconds that one of them may take; a database that answers after two is slow, and no reason to go."""
QUIET = 3.0
"""Seconds after which a server without its lock is gone."""
SILENT = 8.0
"""Seconds after which one that has it is gone: it is paused, or cut off."""
_PAUSE = 0.5
OWN_LOCK = 0x506F7275
"""Beside a number of its own, in the lock of each server."""
_LEADER_LOCK = (0x506F7274, 0x6C65)

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_BEAT = f"UPDATE instances SET beat_at = {_NOW}, settings = %(settings)s WHERE id = %(id)s RETURNING {_NOW} AS now"
_REGISTER = f"""
INSERT INTO instances (id, lock, version, host, pid, url, settings, started_at, beat_at)
VALUES (%(id)s, %(lock)s, %(version)s, %(host)s, %(pid)s, %(url)s, %(settings)s, {_NOW}, {_NOW})"""
_LOCKED = """
SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
    AND l.classid::bigint = %(class)s AND l.objid::bigint = i.lock"""
_OTHERS = f"""
SELECT i.id, i.host, i.pid, i.version, i.settings, ({_NOW} - i.beat_at) / 1e6 AS quiet, EXISTS ({_LOCKED}) AS locked
FROM instances i WHERE i.id <> %(id)s"""
_CUT = f"""
SELECT pg_terminate_backend(found.pid) FROM instances i CROSS JOIN LATERAL ({_LOCKED}) found WHERE i.id = %(gone)s"""
_BURY = "DELETE FROM instances WHERE id = %(gone)s RETURNING id"
_TRY = "SELECT pg_try_advisory_lock(%s, %s) AS held"
_LEAD = f"""
INSERT INTO duties (name, holder, term, taken_at) VALUES (%(name)s, %(id)s, 1, {_NOW})
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = duties.term + 1, taken_at = excluded.taken_at
RETURNING term"""


@dataclass(frozen=True, slots=True)
class About:
    """What a server says of itself."""

    version: str
    url: str = ""
    """Where it listens, as far as it knows."""
    settings: str = ""
    """What it is set to; see marks_of."""


@dataclass(frozen=True, slots=True)
class Other:
    """What another server says of itself."""

    host: str
    pid: int
    version: str
    settings: str


class Lease:
    """Keeps this server's place. `join` once, then `run`; `leave` at the end."""

    def __init__(self, *, url: str, about: Callable[[], About], fence: Fence, duty: Duty) -> None:
        """The address of the database; `about` is told as it is by then, `fence` and `duty` are kept as things
        stand."""
        self._url, self._about, self._fence, self._duty = url, about, fence, duty
        self._held = AsyncExitStack()
        self._connection: Connection | None = None
        self._since = 0.0
        self._again = False
        """Whether it was connected before."""
        self._lock = 0
        self._resigned = False
        self.others: Sequence[Other] = ()
        """The other servers, at the last look."""
        self.skew = 0.0
        """Seconds that this machine's clock is before the database's."""
        self.trouble = ""
        """Why the others cannot see this server now."""
        self.on_buried: Callable[[], None] = lambda: None
        """Called when another server was found gone."""
        self.on_fenced: Callable[[], None] = lambda: None
        """Called when the others took this one for gone: it has another id from then on."""

    @property
    def joined(self) -> bool:
        """Whether the others can see this server now."""
        return self._connection is not None

    async def join(self) -> None:
        """Raises StorageError."""
        try:
            await self._connect()
            await self._once()
        except (psycopg.Error, TimeoutError) as error:
            await self._lose()
            raise StorageError(f"The other servers of the database cannot be joined: {error}") from error

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(BEAT if self._connection else _PAUSE)
            try:
                await self._connect()
                await self._once()
            except (psycopg.Error, TimeoutError) as error:
                if self._connection is not None:
                    log.warning("this server's place among the others is uncertain: %s", error)
                self.trouble = str(error) or "nothing answered in time"
                await self._lose()

    def resign(self) -> None:
        """This server is about to end: whatever one does for all another one should do soon."""
        self._resigned = True

    async def leave(self) -> None:
        """At once and in order: nobody has to find out."""
        self._duty.take()
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, TimeoutError):
                async with asyncio.timeout(_STUCK):
                    await connection.execute(_BURY, {"gone": self._fence.instance})
        await self._held.aclose()

    # ------------------------------------------------------------------ one's own place

    async def _connect(self) -> None:
        if self._connection is not None:
            return
        async with AsyncExitStack() as stack:
            name = f"Portal on {gethostname()} (process {os.getpid()})"
            connection = await stack.enter_async_context(session(self._url, name))
            async with asyncio.timeout(SILENT):
                await self._register(connection)
            self._held = stack.pop_all()
        self._connection, self._since = connection, monotonic()

    async def _register(self, connection: "Connection") -> None:
        """Under the id of before, as long as the others count on it."""
        about = self._about()
        known = self._fence.instance and await _row(connection, _BEAT, id=self._fence.instance, settings=about.settings)
        if known:
            await self._take_lock(connection, self._fence.instance)
            return
        fenced = bool(self._fence.instance)
        identity, self._lock = new_id("inst"), secrets.randbits(31)
        await self._take_lock(connection, identity)
        told = {**asdict(about), "host": gethostname(), "pid": os.getpid()}
        await connection.execute(_REGISTER, {"id": identity, "lock": self._lock, **told})
        self._fence.instance, self._fence.term = identity, 0
        if fenced:
            log.warning("the other servers took this one for gone: what it had under way is theirs now")
            self.on_fenced()

    async def _take_lock(self, connection: "Connection", identity: str) -> None:
        """It shows that this server lives. Where a connection of before still has it, that one ends first."""
        row = await _row(connection, _TRY, OWN_LOCK, self._lock)
        if row is None or not row["held"]:
            await connection.execute(_CUT, {"gone": identity, "class": OWN_LOCK})
            raise psycopg.OperationalError("a connection of before is there still")

    async def _lose(self) -> None:
        self._duty.take()
        self._again = True
        self._fence.term, self._connection = 0, None
        with suppress(psycopg.Error, TimeoutError):
            await self._held.aclose()

    # ------------------------------------------------------------------ all the time

    async def _once(self) -> None:
        """Whatever is asked together may take the time of one question, so that a slow database costs nobody their
        place."""
        connection = self._connection
        assert connection is not None
        async with asyncio.timeout(_STUCK):
            rows, first = await self._beat(connection)
        async with asyncio.timeout(_STUCK):
            if first:
                await self._lead(connection)
            elif self._resigned:
                await self._hand_over(connection)
        if gone := [row for row in rows if _is_gone(row)]:
            async with asyncio.timeout(_STUCK):
                await self._bury(connection, gone)
            self.on_buried()
            await self._once()  # the duty may have been theirs

    async def _beat(self, connection: "Connection") -> "tuple[Sequence[DictRow], bool]":
        """Show that this server lives, look at the others, and try to have the duty: those that may be gone, and
        whether it is this server's now. All is asked at once."""
        began, tried = micros(), None
        async with connection.pipeline():
            beaten = await connection.execute(_BEAT, {"id": self._fence.instance, "settings": self._about().settings})
            found = await connection.execute(_OTHERS, {"id": self._fence.instance, "class": OWN_LOCK})
            if not (self._duty.held or self._resigned):
                tried = await connection.execute(_TRY, _LEADER_LOCK)
        row = await beaten.fetchone()
        if row is None:
            raise psycopg.OperationalError("the others took this server for gone")
        self.skew = ((began + micros()) / 2 - row["now"]) / 1e6
        rows = await found.fetchall()
        held = await tried.fetchone() if tried is not None else None
        # after a failure of the database everybody else gets the time to come back first
        early = self._again and monotonic() - self._since < SILENT
        self.others = [
            Other(row["host"], row["pid"], row["version"], row["settings"])
            for row in rows
            if early or not _is_gone(row)
        ]
        return () if early else rows, held is not None and held["held"]

    async def _bury(self, connection: "Connection", gone: "Sequence[DictRow]") -> None:
        async with connection.pipeline():
            for row in gone:
                await connection.execute(_CUT, {"gone": row["id"], "class": OWN_LOCK})
            buried = [(row, await connection.execute(_BURY, {"gone": row["id"]})) for row in gone]
        for row, found in buried:
            if await found.fetchone():
                log.warning("the server on %s (process %s) is gone", row["host"], row["pid"])

    async def _hand_over(self, connection: "Connection") -> None:
        """Before this server ends, if there is another one."""
        if self._duty.held and self.others:
            self._duty.take()
            self._fence.term = 0
            await connection.execute("SELECT pg_advisory_unlock(%s, %s)", _LEADER_LOCK)

    async def _lead(self, connection: "Connection") -> None:
        row = await _row(connection, _LEAD, name=LEADER, id=self._fence.instance)
        assert row is not None
        self._fence.term = row["term"]
        log.info("this server does from now on what one does for all")
        self._duty.give()


async def _row(connection: "Connection", query: str, *places: object, **names: object) -> "DictRow | None":
    return await (await connection.execute(query, places or names)).fetchone()


def _is_gone(row: "DictRow") -> bool:
    """Its lock goes with its process; one that is missing for a moment may be on its way back. Whether there is such a
    process here says nothing: containers share names and numbers."""
    return bool(row["quiet"] > (SILENT if row["locked"] else QUIET))
