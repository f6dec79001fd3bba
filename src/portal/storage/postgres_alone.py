"""What a connection of the pool cannot do: statements that no transaction may be around, and having it alone."""

import os
from contextlib import AsyncExitStack
from socket import gethostname

import psycopg
from psycopg.rows import dict_row

from portal.errors import DataFolderBusy
from portal.storage.database import Row
from portal.storage.postgres import SERVER_LOCK, translated


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
