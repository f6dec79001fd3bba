"""What all engines that are servers share: a request over the port that leads there, and what its answer means."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from portal.core.model import RawRequest, RawResponse
from portal.core.ports import Forwarding
from portal.errors import BackendError, BackendProtocolError, BackendRejected, BackendUnavailable

_MOST_JSON = 64 * 2**20
_MOST_ERROR = 64 * 2**10


class Served:
    """One server."""

    def __init__(self, *, name: str, server: Forwarding) -> None:
        self.name = name
        self._server = server

    async def stream(self, request: RawRequest) -> AsyncGenerator[bytes, None]:
        """The body of a good answer as it comes. Raises BackendError for every other one, and none."""
        async with self._answered(request) as answer:
            async for piece in answer.body:
                yield piece

    async def json(self, request: RawRequest) -> Any:
        """A good answer that is JSON. Raises BackendError."""
        async with self._answered(request) as answer:
            body = await self._whole(answer, _MOST_JSON)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BackendProtocolError(f"{self.name} answered something that is no JSON: {body[:80]!r}") from error

    @asynccontextmanager
    async def _answered(self, request: RawRequest) -> AsyncIterator[RawResponse]:
        answer = await self._server.forward(request)
        try:
            if answer.status >= 300:
                raise self._refused(answer, await self._whole(answer, _MOST_ERROR))
            yield answer
        finally:
            await answer.aclose()

    async def _whole(self, answer: RawResponse, most: int) -> bytes:
        body = bytearray()
        async for piece in answer.body:
            body += piece
            if len(body) > most:
                raise BackendProtocolError(f"{self.name} answered with more than {most} bytes.")
        return bytes(body)

    def _refused(self, answer: RawResponse, body: bytes) -> BackendError:
        message = f"{self.name} answered {answer.status}: {_said(body)}"
        if answer.status >= 500 or answer.status in (401, 403, 429):
            error = BackendUnavailable(message)
            error.retry_after = answer.retry_after
            return error
        return BackendRejected(message, status=answer.status if answer.status >= 400 else 502)


def _said(body: bytes) -> str:
    """The server's own words, whatever shape they have."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:300].decode("utf-8", "replace").strip()
    error = told.get("error", told.get("detail", told)) if isinstance(told, dict) else told
    return str(error.get("message") or error)[:500] if isinstance(error, dict) else str(error)[:500]
