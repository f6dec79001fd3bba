"""PostgreSQL below the database port: what only it can do to us."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from portal.app import open_portal
from portal.errors import DataFolderBusy, StorageError, StorageFull
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.migrate import migrate, packaged
from portal.storage.open import Storage, open_storage
from portal.storage.postgres import IDLE_SECONDS, SERVER_LOCK, PostgresDatabase, translated_sql
from portal.testing.postgres import PostgresServer
from portal.testing.records import OWNER, conversation, response

FUNCTION = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'told to' USING ERRCODE = '{code}'; END $$;
CREATE TRIGGER failing BEFORE INSERT ON key_values FOR EACH ROW EXECUTE FUNCTION fail()"""


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
async def storage(url: str) -> AsyncIterator[Storage]:
    async with open_storage(Settings(database=url)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("code", "expected"),
    [("53100", StorageFull), ("40P01", StorageError), ("40001", StorageError), ("XX000", StorageError)],
)
async def test_what_the_server_raises_is_translated(storage: Storage, code: str, expected: type[StorageError]) -> None:
    await storage.database.batch([Statement(FUNCTION.format(code=code))])
    with pytest.raises(expected) as caught:
        await storage.key_values.set("a", {})
    assert type(caught.value) is expected
    assert await storage.key_values.get("a") is None


async def test_a_server_that_goes_away_is_an_error_and_one_that_comes_back_is_used(storage: Storage, url: str) -> None:
    await storage.key_values.set("a", {"kept": True})
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
    recovered = False
    for _ in range(20):
        try:
            recovered = await storage.key_values.get("a") == {"kept": True}
        except StorageError:
            continue
        break
    assert recovered


async def test_a_server_that_cannot_be_used_is_an_error(tmp_path: Path, url: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        for wrong in (f"postgresql://postgres:@/x?host={tmp_path}", url.replace("portal_test", "no_such")):
            with pytest.raises(StorageError, match="cannot be used"):
                await PostgresDatabase.open(wrong, tasks)


async def test_a_server_that_keeps_silent_is_given_up(url: str) -> None:
    async with await asyncio.start_server(lambda reader, writer: reader.read(), "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        async with asyncio.TaskGroup() as tasks:
            with pytest.raises(StorageError, match="cannot be used"):
                await PostgresDatabase.open(f"postgresql://u@127.0.0.1:{port}/x", tasks, seconds=0.2)


async def test_of_two_processes_one_migrates(url: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = await PostgresDatabase.open(url, tasks), await PostgresDatabase.open(url, tasks)
        async with asyncio.TaskGroup() as group:
            group.create_task(migrate(first, packaged("postgres")))
            group.create_task(migrate(second, packaged("postgres")))
        assert len(await first.fetch("SELECT * FROM schema_versions")) == len(packaged("postgres"))
        await first.aclose()
        await second.aclose()


async def test_one_that_stands_still_in_the_middle_of_a_write_keeps_others_from_it_for_seconds(url: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        database = await PostgresDatabase.open(url, tasks)
        (row,) = await database.fetch("SHOW idle_in_transaction_session_timeout")
        assert row == {"idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s"}
        await database.aclose()


async def test_two_servers_share_one_database(storage: Storage, url: str) -> None:
    async with open_storage(Settings(database=url)) as other:
        talk = conversation()
        await storage.conversations.create(talk)
        assert await other.conversations.get(OWNER, talk.id) == talk


async def test_servers_share_a_database_but_not_with_one_of_an_older_version(url: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        first, second = await PostgresDatabase.open(url, tasks), await PostgresDatabase.open(url, tasks)
        await first.own()
        await second.own()
        await first.aclose()
        await second.aclose()
        name = "Portal on elsewhere (process 7)"
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, application_name=name) as older:
            await older.execute("SELECT pg_advisory_lock(%s, %s)", SERVER_LOCK)
            third = await PostgresDatabase.open(url, tasks)
            with pytest.raises(
                DataFolderBusy, match=r"in use by Portal on elsewhere \(process 7\), of an older version"
            ):
                await third.own(0.1)
            assert await third.fetch("SELECT 1 AS one") == [{"one": 1}]
            await third.aclose()


async def test_a_second_server_leaves_the_running_answers_of_the_first_alone(url: str, tmp_path: Path) -> None:
    def settings(name: str) -> Settings:
        (tmp_path / name).mkdir()
        return Settings(data_dir=tmp_path / name, database=url, seal_key=SecretStr("5e" * 32))

    running = response()
    async with open_portal(settings("first"), backends=[]) as portal:
        await portal.storage.turn_log.begin(running, [])
        async with open_portal(settings("second"), backends=[]) as other:
            assert (await other.storage.responses.get(OWNER, running.id)).response.status == "in_progress"
        async with open_storage(settings("beside")) as storage:
            assert (await storage.responses.get(OWNER, running.id)).response.status == "in_progress"
    async with open_portal(settings("third"), backends=[]) as portal:
        assert (await portal.storage.responses.get(OWNER, running.id)).response.status == "incomplete"


def test_arguments_are_translated() -> None:
    assert translated_sql("SELECT :a, ':b', x::text, 5 % 2 WHERE y = :a_1") == (
        "SELECT %(a)s, ':b', x::text, 5 %% 2 WHERE y = %(a_1)s"
    )
