"""Both ends of a move: the database that is left, which is only read, and the empty one that it goes to."""

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from portal.errors import SettingsError, StorageError
from portal.storage.backups.data_files import DATABASE_NAME
from portal.storage.data_folder import lock_data_folder
from portal.storage.database import Database
from portal.storage.migrate import check_current, migrate, packaged

SQLITE = "sqlite:"
POSTGRES = ("postgresql://", "postgres://")

# Rows that were ever written, which only writing changes.
WRITTEN = """
SELECT d.oid, COALESCE(SUM(t.n_tup_ins + t.n_tup_upd + t.n_tup_del), 0) AS rows
FROM pg_database d LEFT JOIN pg_stat_user_tables t ON TRUE WHERE d.datname = current_database() GROUP BY d.oid"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database is: a file, or the address of a PostgreSQL server's."""

    path: Path | None = None
    url: str = ""

    @property
    def dialect(self) -> str:
        """The engine."""
        return "sqlite" if self.path is not None else "postgres"

    def __str__(self) -> str:
        """Without a password."""
        if self.path is not None:
            return str(self.path)
        before, at, host = self.url.partition("//")[2].rpartition("@")
        return f"postgresql://{before.split(':')[0]}{at}{host}"


def place_of(text: str, data_dir: Path) -> Place:
    """`postgresql://...`, `sqlite:PATH` (a folder or a file in it), or `sqlite:` and nothing for the data folder.

    Raises:
        SettingsError: it is neither.
    """
    if not text:
        return Place(path=data_dir / DATABASE_NAME)
    if text.startswith(POSTGRES):
        return Place(url=text)
    if not text.startswith(SQLITE):
        raise SettingsError(f"{text!r} is no place to move to: name postgresql://... or sqlite:PATH.")
    path = Path(text.removeprefix(SQLITE) or data_dir).expanduser().absolute()
    return Place(path=path if path.suffix == ".db" else path / DATABASE_NAME)


@dataclass(frozen=True, slots=True)
class Ends:
    """Open until the stack that they were opened on is closed."""

    source: Database
    target: Database
    fingerprint: str
    """Of what the source holds: another one after any change."""


async def open_ends(source: Place, target: Place, data_dir: Path, stack: AsyncExitStack) -> Ends:
    """Open both; nobody else has either of them until they are closed.

    Raises:
        DataFolderBusy: a server has one of them.
        SettingsError: both are of the same engine.
        StorageError: one of them cannot be used, or the source is of an older Portal.
    """
    if source.dialect == target.dialect:
        raise SettingsError(f"The data is in {source.dialect} already; move to the other engine.")
    folders = {data_dir} | {place.path.parent for place in (source, target) if place.path is not None}
    for folder in sorted(folders):
        stack.enter_context(lock_data_folder(folder, f"a move to another database (process {os.getpid()})"))
    tasks = await asyncio.TaskGroup().__aenter__()
    # Not told about errors of the caller's block, which it would wrap: by then its tasks are at their end.
    stack.push_async_callback(tasks.__aexit__, None, None, None)
    left = await _open_source(source, stack, tasks)
    fingerprint = await asyncio.to_thread(_state, source.path) if source.path else await _written(left)
    arrived = await _open(target, stack, tasks)
    await migrate(arrived, packaged(target.dialect))
    return Ends(left, arrived, fingerprint)


async def _open_source(place: Place, stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> Database:
    if place.path is not None:
        if not place.path.exists():
            raise StorageError(f"There is no database at {place.path}.")
        _prepare(place.path)
        await asyncio.to_thread(_settle, place.path)
    database = await _open(place, stack, tasks)
    await check_current(database, packaged(place.dialect))
    return database


async def _open(place: Place, stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> Database:
    if place.path is not None:
        from portal.storage.sqlite import SqliteDatabase

        _prepare(place.path)
        lite = SqliteDatabase(path=place.path)
        stack.push_async_callback(lite.aclose)
        return lite
    from portal.storage.postgres import PostgresDatabase
    from portal.storage.postgres_alone import own_alone

    database = await PostgresDatabase.open(place.url, tasks)
    stack.push_async_callback(database.aclose)
    await own_alone(place.url, stack)
    return database


def _prepare(path: Path) -> None:
    from portal.storage.sqlite import prepare

    prepare(path, newest=packaged("sqlite")[-1].version)


def _settle(path: Path) -> None:
    """What an earlier server left in the files beside it goes into the file itself, so that its state can be told."""
    import apsw

    from portal.storage.sqlite_errors import translated

    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
    except apsw.Error as error:
        raise translated(error) from error


def _state(path: Path) -> str:
    there = path.stat()
    return f"sqlite {there.st_ino} {there.st_size} {there.st_mtime_ns}"


async def _written(database: Database) -> str:
    (row,) = await database.fetch(WRITTEN)
    return f"postgres {row['oid']} {row['rows']}"
