"""A Portal to bring things into, and somebody who does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest_asyncio

from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.portal import TestPortal, open_test_portal


@dataclass
class Traveller:
    """Brings things in over the API."""

    url: str
    session: aiohttp.ClientSession

    async def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        async with self.session.request(method, f"{self.url}{path}", json=body) as answer:
            content = await answer.read()
            assert answer.status == status, content.decode()
            return orjson.loads(content) if "json" in answer.content_type else content

    async def upload(self, data: Any, *, filename: str = "export.zip", status: int = 201, **query: str) -> Any:
        sent = data if isinstance(data, bytes) else orjson.dumps(data)
        address = f"{self.url}/portal/v1/imports"
        async with self.session.post(address, params={"filename": filename, **query}, data=sent) as answer:
            told = await answer.json()
            assert answer.status == status, told
            return told

    async def through(self, import_id: str) -> Any:
        """Until it waits for nobody but its owner."""
        async with asyncio.timeout(60):
            while True:
                told = await self("GET", f"/portal/v1/imports/{import_id}")
                if told["status"] not in ("reading", "importing"):
                    return told
                await asyncio.sleep(0.02)

    async def bring(self, data: Any, **query: str) -> Any:
        """All of it; the import at its end."""
        return await self.through((await self.upload(data, start="true", **query))["id"])

    async def turns(self, conversation_id: str) -> list[Any]:
        return list((await self("GET", f"/portal/v1/conversations/{conversation_id}/turns"))["data"])

    async def conversations(self) -> dict[str, Any]:
        """By title."""
        found = (await self("GET", "/portal/v1/conversations?limit=200"))["data"]
        return {one["title"]: one for one in found}


def traveller(portal: TestPortal, key: str = "") -> Traveller:
    headers = {"Authorization": f"Bearer {key}"} if key else portal.headers
    return Traveller(portal.url, aiohttp.ClientSession(headers=headers))


@pytest_asyncio.fixture
async def portal(tmp_path: Path) -> AsyncIterator[TestPortal]:
    async with open_test_portal(tmp_path / "data", backends=[ScriptedBackend(default=echo)]) as opened:
        yield opened


@pytest_asyncio.fixture
async def me(portal: TestPortal) -> AsyncIterator[Traveller]:
    one = traveller(portal)
    async with one.session:
        yield one
