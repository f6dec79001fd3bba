"""Tools that read databases by SQL: files of SQLite and DuckDB, table files, and PostgreSQL servers of the settings."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Protocol
from urllib.parse import quote

import apsw
from pydantic import SecretStr

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext
from portal.errors import ToolError
from portal.extras import add_command
from portal.settings.data import SqlSettings
from portal.tools.datafiles import Rows, Table, in_thread, opened
from portal.tools.families import Needs
from portal.tools.folders import Folders, granted
from portal.tools.function import Functions, tool

_LARGEST = 20 * 2**30
_MAGIC = b"SQLite format 3\0"
_SILENT = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list"}
"""Pragmas that only tell."""
_TABLES = """SELECT m.name, p.name, p.type FROM sqlite_schema m, pragma_table_info(m.name) p
    WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, p.cid"""
_POSTGRES_TABLES = """SELECT table_schema || '.' || table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, ordinal_position"""
Database = Annotated[str, "A database or table file, or the name of a configured database"]


class Source(Protocol):
    """One database that can be asked."""

    async def query(self, sql: str, most: int) -> Rows:
        """Raises ToolError."""

    async def columns(self) -> Mapping[str, Mapping[str, str]]:
        """Tables, and the types of their columns. Raises ToolError."""


class Sql:
    """The family, with what it may read."""

    def __init__(self, *, settings: SqlSettings, folders: Folders) -> None:
        self._settings = settings
        self._folders = folders

    @tool(risk="read", scopes={"database": "path"}, untrusted=True)
    async def query_database(
        self, database: Database, sql: Annotated[str, "One SELECT; a table file's table is called data"],
        context: ToolContext,
    ) -> str:  # fmt: skip
        """Run a read-only SQL query on an SQLite, DuckDB, CSV, Excel, Parquet or JSON file, or a named database."""
        return str(await self._source(database, context).query(sql, self._settings.rows))

    @tool(risk="read", scopes={"database": "path"}, untrusted=True)
    async def describe_database(self, database: Database, context: ToolContext) -> str:
        """List the tables and columns of a database, before you query it."""
        found = await self._source(database, context).columns()
        lines = [f"{table}({', '.join(f'{n} {t}'.strip() for n, t in held.items())})" for table, held in found.items()]
        return "\n".join(lines) or "It has no tables."

    def _source(self, database: str, context: ToolContext) -> Source:
        seconds = self._settings.seconds
        if database in self._settings.databases:
            return _Postgres(database, self._settings.databases[database], seconds)
        try:
            path = self._folders.file(database, context, largest=_LARGEST).path
        except ToolError as error:
            named = ", ".join(self._settings.databases)
            raise ToolError(f"{error.message}{f' Databases: {named}.' if named else ''}") from error
        with path.open("rb") as file:
            sqlite = file.read(len(_MAGIC)) == _MAGIC
        return _Sqlite(path, seconds) if sqlite else _Duck(path, seconds)


class _Sqlite:
    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._stopped = False

    async def query(self, sql: str, most: int) -> Rows:
        return await in_thread(lambda: self._run(sql, most), self._stop)

    async def columns(self) -> Mapping[str, Mapping[str, str]]:
        return _by_table(await self.query(_TABLES, 2000))

    def _stop(self) -> None:
        self._stopped = True

    def _run(self, sql: str, most: int) -> Rows:
        deadline = time.monotonic() + self._seconds
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        try:
            connection = apsw.Connection(f"file:{quote(str(self._path))}?mode=ro", flags=flags)
            try:
                connection.limit(apsw.SQLITE_LIMIT_LENGTH, 10_000_000)
                connection.set_progress_handler(lambda: self._stopped or time.monotonic() > deadline, 10_000)
                connection.authorizer = _allowed
                return _first_statement(connection, sql, most)
            finally:
                connection.close()
        except apsw.InterruptError as error:
            raise ToolError(f"This takes longer than {self._seconds:g} seconds; ask for less.") from error
        except apsw.AuthError as error:
            raise ToolError("Only reading is possible here: use one SELECT query.") from error
        except apsw.Error as error:
            raise ToolError(str(error)) from error


def _first_statement(connection: apsw.Connection, sql: str, most: int) -> Rows:
    cursor = connection.execute(sql.strip().rstrip(";"))
    try:
        columns = [column[0] for column in cursor.get_description()]
    except apsw.ExecutionCompleteError:
        columns = []
    rows: list[tuple[apsw.SQLiteValue, ...]] = []
    for row in cursor:
        if len(rows) == most:
            return Rows(columns=columns, rows=rows, more=True)
        rows.append(row)
    return Rows(columns=columns, rows=rows)


def _allowed(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    reading = action in (apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_RECURSIVE)
    calling = action == apsw.SQLITE_FUNCTION and second != "load_extension"
    telling = action == apsw.SQLITE_PRAGMA and first in _SILENT
    return apsw.SQLITE_OK if reading or calling or telling else apsw.SQLITE_DENY


class _Duck:
    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._table: Table | None = None

    async def query(self, sql: str, most: int) -> Rows:
        def run() -> Rows:
            with opened(self._path, seconds=self._seconds) as self._table:
                return self._table.query(sql, most=most)

        return await in_thread(run, self._stop)

    async def columns(self) -> Mapping[str, Mapping[str, str]]:
        def run() -> Mapping[str, Mapping[str, str]]:
            with opened(self._path, seconds=self._seconds) as self._table:
                return self._table.columns()

        return await in_thread(run, self._stop)

    def _stop(self) -> None:
        if self._table:
            self._table.interrupt()


class _Postgres:
    """A server-side cursor in a read-only transaction: it takes one SELECT and nothing else."""

    def __init__(self, name: str, url: SecretStr, seconds: float) -> None:
        self._name = name
        self._url = url
        self._seconds = seconds

    async def query(self, sql: str, most: int) -> Rows:
        try:
            import psycopg
        except ImportError as error:
            raise ToolError(f"PostgreSQL needs psycopg: install it with `{add_command('postgres')}`.") from error
        options = f"-c default_transaction_read_only=on -c statement_timeout={int(self._seconds * 1000)}"
        try:
            async with (
                await psycopg.AsyncConnection.connect(
                    self._url.get_secret_value(), options=options, connect_timeout=10
                ) as connection,
                connection.cursor(name="portal") as cursor,
            ):
                await cursor.execute(sql.strip().rstrip(";").encode())
                rows = await cursor.fetchmany(most + 1)
                columns = [column.name for column in cursor.description or ()]
        except psycopg.OperationalError as error:
            if isinstance(error, psycopg.errors.QueryCanceled):
                raise ToolError(f"This takes longer than {self._seconds:g} seconds; ask for less.") from error
            raise ToolError(f"The database {self._name!r} cannot be reached.") from error
        except psycopg.Error as error:
            raise ToolError(str(error).splitlines()[0]) from error
        return Rows(columns=columns, rows=rows[:most], more=len(rows) > most)

    async def columns(self) -> Mapping[str, Mapping[str, str]]:
        return _by_table(await self.query(_POSTGRES_TABLES, 2000))


def _by_table(found: Rows) -> Mapping[str, Mapping[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in found.rows:
        tables.setdefault(table, {})[column] = kind
    return tables


def create(needs: Needs) -> Toolset:
    """The family `sql`."""
    sql = Sql(settings=needs.settings.sql, folders=granted(needs.settings))
    return Functions("sql", [sql.query_database, sql.describe_database])
