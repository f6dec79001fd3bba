"""Attacks that others fell to: each gets through a server that was built to be broken, and none through Portal."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver

from portal.cli.attacks import ATTACKS, Stage, staged
from portal.cli.attacks_outbound import ANSWERS, SPELLINGS, outbound
from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.errors import PortalError, ToolError
from portal.security.destination import Resolver
from portal.security.outbound import Guard
from portal.settings import Settings, load_settings
from portal.testing.portal import open_test_portal

INSIDE = "address of this machine, fetched by the server"


async def broken(request: web.Request) -> web.StreamResponse:
    """Lets everybody do everything, and believes what headers say."""
    if request.headers.get("upgrade") == "websocket":
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        return socket
    if (wanted := urlsplit(request.query.get("client_id", ""))).hostname:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(wanted.hostname, wanted.port)
            writer.close()
    chosen = request.headers.get("x-forwarded-user") or "user_1"
    said = {
        "id": "user_2" if request.path.endswith("/users") else "thing_1",
        "key": "portal-key",
        "url": f"http://{request.host}/sign-in?token=1",
        "user": {"id": chosen, "preferences": {}},
        "object": "thing",
    }
    return web.json_response(said, headers={"set-cookie": "portal_session=1; HttpOnly"})


@asynccontextmanager
async def broken_server() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", broken)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def outcomes(url: str, key: str) -> dict[str, str]:
    with staged(url, key) as stage:
        return {name: attack(stage) for name, attack in ATTACKS.items()}


async def test_each_attack_gets_through_a_broken_server() -> None:
    async with broken_server() as url:
        found = await asyncio.to_thread(outcomes, url, "key")
    assert [name for name, through in found.items() if not through] == []


async def test_no_attack_gets_through_portal_and_nobody_is_left(tmp_path: Path) -> None:
    async with open_test_portal(tmp_path) as portal:
        found = await asyncio.to_thread(outcomes, portal.url, portal.key)
        people = await portal.portal.storage.people.list()
        assert (await portal.portal.storage.audit.verify()).flaws == []
        as_owner = Stage(url=portal.url, owner=portal.key, key=portal.key)
        assert await asyncio.to_thread(ATTACKS["program started as a tool server"], as_owner) == ""
        with pytest.raises(PortalError, match="could not be tried"):  # nobody is signed in: nothing is looked up
            await asyncio.to_thread(ATTACKS[INSIDE], as_owner)
    assert {name: through for name, through in found.items() if through} == {}
    assert [one.role for one in people] == ["owner"]


async def test_an_address_that_is_asked_is_told_also_where_no_answer_comes() -> None:
    async def ask_and_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        wanted = urlsplit(parse_qs(urlsplit(path).query)["client_id"][0])
        _, inside = await asyncio.open_connection("127.0.0.1", wanted.port)
        inside.close()
        writer.close()

    async with await asyncio.start_server(ask_and_leave, "127.0.0.1", 0) as server:
        stage = Stage(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", owner="")
        assert await asyncio.to_thread(ATTACKS[INSIDE], stage) == "loopback"


async def test_what_is_no_portal_is_said() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(PortalError, match="something else"):
        await asyncio.to_thread(outcomes, url, "key")
    server.close()
    await server.wait_closed()
    with pytest.raises(PortalError, match="does not answer"):
        await asyncio.to_thread(outcomes, url, "key")


class _Resolver(AbstractResolver):
    def __init__(self, resolve: Resolver) -> None:
        self._resolve = resolve

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        found = [each for each in await self._resolve(host, port) if each != "93.184.216.34"]
        return [
            {"hostname": host, "host": each.removeprefix("::ffff:"), "port": port, "family": 2, "proto": 0, "flags": 0}
            for each in found
            if ":" not in each.removeprefix("::ffff:")
        ]

    async def close(self) -> None:
        """Nothing to close."""


class Unguarded:
    """Fetches what it is told to, as a library does: with redirects, and in the spellings that this system knows."""

    def __init__(self, settings: Settings, resolver: Resolver) -> None:
        self._resolver = resolver

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        connector = aiohttp.TCPConnector(resolver=_Resolver(self._resolver), force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            try:
                async with session.get(request.url.replace("\\", "/"), allow_redirects=False) as answer:
                    location = answer.headers.get("location")
                    if location:
                        return await self.fetch(OutboundRequest(url=location))
                    return OutboundResponse(url=str(answer.url), status=answer.status, headers={}, body=b"")
            except (aiohttp.ClientError, OSError, ValueError):
                return await asyncio.to_thread(self._as_the_system_reads_it, request.url)

    @staticmethod
    def _as_the_system_reads_it(url: str) -> OutboundResponse:
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                return OutboundResponse(url=url, status=answer.status, headers={}, body=b"")
        except (OSError, ValueError) as error:
            raise ToolError(str(error)) from error

    async def check(self, url: str) -> Sequence[str]:
        return []


async def test_what_is_fetched_never_comes_to_this_machine(tmp_path: Path) -> None:
    settings = load_settings({"data_dir": tmp_path, "tools": {"ports": list(range(1024, 65536))}})
    bare = await outbound(settings, Unguarded)
    assert len(bare) == 2 * len(SPELLINGS) + len(ANSWERS)
    guarded = await outbound(settings, lambda settings, resolver: Guard(settings, resolver=resolver))
    assert [name for name, through in guarded.items() if through] == []
    assert [name for name, through in bare.items() if not through] == []
