"""A limit of a model server that holds for all servers together."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.cluster.conftest import SEAL_KEY
from tests.cluster.test_differences import until_told
from tests.cluster.test_shared import until

from portal.routing.registry import BackendStatus
from portal.testing.cluster import Cluster
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.postgres import PostgresServer

CALLS = "SELECT instance, id FROM model_calls ORDER BY place"


@pytest.fixture
async def models() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(models=["tiny"]) as server:
        yield server


def limited(models: OpenAIServer, most: int, *, across: bool = True) -> dict[str, Any]:
    named = {"kind": "openai_compatible", "name": "box", "url": models.url}
    return named | {"max_concurrency": most, "across_servers": across}


async def called(api: aiohttp.ClientSession) -> int:
    """How a call of the model ended; 0 where its server did."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    try:
        async with api.post("/v1/chat/completions", json=body) as answer:
            await answer.read()
            return answer.status
    except aiohttp.ClientError:
        return 0


class Server:
    """One of several, and what it says of its model server."""

    def __init__(self, test: TestPortal, api: aiohttp.ClientSession) -> None:
        self.test, self.api = test, api

    async def call(self) -> int:
        return await called(self.api)

    def box(self) -> BackendStatus:
        return next(one for one in self.test.portal.models.status() if one.name == "box")

    def told(self) -> tuple[int, int, int]:
        """How many calls run here, run elsewhere, and wait here."""
        return self.box().running, self.box().running_elsewhere, self.box().queued


@asynccontextmanager
async def opened(folder: Path, database: str, backend: dict[str, Any], **more: Any) -> AsyncIterator[Server]:
    settings = {"database": database, "seal_key": SEAL_KEY, "backends": [backend], **more}
    async with (
        open_test_portal(folder, backends=None, settings=settings) as test,
        aiohttp.ClientSession(test.url, headers=test.headers) as api,
    ):
        yield Server(test, api)


@asynccontextmanager
async def several(
    folder: Path, database: str, backend: dict[str, Any], count: int = 3, **more: Any
) -> AsyncIterator[Sequence[Server]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(opened(folder / str(n), database, backend, **more)) for n in range(count)
        ]


def held(models: OpenAIServer, count: int) -> list[asyncio.Event]:
    """The next calls end when they are let go."""
    gates = [asyncio.Event() for _ in range(count)]
    models.script(*(Answer(text=["a", "b"], gate=gate) for gate in gates))
    return gates


async def told(server: Server, *wanted: int) -> None:
    async def so() -> bool:
        return server.told() == wanted

    try:
        await until(so, seconds=30)
    except TimeoutError as error:
        raise AssertionError(f"{server.told()} instead of {wanted}") from error


def stored(database: str) -> list[tuple[str, str]]:
    with psycopg.connect(database) as connection:
        return connection.execute(CALLS).fetchall()


async def test_calls_of_all_servers_are_counted_and_go_in_order(
    models: OpenAIServer, database: str, tmp_path: Path
) -> None:
    gates = held(models, 4)

    async def two() -> bool:
        return models.active == 2

    async with several(tmp_path, database, limited(models, 2)) as (first, second, third):
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(first.call())]
            await told(first, 1, 0, 0)
            calls.append(group.create_task(second.call()))
            await told(second, 1, 1, 0)
            calls.append(group.create_task(third.call()))
            await told(third, 0, 2, 1)
            calls.append(group.create_task(first.call()))
            await told(first, 1, 1, 1)
            await until(two, seconds=30)
            gates[0].set()  # of the first server, where another one waits: the third one's came before
            await told(third, 1, 1, 0)
            await until(two, seconds=30)
            await told(first, 0, 2, 1)
            for gate in gates[1:]:
                gate.set()
        assert [call.result() for call in calls] == [200] * 4

        async def empty() -> bool:
            return not stored(database)

        await until(empty, seconds=30)


async def test_never_more_than_the_limit_under_load(models: OpenAIServer, database: str, tmp_path: Path) -> None:
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, models.active)
            await asyncio.sleep(0.001)

    models.script(*(Answer(text=["a", "b", "c"], pace=0.005) for _ in range(90)))
    async with several(tmp_path, database, limited(models, 3)) as servers, asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        async with asyncio.TaskGroup() as load:
            calls = [load.create_task(server.call()) for _ in range(30) for server in servers]
        watching.cancel()
    assert {call.result() for call in calls} == {200}
    assert most == 3


async def test_who_leaves_gives_up_the_place_everywhere(models: OpenAIServer, database: str, tmp_path: Path) -> None:
    gates = held(models, 2)
    async with several(tmp_path, database, limited(models, 1), count=2) as (first, second):
        async with asyncio.TaskGroup() as group:
            group.create_task(first.call())
            await told(first, 1, 0, 0)
            leaves = group.create_task(first.call())
            await told(first, 1, 0, 1)
            waits = group.create_task(second.call())
            await told(second, 0, 1, 1)
            leaves.cancel()
            await told(first, 1, 0, 0)
            gates[0].set()
            await told(second, 1, 0, 0)
            gates[1].set()
        assert waits.result() == 200


async def test_too_many_wait_on_all_servers_together(models: OpenAIServer, database: str, tmp_path: Path) -> None:
    (gate, *_) = gates = held(models, 2)
    short = {"faults": {"queue_length": 1, "retries": 0}}
    async with several(tmp_path, database, limited(models, 1), count=2, **short) as (first, second):
        async with asyncio.TaskGroup() as group:
            group.create_task(first.call())
            await told(first, 1, 0, 0)
            waits = group.create_task(second.call())
            await told(second, 0, 1, 1)
            assert await first.call() == 503
            assert await second.call() == 503
            for gate in gates:
                gate.set()
        assert waits.result() == 200
        assert await first.call() == 200


async def test_without_it_each_server_has_its_own(models: OpenAIServer, database: str, tmp_path: Path) -> None:
    gates = held(models, 2)
    async with several(tmp_path, database, limited(models, 1, across=False), count=2) as (first, second):
        async with asyncio.TaskGroup() as group:
            group.create_task(first.call())
            group.create_task(second.call())
            await told(first, 1, 0, 0)
            await told(second, 1, 0, 0)
            await models.wait_active(2)
            assert stored(database) == []
            for gate in gates:
                gate.set()
        with psycopg.connect(database) as connection:
            names = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'Portal''s calls%'"
            assert connection.execute(names).fetchone() == (0,), "nobody connects for what nobody asked for"


async def test_a_server_that_ends_leaves_its_slots(models: OpenAIServer, database: str, tmp_path: Path) -> None:
    gates = held(models, 2)
    async with opened(tmp_path / "a", database, limited(models, 1)) as first, asyncio.TaskGroup() as group:
        async with opened(tmp_path / "b", database, limited(models, 1)) as second:
            group.create_task(second.call())
            await told(second, 1, 0, 0)
            waiting = group.create_task(first.call())
            await told(first, 0, 1, 1)
        await told(first, 1, 0, 0)
        gates[1].set()
    assert waiting.result() == 200


async def test_one_that_was_taken_for_gone_says_its_calls_again(
    models: OpenAIServer, database: str, tmp_path: Path
) -> None:
    gates = held(models, 1)
    async with several(tmp_path, database, limited(models, 1), count=2) as (first, second):
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(first.call())]
            await told(first, 1, 0, 0)
            before = first.test.portal.storage.fence.instance
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute("DELETE FROM instances WHERE id = %s", (before,))

            async def again() -> bool:
                return [one for one, _ in stored(database)] == [first.test.portal.storage.fence.instance] != [before]

            await until(again, seconds=30)
            calls.append(group.create_task(second.call()))
            await told(second, 0, 1, 1)
            gates[0].set()
        assert [call.result() for call in calls] == [200, 200]


async def test_while_the_database_is_away_each_has_its_share(postgres: PostgresServer, tmp_path: Path) -> None:
    gates: list[asyncio.Event] = []
    async with OpenAIServer(models=["tiny"]) as models:
        database = postgres.database()
        odd = {"turns": {"titles": False, "flush_interval": 0.9}}
        async with (
            opened(tmp_path / "a", database, limited(models, 4)) as first,
            opened(tmp_path / "b", database, limited(models, 4), **odd) as second,
        ):
            for one in (first, second):
                await until_told(one.api, "servers", "has other settings")  # so each knows of the other
                assert await one.call() == 200
            gates = held(models, 5)
            name = conninfo_to_dict(database)["dbname"]
            with psycopg.connect(make_conninfo(database, dbname="postgres"), autocommit=True) as admin:
                admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")  # type: ignore[arg-type]
                cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                admin.execute(cut, (name,))
                async with asyncio.TaskGroup() as group:
                    calls = [group.create_task(first.call()) for _ in range(3)]
                    await told(first, 2, 0, 1)
                    assert (first.box().max_concurrency, first.box().across_servers) == (2, False)
                    calls += [group.create_task(second.call()) for _ in range(2)]
                    await told(second, 2, 0, 0)
                    admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")  # type: ignore[arg-type]
                    await told(second, 2, 2, 0)
                    assert (first.box().max_concurrency, first.box().across_servers) == (4, True)
                    assert models.active == 4
                    for gate in gates:
                        gate.set()
                assert {call.result() for call in calls} == {200}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_slots_of_a_server_that_is_killed_or_stands_still_come_free(
    models: OpenAIServer, tmp_path: Path, postgres: PostgresServer
) -> None:
    named = f'[[backends]]\nkind = "openai_compatible"\nname = "box"\nurl = "{models.url}"\n'
    limits = f"{named}max_concurrency = 1\nacross_servers = true\n"
    database = postgres.database()

    async def both_are_stored() -> bool:
        return len(stored(database)) == 2

    opening = Cluster.opened(tmp_path, database=database, backend="", servers=3, balanced=False, settings=limits)
    async with opening as cluster:

        async def call(number: int) -> int:
            headers = {"Authorization": f"Bearer {cluster.key}"}
            async with aiohttp.ClientSession(cluster.servers[number].file.url, headers=headers) as api:
                return await called(api)

        for number, stop in ((1, cluster.servers[1].process.kill), (2, cluster.servers[2].pause)):
            held(models, 1)
            async with asyncio.TaskGroup() as group:
                calling = group.create_task(call(number))
                await models.wait_active(1)
                waiting = group.create_task(call(0))
                await until(both_are_stored, seconds=30)
                assert not waiting.done(), "it waits for the other server's call"
                stop()
                async with asyncio.timeout(40):
                    assert await waiting == 200
                calling.cancel()
