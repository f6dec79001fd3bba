"""Open the database that the settings name, at this Portal's schema, and where the content of files is."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from portal.errors import SettingsError, StorageError
from portal.settings import Settings
from portal.settings.files import FileSettings
from portal.storage.backups.data_files import DATABASE_NAME, RESTORING
from portal.storage.contents import Contents
from portal.storage.database import Database
from portal.storage.migrate import Migration, applied, migrate, missing_versions, packaged
from portal.storage.search import Search

log = logging.getLogger(__name__)

_WAITS, _WAIT_SECONDS = 60, 1.0


def contents_of(settings: FileSettings) -> Contents | None:
    """Where the content of files is beside the database, if anywhere. Raises SettingsError."""
    if settings.s3.bucket:
        from portal.storage.contents_s3 import S3Contents

        return S3Contents(settings=settings.s3)
    if settings.store == "s3":
        raise SettingsError("`files.store` is s3, but `files.s3.bucket` names no bucket.")
    return None


async def open_database(settings: Settings, stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> tuple[Database, Search]:
    """It, and the search that goes with it, until the stack is closed; `tasks` carries out batches whose callers were
    cancelled. Raises StorageError, SettingsError."""
    if not settings.database:
        return await _open_sqlite(settings.data_dir / DATABASE_NAME, settings.backup.snapshots, stack)
    return await _open_postgres(settings, stack, tasks)


async def _open_sqlite(path: Path, keep: int, stack: AsyncExitStack) -> tuple[Database, Search]:
    from portal.storage.search_sqlite import SqliteSearch
    from portal.storage.sqlite import SqliteDatabase, prepare
    from portal.storage.upgrade import awaited, upgrade
    from portal.storage.words_anew import words_anew

    if (path.parent / RESTORING).exists():
        raise StorageError(
            f"A restore of {path.parent} is under way, or was interrupted; then: portal restore --finish"
        )
    migrations = packaged("sqlite")
    await awaited(path)
    prepare(path, newest=migrations[-1].version)
    database = SqliteDatabase(path=path, mend=words_anew)
    try:
        older = 0 < await applied(database, migrations) < len(migrations)
        if older:
            await database.aclose()
            await upgrade(path, migrations, keep=keep)
            database = SqliteDatabase(path=path, mend=words_anew)
    finally:
        stack.push_async_callback(database.aclose)
    await migrate(database, migrations)
    return database, SqliteSearch()


async def _open_postgres(
    settings: Settings, stack: AsyncExitStack, tasks: asyncio.TaskGroup
) -> tuple[Database, Search]:
    from portal.storage.postgres import PostgresDatabase
    from portal.storage.search_postgres import PostgresSearch

    url = settings.database
    if not url.startswith(("postgresql://", "postgres://")):
        raise SettingsError(f"`database` is {url.split(':')[0]!r}: only postgresql://... or nothing (SQLite) is known.")
    database = await PostgresDatabase.open(url, tasks)
    stack.push_async_callback(database.aclose)
    migrations = packaged("postgres")
    if settings.migrate:
        await migrate(database, migrations)
    else:
        await _migrated(database, migrations)
    return database, PostgresSearch()


async def _migrated(database: Database, migrations: Sequence[Migration]) -> None:
    """Wait until somebody has done it. Raises StorageError after a minute."""
    for waited in range(_WAITS):
        missing = await missing_versions(database, migrations)
        if not missing:
            return
        if not waited:
            log.warning("the database lacks %d migrations: this server waits for `portal migrate`", missing)
        await asyncio.sleep(_WAIT_SECONDS)
    raise StorageError(
        "The database is not at this version's schema, and `migrate` is off: run `portal migrate` once, then start the "
        "servers."
    )
