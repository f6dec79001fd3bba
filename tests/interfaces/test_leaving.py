"""Clients that leave in the middle of a streamed answer leave nothing behind."""

import asyncio
import gc
import json
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from portal.backends.http import Deadlines
from portal.backends.ollama import Config as OllamaConfig
from portal.backends.ollama import Ollama
from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.core.ports import Backend
from portal.testing.model_server import Answer, ModelServer
from portal.testing.ollama_server import OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import used

CLIENTS = 200
MODEL = "tiny"


async def leave(portal: TestPortal) -> None:
    """Ask for a streamed answer, see its beginning, and go."""
    parts = urlsplit(portal.url)
    body = json.dumps({"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {portal.key}\r\n"
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await reader.readuntil(b"first")
    writer.transport.abort()


async def all_leave(portal: TestPortal, server: ModelServer, *, so_far: int) -> None:
    gates = asyncio.Event()
    server.script(*(Answer(text=["first", "second"], gate=gates, after=2) for _ in range(CLIENTS)))
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(leave(portal))
    await server.wait_disconnected(so_far + CLIENTS)
    await server.wait_active(0)


async def objects() -> int:
    """How many things are alive, once everything that is ending has ended."""
    for _ in range(50):
        await asyncio.sleep(0)
    gc.collect()
    return len(gc.get_objects())


@pytest.mark.parametrize(
    "kind", [pytest.param("ollama", marks=[pytest.mark.slow, pytest.mark.long]), "openai_compatible"]
)
async def test_two_hundred_who_leave(kind: str, tmp_path: Path) -> None:
    server: ModelServer = OllamaServer() if kind == "ollama" else OpenAIServer()
    async with server:
        patient = Deadlines(connect=60)
        backend: Backend = (
            Ollama(OllamaConfig(url=server.url, deadlines=patient))
            if kind == "ollama"
            else OpenAICompatible(Config(url=server.url, deadlines=patient))
        )
        async with open_test_portal(tmp_path / "data", backends=[backend]) as portal:
            await all_leave(portal, server, so_far=0)
            server.requests.clear()
            await objects()
            tasks, alive = len(asyncio.all_tasks()), await objects()

            await all_leave(portal, server, so_far=CLIENTS)
            server.requests.clear()

            assert await objects() < alive + 10 * CLIENTS  # one forgotten task or connection is far more than ten
            assert len(asyncio.all_tasks()) <= tasks
            rows = await used(portal.portal.storage, portal.owner)
            assert sum(row["calls"] for row in rows) == 2 * CLIENTS
            async with httpx.AsyncClient(base_url=portal.url) as client:
                assert "portal_requests_running 0" in (await client.get("/metrics")).text
