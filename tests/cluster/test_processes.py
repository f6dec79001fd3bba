"""Three real servers behind a real balancer: used as if they were one, killed, paused, cut off."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portal.testing.cluster import Cluster, ServerProcess, Wire
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.postgres import PostgresServer

pytestmark = pytest.mark.slow

TERMINAL = ("response.completed", "response.failed", "response.incomplete")
SOON = 20.0
"""Seconds within which the others know, and take over: ten, twice that on a machine that does other things besides."""


@pytest.fixture
async def models() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(models=["tiny"]) as server:
        yield server


@pytest.fixture
async def cluster(tmp_path: Path, postgres: PostgresServer, models: OpenAIServer) -> AsyncIterator[Cluster]:
    async with Cluster.opened(tmp_path, database=postgres.database(), backend=models.url) as made:
        yield made


async def frames(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        if line.startswith(b"data: {"):
            yield json.loads(line.removeprefix(b"data: "))


async def begun(api: aiohttp.ClientSession, text: str = "hello", **more: Any) -> str:
    body = {"model": "tiny", "input": text, "background": True, **more}
    async with api.post("/v1/responses", json=body) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["id"])


async def told(api: aiohttp.ClientSession, response_id: str) -> dict[str, Any]:
    async with api.get(f"/v1/responses/{response_id}") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def watched(api: aiohttp.ClientSession, response_id: str, *, breaks: int = 0) -> list[dict[str, Any]]:
    """Every event of a turn, by a client that leaves and comes back after so many of them."""
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["type"] not in TERMINAL:
        after = seen[-1]["sequence_number"] if seen else -1
        query = {"stream": "true", "starting_after": str(after)}
        taken = 0
        async with api.get(f"/v1/responses/{response_id}", params=query) as answer:
            assert answer.status == 200
            async for event in frames(answer):
                seen.append(event)
                taken += 1
                if breaks and taken >= breaks:
                    break
    return seen


def text_of(seen: list[dict[str, Any]]) -> str:
    return "".join(event["delta"] for event in seen if event["type"] == "response.output_text.delta")


async def members(cluster: Cluster, number: int) -> list[dict[str, Any]]:
    async with cluster.servers[number].client() as api, api.get("/portal/v1/cluster") as answer:
        found: list[dict[str, Any]] = (await answer.json())["data"]
        return found


async def leader(cluster: Cluster, asking: int) -> int:
    pids = [one.file.pid for one in cluster.servers]
    return next((pids.index(one["pid"]) for one in await members(cluster, asking) if one["leads"]), -1)


async def test_three_are_used_as_one(cluster: Cluster, models: OpenAIServer) -> None:
    words = [f"w{n} " for n in range(60)]
    async with cluster.client() as api:
        models.script(*(Answer(text=words, pace=0.01) for _ in range(6)))
        ids = [await begun(api, f"turn {n}") for n in range(6)]
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(watched(api, one, breaks=n * 7)) for n, one in enumerate(ids)]
        for one in watching:
            seen = one.result()
            numbers = [event["sequence_number"] for event in seen]
            assert text_of(seen) == "".join(words)
            assert numbers == sorted(set(numbers))
        gate = asyncio.Event()
        for _ in range(3):  # by whichever server the balancer takes
            models.script(Answer(text=["begun ", "and never ended"], gate=gate, after=2))
            response_id = await begun(api)
            async with api.post(f"/v1/responses/{response_id}/cancel") as answer:
                assert (await answer.json())["status"] == "cancelled"
        await models.wait_active(0)


async def test_one_is_killed_under_load(cluster: Cluster, models: OpenAIServer) -> None:
    async with cluster.client() as api:
        models.script(*(Answer(text=[f"w{n} " for n in range(100)], pace=0.02) for _ in range(30)))
        ids = [await begun(api, f"turn {n}") for n in range(30)]
        victim = await leader(cluster, 0)
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(ending(cluster, victim, one)) for one in ids]
            await asyncio.sleep(0.7)
            cluster.servers[victim].process.kill()
            killed = time.monotonic()
        interrupted = 0
        for response_id, one in zip(ids, watching, strict=True):
            ended, last = one.result()
            found = await told(api, response_id)
            assert found["status"] == last["response"]["status"]
            assert len({item["id"] for item in found["output"]}) == len(found["output"]) <= 1
            if found["status"] == "incomplete":
                interrupted += 1
                assert found["incomplete_details"] == {"reason": "interrupted"}
                assert ended - killed < SOON
            else:
                assert found["status"] == "completed"
        assert 0 < interrupted < 30
        others = [n for n in range(3) if n != victim]
        assert await leader(cluster, others[0]) in others


async def ending(cluster: Cluster, victim: int, response_id: str) -> tuple[float, dict[str, Any]]:
    """When a watcher on one that lives hears of the end, and that."""
    async with cluster.servers[(victim + 1) % 3].client() as api:
        seen = await watched(api, response_id)
        return time.monotonic(), seen[-1]


async def test_one_that_is_paused_is_replaced_and_stands_back(cluster: Cluster, models: OpenAIServer) -> None:
    paused = await leader(cluster, 0)
    other = (paused + 1) % 3
    models.script(Answer(text=[f"w{n} " for n in range(2000)], pace=0.02))
    async with cluster.servers[paused].client() as api:
        response_id = await begun(api)
    await asyncio.sleep(1)
    cluster.servers[paused].pause()
    stopped = time.monotonic()
    _, last = await ending(cluster, paused, response_id)
    assert last["response"]["incomplete_details"] == {"reason": "interrupted"}
    assert time.monotonic() - stopped < SOON + 2
    while await leader(cluster, other) in (paused, -1):
        assert time.monotonic() - stopped < SOON + 4
        await asyncio.sleep(0.2)
    leads = await leader(cluster, other)
    cluster.servers[paused].resume()
    while len(await members(cluster, other)) < 3:
        await asyncio.sleep(0.2)
    await asyncio.sleep(1)
    assert await leader(cluster, other) == leads == await leader(cluster, paused)
    async with cluster.servers[other].client() as api:
        found = await told(api, response_id)
        assert found["incomplete_details"] == {"reason": "interrupted"}
    models.script(Answer(text=["well again"]))
    async with cluster.servers[paused].client() as api:
        again = await begun(api)
    async with cluster.servers[other].client() as api:
        assert text_of(await watched(api, again)) == "well again"


async def test_one_that_is_cut_off_from_the_database(
    tmp_path: Path, postgres: PostgresServer, models: OpenAIServer
) -> None:
    url = postgres.database()
    address, folder = url.split("?host=")
    async with (
        Wire(tmp_path / "w", Path(folder)) as wire,
        Cluster.opened(tmp_path, database=url, backend=models.url, servers=2, balanced=False) as cluster,
    ):
        cut = await cluster.start(2, f"{address}?host={tmp_path / 'w'}")
        cluster.servers.append(cut)
        models.script(Answer(text=[f"w{n} " for n in range(2000)], pace=0.02))
        async with cut.client() as api, cluster.servers[0].client() as beside:
            response_id = await begun(api)
            assert await plainly(cluster, cut, models) == 200
            wire.cut()
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(watched(beside, response_id))
                while not watching.done() and time.monotonic() - began < SOON:
                    assert await plainly(cluster, cut, models) == 200
                    await asyncio.sleep(0.5)
            assert watching.result()[-1]["response"]["incomplete_details"] == {"reason": "interrupted"}
            assert time.monotonic() - began < SOON + 2
            wire.mend()
            while len(await members(cluster, 0)) < 3:
                await asyncio.sleep(0.2)
            models.script(Answer(text=["back"]))
            assert text_of(await watched(beside, await begun(api))) == "back"


async def plainly(cluster: Cluster, server: ServerProcess, models: OpenAIServer) -> int:
    """A call of a plain model on one server, which waits for no database."""
    models.script(Answer(text=["plain models do without it"]))
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {cluster.key}"}
    async with (
        asyncio.timeout(3),
        aiohttp.ClientSession(server.file.url, headers=headers) as api,
        api.post("/v1/chat/completions", json=body) as answer,
    ):
        await answer.read()
        return answer.status
