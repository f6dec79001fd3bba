"""Steps to a newer schema: all or nothing, and only of databases that are ours."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portal.errors import DatabaseTooNew, DatabaseUnreadable, StorageError
from portal.storage.database import Statement
from portal.storage.migrate import Migration, migrate, packaged
from portal.storage.sqlite import SqliteDatabase, prepare

FIRST = Migration(1, "first", "CREATE TABLE notes (id TEXT PRIMARY KEY); CREATE TABLE more (id TEXT);")
SECOND = Migration(2, "second", "ALTER TABLE notes ADD COLUMN words TEXT; INSERT INTO notes VALUES ('new', '');")
BROKEN = Migration(2, "broken", "ALTER TABLE notes ADD COLUMN words TEXT; INSERT INTO nowhere VALUES (1);")
ORPHANING = Migration(
    2,
    "orphaning",
    "CREATE TABLE kids (id TEXT REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO kids VALUES ('x');",
)

CLASHING = Migration(2, "clashing", "INSERT INTO notes VALUES ('old');")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    path = tmp_path / "portal.db"
    prepare(path, newest=1)
    opened = SqliteDatabase(path=path)
    yield opened
    await opened.aclose()


async def tables(database: SqliteDatabase) -> set[str]:
    return {row["name"] for row in await database.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")}


async def test_a_new_database_gets_every_step(database: SqliteDatabase) -> None:
    assert await migrate(database, [FIRST, SECOND]) == 2
    assert await migrate(database, [FIRST, SECOND]) == 2
    assert await tables(database) == {"schema_versions", "notes", "more"}
    assert await database.fetch("PRAGMA user_version") == [{"user_version": 2}]


@pytest.mark.parametrize("bad", [BROKEN, ORPHANING, CLASHING])
async def test_a_failing_step_leaves_everything_as_it_was(database: SqliteDatabase, bad: Migration) -> None:
    await migrate(database, [FIRST])
    await database.batch([Statement("INSERT INTO notes VALUES ('old')")])
    with pytest.raises(StorageError):
        await migrate(database, [FIRST, bad])
    assert await database.fetch("SELECT * FROM notes") == [{"id": "old"}]
    assert await tables(database) == {"schema_versions", "notes", "more"}
    assert await migrate(database, [FIRST]) == 1
    assert await migrate(database, [FIRST, SECOND]) == 2


async def test_a_newer_or_foreign_history_is_refused(database: SqliteDatabase) -> None:
    await migrate(database, [FIRST, SECOND])
    with pytest.raises(DatabaseTooNew, match="schema 2, this one knows 1"):
        await migrate(database, [FIRST])
    with pytest.raises(DatabaseUnreadable, match="second"):
        await migrate(database, [FIRST, BROKEN])


async def test_of_two_processes_one_migrates(database: SqliteDatabase, tmp_path: Path) -> None:
    other = SqliteDatabase(path=tmp_path / "portal.db")
    async with asyncio.TaskGroup() as group:
        group.create_task(migrate(database, [FIRST, SECOND]))
        group.create_task(migrate(other, [FIRST, SECOND]))
    await other.aclose()
    assert len(await database.fetch("SELECT * FROM schema_versions")) == 2


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_the_packaged_migrations_are_numbered_without_gaps(dialect: str) -> None:
    migrations = packaged(dialect)
    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))
    assert ("data BYTEA" in migrations[0].sql) == (dialect == "postgres")
