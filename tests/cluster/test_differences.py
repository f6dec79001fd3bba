"""Servers that differ, in their settings, versions and clocks: they work together, and health tells of it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
from tests.cluster.conftest import Server, opened
from tests.cluster.test_processes import SOON, begun, leader, members, watched

from portal import __version__
from portal.storage.lease import OWN_LOCK, SILENT
from portal.testing.cluster import Cluster
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.postgres import PostgresServer

HELD = """
SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted
    AND l.classid::bigint = %s AND l.objid::bigint = %s
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


async def condition(api: aiohttp.ClientSession, kind: str) -> Mapping[str, Any]:
    async with api.get("/portal/v1/health") as answer:
        return next((one for one in (await answer.json())["data"] if one["kind"] == kind), {})


async def until_told(api: aiohttp.ClientSession, kind: str, words: str) -> Mapping[str, Any]:
    async with asyncio.timeout(30):
        while words not in (found := await condition(api, kind)).get("detail", ""):
            await asyncio.sleep(0.1)
    return found


async def test_other_settings_are_told_of(database: str, tmp_path: Path) -> None:
    other = {"tools": {"parallel": 7}, "turns": {"titles": False, "flush_interval": 1.0}}
    async with opened(tmp_path / "a", database) as first, opened(tmp_path / "b", database, **other) as second:
        for server in (first, second):
            found = await until_told(server.api, "servers", "has other settings: tools, turns.")
            assert (found["state"], found["remedy"] > "") == ("note", True)
            async with server.api.get("/health") as answer:
                assert (await answer.json())["status"] == "ok"


async def test_another_version_is_told_of(pair: tuple[Server, Server], database: str) -> None:
    first, second = pair
    with psycopg.connect(database, autocommit=True) as connection:
        there = second.test.portal.storage.fence.instance
        connection.execute("UPDATE instances SET version = '0.6.9', settings = '' WHERE id = %s", (there,))
        found = await until_told(first.api, "servers", f"has version 0.6.9, this one {__version__}.")
        assert found["state"] == "note"


async def test_a_lock_that_a_connection_of_before_holds_is_taken_from_it(database: str, tmp_path: Path) -> None:
    """By a server that is alone: another one in the same process would take it for gone while nobody has its lock."""
    async with opened(tmp_path, database) as server:
        with psycopg.connect(database, autocommit=True) as holder, psycopg.connect(database, autocommit=True) as looker:
            place = (OWN_LOCK, server.test.portal.storage.fence.instance)
            row = looker.execute("SELECT lock FROM instances WHERE id = %s", place[1:]).fetchone()
            assert row is not None
            (own,) = [pid for (pid,) in looker.execute(HELD, (OWN_LOCK, row[0]))]
            looker.execute("SELECT pg_terminate_backend(%s)", (own,))
            # as one that is cut, and does not know it
            holder.execute("SELECT pg_advisory_lock(%s, %s)", (OWN_LOCK, row[0]))
            before = {own, holder.info.backend_pid, 0}
            async with asyncio.timeout(60):
                while (await asyncio.to_thread(_holders, looker, row[0])) & before:
                    await asyncio.sleep(0.1)
            assert server.test.portal.storage.fence.instance == place[1]


def _holders(connection: "psycopg.Connection[Any]", lock: int) -> set[int]:
    """0 where nobody holds it."""
    return {pid for (pid,) in connection.execute(HELD, (OWN_LOCK, lock))} or {0}


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_clocks_differ_by_a_minute(tmp_path: Path, postgres: PostgresServer) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("CLOCKS THAT DIFFER ARE NOT TESTED: faketime is missing")
    async with OpenAIServer(models=["tiny"]) as models:
        opening = Cluster.opened(tmp_path, database=postgres.database(), backend=models.url, servers=1, balanced=False)
        async with opening as cluster:
            for number, away in ((1, "+60s"), (2, "-60s")):
                by = ("env", f"LD_PRELOAD={library}", f"FAKETIME={away}", "DONT_FAKE_MONOTONIC=1")
                cluster.servers.append(await cluster.start(number, by=by))
            for number, words in ((1, "60 seconds before"), (2, "60 seconds behind")):
                async with cluster.servers[number].client() as api:
                    assert (await until_told(api, "clock", words))["state"] == "degraded"
            await one_conversation(cluster, models)
            await asyncio.sleep(SILENT + 2)
            assert len(await members(cluster, 0)) == 3  # nobody is taken for gone
            leads = await leader(cluster, 0)
            cluster.servers[leads].process.kill()
            async with asyncio.timeout(SOON):
                while await leader(cluster, (leads + 1) % 3) in (-1, leads):
                    await asyncio.sleep(0.2)


async def one_conversation(cluster: Cluster, models: OpenAIServer) -> None:
    """Each turn on another server: it stays in the order in which it was said."""
    before: dict[str, str] = {}
    for number in range(6):
        models.script(Answer(text=[f"answer {number}"]))
        async with cluster.servers[number % 3].client() as api:
            last = await begun(api, f"question {number}", **before)
            before = {"previous_response_id": last}
        async with cluster.servers[(number + 1) % 3].client() as api:
            assert (await watched(api, last))[-1]["type"] == "response.completed"
            async with api.get(f"/v1/responses/{last}/input_items?limit=100&order=asc") as answer:
                said = [item["content"][0]["text"] for item in (await answer.json())["data"]]
        assert said[-1] == f"question {number}"
        assert said == sorted(said, key=lambda text: int(text.split()[1]))
