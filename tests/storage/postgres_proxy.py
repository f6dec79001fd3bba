"""A proxy between Portal and a PostgreSQL server: it cuts, delays, keeps silent and refuses as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit


class PostgresProxy:
    """Passes everything on until told otherwise. `url` is the address of the database through it."""

    def __init__(self, target: str) -> None:
        """`target` is the address of a database on a Unix socket."""
        address = urlsplit(target)
        self._database = address.path
        self._socket = f"{parse_qs(address.query)['host'][0]}/.s.PGSQL.5432"
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._hush = False
        self.delay = 0.0
        """Seconds that everything the server says is late."""
        self.commits_to_lose = 0
        """Of so many commits the server hears, but nobody hears its answer."""
        self.last_heard = b""
        """What a connection says behind this the server does not hear, as if who is there stood still."""

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}{self._database}?sslmode=disable&gssencmode=disable"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Nobody gets in, and whoever is in is cut off."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        """End every connection, as a restart of the server does."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._socket)
        both = {writer, back}
        self._open |= both
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass(reader, back, both, asking=True))
            group.create_task(self._pass(there, writer, both, asking=False))
        self._open -= both

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        both: set[asyncio.StreamWriter],
        *,
        asking: bool,
    ) -> None:
        """One way, until either end is gone; then both are."""
        lost = still = False
        with suppress(OSError):
            while data := await reader.read(65_536):
                if not asking and self._hush:
                    continue
                if not asking and self.delay:
                    await asyncio.sleep(self.delay)
                if asking and still:
                    continue
                still = bool(self.last_heard) and self.last_heard in data
                if asking and self.commits_to_lose and b"COMMIT" in data:
                    self.commits_to_lose -= 1
                    lost = True
                writer.write(data)
                await writer.drain()
                if lost:
                    self._hush = True
                    await asyncio.sleep(0.2)  # until the server has carried it out
                    self._hush = False
                    self.cut()
                    break
        for end in both:
            end.transport.abort()


@asynccontextmanager
async def proxied(target: str) -> AsyncIterator[PostgresProxy]:
    """A running one."""
    proxy = PostgresProxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
