"""What becomes of a PostgreSQL that several servers share: it fails over, is full, read-only or slow. Nothing that was
acknowledged is lost, nothing is there twice, and health says how it is."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
from tests.cluster.conftest import Server, opened
from tests.cluster.test_processes import SOON, begun, leader, told, watched
from tests.storage.postgres_proxy import proxied

from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.cluster import Cluster
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.postgres_pair import postgres_pair

pytestmark = pytest.mark.slow

PATIENCE = 90.0
PLAIN = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}


async def health(api: aiohttp.ClientSession) -> tuple[str, dict[str, dict[str, str]]]:
    """The word that everybody is told, and the conditions for those who run it, by kind."""
    async with api.get("/health") as answer:
        status = str((await answer.json())["status"])
    async with api.get("/portal/v1/health") as answer:
        told = await answer.json()
    return status, {one["kind"]: one for one in told.get("data", ())}


async def until_health(api: aiohttp.ClientSession, wanted: str, says: str = "") -> dict[str, str]:
    """Of the database, once all in all it is like that and the database says so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            status, conditions = await health(api)
            if status == wanted and says in conditions.get("database", {}).get("detail", ""):
                return conditions.get("database", {})
            await asyncio.sleep(0.2)


async def asked(api: aiohttp.ClientSession, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with api.request(method, path, json=body) as answer:
        return answer.status, await answer.json()


async def title(api: aiohttp.ClientSession, number: int) -> int:
    """The status of storing a conversation of this title; 0 where the connection broke."""
    try:
        return (await asked(api, "POST", "/portal/v1/conversations", {"title": f"number {number}"}))[0]
    except aiohttp.ClientError:
        return 0


async def titles(api: aiohttp.ClientSession) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        status, page = await asked(api, "GET", f"/portal/v1/conversations?limit=100{cursor}")
        assert status == 200, page
        found += [one["title"] for one in page["data"]]
        if not page["has_more"]:
            return found
        cursor = f"&cursor={page['next']}"


@pytest.mark.timeout(600)
async def test_a_failover_loses_nothing(tmp_path: Path) -> None:
    with postgres_pair() as pair:
        async with (
            OpenAIServer(models=["tiny"]) as models,
            Cluster.opened(tmp_path, database=pair.url, backend=models.url) as cluster,
            cluster.client() as api,
        ):
            models.script(Answer(text=[f"w{n} " for n in range(3000)], pace=0.02))
            long = await begun(api)
            stored: list[int] = []
            writing = asyncio.Event()

            async def write() -> None:
                number = 0
                while not writing.is_set():
                    number += 1
                    if await title(api, number) == 201:
                        stored.append(number)

            async with asyncio.TaskGroup() as group:
                group.create_task(write())
                while len(stored) < 20:
                    await asyncio.sleep(0.05)
                server = cluster.servers[0].file.url
                headers = {"Authorization": f"Bearer {cluster.key}"}
                async with cluster.servers[0].client() as one, aiohttp.ClientSession(server, headers=headers) as by_key:
                    assert (await asked(by_key, "GET", "/v1/models"))[0] == 200
                    await asyncio.to_thread(pair.kill_primary)
                    await until_health(one, "down")
                    for caller in (one, by_key):
                        models.script(Answer(text=["plain models do without it"]))
                        assert (await asked(caller, "POST", "/v1/chat/completions", PLAIN))[0] == 200
                    await asyncio.to_thread(pair.promote)
                    await until_health(one, "ok")
                before = len(stored)
                async with asyncio.timeout(PATIENCE):
                    while len(stored) < before + 20:
                        await asyncio.sleep(0.05)
                writing.set()
            found = await titles(api)
            assert len(found) == len(set(found))
            assert {f"number {number}" for number in stored} <= set(found)
            async with api.post(f"/v1/responses/{long}/cancel") as answer:
                await answer.read()
            assert (await told(api, long))["status"] in ("incomplete", "cancelled")
            async with asyncio.timeout(SOON):
                while await leader(cluster, 0) == -1:
                    await asyncio.sleep(0.2)
            models.script(Answer(text=["well again"]))
            assert (await watched(api, await begun(api)))[-1]["type"] == "response.completed"


@contextmanager
def without_room(url: str) -> Iterator[None]:
    """The server says of every new row what it says when its disk is full."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
            "'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$"
        )
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            connection.execute(f"CREATE TRIGGER full_{name} BEFORE INSERT ON {name} EXECUTE FUNCTION no_room()")
        yield
        connection.execute("DROP FUNCTION no_room() CASCADE")


@contextmanager
def read_only(url: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        connection.execute("SET default_transaction_read_only = off")
        name = connection.info.dbname
        for state in ("on", "off"):
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {state}")
            connection.execute(f"{others} AND pid <> pg_backend_pid()")
            if state == "on":
                yield


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("fault", "status", "says"), [(without_room, 507, "full"), (read_only, 503, "read-only")])
async def test_a_database_that_takes_nothing(
    pair: tuple[Server, Server], database: str, fault: Any, status: int, says: str
) -> None:
    first, second = pair
    assert await title(first.api, 1) == 201
    with fault(database):
        async with asyncio.timeout(PATIENCE):
            while await title(first.api, 2) != status:
                await asyncio.sleep(0.2)
        for server in pair:
            assert await title(server.api, 3) == status
            assert await titles(server.api) == ["number 1"]
            server.model.answer("plain models do without it")
            assert (await asked(server.api, "POST", "/v1/chat/completions", PLAIN))[0] == 200
            assert (await until_health(server.api, "degraded", says))["remedy"]
            async with server.api.get("/health/ready") as ready:
                assert ready.status == 200  # there is much that it can do still
    for server in pair:
        await until_health(server.api, "ok")
    assert await title(second.api, 4) == 201
    assert sorted(await titles(first.api)) == ["number 1", "number 4"]


@asynccontextmanager
async def behind_proxies(url: str, folder: Path) -> AsyncIterator[tuple[list[Server], list[Any]]]:
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(proxied(url)) for _ in range(2)]
        servers = [
            await stack.enter_async_context(
                opened(folder / str(number), proxy.url, model=ScriptedBackend(models=["tiny"], default=echo))
            )
            for number, proxy in enumerate(proxies)
        ]
        yield servers, proxies


@pytest.mark.timeout(400)
async def test_a_database_that_takes_two_seconds(database: str, tmp_path: Path) -> None:
    async with behind_proxies(database, tmp_path) as (servers, proxies):
        first, second = servers
        places = [one.test.portal.storage.fence.instance for one in servers]
        for proxy in proxies:
            proxy.delay = 2.0
        timeout = aiohttp.ClientTimeout(180)
        body = {"model": "tiny", "input": "slowly"}
        async with first.api.post("/v1/responses", json=body, timeout=timeout) as answer:
            done = await answer.json()
            assert (answer.status, done["status"]) == (200, "completed"), done
        assert (await asked(second.api, "POST", "/v1/chat/completions", PLAIN))[0] == 200
        for server in servers:
            async with asyncio.timeout(PATIENCE):
                while "slow" not in (found := server.test.portal.health.conditions())[0].detail:
                    await asyncio.sleep(0.2)
            assert (found[0].kind, found[0].state) == ("database", "degraded")
        for proxy in proxies:
            proxy.delay = 0.0
        for server in servers:
            await until_health(server.api, "ok")
        assert (await told(second.api, done["id"]))["output"] == done["output"]
        # nobody was taken for gone, and the duty stayed where it was
        assert [one.test.portal.storage.fence.instance for one in servers] == places
        assert first.test.portal.storage.fence.term == 1
