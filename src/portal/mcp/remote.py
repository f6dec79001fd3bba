"""A server at an address: the SDK's transports over a client whose answers are bounded."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from portal.mcp.pace import Pace
from portal.settings.mcp import ToolServerSettings

_CONNECT = 15.0


def transport(
    settings: ToolServerSettings, *, auth: httpx2.Auth | None, largest: int, quiet: float
) -> AbstractAsyncContextManager[Any]:
    """A transport as the SDK's Client takes it; redirects lead nowhere else. `quiet` is how many seconds
    an answer may pause, as it does while a person is asked."""
    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    client = httpx2.AsyncClient(
        headers=headers,
        auth=auth,
        timeout=httpx2.Timeout(_CONNECT, read=max(quiet, 300)),
        transport=Bounded(httpx2.AsyncHTTPTransport(), largest),
    )
    if settings.transport == "sse":
        return _Paced(
            sse_client(settings.url, httpx_client_factory=lambda headers=None, timeout=None, auth=None: client)
        )
    return _Paced(_Streamable(settings.url, client, largest))


class _Paced(AbstractAsyncContextManager[Any]):
    """A transport whose messages come at a bearable pace."""

    def __init__(self, inner: AbstractAsyncContextManager[Any]) -> None:
        self._inner = inner

    async def __aenter__(self) -> Any:
        reading, writing = await self._inner.__aenter__()
        return _PacedStream(reading), writing

    async def __aexit__(self, *error: Any) -> None:
        await self._inner.__aexit__(*error)


class _PacedStream(AbstractAsyncContextManager[Any]):
    """What the SDK reads from, without what is too much."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._pace = Pace()

    @property
    def last_context(self) -> Any:
        """As the SDK's own streams have it."""
        return self._inner.last_context

    async def __aexit__(self, *error: Any) -> None:
        await self._inner.aclose()

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for message in self._inner:
            if isinstance(message, Exception) or await self._pace.passes(message):
                yield message


class _Streamable(AbstractAsyncContextManager[Any]):
    """The streamable transport, and the client that it uses, closed after it."""

    def __init__(self, url: str, client: httpx2.AsyncClient, largest: int) -> None:
        self._client = client
        self._inner = streamable_http_client(url, http_client=client, max_sse_event_size=largest)

    async def __aenter__(self) -> Any:
        await self._client.__aenter__()
        return await self._inner.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self._inner.__aexit__(*error)
        finally:
            await self._client.__aexit__(*error)


class Bounded(httpx2.AsyncBaseTransport):
    """Answers of at most `largest` bytes; a stream of events may be longer, each event of it is bounded elsewhere."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, largest: int) -> None:
        self._inner = inner
        self._largest = largest

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send, and watch what comes."""
        response = await self._inner.handle_async_request(request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Counted(response.stream, self._largest)
        return response

    async def aclose(self) -> None:
        """Close its connections."""
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, largest: int) -> None:
        self._inner = inner
        self._left = largest
        self._largest = largest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._left -= len(chunk)
            if self._left < 0:
                raise httpx2.StreamError(f"the answer is larger than {self._largest // 2**20} MB")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
