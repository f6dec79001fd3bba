"""One answer of `http1`, as it comes over its connection.

A body is held back in the network while much of it waits to be taken.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Iterator, Mapping
from typing import TYPE_CHECKING

from portal.backends.transport import Body, Request
from portal.core.model import Sink
from portal.errors import BackendError

if TYPE_CHECKING:
    from portal.backends.http1_connection import Connection

_HIGH_WATER = 64 * 2**10
_SMALL = 16 * 2**10
"""A body that is sent in one piece with its head."""


class Headers(Mapping[str, str]):
    """By name, in whatever case; of several with one name the first."""

    def __init__(self, lines: list[tuple[bytes, bytes]]) -> None:
        self._values = {name.lower(): value for name, value in reversed(lines)}

    def sent(self, name: bytes) -> bytes | None:
        """A value as it came, by its name in small letters."""
        return self._values.get(name)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower().encode("latin-1")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._values)

    def __len__(self) -> int:
        return len(self._values)


class Http1Answer:
    """Implements Answer. Until its head has come, `Http1.send` waits in it."""

    def __init__(self, connection: "Connection", until: float, request: Request) -> None:
        self.status = 0
        self.reason = ""
        self.headers: Mapping[str, str] = {}
        self.begun = False
        self.done = False
        self.bodiless = request.method == "HEAD"
        self.uploading = False
        self.seconds = request.seconds
        """What the deadline was, for the error that says so."""
        self._connection = connection
        self._until: float | None = until
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._sink: Sink | None = None
        self._rest: Awaitable[None] | None = None

    async def ask(self, head: bytes, body: Body) -> None:
        """Send the request and wait for the answer's head. Raises BackendError, or Stale."""
        connection = self._connection
        if isinstance(body, AsyncIterable):
            await self._upload(head, body)
        elif body and len(body) > _SMALL:
            connection.write(head)
            connection.write(body)
        else:
            connection.write_soon(head + body if body else head)
        while not self.begun:
            if self._error is not None:
                raise self._error
            await self._wait()

    async def _upload(self, head: bytes, body: AsyncIterable[bytes]) -> None:
        """Send it in chunks, no faster than the server takes them; an answer that comes before its end ends it."""
        connection, self.uploading = self._connection, True
        connection.write(head)
        async for piece in body:
            if self.begun or self._error is not None:
                return
            if piece:
                connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self._until = connection.loop.time() + self.seconds
            while connection.held and not self.begun and self._error is None:
                await self._wait()
        if not self.begun and self._error is None:
            connection.write(b"0\r\n\r\n")
            self.uploading = False

    async def chunk(self) -> bytes:
        """See Answer."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.done:
                return b""
            await self._wait()
        return self._taken()

    async def pour(self, sink: Sink) -> None:
        """See Answer."""
        while not self.done and self._error is None:
            self._sink = sink
            self.hand_on()
            try:
                if self._rest is None and self._error is None:
                    await self._wait()
            finally:
                self._sink = None
            rest, self._rest = self._rest, None
            if rest is not None:
                await rest

    def hand_on(self) -> None:
        """What has come goes straight to whoever it is poured to: waking a task for it costs more than sending it."""
        if self._sink is None or not self._pieces:
            return
        try:
            self._rest = self._sink(self._taken())
        except (BackendError, OSError) as error:
            self.fail(error)
        if self._rest is not None:
            self._sink = None
            self.wake()
        else:
            self._connection.deadline = self._connection.loop.time() + self._connection.pool.idle

    def _taken(self) -> bytes:
        """All of the body that is there."""
        pieces = self._pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size, self._until = 0, None
        if not self.done and self._error is None:
            self._connection.resume()
        return piece

    async def _wait(self) -> None:
        connection, until = self._connection, self._until
        if until is None:
            self.seconds = connection.pool.idle
            until = connection.loop.time() + self.seconds
        connection.expect(until)
        self._waiter = connection.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """Something happened: whoever waits looks again, and decides anew how long to wait."""
        if self._waiter is not None and not self._waiter.done():
            self._connection.deadline = None
            self._waiter.set_result(None)

    def take(self, piece: bytes) -> None:
        """More of the body."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > _HIGH_WATER:
            self._connection.pause()
        if self._sink is None:
            self.wake()

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """The head is whole."""
        self.status, self.headers, self.begun = status, headers, True
        self.wake()

    def end(self) -> None:
        """The body is whole."""
        self.done = True
        self.wake()

    def fail(self, error: Exception) -> None:
        """No more will come; what came before is given first."""
        self._error = error
        self.wake()

    def close(self) -> None:
        """See Answer."""
        self._connection.give_up(self)
