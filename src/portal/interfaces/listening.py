"""How the application is served: uvicorn, with the head of an answer and the beginning of its body in one packet.

uvicorn writes the two apart. That is a system call and a wake-up of the client more than there need be, and those are
most of what a short call costs. And WebSockets whose clients break the protocol or leave early are no fault of ours.
"""

import asyncio
import ssl
from typing import Any, cast

import uvicorn
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from portal.security.admission import App

_MOST = 64 * 2**10
"""Bytes that are kept."""
_HEAD = b"HTTP/1.1 "
_NO_TEXT = 1007


def server_config(app: App, *, max_message: int, grace: int, tls: ssl.SSLContext | None = None) -> uvicorn.Config:
    """For this application: `max_message` bytes to a WebSocket's message, `grace` seconds for connections to end; by
    HTTPS with `tls`."""
    return uvicorn.Config(
        app,
        loop="none",
        http=_Protocol,
        ws=_Socket,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_max_size=max_message,
        timeout_graceful_shutdown=grace,
        ssl_context_factory=None if tls is None else lambda config, default: tls,
    )


class _Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(cast(asyncio.Transport, _Joined(transport, self.loop)))


class _Socket(WebSocketsSansIOProtocol):
    async def send(self, message: ASGISendEvent) -> None:
        """See ASGI. Once the connection is closed, by whichever side, nobody hears it; uvicorn would call that our
        fault."""
        if self.close_sent or (self.transport.is_closing() and not self.handshake_complete):
            raise ClientDisconnected
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True  # refused: uvicorn forgets to note that this ends it, and logs an error

    def send_receive_event_to_app(self) -> None:
        """What is no text although it is said to be ends the connection (RFC 6455, section 8.1), without a traceback in
        the log."""
        if self.curr_msg_data_type == "text" and not self.close_sent and not _is_text(b"".join(self.frames)):
            self.frames = []
            self.conn.fail(_NO_TEXT)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Joined:
    """A transport that keeps the head of an answer, and all but the first of what is written in one turn of the loop,
    until the end of that turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._size = 0
        self._turn = -1.0
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """See asyncio.WriteTransport."""
        if not self._waiting:
            turn, before = self._loop.time(), self._turn
            self._turn = turn
            if turn != before and not data.startswith(_HEAD):  # a chunk that comes alone: nothing to wait for
                if not self.is_closing():
                    self._transport.write(data)
                return
            self._loop.call_soon(self._flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > _MOST:
            self._flush()

    def _flush(self) -> None:
        waiting = self._waiting
        if waiting and not self._transport.is_closing():
            self._transport.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))
        waiting.clear()
        self._size = 0

    def close(self) -> None:
        """See asyncio.BaseTransport."""
        self._flush()
        self._transport.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See asyncio.BaseTransport."""
        self._flush()
        self._transport.set_protocol(protocol)
