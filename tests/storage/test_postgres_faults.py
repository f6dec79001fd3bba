"""A PostgreSQL server that restarts, is slow, read-only, old or away: clear errors, nothing lost, nothing doubled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from tests.storage.postgres_proxy import PostgresProxy, proxied

from portal.errors import Conflict, StorageError, StorageUnavailable
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.open import Storage, open_storage
from portal.storage.postgres import PostgresDatabase
from portal.testing.postgres import PostgresServer
from portal.testing.records import OWNER, conversation

ADD = "INSERT INTO key_values (name, value) VALUES (:name, '{}')"


@pytest.fixture
def direct(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
async def proxy(direct: str) -> AsyncIterator[PostgresProxy]:
    async with proxied(direct) as running:
        yield running


@pytest.fixture
async def storage(proxy: PostgresProxy, tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(Settings(data_dir=tmp_path, database=proxy.url)) as opened:
        yield opened


async def busy(storage: Storage) -> None:
    """Use several connections of the pool."""
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(storage.database.fetch("SELECT pg_sleep(0.05)"))


async def test_after_a_restart_nobody_notices(storage: Storage, proxy: PostgresProxy) -> None:
    for number in range(3):
        await busy(storage)
        proxy.cut()
        await storage.key_values.set(f"kept {number}", {"number": number})
        proxy.cut()
        assert await storage.key_values.get(f"kept {number}") == {"number": number}
    talks = [conversation() for _ in range(20)]
    await busy(storage)
    proxy.cut()
    async with asyncio.TaskGroup() as group:
        for talk in talks:
            group.create_task(storage.conversations.create(talk))
    page = await storage.conversations.list(OWNER, limit=100)
    assert sorted(talk.id for talk in page.data) == sorted(talk.id for talk in talks)


async def test_an_answer_that_is_lost_is_said_and_nothing_is_done_twice(
    storage: Storage, proxy: PostgresProxy, direct: str
) -> None:
    proxy.commits_to_lose = 1
    with pytest.raises(StorageUnavailable):
        await storage.database.batch([Statement(ADD, {"name": "once"})])
    with psycopg.connect(direct) as connection:
        assert connection.execute("SELECT COUNT(*) FROM key_values WHERE name = 'once'").fetchone() == (1,)
    with pytest.raises(Conflict):
        await storage.database.batch([Statement(ADD, {"name": "once"})])


async def test_a_server_that_is_away_is_said_and_used_when_it_is_back(direct: str) -> None:
    async with proxied(direct) as proxy, asyncio.TaskGroup() as tasks:
        database = await PostgresDatabase.open(proxy.url, tasks, seconds=0.5)
        await proxy.stop()
        for work in (database.fetch("SELECT 1 AS one"), database.batch([Statement("SELECT 1 AS one")])):
            with pytest.raises(StorageUnavailable, match="cannot be reached") as caught:
                await work
            assert (caught.value.status, caught.value.retry_after) == (503, 5)
        await proxy.start()
        assert await back(database) == [{"one": 1}]
        await database.aclose()


async def back(database: PostgresDatabase) -> object:
    for _ in range(20):
        try:
            return await database.fetch("SELECT 1 AS one")
        except StorageUnavailable:
            continue
    raise AssertionError("it was not used again")


async def test_a_slow_server_is_waited_for(storage: Storage, proxy: PostgresProxy) -> None:
    proxy.delay = 0.3
    await storage.key_values.set("slow", {"a": 1})
    assert await storage.key_values.get("slow") == {"a": 1}


async def test_a_read_only_server_lets_read_and_says_why_not_write(storage: Storage, direct: str) -> None:
    await storage.key_values.set("a", {"a": 1})
    with psycopg.connect(direct, autocommit=True) as other:
        name = other.info.dbname
        other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert await storage.key_values.get("a") == {"a": 1}
        with pytest.raises(StorageUnavailable, match="read-only"):
            await storage.key_values.set("b", {})
        other.execute("SET default_transaction_read_only = off")
        other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    async with asyncio.timeout(30):
        while await storage.key_values.get("b") is None:  # a connection that was being made may be of before
            with suppress(StorageUnavailable):
                await storage.key_values.set("b", {"b": 2})
    assert await storage.key_values.get("b") == {"b": 2}


async def test_an_older_server_is_refused_and_left_alone(direct: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        with pytest.raises(StorageError, match=r"is version \d+; Portal needs 99"):
            await PostgresDatabase.open(direct, tasks, oldest=99)
    with psycopg.connect(direct) as connection:
        assert connection.execute("SELECT to_regclass('schema_versions')").fetchone() == (None,)
