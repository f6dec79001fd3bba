import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.portal import TestPortal, open_test_portal

SERVER = {
    "allowed_hosts": ["portal.example"],
    "allowed_origins": ["https://app.example"],
    "max_body": 1000,
    "max_upload": 3000,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestPortal]:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    data = tmp_path_factory.mktemp("portal")
    async with open_test_portal(data, backends=[backend], settings={"server": SERVER}) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(portal: TestPortal) -> AsyncIterator[aiohttp.ClientSession]:
    """A client without credentials that keeps cookies."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(portal.url, cookie_jar=jar) as session:
        yield session


@dataclass(frozen=True)
class Raw:
    status: int
    headers: Mapping[str, str]
    body: bytes


async def raw(url: str, *lines: bytes, body: bytes = b"") -> Raw:
    """What a server says to these very bytes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"\r\n".join([*lines, b"Connection: close", b"", body]))
    await writer.drain()
    answer = await reader.read()
    writer.close()
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return Raw(int(status.split()[1]), headers, rest)
