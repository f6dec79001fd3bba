"""A streamed answer on its way out: what fails before the first byte has a status, what fails after it an event."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from starlette.types import Send

from portal.core.model import Sink
from portal.errors import PortalError
from portal.interfaces.dialect import Dialect, Headers
from portal.interfaces.wire import KEEP_ALIVE, Alive


async def send_frames(
    send: Send,
    frames: AsyncGenerator[bytes, None],
    headers: Headers,
    dialect: Dialect,
    *,
    keep_alive: float = KEEP_ALIVE,
    on_first: Callable[[], None] = lambda: None,
    on_failed: Callable[[PortalError], None] = lambda _: None,
    pour: Callable[[Sink], Awaitable[None]] | None = None,
) -> bool:
    """Send each frame as it comes; whether the stream came to its own end. One that fails ends with the API's error
    frame, never with what ends a whole answer. After `keep_alive` seconds of silence the API's ping goes out.
    `on_first` is called when there is a first frame, `on_failed` when it fails after that. `pour` hands on what it can
    of what follows the first frame, faster than frame by frame; `frames` has the rest.

    Raises:
        PortalError: it failed before the first frame; nothing was sent.
    """
    whole = True
    async with aclosing(frames) as ready:
        first = await anext(ready, b"")
        on_first()
        await send({"type": "http.response.start", "status": 200, "headers": [*dialect.stream_headers, *headers]})
        alive = Alive(send, dialect.ping, keep_alive)
        try:
            await alive.send(first)
            if pour is not None:
                await pour(alive.push)
            async for frame in ready:
                await alive.send(frame)
        except PortalError as error:
            whole = False
            on_failed(error)
            await alive.send(dialect.error_frame(error))
        finally:
            alive.end()
    await send({"type": "http.response.body", "body": b""})
    return whole
