"""Servers of two versions on one database: the older ones go on where everything newer only adds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from portal.cli import portal
from portal.errors import DatabaseTooNew
from portal.storage.migrate import Migration, migrate, missing_versions, packaged
from portal.storage.postgres import PostgresDatabase
from portal.testing.postgres import PostgresServer


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[PostgresDatabase]:
    async with asyncio.TaskGroup() as tasks:
        opened = await PostgresDatabase.open(postgres.database(), tasks)
        yield opened
        await opened.aclose()


def later(mark: str) -> Migration:
    return Migration(9001, "later", f"{mark}ALTER TABLE instances ADD COLUMN room TEXT NOT NULL DEFAULT ''")


async def test_an_older_server_goes_on_with_what_only_adds(database: PostgresDatabase) -> None:
    ours = packaged("postgres")
    known = ours[-1].version
    assert await missing_versions(database, ours) == len(ours)
    assert await migrate(database, [*ours, later(f"-- compatible_from: {known}\n")]) == 9001
    assert await migrate(database, ours) == len(ours)
    assert await missing_versions(database, ours) == 0


@pytest.mark.parametrize("mark", ["", "-- compatible_from: 9001\n"])
async def test_an_older_server_refuses_what_does_not(database: PostgresDatabase, mark: str) -> None:
    ours = packaged("postgres")
    await migrate(database, [*ours, later(mark)])
    with pytest.raises(DatabaseTooNew):
        await migrate(database, ours)


async def test_of_several_that_migrate_at_once_one_does(postgres: PostgresServer) -> None:
    url = postgres.database()
    async with asyncio.TaskGroup() as tasks:
        all_of_them = [await PostgresDatabase.open(url, tasks) for _ in range(3)]
        async with asyncio.TaskGroup() as group:
            for one in all_of_them:
                group.create_task(migrate(one, packaged("postgres")))
        assert await missing_versions(all_of_them[0], packaged("postgres")) == 0
        for one in all_of_them:
            await one.aclose()


def test_the_command_does_it_and_doing_it_again_changes_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    newest = packaged("postgres")[-1].version
    (tmp_path / "portal.toml").write_text(f'database = "{postgres.database()}"\nmigrate = false\n')
    for _ in range(2):
        done = CliRunner().invoke(portal, ["migrate", "--data-dir", str(tmp_path)])
        assert done.output == f"The database is at schema {newest}.\n"


def test_the_command_on_sqlite(tmp_path: Path) -> None:
    done = CliRunner().invoke(portal, ["migrate", "--data-dir", str(tmp_path)])
    assert done.output == f"The database is at schema {packaged('sqlite')[-1].version}.\n"
