"""Attacks on what is fetched for a model: addresses of this machine in every spelling, redirects to it, and names that
lead to it. They are tried on the guard itself, with servers of their own on loopback that count who reaches them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from portal.core.outbound import OutboundRequest
from portal.errors import PortalError

if TYPE_CHECKING:
    from portal.core.tool_ports import Fetcher
    from portal.security.destination import Resolver
    from portal.settings import Settings

Maker = Callable[["Settings", "Resolver"], "Fetcher"]
_SECONDS = 3
_NAMED = "evil.example"
SPELLINGS: Mapping[str, str] = {
    "loopback": "http://127.0.0.1:{port}/",
    "name of this machine": "http://localhost:{port}/",
    "mapped into IPv6": "http://[::ffff:127.0.0.1]:{port}/",
    "mapped, in hexadecimal": "http://[::ffff:7f00:1]:{port}/",
    "short": "http://127.1:{port}/",
    "one number": "http://2130706433:{port}/",
    "hexadecimal": "http://0x7f000001:{port}/",
    "octal": "http://0177.0.0.1:{port}/",
    "any address": "http://0.0.0.0:{port}/",
    "behind a user": "http://public.example@127.0.0.1:{port}/",
    "behind a backslash": "http://127.0.0.1:{port}\\@public.example/",
    "behind a fragment": "http://127.0.0.1:{port}#@public.example/",
    "with full-width digits": "http://１２７.０.０.１:{port}/",
}
ANSWERS: Mapping[str, Sequence[str]] = {
    "name of a private address": ["127.0.0.1"],
    "name of two addresses": ["93.184.216.34", "127.0.0.1"],
    "name of a mapped address": ["::ffff:127.0.0.1"],
}


class Canary:
    """A server that counts who reaches it; `leads_to` is where it sends them on."""

    def __init__(self) -> None:
        self.reached, self.port, self.leads_to = 0, 0, ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        line = await reader.readline()
        if line:
            self.reached += 1
            location = f"location: {self.leads_to}\r\n" if self.leads_to else ""
            status = "302 Found" if self.leads_to else "200 OK"
            writer.write(f"HTTP/1.1 {status}\r\n{location}content-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()


@asynccontextmanager
async def canary() -> AsyncIterator[Canary]:
    """One that listens."""
    made = Canary()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def outbound(settings: "Settings", make: Maker) -> dict[str, bool]:
    """By attack, whether it reached what it was aimed at."""
    from portal.security.destination import system_resolver

    found = {}
    async with canary() as aimed, canary() as redirector:
        own = (f"127.0.0.1:{redirector.port}",)
        bare = settings.model_copy(update={"tools": settings.tools.model_copy(update={"private_hosts": own})})
        guard = make(bare, system_resolver)
        for name, spelling in SPELLINGS.items():
            url = spelling.format(port=aimed.port)
            found[name] = await _reaches(guard, url, aimed)
            redirector.leads_to = url
            found[f"redirect: {name}"] = await _reaches(guard, f"http://127.0.0.1:{redirector.port}/", aimed)
        for name, addresses in ANSWERS.items():
            named = make(bare, _resolver(addresses))
            found[name] = await _reaches(named, f"http://{_NAMED}:{aimed.port}/", aimed)
    return found


def _resolver(addresses: Sequence[str]) -> "Resolver":
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


async def _reaches(guard: "Fetcher", url: str, aimed: Canary) -> bool:
    before = aimed.reached
    with suppress(PortalError):
        await guard.fetch(OutboundRequest(url=url, seconds=_SECONDS))
    return aimed.reached > before
