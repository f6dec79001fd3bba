"""HTTP/1.1 over plain TCP to one server: what every request of the gateway passes through, so it is kept small. TLS and
proxies are `http_library`'s."""

import asyncio
import base64
import re
import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from portal.backends.failures import Failures
from portal.backends.http1_answer import Http1Answer
from portal.backends.http1_connection import Connection, Pool, Stale
from portal.backends.transport import KEEP_SECONDS, MOST_REQUESTS, Body, Request

_TARGET = re.compile(r"/[!\"$-~]*")
_KEPT = "/:@!$&'()*+,;=%~?"
_NAME = re.compile(r"[A-Za-z0-9-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class Http1:
    """Implements Transport for one origin, such as `http://127.0.0.1:8080`. `connect` and `idle` are in seconds."""

    def __init__(
        self,
        *,
        origin: str,
        headers: Mapping[str, str],
        connect: float,
        idle: float,
        failures: Failures,
        limit: int = MOST_REQUESTS,
        keep: float = KEEP_SECONDS,
    ) -> None:
        """Raises BackendUnavailable for an origin that no request can be sent to."""
        self._failures = failures
        self._pool = Pool(failures=failures, idle=idle, keep=keep, slots=asyncio.Semaphore(limit))
        self._origin = len(origin)
        self._limit = limit
        self._connect = connect
        self._good: object = None
        self._closed = False
        try:
            self._host, self._port, self._head = _common(origin, headers)
        except ValueError as error:
            raise failures.unusable(error) from error

    async def send(self, request: Request) -> Http1Answer:
        """See Transport."""
        fresh = not isinstance(request.body, bytes | None)
        head = self._encoded(request)
        until = asyncio.get_running_loop().time() + request.seconds
        while True:
            connection = await self._connection(until, request.seconds, fresh=fresh)
            answer = connection.begin(until, request)
            try:
                await answer.ask(head, request.body)
            except Stale:
                fresh = True
            except BaseException:
                answer.close()
                raise
            else:
                return answer

    def _encoded(self, request: Request) -> bytes:
        """The request's head."""
        try:
            own = b"".join(_line(name, value) for name, value in request.headers.items())
        except ValueError as error:
            raise self._failures.unusable(error) from error
        if request.trace:  # not through the cache of lines: no two are the same
            own += "".join(f"{name}: {value}\r\n" for name, value in request.trace.items()).encode("ascii")
        start = _start(request.method, request.url[self._origin :])
        return b"%b%b%b%b\r\n" % (start, self._head, own, _length(request.method, request.body))

    async def _connection(self, until: float, seconds: float, *, fresh: bool) -> Connection:
        """One that is free, or a new one; it holds a slot."""
        pool = self._pool
        if pool.slots.locked():
            try:
                async with asyncio.timeout_at(until):
                    await pool.slots.acquire()
            except TimeoutError as error:
                raise self._failures.busy(seconds, self._limit) from error
        else:
            await pool.slots.acquire()
        while pool.free:
            connection = pool.free.pop()
            if not fresh and not connection.closing:
                return connection
            connection.abort()  # one that was kept turned out to be closed: the others are as old
        try:
            return await self._connected(until)
        except BaseException:
            pool.slots.release()
            raise

    async def _connected(self, until: float) -> Connection:
        loop = asyncio.get_running_loop()
        seconds = min(self._connect, until - loop.time())
        try:
            if self._closed:
                raise OSError("Portal does not use it any more")
            async with asyncio.timeout(seconds):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                return await self._first(sorted(found, key=lambda address: address != self._good), seconds)
        except TimeoutError as error:
            raise self._failures.not_accepted(seconds) from error
        except OSError as error:
            raise self._failures.unreachable(error) from error
        except ValueError as error:
            raise self._failures.unusable(error) from error

    async def _first(self, addresses: list[Any], seconds: float) -> Connection:
        """Of a name's addresses the first that takes the connection, beginning with the one that did so last."""
        loop = asyncio.get_running_loop()
        failure = OSError("its name has no address")
        for address in addresses:
            host, port = address[4][:2]
            try:
                async with asyncio.timeout(seconds / len(addresses)):
                    _, connection = await loop.create_connection(lambda: Connection(self._pool), host, port)
            except OSError as error:
                failure = error
            else:
                self._good = address
                return connection
        raise failure

    async def aclose(self) -> None:
        """See Transport."""
        self._closed = True
        for connection in list(self._pool.all):
            connection.abort()


def _common(origin: str, headers: Mapping[str, str]) -> tuple[str, int, bytes]:
    """Host, port, and the lines that the heads of all requests share. Raises ValueError."""
    parts = urlsplit(origin)
    host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port or 80
    if not host:
        raise ValueError("it has no host")
    shown = f"[{host}]" if ":" in host else host
    lines = {"Host": shown if port == 80 else f"{shown}:{port}", **headers}
    if parts.username and "Authorization" not in lines:
        both = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines["Authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
    return host, port, b"".join(_line(name, value) for name, value in lines.items())


@lru_cache(maxsize=256)
def _line(name: str, value: str) -> bytes:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError(f"the header {name!r} has characters that no header may have")
    return f"{name}: {value}\r\n".encode("latin-1")


@lru_cache(maxsize=256)
def _start(method: str, target: str) -> bytes:
    return f"{method} {_target(target)} HTTP/1.1\r\n".encode("ascii")


def _target(text: str) -> str:
    """Path and query as the request's first line has them."""
    if _TARGET.fullmatch(text):
        return text
    parts = urlsplit(text)
    path = quote(parts.path, safe=_KEPT) or "/"
    return f"{path}?{quote(parts.query, safe=_KEPT)}" if parts.query else path


def _length(method: str, body: Body) -> bytes:
    if isinstance(body, bytes):
        return b"Content-Length: %d\r\n" % len(body)
    if body is None:
        return b"" if method in _BODILESS else b"Content-Length: 0\r\n"
    return b"Transfer-Encoding: chunked\r\n"
