"""Calls that several servers count together, as PostgreSQL has them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from tests.storage.postgres_proxy import proxied

from portal.errors import StorageUnavailable
from portal.settings import Settings
from portal.storage.open import open_storage
from portal.storage.shared_calls import PostgresCalls
from portal.testing.postgres import PostgresServer

SERVER = """
INSERT INTO instances (id, lock, version, host, pid, url, started_at, beat_at) VALUES (%s, 1, '1', 'h', 1, '', 0, 0)"""
LISTED = """
SELECT 1 FROM pg_stat_activity
WHERE application_name = %s AND state <> 'active' AND query LIKE 'SELECT id, instance FROM model_calls%%'"""


@pytest.fixture
async def url(postgres: PostgresServer, tmp_path: Path) -> str:
    url = postgres.database()
    async with open_storage(Settings(data_dir=tmp_path, database=url)):
        pass
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("a", "b", "c"):
            connection.execute(SERVER, (name,))
    return url


@asynccontextmanager
async def calls(url: str, me: str | Callable[[], str]) -> AsyncIterator[PostgresCalls]:
    made = PostgresCalls(url=url, me=me if callable(me) else lambda: me)
    try:
        yield made
    finally:
        await made.aclose()


async def test_calls_keep_their_order_until_they_leave(url: str) -> None:
    async with calls(url, "a") as a, calls(url, "b") as b:
        first = await a.settle("box", ["a1", "a2"])
        assert (first.before, first.others, first.changed) == ({"a1": 0, "a2": 1}, [], True)
        assert (await b.settle("box", ["b1"])).before == {"b1": 2}
        again = await a.settle("box", ["a1", "a2", "a3"])
        assert (again.before, again.others, again.changed) == ({"a1": 0, "a2": 1, "a3": 3}, [2], True)
        assert not (await a.settle("box", ["a1", "a2", "a3"])).changed
        assert (await a.settle("box", ["a3"])).before == {"a3": 1}
        assert (await b.settle("box", ["b1", "b2"])).before == {"b1": 0, "b2": 2}
        assert (await b.settle("other", ["x"])).before == {"x": 0}
        await a.settle("box", [])
        assert (await b.settle("box", [])).others == []


async def test_calls_of_a_server_that_is_gone_go_with_it(url: str) -> None:
    async with calls(url, "a") as a, calls(url, "b") as b:
        await a.settle("box", ["a1"])
        await b.settle("box", ["b1"])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DELETE FROM instances WHERE id = 'a'")
        assert (await b.settle("box", ["b1"])).before == {"b1": 0}
        with pytest.raises(StorageUnavailable):
            await a.settle("box", ["a1"])


async def test_a_server_that_has_another_name_says_its_calls_under_that(url: str) -> None:
    name = "a"
    async with calls(url, lambda: name) as one, calls(url, "b") as b:
        await one.settle("box", ["x"])
        name = "c"
        assert (await one.settle("box", ["y"])).before == {"y": 1}
        assert (await b.settle("box", [])).others == [0, 1]


async def test_a_connection_of_before_does_nothing_more(url: str) -> None:
    async with calls(url, "a") as old, calls(url, "a") as new:
        await old.settle("box", ["x"])
        await new.settle("box", ["x", "y"])
        with pytest.raises(StorageUnavailable):
            await old.settle("box", ["x"])
        assert not (await new.settle("box", ["x", "y"])).changed


async def test_one_that_stands_still_in_the_middle_holds_nobody_up(url: str) -> None:
    async with proxied(url) as proxy, calls(proxy.url, "a") as a, calls(url, "b") as b, asyncio.TaskGroup() as group:
        proxy.last_heard = b"pg_advisory_xact_lock"
        still = group.create_task(a.settle("box", ["a1"]))
        with psycopg.connect(url, autocommit=True) as connection:
            async with asyncio.timeout(20):
                while connection.execute(LISTED, ("Portal's calls of a",)).fetchone() is None:
                    await asyncio.sleep(0.01)
        assert (await b.settle("box", ["b1"])).before == {"b1": 1}
        still.cancel()


async def test_a_database_that_is_away_is_said_and_used_again(url: str) -> None:
    async with calls(url, "a") as a:
        await a.settle("box", ["x"])
        with psycopg.connect(url, autocommit=True) as connection:
            cut = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'Portal''s calls%'"
            )
            connection.execute(cut)
            with pytest.raises(StorageUnavailable):
                await a.settle("box", ["x"])
        assert (await a.settle("box", ["x"])).before == {"x": 0}
