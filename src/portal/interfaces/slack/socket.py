"""Socket Mode: one connection at a time, and a new one before an old one ends."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp

from portal.errors import ChannelError, ChannelRefused
from portal.interfaces.slack.api import SlackApi

_PING, _HELLO, _LAST_WORDS = 8.0, 15.0, 30.0

_LIVING = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG)

Take = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any] | None]]
"""Deals with an envelope's kind and payload: what its acknowledgement carries, or None for no acknowledgement."""


class Socket:
    """`run` it until cancelled; `alive` is called at every frame."""

    def __init__(
        self, *, api: SlackApi, token: str, take: Take, alive: Callable[[], None], ping: float = _PING
    ) -> None:
        self._ping = ping
        self._api = api
        self._token = token
        self._take = take
        self._alive = alive

    async def run(self, group: asyncio.TaskGroup, connected: Callable[[], None]) -> None:
        """Listeners belong to `group`. Raises ChannelError when a connection is lost without another, ChannelRefused
        when there is to be none."""
        while True:
            socket = await self._connect()
            connected()
            leaving = asyncio.Event()
            listening = group.create_task(self._listen(socket, leaving))
            waiting = group.create_task(leaving.wait())
            await asyncio.wait({listening, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not leaving.is_set():
                raise ChannelError("The connection to Slack was lost.")

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        url = (await self._api.look("apps.connections.open", token=self._token))["url"]
        try:
            async with asyncio.timeout(_HELLO):
                socket = await self._api.session.ws_connect(url, autoping=False, max_msg_size=2**24)
                frame = await socket.receive()
                while frame.type in (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
                    frame = await socket.receive()
                hello = json.loads(frame.data)
        except (TimeoutError, aiohttp.ClientError, ConnectionError, TypeError, ValueError) as error:
            raise ChannelError(f"Slack cannot be heard ({type(error).__name__}).") from None  # its address is a ticket
        if hello.get("type") != "hello":
            await socket.close()
            reason = str(hello.get("reason", ""))
            raise (ChannelRefused if reason == "link_disabled" else ChannelError)(f"Slack does not connect: {reason}.")
        self._alive()
        return socket

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse, leaving: asyncio.Event) -> None:
        """Until it ends; `leaving` is set when another one is to be made."""
        try:
            while True:
                try:
                    frame = await socket.receive(timeout=_LAST_WORDS if leaving.is_set() else self._ping)
                except TimeoutError:
                    if leaving.is_set():
                        return
                    await socket.ping()
                    continue
                if frame.type not in _LIVING:
                    return
                self._alive()
                if frame.type is aiohttp.WSMsgType.PING:
                    await socket.pong(frame.data)
                elif frame.type is aiohttp.WSMsgType.TEXT:
                    await self._said(socket, json.loads(frame.data), leaving)
        except (ConnectionError, aiohttp.ClientError):
            return
        finally:
            await socket.close()

    async def _said(
        self, socket: aiohttp.ClientWebSocketResponse, said: Mapping[str, Any], leaving: asyncio.Event
    ) -> None:
        if said.get("type") == "disconnect":
            if said.get("reason") == "link_disabled":
                raise ChannelRefused("Socket Mode is switched off for this app.")
            leaving.set()
        elif said.get("envelope_id"):
            answer = await self._take(str(said["type"]), said.get("payload") or {})
            if answer is not None:
                await socket.send_json({"envelope_id": said["envelope_id"], **({"payload": answer} if answer else {})})
