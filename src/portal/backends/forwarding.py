"""A server's answer as the port Forwarding hands it on."""

from typing import Self

from portal.backends.failures import retry_after
from portal.backends.http import HttpClient, Reply
from portal.core.model import RawRequest, RawResponse


async def forwarded(client: HttpClient, request: RawRequest) -> RawResponse:
    """Relay a request, with the client's own headers for its server and none of the caller's."""
    headers = {"Content-Type": request.content_type} if request.body else {}
    reply = await client.open(request.method, request.path, request.body or None, headers=headers)

    async def aclose() -> None:
        reply.close()

    return RawResponse(
        status=reply.status,
        content_type=reply.content_type,
        body=_Body(reply),
        pour=reply.pour,
        aclose=aclose,
        retry_after=retry_after(reply.headers) if reply.status >= 400 else None,
    )


class _Body:
    """The pieces of an answer as they come. No generator: the loop would keep a list of those under way."""

    def __init__(self, reply: Reply) -> None:
        self._chunk = reply.chunk

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._chunk()
        if not piece:
            raise StopAsyncIteration
        return piece
