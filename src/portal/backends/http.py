"""The one place for HTTP: pooled connections, a deadline on every wait, bounded sizes, and our errors.

    client = HttpClient(server="ollama", url="http://127.0.0.1:11434", deadlines=Deadlines())
    tags = await client.json("GET", "/api/tags", within=2)
    reply = await client.open("POST", "/api/chat", body)
    try:
        while chunk := await reply.chunk(): ...
    finally:
        reply.close()                       # closes the upstream connection unless it was read to its end

Errors name the server and its URL, never a key. Redirects are not followed, cookies not kept, and no proxy stands
before a loopback address. Plain HTTP goes through a small client of our own, TLS and proxies through aiohttp, which is
imported only then.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from portal import __version__
from portal.backends.failures import Failures, retry_after
from portal.backends.http1 import Http1
from portal.backends.transport import Answer, Body, Request, Transport
from portal.core.trace_context import leaving
from portal.core.tracing import current
from portal.errors import BackendError, SettingsError
from portal.settings.proxy import proxy_of
from portal.settings.turns import TurnSettings

MAX_JSON = 64 * 2**20
"""Largest whole answer in bytes: room for a long list of embeddings."""
MAX_ERROR = 64 * 2**10
_FINISH = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """In seconds: to connect, from the request to the first byte of the answer's body, and between two of its bytes."""

    connect: float = 5
    first_byte: float = 300
    idle: float = 120

    @classmethod
    def of(cls, turns: TurnSettings) -> "Deadlines":
        """As the settings have them."""
        return cls(connect=turns.connect_timeout, first_byte=turns.first_token_timeout, idle=turns.idle_timeout)


def server_url(url: str) -> str:
    """A server's URL as settings may give it, `http://` added where the scheme was left out. Raises SettingsError."""
    whole = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(f"{url!r} is no address of a model server; it looks like http://127.0.0.1:8080.")
    return whole.rstrip("/")


def public_url(url: str) -> str:
    """A URL without the name and password that may stand in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class HttpClient(Failures):
    """Requests to one server."""

    def __init__(
        self,
        *,
        server: str,
        url: str,
        deadlines: Deadlines,
        headers: Mapping[str, str] | None = None,
        library: bool = False,
    ) -> None:
        """`library`: through aiohttp, even where that is not needed."""
        self.url = url.rstrip("/")
        super().__init__(f"{server} ({public_url(self.url)})")
        self.deadlines = deadlines
        self._headers = {"User-Agent": f"portal/{__version__}", "Accept-Encoding": "identity", **(headers or {})}
        self._proxy = proxy_of(self.url)
        parts = urlsplit(self.url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._plain = parts.scheme == "http" and self._proxy is None and not library
        self._own: Transport | None = None
        self._library: Transport | None = None

    async def open(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        headers: Mapping[str, str] | None = None,
        within: float | None = None,
    ) -> "Reply":
        """Send a request and wait for the answer's head. `path` may be a whole URL; `within` replaces the
        first-byte deadline, in seconds, which begins anew with each piece of a body that is sent in pieces.

        Raises:
            BackendUnavailable, BackendTimeout, BackendProtocolError: there is no answer that is HTTP.
        """
        url = path if path.startswith(("http://", "https://")) else self.url + path
        seconds = within or self.deadlines.first_byte
        trace = leaving(current.get())
        request = Request(method=method, url=url, headers=headers or {}, body=body, seconds=seconds, trace=trace)
        return Reply(self, await self._transport(url).send(request))

    def _transport(self, url: str) -> Transport:
        """What leads there. Raises BackendUnavailable for an address that cannot be used."""
        if self._plain and url.startswith(self._origin) and url[len(self._origin) :][:1] in ("/", "?", ""):
            if self._own is None:
                self._own = Http1(origin=self._origin, **self._common())
            return self._own
        if self._library is None:
            from portal.backends.http_library import Library

            self._library = Library(proxy=self._proxy, **self._common())
        return self._library

    def _common(self) -> dict[str, Any]:
        return {
            "headers": self._headers,
            "connect": self.deadlines.connect,
            "idle": self.deadlines.idle,
            "failures": self,
        }

    async def json(
        self, method: str, path: str, body: object = None, *, within: float | None = None, limit: int = MAX_JSON
    ) -> Any:
        """A whole JSON answer with status 2xx.

        Raises:
            BackendError: every other answer, and none.
        """
        content = None if body is None else orjson.dumps(body)
        headers = {} if content is None else {"Content-Type": "application/json"}
        reply = await self.open(method, path, content, headers=headers, within=within)
        try:
            if reply.status >= 300:
                raise await reply.failure()
            return self.parsed(await reply.read(limit))
        finally:
            reply.close()

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in (self._own, self._library):
            if transport is not None:
                await transport.aclose()


class Reply:
    """The head of an answer, and its body piece by piece. `close` it, whatever happens."""

    def __init__(self, failures: Failures, answer: Answer) -> None:
        self._failures = failures
        self._answer = answer
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.content_type = answer.headers.get("Content-Type", "")
        self.chunk = answer.chunk
        """The next piece of the body as it came; empty at its end. Raises BackendInterrupted where it broke off,
        BackendTimeout where nothing came in time."""
        self.pour = answer.pour
        """See Answer."""
        self.close = answer.close
        """Give up the rest: a connection that was not read to its end is closed at once."""

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises BackendProtocolError over `limit` bytes, and what `chunk` raises."""
        pieces, size = [], 0
        while piece := await self.chunk():
            size += len(piece)
            if size > limit:
                raise self._failures.too_long(limit)
            pieces.append(piece)
        return b"".join(pieces)

    async def finish(self) -> None:
        """Once the answer is complete: wait a moment for the body's end, so that the connection can be used again."""
        if self._answer.done:
            return
        try:
            async with asyncio.timeout(_FINISH):
                while await self.chunk():
                    pass
        except (TimeoutError, BackendError):
            self.close()

    async def failure(self) -> BackendError:
        """The error that this answer's status and body stand for."""
        body = await self._beginning()
        return self._failures.refused(self.status, self._answer.reason, body, retry_after(self.headers))

    async def _beginning(self) -> bytes:
        pieces, size = [], 0
        while size < MAX_ERROR and (piece := await self.chunk()):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)[:MAX_ERROR]
