"""Plain ASGI, for the doors where a response framework costs more than the work: bodies in, bytes out, and who left."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import aclosing, suppress
from types import coroutine
from typing import Any, TypeVar

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from portal.errors import PortalError
from portal.interfaces.dialect import AsItIs, Dialect

T = TypeVar("T")
Headers = Iterable[tuple[bytes, bytes]]

KEEP_ALIVE = 15.0
COMMENT = b": keep-alive\n\n"
_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
"""Of an event: nothing may come between its pieces. Where a ping is a line, lines are whole."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNWATCHED = 0.05
"""Seconds until a call is watched for its client's leaving."""
_JSON = (b"content-type", b"application/json")
SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class ClientGone(Exception):
    """The client closed its connection before it was answered."""


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request. Raises ClientGone."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


class _Watch:
    """Cancels a task once its client has left. It begins after a moment only: most calls are over by then."""

    def __init__(self, receive: Receive) -> None:
        loop = asyncio.get_running_loop()
        self.gone = False
        self._receive = receive
        self._work = asyncio.current_task(loop)
        self._handle = loop.call_later(_UNWATCHED, self._begin, loop)
        self._task: asyncio.Task[None] | None = None

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._work is not None:
            self._work.cancel()

    def end(self) -> None:
        """The work is over."""
        self._handle.cancel()
        if self._task is not None:
            self._task.cancel()


async def while_there(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client leaves. Call it once the body is read.

    Raises:
        ClientGone: the client left first; and whatever `work` raises.
    """
    watch = _Watch(receive)
    try:
        return await work
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if watch.gone and task is not None and task.uncancel() == 0:
            raise ClientGone from None
        raise
    except BaseExceptionGroup as errors:
        first = _first(errors)
        raise first from first.__cause__
    finally:
        watch.end()


def _first(error: BaseException) -> BaseException:
    """The error that ended a task group, out of its nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def send_json(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """A whole JSON answer."""
    length = (b"content-length", str(len(body)).encode("ascii"))
    await send({"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: PortalError, dialect: Dialect, headers: Headers = ()) -> None:
    """A failure before the first byte, in the API's own form."""
    body = error.body if isinstance(error, AsItIs) else dialect.error_body(error)
    length = (b"content-length", str(len(body)).encode("ascii"))
    start = {"type": "http.response.start", "status": error.status}
    await send({**start, "headers": [*dialect.error_headers(error), length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def send_stream(
    send: Send, frames: AsyncIterator[bytes], headers: Headers = (), *, keep_alive: float = KEEP_ALIVE
) -> None:
    """Server-sent events, each frame as it comes; a comment every `keep_alive` seconds of silence."""
    await send({"type": "http.response.start", "status": 200, "headers": [*SSE_HEADERS, *headers]})
    alive = Alive(send, COMMENT, keep_alive)
    try:
        async for frame in frames:
            await alive.send(frame)
    finally:
        alive.end()
    await send({"type": "http.response.body", "body": b""})


class Alive:
    """Sends frames, and `ping` after `interval` to twice `interval` seconds of silence, so that proxies keep the
    connection. One timer, whatever the number of frames; `end` it before the stream's own end."""

    def __init__(self, send: Send, ping: bytes, interval: float) -> None:
        """Without `ping` nothing is added."""
        self._send = send
        self._ping = ping
        self._ends = _ENDS if ping.endswith(_ENDS) else (b"\n",)
        self._interval = interval
        self._last: bytes | None = COMMENT
        """What was sent last; None while something is."""
        self._seen: bytes | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(interval, self._tick) if ping else None

    async def send(self, frame: bytes) -> None:
        """One frame, or a piece of one."""
        self._last = None
        await self._send({"type": "http.response.body", "body": frame, "more_body": True})
        self._last = frame

    def push(self, frame: bytes) -> Awaitable[None] | None:
        """`send` outside of any task; what is left to wait for, where the client does not take it at once."""
        self._last = None
        return self._begun(self._send({"type": "http.response.body", "body": frame, "more_body": True}), frame)

    def _begun(self, work: Awaitable[None], frame: bytes) -> Awaitable[None] | None:
        """Do what can be done without waiting; what is left."""
        steps = work.__await__()
        try:
            waits_for = next(steps)
        except StopIteration:
            self._last = frame
            return None
        return self._left(waits_for, steps, frame)

    @coroutine
    def _left(self, waits_for: object, steps: Generator[Any, Any, None], frame: bytes) -> Generator[Any, Any, None]:
        yield waits_for
        yield from steps
        self._last = frame

    def _tick(self) -> None:
        last, quiet = self._last, self._last is self._seen
        self._seen = last
        if quiet and last is not None and last.endswith(self._ends) and (self._task is None or self._task.done()):
            self._task = self._loop.create_task(self._say())
        self._timer = self._loop.call_later(self._interval, self._tick)

    async def _say(self) -> None:
        with suppress(OSError):  # the credential was revoked: that is told to whoever waits for the answer
            await self._send({"type": "http.response.body", "body": self._ping, "more_body": True})

    def end(self) -> None:
        """Nothing is added from here on."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()


class EventStream(Response):
    """A response of server-sent events; `on_gone` is called if the client leaves before their end."""

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        *,
        headers: Mapping[str, str],
        on_gone: Callable[[], None],
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        super().__init__()
        self._frames = frames
        self._extra = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        self._on_gone = on_gone
        self._keep_alive = keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the client leaves."""
        try:
            async with aclosing(self._frames) as frames:
                await while_there(receive, send_stream(send, frames, self._extra, keep_alive=self._keep_alive))
        except ClientGone:
            self._on_gone()


def json_response(content: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer made by orjson."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def header_value(text: str) -> str:
    """`text` as a header may carry it: one line of Latin-1, anything else replaced."""
    line = " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")
    return _CONTROLS.sub("?", line)
