"""Requests through aiohttp: encrypted ones, and those that a proxy takes on."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp

from portal.backends.failures import Failures
from portal.backends.transport import KEEP_SECONDS, MOST_REQUESTS, Body, Request
from portal.core.model import Sink


class Library:
    """Implements Transport. `connect` and `idle` are in seconds."""

    def __init__(
        self, *, headers: Mapping[str, str], proxy: str | None, connect: float, idle: float, failures: Failures
    ) -> None:
        self._failures = failures
        self._proxy = proxy
        self._connect = connect
        self._idle = idle
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MOST_REQUESTS, keepalive_timeout=KEEP_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, connect=connect, sock_read=None),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )

    async def send(self, request: Request) -> "LibraryAnswer":
        """See Transport."""
        seconds = request.seconds
        with self.translated(seconds):
            async with asyncio.timeout(seconds) as deadline:

                def progress() -> None:
                    deadline.reschedule(asyncio.get_running_loop().time() + seconds)

                response = await self._send(request, progress)
        return LibraryAnswer(self, response, deadline.when() or 0.0, seconds, self._idle)

    async def _send(self, request: Request, progress: Callable[[], None]) -> aiohttp.ClientResponse:
        context: dict[str, bool] = {}

        async def send() -> aiohttp.ClientResponse:
            return await self._session.request(
                request.method,
                request.url,
                data=_counted(request.body, progress),
                headers={**request.headers, **(request.trace or {})},
                allow_redirects=False,
                proxy=self._proxy,
                trace_request_ctx=context,
            )

        try:
            return await send()
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not context.get("reused") or not isinstance(request.body, bytes | None):
                raise
            # The server closed a pooled connection just as we took it: nothing was answered, a fresh one is due.
            return await send()

    @contextmanager
    def translated(self, seconds: float, *, begun: bool = False) -> Iterator[None]:
        """aiohttp's and the system's errors as ours; `begun` once a part of the body was there."""
        failures = self._failures
        try:
            yield
        except aiohttp.ConnectionTimeoutError as error:
            raise failures.not_accepted(self._connect) from error
        except TimeoutError as error:
            raise failures.silent(seconds) from error
        except (aiohttp.ClientPayloadError, aiohttp.http_exceptions.TransferEncodingError) as error:
            raise failures.cut() from error
        except (aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError) as error:
            raise failures.no_http(error) from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise failures.unusable(error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise (failures.cut() if begun else failures.unreachable(error)) from error

    async def aclose(self) -> None:
        """See Transport."""
        await self._session.close()


async def _note_reuse(_session: object, context: Any, _params: object) -> None:
    context.trace_request_ctx["reused"] = True


def _counted(body: Body, progress: Callable[[], None]) -> bytes | AsyncIterator[bytes] | None:
    """Pieces that put the deadline off as they are sent."""
    if isinstance(body, bytes | None):
        return body

    async def pieces(body: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        async for piece in body:
            progress()
            yield piece
        progress()

    return pieces(body)


class LibraryAnswer:
    """Implements Answer."""

    def __init__(
        self, library: Library, response: aiohttp.ClientResponse, until: float, seconds: float, idle: float
    ) -> None:
        self._library = library
        self._response = response
        self._until: float | None = until
        self._seconds = seconds
        self._idle = idle
        self.status = response.status
        self.reason = response.reason or ""
        self.headers: Mapping[str, str] = response.headers

    @property
    def done(self) -> bool:
        """See Answer."""
        return self._response.content.is_eof()

    async def chunk(self) -> bytes:
        """See Answer."""
        until = self._until or asyncio.get_running_loop().time() + self._idle
        with self._library.translated(self._seconds, begun=True):
            async with asyncio.timeout_at(until):
                piece = await self._response.content.readany()
        self._until, self._seconds = None, self._idle
        return piece

    async def pour(self, _: Sink) -> None:
        """See Answer: everything is left to `chunk`."""

    def close(self) -> None:
        """See Answer."""
        self._response.close()
