"""PostgreSQL through psycopg 3: a pool; every batch is one transaction, run again when another one got in its way."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import lru_cache
from socket import gethostname
from typing import TYPE_CHECKING, Literal, TypeVar

from portal.errors import (
    DataFolderBusy,
    PortalError,
    SettingsError,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from portal.extras import add_command
from portal.storage.database import Row, Statement, storable

try:
    import psycopg
    from psycopg import errors
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool
except ImportError as error:
    raise SettingsError(
        f"`database` names PostgreSQL, which needs the extra `postgres`: `{add_command('postgres')}`."
    ) from error

if TYPE_CHECKING:
    from psycopg import AsyncConnection

Result = TypeVar("Result")

OLDEST = 14
"""The major version of PostgreSQL that is needed."""
CONNECTIONS = 10
CONNECT_SECONDS = 10.0
ATTEMPTS = 8
"""How often a batch is run again while others get in its way (deadlock, serialisation)."""

OWN_SECONDS = 2.0
SERVER_LOCK = (0x506F7274, 0x616C)
"""The advisory lock, as PostgreSQL counts them per database, of the server that owns it."""

SELECT_OWNER = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
    AND l.classid::bigint = :classid AND l.objid::bigint = :objid"""

AWAY = "The database cannot be reached at present"

_IN_THE_WAY = (errors.DeadlockDetected, errors.SerializationFailure)
_CUT = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow, errors.IdleSessionTimeout)

IDLE_SECONDS = 8
"""A server that stands still in the middle of a write, as one whose machine sleeps, holds what it has locked no longer:
others want it to take over."""
_RESTARTED = CONNECTIONS + 2
"""How often work is begun again on another connection: after a restart of the server every idle one is a dead one."""

_TOKEN = re.compile(r"'(?:[^']|'')*'|::|:([a-z_][a-z0-9_]*)|%")


class PostgresDatabase:
    """The database port on a PostgreSQL server. `open` makes one; `aclose` must be awaited."""

    dialect: Literal["sqlite", "postgres"] = "postgres"

    def __init__(
        self, *, url: str, pool: "AsyncConnectionPool[AsyncConnection[Row]]", tasks: asyncio.TaskGroup
    ) -> None:
        """`tasks` carries out batches whose callers were cancelled."""
        self.url, self._pool, self._tasks = url, pool, tasks
        self._ownership = AsyncExitStack()
        self._contended = asyncio.Lock()

    @classmethod
    async def open(
        cls, url: str, tasks: asyncio.TaskGroup, seconds: float = CONNECT_SECONDS, oldest: int = OLDEST
    ) -> "PostgresDatabase":
        """Connect, within so many seconds, to a server of this major version or a newer one.

        Raises:
            SettingsError: the address is malformed.
            StorageError: the server does not answer, does not let us in, or is too old.
        """
        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise SettingsError(f"`database` is not a PostgreSQL address: {error}") from error
        await _try(url, seconds, oldest)
        pool: AsyncConnectionPool[AsyncConnection[Row]] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=CONNECTIONS,
            open=False,
            timeout=seconds,
            reconnect_timeout=seconds,
            configure=_bound,
            kwargs={"row_factory": dict_row, "autocommit": True},
        )
        await pool.open()
        return cls(url=url, pool=pool, tasks=tasks)

    async def own(self, seconds: float = OWN_SECONDS) -> None:
        """See Database; servers share it, but not with one of an older Portal, which wants it for itself: waits so many
        seconds for one that is just ending.

        A lock held by a connection of its own: it goes with the process, however that ends.
        """
        name = f"Portal on {gethostname()} (process {os.getpid()})"
        async with AsyncExitStack() as stack:
            try:
                connecting = psycopg.AsyncConnection.connect(self.url, autocommit=True, application_name=name)
                connection = await stack.enter_async_context(await connecting)
                await connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{round(seconds * 1000)}ms"])
                await connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", SERVER_LOCK)
            except errors.LockNotAvailable as error:
                raise DataFolderBusy(
                    f"The database is in use by {await self._owner()}, of an older version that shares it with nobody. "
                    "Stop that server first, or give this one a database of its own."
                ) from error
            except psycopg.Error as error:
                raise translated(error) from error
            self._ownership = stack.pop_all()

    async def _owner(self) -> str:
        rows = await self.fetch(SELECT_OWNER, classid=SERVER_LOCK[0], objid=SERVER_LOCK[1])
        return next((row["application_name"] for row in rows if row["application_name"]), "another Portal")

    async def fetch(self, sql: str, **args: object) -> list[Row]:
        """See Database."""
        query = Statement(sql, args)
        return await self._read(lambda connection: _run(connection, query))

    async def snapshot(self, queries: Sequence[Statement]) -> list[list[Row]]:
        """See Database."""

        async def read(connection: "AsyncConnection[Row]") -> list[list[Row]]:
            async with connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                return [await _run(connection, query) for query in queries]

        return await self._read(read)

    async def _read(self, read: "Callable[[AsyncConnection[Row]], Awaitable[Result]]") -> Result:
        """Reading changes nothing: on a dead connection it is begun again."""
        for attempt in range(_RESTARTED):
            try:
                with _cancellable():
                    async with self._pool.connection() as connection:
                        return await read(connection)
            except psycopg.Error as error:
                if attempt + 1 < _RESTARTED and _is_cut(error):
                    continue
                raise translated(error) from error
        raise AssertionError("unreachable")

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """See Database; a task of its own carries it out, whatever becomes of the caller."""
        done: asyncio.Future[list[list[Row]]] = asyncio.get_running_loop().create_future()
        self._tasks.create_task(self._carry_out(statements, done))
        return await done

    async def scrub(self) -> bool:
        """See Database."""
        return True

    async def aclose(self) -> None:
        """Close the pool, and own nothing any more."""
        await self._pool.close()
        await self._ownership.aclose()

    async def _carry_out(self, statements: Sequence[Statement], done: "asyncio.Future[list[list[Row]]]") -> None:
        try:
            rows = await self._attempt(statements)
        except PortalError as error:
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(rows)
        finally:
            done.cancel()

    async def _attempt(self, statements: Sequence[Statement]) -> list[list[Row]]:
        try:
            return await self._transaction(statements)
        except _IN_THE_WAY:
            pass
        async with self._contended:  # one at a time, so that they stop getting in each other's way
            for _ in range(ATTEMPTS):
                try:
                    return await self._transaction(statements)
                except _IN_THE_WAY as error:
                    last = error
        raise translated(last) from last

    async def _transaction(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Begun again where the connection was dead before anything could be committed; never after that."""
        for attempt in range(_RESTARTED):
            ran: list[list[Row]] = []
            try:
                async with self._pool.connection() as connection, connection.transaction():
                    ran += [await _run(connection, statement) for statement in statements]
                return ran
            except _IN_THE_WAY:
                raise
            except psycopg.Error as error:
                if attempt + 1 < _RESTARTED and not ran and _is_cut(error):
                    continue
                raise translated(error) from error
        raise AssertionError("unreachable")


async def _bound(connection: "AsyncConnection[Row]") -> None:
    await connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")


@contextmanager
def _cancellable() -> Iterator[None]:
    """Whoever is cancelled in here hears of it. psycopg waits with `asyncio.wait_for`, which before Python 3.12 loses a
    cancellation that comes in the very moment in which what it waits for is there."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    yield
    if task and task.cancelling() > before:
        raise asyncio.CancelledError


async def _try(url: str, seconds: float, oldest: int) -> None:
    """Connect once outside the pool, which would only say that it waited in vain."""
    try:
        async with asyncio.timeout(seconds), await psycopg.AsyncConnection.connect(url) as connection:
            version = connection.info.server_version // 10_000
    except (psycopg.Error, TimeoutError) as error:
        raise StorageError(f"The PostgreSQL server of `database` cannot be used: {error}") from error
    if version < oldest:
        raise StorageError(
            f"The PostgreSQL server of `database` is version {version}; Portal needs {oldest} or newer. "
            "Nothing was touched."
        )


async def _run(connection: "AsyncConnection[Row]", statement: Statement) -> list[Row]:
    try:
        if statement.args:
            cursor = await connection.execute(translated_sql(statement.sql), storable(statement.args))
        else:
            cursor = await connection.execute(statement.sql)
    except errors.IntegrityError as error:
        raise statement.violated() from error
    rows = await cursor.fetchall() if cursor.description is not None else []
    statement.check(cursor.rowcount)
    return rows


@lru_cache(maxsize=1024)
def translated_sql(sql: str) -> str:
    """`:name` arguments as psycopg writes them; text in quotes, casts and percent signs stay what they are."""

    def replace(match: re.Match[str]) -> str:
        return f"%({match[1]})s" if match[1] else match[0].replace("%", "%%")

    return _TOKEN.sub(replace, sql)


def _is_cut(error: psycopg.Error) -> bool:
    """Whether a connection that was there is lost; not that none could be had in time."""
    return isinstance(error, _CUT) or (type(error) is psycopg.OperationalError and error.sqlstate is None)


def translated(error: psycopg.Error) -> StorageError:
    """What an error of the driver means."""
    if isinstance(error, errors.DiskFull):
        return StorageFull(f"The database's disk is full, nothing was stored: {error}")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return StorageReadOnly()
    if isinstance(error, _IN_THE_WAY):
        return StorageError(f"The database failed: {error}")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return StorageUnavailable(f"{AWAY}: {error}")
    return StorageError(f"The database failed: {error}")
