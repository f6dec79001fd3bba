"""Two servers on one PostgreSQL, in this process: each with connections, memory and caches of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.channels import Channel
from portal.core.tool_ports import Toolset
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.postgres import PostgresServer

SEAL_KEY = "5e" * 32


@dataclass
class Server:
    """One of them, and what its model says."""

    test: TestPortal
    model: ScriptedBackend
    api: aiohttp.ClientSession


@asynccontextmanager
async def opened(
    folder: Path,
    url: str,
    *,
    model: ScriptedBackend | None = None,
    toolsets: Sequence[Toolset] = (),
    channels: Sequence[Channel] = (),
    **settings: Any,
) -> AsyncIterator[Server]:
    model = model or ScriptedBackend(models=["tiny"])
    chosen = {"database": url, "seal_key": SEAL_KEY, **settings}
    async with (
        open_test_portal(folder, backends=[model], toolsets=toolsets, channels=channels, settings=chosen) as test,
        aiohttp.ClientSession(test.url, headers=test.headers) as api,
    ):
        yield Server(test, model, api)


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
async def pair(database: str, tmp_path: Path) -> AsyncIterator[tuple[Server, Server]]:
    """The first one has the duty."""
    async with opened(tmp_path / "a", database) as first, opened(tmp_path / "b", database) as second:
        yield first, second
