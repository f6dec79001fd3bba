"""Bring a SQLite database that holds something to the newest schema: a copy is migrated and verified, then takes the
database's place in one step; the database as it was stays beside it. Whatever fails or kills it before that step leaves
the database untouched, after it the new one is there.
"""

import asyncio
import fcntl
import logging
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import apsw

from portal.errors import PortalError, StorageError, StorageFull
from portal.storage.backups.checking import check_database
from portal.storage.backups.sqlite_frozen import row_counts
from portal.storage.data_folder import flush, make_private_file
from portal.storage.migrate import Migration, applied, migrate
from portal.storage.sqlite import SqliteDatabase
from portal.storage.sqlite_errors import translated

log = logging.getLogger(__name__)

SNAPSHOT = ".schema-"
"""Between the database's name and the schema of a copy from before an upgrade."""
_OF_MIGRATIONS = ("schema_versions", "schema_compatible")
"""Tables to which migrations add rows of their own."""
_DRAFT, _LOCK = ".upgraded", ".upgrading"
_BESIDE = ("", "-wal", "-shm", "-journal")
_ATTEMPTS, _PAUSE = 200, 0.05
"""Ten seconds for commands that are about to end."""
_ROOM = 2
"""The copy, and what migrating it writes beside it."""
_SAMPLE = 20
"""Rows from each end of a table that are looked for again."""


async def upgrade(path: Path, migrations: Sequence[Migration], *, keep: int, vfs: str | None = None) -> None:
    """Whoever has it open must close it before. Of several that upgrade at once one does, the others wait for it.

    `keep` is how many copies from before upgrades stay; `vfs` names the apsw VFS of the draft.

    Raises:
        StorageFull: it needs more room; the database is as it was.
        StorageError: it failed, or another program has the database open; the database is as it was.
    """
    with ExitStack() as stack:
        await asyncio.to_thread(_take, stack, path)
        there = await _applied(path, migrations)
        if there >= len(migrations):
            return
        schema, newest = migrations[there - 1].version, migrations[-1].version
        log.info("the database goes from schema %d to %d; upgrading a copy of it first", schema, newest)
        try:
            await _upgrade(path, migrations, schema, vfs)
        except (PortalError, OSError, apsw.Error) as error:
            ours = error if isinstance(error, StorageError) else translated(error)
            raise type(ours)(
                f"The upgrade of {path} from schema {schema} to {newest} was undone; the database is as it was. {ours}"
            ) from error
        finally:
            _remove(path.with_name(path.name + _DRAFT))
        log.info("the database has schema %d; how it was before is kept as %s", newest, snapshot_of(path, schema))
        _prune(path, keep)


async def awaited(path: Path) -> None:
    """Wait while another process upgrades this database."""
    if path.with_name(path.name + _LOCK).exists():
        with ExitStack() as stack:
            await asyncio.to_thread(_take, stack, path)


def snapshot_of(path: Path, schema: int) -> Path:
    """Where the database is kept as it was with this schema."""
    return path.with_name(f"{path.name}{SNAPSHOT}{schema}")


def snapshots(path: Path) -> list[tuple[int, Path]]:
    """Schema and place of what earlier upgrades kept, the newest schema first."""
    found = [(one.name.removeprefix(path.name + SNAPSHOT), one) for one in path.parent.glob(f"{path.name}{SNAPSHOT}*")]
    return sorted(((int(schema), one) for schema, one in found if schema.isdecimal()), reverse=True)


def schema_of(path: Path) -> int:
    """Of a database that nobody has open. Raises StorageError."""
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return int(connection.pragma("user_version"))
        finally:
            connection.close()
    except apsw.Error as error:
        raise translated(error) from error


def _take(stack: ExitStack, path: Path) -> None:
    """Be the only one who upgrades it, until the stack is left."""
    lock = path.with_name(path.name + _LOCK)
    try:
        while True:
            handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if lock.exists() and os.path.samestat(os.fstat(handle), lock.stat()):
                break
            os.close(handle)  # whoever had it before has deleted it meanwhile
    except OSError as error:
        raise translated(error) from error
    stack.callback(os.close, handle)
    stack.callback(lock.unlink, missing_ok=True)


async def _applied(path: Path, migrations: Sequence[Migration]) -> int:
    database = SqliteDatabase(path=path)
    try:
        return await applied(database, migrations)
    finally:
        await database.aclose()


async def _upgrade(path: Path, migrations: Sequence[Migration], schema: int, vfs: str | None) -> None:
    _check_room(path)
    draft = path.with_name(path.name + _DRAFT)
    _remove(draft)
    with closing(await asyncio.to_thread(_only, path)) as source:
        before = await asyncio.to_thread(_look, source)
        await asyncio.to_thread(_copy, source, draft)
        log.info("a copy of the database is there; changing its schema")
        copy = SqliteDatabase(path=draft, vfs=vfs)
        try:
            await migrate(copy, migrations)
        finally:
            await copy.aclose()
        log.info("the copy has the new schema; verifying it")
        await asyncio.to_thread(_verify, draft, before)
        log.info("the copy is well; it takes the database's place")
        _keep(source, path, snapshot_of(path, schema))
        flush(draft)
        draft.replace(path)
        flush(path.parent)


def _check_room(path: Path) -> None:
    size, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    if free < _ROOM * size:
        raise StorageFull(
            f"It needs {_ROOM * size / 2**20:,.0f} MB of free disk in {path.parent}, and {free / 2**20:,.0f} MB are "
            "there. Make room, then start again."
        )


def _only(path: Path) -> apsw.Connection:
    """The database in its one file, opened and kept from everybody else until it is closed.

    Raises StorageError and apsw.Error.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        _shut_others_out(connection, path)
    except (StorageError, apsw.Error):
        connection.close()
        raise
    return connection


def _shut_others_out(connection: apsw.Connection, path: Path) -> None:
    """None is connected while the journal's mode changes; after an exclusive transaction the lock stays."""
    for _ in range(_ATTEMPTS):
        try:
            if connection.pragma("journal_mode", "delete") == "delete":
                for step in ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", "COMMIT"):
                    connection.execute(step).fetchall()
                return
        except apsw.BusyError:
            log.debug("another program still has the database open")
        time.sleep(_PAUSE)
    raise StorageError(f"Another program has {path} open, maybe a Portal of the version before: stop it first.")


@dataclass(frozen=True, slots=True)
class _Before:
    """What must be there again: how many rows each table has, and the keys of some of them."""

    rows: Mapping[str, int]
    samples: Mapping[str, list[tuple[object, ...]]]


def _look(source: apsw.Connection) -> _Before:
    rows = row_counts(source)
    return _Before(rows, {table: _sample(source, table) for table in rows})


def _copy(source: apsw.Connection, draft: Path) -> None:
    make_private_file(draft)
    copy = apsw.Connection(str(draft), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        with copy.backup("main", source, "main") as backup:
            backup.step(-1)
    finally:
        copy.close()


def _keys(connection: apsw.Connection, table: str) -> list[str]:
    columns = connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)).fetchall()
    return [f'"{name}"' for (name,) in columns]


def _sample(connection: apsw.Connection, table: str) -> list[tuple[object, ...]]:
    """Keys of the first and the last rows, in the order of the keys."""
    keys = _keys(connection, table)
    if not keys:
        return []
    found: list[tuple[object, ...]] = []
    for way in ("ASC", "DESC"):
        order = ", ".join(f"{key} {way}" for key in keys)
        found += connection.execute(f'SELECT {", ".join(keys)} FROM "{table}" ORDER BY {order} LIMIT {_SAMPLE}')
    return found


def _verify(draft: Path, before: _Before) -> None:
    """Raises StorageError and apsw.Error."""
    connection = apsw.Connection(str(draft), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        for (finding,) in connection.execute("PRAGMA integrity_check(1)"):
            if finding != "ok":
                raise StorageError(f"The upgraded copy is damaged: {finding}.")
        for table, *_ in connection.execute("PRAGMA foreign_key_check"):
            raise StorageError(f"The upgraded copy has rows in {table} that point at nothing.")
        _compare(connection, before)
    finally:
        connection.close()


def _compare(connection: apsw.Connection, before: _Before) -> None:
    """Of tables that both have; one that a migration took away is not missed."""
    now = row_counts(connection)
    for table, count in before.rows.items():
        if table in now and now[table] != count and table not in _OF_MIGRATIONS:
            raise StorageError(f"The upgraded copy has {now[table]} rows in {table} in place of {count}.")
    for table, sample in before.samples.items():
        if table not in now or not sample:
            continue
        keys = _keys(connection, table)
        if len(keys) != len(sample[0]):
            continue
        which = " AND ".join(f"{key} = ?" for key in keys)
        for row in sample:
            found = connection.execute(f'SELECT * FROM "{table}" WHERE {which}', row).fetchall()
            if len(found) != 1:
                raise StorageError(f"The upgraded copy has lost a row of {table}.")


def _keep(source: apsw.Connection, path: Path, snapshot: Path) -> None:
    """Another name for the file that is about to lose its own."""
    snapshot.unlink(missing_ok=True)
    try:
        snapshot.hardlink_to(path)
    except OSError:  # a file system without such names
        _copy(source, snapshot)
    flush(path.parent)


def _remove(draft: Path) -> None:
    for ending in _BESIDE:
        draft.with_name(draft.name + ending).unlink(missing_ok=True)


def _prune(path: Path, keep: int) -> None:
    for schema, one in snapshots(path)[keep:]:
        try:
            one.unlink()
        except OSError as error:
            log.warning("the copy %s cannot be deleted: %s", one, error)
        else:
            log.info("the copy with schema %d is deleted: the setting backup.snapshots keeps %d", schema, keep)


def put_back(path: Path, snapshot: Path) -> Path:
    """Let a copy from before an upgrade be the database again; where the one that it replaces is now.

    The copy stays where it is as well, so that this can be done once more. For whoever has the data folder's lock.

    Raises:
        StorageError: the copy is not whole, or another program has the database open; nothing was changed.
    """
    draft = path.with_name(path.name + _DRAFT)
    try:
        _remove(draft)
        shutil.copy2(snapshot, draft)
        check_database(draft, None)
        flush(draft)
        aside = _free(path)
        with closing(_only(path)) as source:
            _keep(source, path, aside)
            draft.replace(path)
            flush(path.parent)
    except (OSError, apsw.Error) as error:
        raise translated(error) from error
    finally:
        _remove(draft)
    return aside


def _free(path: Path) -> Path:
    number = 1
    while (place := path.with_name(f"{path.name}.aside-{number}")).exists():
        number += 1
    return place
