"""HTTP to an engine: one session, deadlines, bounded answers, and failures as ours.

aiohttp takes ten megabytes: it is loaded when an engine is first asked for something."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from portal.errors import MediaError, MediaUnavailable

if TYPE_CHECKING:
    import aiohttp

_CONNECT = 5.0
_SHORT = 30.0
_JSON = 64 * 2**20
"""Bytes of JSON that are read: ComfyUI's list of nodes is long."""


class Wire:
    """Talks to one engine. Nothing is opened before the first request."""

    def __init__(self, *, name: str, url: str, api_key: str = "") -> None:
        """`name` is what people are told."""
        self.url = url.rstrip("/")
        self._name = name
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> "aiohttp.ClientSession":
        """The connection pool, made in the running loop."""
        if self._session is None or self._session.closed:
            import aiohttp

            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT)
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self._session

    async def aclose(self) -> None:
        """Release connections."""
        if self._session is not None:
            await self._session.close()

    def away(self, error: object) -> MediaUnavailable:
        """The engine does not answer."""
        number = getattr(getattr(error, "os_error", None), "errno", None)
        told = os.strerror(number) if number else str(error) or type(error).__name__
        return MediaUnavailable(f"{self._name} at {self.url} cannot be reached: {told}")

    @staticmethod
    def form() -> "aiohttp.FormData":
        """What is sent with files."""
        import aiohttp

        return aiohttp.FormData()

    @asynccontextmanager
    async def request(
        self, method: str, path: str, *, seconds: float = _SHORT, **more: Any
    ) -> AsyncIterator["aiohttp.ClientResponse"]:
        """An answer, whatever its status; redirects are not followed. Raises MediaUnavailable."""
        import aiohttp

        try:
            async with (
                asyncio.timeout(seconds),
                self.session.request(method, self.url + path, allow_redirects=False, **more) as response,
            ):
                yield response
        except TimeoutError as error:
            raise self.away(f"no answer within {seconds:g} seconds") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self.away(error) from error

    async def json(self, method: str, path: str, *, seconds: float = _SHORT, **more: Any) -> tuple[int, Any]:
        """Status and JSON of an answer; None where it holds none. Raises MediaUnavailable."""
        async with self.request(method, path, seconds=seconds, **more) as response:
            body = await self.body(response, _JSON)
        try:
            return response.status, json.loads(body)
        except ValueError:
            return response.status, None

    async def body(self, response: "aiohttp.ClientResponse", largest: int) -> bytes:
        """Raises MediaError for more than `largest` bytes."""
        body = bytearray()
        async for piece in response.content.iter_chunked(2**18):
            body += piece
            if len(body) > largest:
                raise MediaError(f"{self._name} sent more than {largest:,} bytes.", code="too_large")
        return bytes(body)


def told(status: int, body: Any, name: str) -> str:
    """What an engine's refusal says, in the usual places of an error body."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("detail") or error.get("details")
    return f"{name} answered {status}" + (f": {error}" if isinstance(error, str) and error else "")
