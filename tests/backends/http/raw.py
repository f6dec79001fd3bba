"""A server of a few lines, for everything that no proper one would send."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Talk: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Raw:
    """Runs `talk` for each connection, which it numbers from 1."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.connections = 0
        self.closed = 0
        self._changed = asyncio.Event()

    async def __aenter__(self) -> "Raw":
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            try:
                await self._talk(reader, writer, self.connections)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()
                self.closed += 1
                self._changed.set()

        self._server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def all_closed(self) -> None:
        """Until every connection so far has ended."""
        while self.closed < self.connections:
            self._changed.clear()
            await self._changed.wait()


def answering(*answers: bytes) -> Talk:
    """To each request of a connection the next answer; closes after the last."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        for answer in answers:
            await request(reader)
            writer.write(answer)
            await writer.drain()

    return talk


async def request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The head and the body of the next request, whether counted or chunked."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lower = head.lower()
    if "transfer-encoding: chunked" in lower:
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return head, body
    length = lower.partition("content-length: ")[2].partition("\r\n")[0]
    return head, await reader.readexactly(int(length or 0))
