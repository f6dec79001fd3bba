"""The SharedCalls port on PostgreSQL: a row for each call, on a connection that is there only where it is asked for."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import psycopg

from portal.core.peers import Standing
from portal.errors import StorageUnavailable
from portal.storage.sessions import STUCK, session

if TYPE_CHECKING:
    from psycopg.rows import DictRow

    Connection = psycopg.AsyncConnection[DictRow]

_LOCK_CLASS = 0x506F7263

_PREPARE = "SELECT set_config('synchronous_commit', 'off', false)"
"""Rows that a crash of the database forgets are said again."""
_ALONE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %(name)s AND pid <> pg_backend_pid()"""
"""What was sent on a connection of before must not be carried out after what is sent on this one."""

# Nobody comes between these: a call that is stored has no other one before it from then on.
_LOCK = f"SELECT pg_advisory_xact_lock({_LOCK_CLASS}, hashtext(%(backend)s))"
_LEFT = """
DELETE FROM model_calls WHERE backend = %(backend)s AND instance = %(me)s AND id <> ALL(%(calls)s::text[])"""
_CAME = """
INSERT INTO model_calls (id, backend, instance, place)
SELECT call, %(backend)s, %(me)s,
    number + (SELECT coalesce(max(place), 0) FROM model_calls WHERE backend = %(backend)s)
FROM unnest(%(calls)s::text[]) WITH ORDINALITY AS mine (call, number)
ON CONFLICT (id) DO NOTHING"""
_STANDING = "SELECT id, instance FROM model_calls WHERE backend = %(backend)s ORDER BY place"


class PostgresCalls:
    """The SharedCalls port."""

    def __init__(self, *, url: str, me: Callable[[], str]) -> None:
        """`me` is this server's id among the others; it may become another one."""
        self._url, self._me = url, me
        self._held = AsyncExitStack()
        self._connection: Connection | None = None
        self._as = ""

    async def settle(self, backend: str, calls: Sequence[str]) -> Standing:
        """See SharedCalls."""
        try:
            if self._as != self._me():
                await self.aclose()
            connection = self._connection or await self._connect()
            async with asyncio.timeout(STUCK):
                return await self._settle(connection, {"backend": backend, "calls": [*calls], "me": self._as})
        except (psycopg.Error, TimeoutError) as error:
            await self.aclose()
            raise StorageUnavailable(str(error) or "The database did not answer in time.") from error

    async def _connect(self) -> "Connection":
        me = self._me()
        name = f"Portal's calls of {me}"
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(session(self._url, name))
            async with asyncio.timeout(2 * STUCK):
                await connection.execute(_ALONE, {"name": name})
                await connection.execute(_PREPARE)
            self._held = stack.pop_all()
        self._connection, self._as = connection, me
        return connection

    async def _settle(self, connection: "Connection", args: dict[str, object]) -> Standing:
        # Sent at once, and one transaction as they are: whoever stands still in the middle keeps the lock from nobody.
        async with connection.pipeline():
            await connection.execute(_LOCK, args)
            left = await connection.execute(_LEFT, args)
            came = await connection.execute(_CAME, args)
            standing = await connection.execute(_STANDING, args)
        rows = await standing.fetchall()
        return Standing(
            before={row["id"]: place for place, row in enumerate(rows) if row["instance"] == args["me"]},
            others=[place for place, row in enumerate(rows) if row["instance"] != args["me"]],
            changed=left.rowcount + came.rowcount > 0,
        )

    async def aclose(self) -> None:
        """See SharedCalls."""
        self._connection, self._as = None, ""
        with suppress(psycopg.Error, TimeoutError):
            await self._held.aclose()
