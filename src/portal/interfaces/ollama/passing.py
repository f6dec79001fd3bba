"""An Ollama server's answer passed on as it comes, and a client's body passed on to it: neither is ever held whole."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from starlette.types import Receive, Send

from portal.core.items import JsonObject
from portal.core.model import RawResponse
from portal.errors import PortalError
from portal.interfaces.answer import send_frames
from portal.interfaces.ollama.errors import DIALECT, NDJSON
from portal.interfaces.ollama.lines import LineWatch
from portal.interfaces.ollama.relay import refusal
from portal.interfaces.wire import ClientGone


class Upload:
    """A request's body, piece by piece. What went wrong at the client's side is kept: a server's client that reads
    this wraps it in an error of its own."""

    def __init__(self, receive: Receive) -> None:
        self.failure: PortalError | ClientGone | None = None
        self._receive = receive

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises ClientGone, or what admission raises."""
        more = True
        while more:
            try:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
            except (PortalError, ClientGone) as error:
                self.failure = error
                raise
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]


async def pass_on(
    reply: RawResponse,
    send: Send,
    *,
    name: str,
    ended: Callable[[JsonObject], bool],
    at_end: Callable[[], Awaitable[None]],
) -> None:
    """Send an answer on. `ended` tells the last line of a whole stream; `at_end` is awaited before the client sees
    the end of an answer that went well.

    Raises:
        BackendError: it failed, and nothing was sent yet or the connection is to be broken.
    """
    if reply.status >= 400:
        raise await refusal(reply, name)
    if reply.content_type.startswith(NDJSON):
        watch = LineWatch(name, ended)
        await send_frames(send, _then(watch, reply.body, at_end), [], DIALECT)
    else:
        # Whatever the server says its answer is, no browser runs it as a page of ours.
        kind = [(b"content-security-policy", b"sandbox; default-src 'none'")]
        kind += [(b"content-type", reply.content_type.encode("latin-1"))] if reply.content_type else []
        started = {"type": "http.response.start", "status": reply.status, "headers": kind}
        first = await anext(reply.body, b"")
        await send(started)
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for piece in reply.body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await at_end()
        await send({"type": "http.response.body", "body": b""})


async def _then(
    watch: LineWatch, body: AsyncIterator[bytes], at_end: Callable[[], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(watch.frames(body)) as frames:
        async for frame in frames:
            yield frame
    if not watch.failed:
        await at_end()
