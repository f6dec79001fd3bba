"""What a connection of the pool cannot do: statements that no transaction may be around, and having it alone."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from socket import gethostname
from typing import Literal

import psycopg
from psycopg.rows import dict_row

from portal.errors import DataFolderBusy, StorageUnavailable
from portal.storage.database import Row, storable
from portal.storage.postgres import AWAY, SERVER_LOCK, translated, translated_sql
from portal.storage.sessions import session


async def run_alone(url: str, *sql: str) -> None:
    """Run statements one after another on a connection of their own, each by itself. Raises StorageError."""
    try:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            for statement in sql:
                await connection.execute(statement.encode())
    except psycopg.Error as error:
        raise translated(error) from error


async def ask_alone(url: str, sql: str) -> list[Row]:
    """The rows of one query, where nothing else is needed of the database. Raises StorageError."""
    try:
        connecting = psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=10)
        async with await connecting as connection:
            return await (await connection.execute(sql.encode())).fetchall()
    except psycopg.Error as error:
        raise translated(error) from error


async def own_alone(url: str, stack: AsyncExitStack) -> None:
    """Have the database until the stack is closed; no server can start on it meanwhile.

    Raises:
        DataFolderBusy: a server has it.
        StorageError: it cannot be reached.
    """
    name = f"A move on {gethostname()} (process {os.getpid()})"
    try:
        connecting = psycopg.AsyncConnection.connect(url, autocommit=True, application_name=name)
        connection = await stack.enter_async_context(await connecting)
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s, %s)", SERVER_LOCK)
        taken = await cursor.fetchone()
    except psycopg.Error as error:
        raise translated(error) from error
    if taken != (True,):
        raise DataFolderBusy("The database is in use by a Portal that is running. Stop it first.")


class Moment:
    """A database as it was at one moment, whatever others write to it since."""

    dialect: Literal["sqlite", "postgres"] = "postgres"

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        """Within a transaction that sees that moment."""
        self._connection = connection

    async def fetch(self, sql: str, **args: object) -> list[Row]:
        """See Readable."""
        try:
            cursor = await self._connection.execute(translated_sql(sql), storable(args))
            return await cursor.fetchall()
        except psycopg.Error as error:
            raise translated(error) from error


@asynccontextmanager
async def one_moment(url: str) -> AsyncIterator[Moment]:
    """The database as it is now, until the context is left. Raises StorageError."""
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(session(url))
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        except psycopg.Error as error:
            raise translated(error) from error
        except TimeoutError as error:
            raise StorageUnavailable(f"{AWAY}: it does not answer.") from error
        yield Moment(connection)
