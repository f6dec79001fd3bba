"""How the stand-in of Slack reaches an app: Socket Mode connections, or signed requests to its addresses."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from portal.core.clock import micros, seconds
from portal.testing.slack_server_world import APP, BOT_USER, TEAM

Way = Literal["events_api", "interactive", "slash_commands"]
ACK_SECONDS, _MOST_SOCKETS, _PING_SECONDS = 3.0, 10, 5.0


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One event, press or command on its way to the app."""

    way: Way
    payload: dict[str, Any]
    attempts: int = 0
    acked: bool = False
    refused: list[int] = field(default_factory=list)
    """The statuses of answers that were no acknowledgement; 0 for none within 3 s."""
    answer: Any = None
    """What the acknowledgement carried."""
    no_retry: bool = False

    @property
    def event(self) -> dict[str, Any]:
        """The event inside, of events."""
        return dict(self.payload.get("event", {}))


class SlackDelivery:
    """`deliveries` lists everything that was sent or lost. With `withholding`, events stay in `withheld` while
    connections look healthy; with `mute`, nothing comes over them, not even pongs. Each event is sent `repeat` times.
    """

    def __init__(self, *, signing_secret: str) -> None:
        self.signing_secret = signing_secret
        self.events_url = self.actions_url = self.commands_url = ""
        """With these set, an app is reached by HTTP instead of Socket Mode."""
        self.subscribed: set[str] | None = None
        """The kinds of events that the app gets; None for all."""
        self.deliveries: list[Delivery] = []
        self.withheld: list[Delivery] = []
        self.withholding = self.mute = False
        self.repeat = 1
        self.retry_delays: tuple[float, ...] = (0, 60, 300)
        self.sockets: list[web.WebSocketResponse] = []
        self.opened = 0
        """Socket Mode connections so far."""
        self._transports: dict[web.WebSocketResponse, asyncio.Transport] = {}
        self._tickets: set[str] = set()
        self._awaited: dict[str, asyncio.Future[Any]] = {}
        self._turn = self._numbers = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._client: aiohttp.ClientSession | None = None

    async def wait(self, condition: Callable[[], Any], seconds: float = 30) -> None:
        """Until it is true of the server. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self._changed.wait()

    def notify(self) -> None:
        """Something changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Work of the server's own, ended with it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end_work(self) -> None:
        """Cancel what is under way."""
        for task in (tasks := list(self._tasks)):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for socket in list(self.sockets):
            await socket.close()
        if self._client is not None:
            await self._client.close()
            self._client = None

    def emit(self, event: dict[str, Any]) -> None:
        """An event of the workspace, to the app if it subscribed to it."""
        if self.subscribed is not None and _kind(event) not in self.subscribed:
            return
        delivery = Delivery(way="events_api", payload=self._enveloped(event))
        self.deliveries.append(delivery)
        if self.withholding:
            self.withheld.append(delivery)
        else:
            for _ in range(self.repeat):
                self.spawn(self.deliver(delivery))
        self.notify()

    def release(self, *, reverse: bool = False) -> None:
        """Send what was withheld, and withhold no longer."""
        self.withholding = False
        waiting, self.withheld = self.withheld, []
        for delivery in reversed(waiting) if reverse else waiting:
            self.spawn(self.deliver(delivery))

    async def deliver(self, delivery: Delivery) -> None:
        """Try until it is acknowledged; presses and commands are tried once."""
        delays = (*self.retry_delays, None) if delivery.way == "events_api" else (None,)
        for delay in delays:
            if await self._attempt(delivery) or delay is None or delivery.no_retry:
                break
            await asyncio.sleep(delay)
        self.notify()

    async def again(self, delivery: Delivery, **headers: str) -> int:
        """Send it once more, as a retry or with headers of one's own; the status, 200 for an acknowledgement."""
        acked = await self._attempt(delivery, headers)
        return 200 if acked else delivery.refused[-1]

    async def _attempt(self, delivery: Delivery, headers: Mapping[str, str] | None = None) -> bool:
        delivery.attempts += 1
        url = {"events_api": self.events_url, "interactive": self.actions_url, "slash_commands": self.commands_url}
        if url[delivery.way]:
            status = await self._post(url[delivery.way], delivery, headers or {})
        else:
            status = await self._over_socket(delivery)
        if status == 200:
            delivery.acked = True
        else:
            delivery.refused.append(status)
        self.notify()
        return status == 200

    async def _over_socket(self, delivery: Delivery) -> int:
        open_ones = [socket for socket in self.sockets if not socket.closed]
        if not open_ones:
            return 0
        self._turn += 1
        self._numbers += 1
        envelope = f"envelope-{self._numbers}"
        frame: dict[str, Any] = {"envelope_id": envelope, "type": delivery.way, "payload": delivery.payload}
        frame["accepts_response_payload"] = delivery.way != "events_api"
        if delivery.way == "events_api":
            frame |= {"retry_attempt": delivery.attempts - 1, "retry_reason": "timeout" * (delivery.attempts > 1)}
        acked = self._awaited[envelope] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ACK_SECONDS):
                if not self.mute:
                    await open_ones[self._turn % len(open_ones)].send_json(frame)
                delivery.answer = await acked
            return 200
        except (TimeoutError, ConnectionError):
            return 0
        finally:
            del self._awaited[envelope]

    async def _post(self, url: str, delivery: Delivery, headers: Mapping[str, str]) -> int:
        if delivery.way == "events_api":
            body, kind = json.dumps(delivery.payload), "application/json"
        else:
            fields = {"payload": json.dumps(delivery.payload)} if delivery.way == "interactive" else delivery.payload
            body, kind = urlencode(fields), "application/x-www-form-urlencoded"
        sent = {"Content-Type": kind, "User-Agent": "Slackbot 1.0", **self.signed(body)}
        if delivery.attempts > 1:
            sent |= {"X-Slack-Retry-Num": str(delivery.attempts - 1), "X-Slack-Retry-Reason": "http_timeout"}
        limit = aiohttp.ClientTimeout(total=ACK_SECONDS)
        try:
            async with self._http().post(url, data=body, headers={**sent, **headers}, timeout=limit) as answer:
                delivery.answer = await answer.text()
                delivery.no_retry = answer.headers.get("X-Slack-No-Retry") == "1"
                return answer.status
        except (TimeoutError, aiohttp.ClientError):
            return 0

    def signed(self, body: str, *, moment: int | None = None, secret: str | None = None) -> dict[str, str]:
        """The headers that prove that a request is Slack's."""
        stamp = str(seconds(micros()) if moment is None else moment)
        key = (self.signing_secret if secret is None else secret).encode()
        digest = hmac.new(key, f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}

    async def verify_url(self, url: str) -> bool:
        """What Slack does when somebody enters the address for events: whether it is taken."""
        body = json.dumps({"token": "t", "challenge": "3eZbrw1aB", "type": "url_verification"})
        headers = {"Content-Type": "application/json", **self.signed(body)}
        async with self._http().post(url, data=body, headers=headers) as answer:
            text = await answer.text()
            kept = text == "3eZbrw1aB" or (text.startswith("{") and json.loads(text).get("challenge") == "3eZbrw1aB")
            return answer.status == 200 and kept

    def _http(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession()
        return self._client

    def ticket(self, url: str) -> str:
        """A WebSocket address for one connection."""
        self._numbers += 1
        ticket = f"ticket-{self._numbers}"
        self._tickets.add(ticket)
        return f"{url.replace('http', 'ws', 1)}/link/?ticket={ticket}&app_id={APP}"

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """A Socket Mode connection."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=401)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        if len(self.sockets) >= _MOST_SOCKETS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": {}})
            await socket.close()
            return socket
        self.sockets.append(socket)
        if request.transport is not None:
            self._transports[socket] = request.transport
        self.opened += 1
        pinging = asyncio.get_running_loop().create_task(self._ping(socket))
        try:
            debug = {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060}
            hello = {"type": "hello", "connection_info": {"app_id": APP}, "num_connections": len(self.sockets)}
            await socket.send_json({**hello, "debug_info": debug})
            self.notify()
            await self._listen(socket)
        finally:
            pinging.cancel()
            self.sockets.remove(socket)
            self._transports.pop(socket, None)
            self.notify()
        return socket

    async def _ping(self, socket: web.WebSocketResponse) -> None:
        with suppress(ConnectionError):
            while True:
                if not self.mute:
                    await socket.ping(b"Ping from applink-1")
                await asyncio.sleep(_PING_SECONDS)

    async def _listen(self, socket: web.WebSocketResponse) -> None:
        async for frame in socket:
            if frame.type is aiohttp.WSMsgType.PING and not self.mute:
                await socket.pong(frame.data)
            if frame.type is aiohttp.WSMsgType.TEXT:
                said = json.loads(frame.data)
                waiting = self._awaited.get(said.get("envelope_id", ""))
                if waiting is not None and not waiting.done():
                    waiting.set_result(said.get("payload"))

    async def disconnect(self, reason: str = "refresh_requested", *, close: bool = True) -> None:
        """Tell every connection that it ends; `warning` comes some seconds before it does, with `close` false."""
        for socket in list(self.sockets):
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}})
            if close:
                await socket.close()

    def cut(self) -> None:
        """Tear every connection down without a word."""
        for transport in self._transports.values():
            transport.abort()

    def _enveloped(self, event: dict[str, Any]) -> dict[str, Any]:
        self._numbers += 1
        identity = {"token": "verification", "team_id": TEAM, "api_app_id": APP, "type": "event_callback"}
        installed = {"enterprise_id": None, "team_id": TEAM, "user_id": BOT_USER, "is_bot": True}
        moment = {"event_id": f"Ev{self._numbers:08d}", "event_time": seconds(micros())}
        rest = {"authorizations": [{**installed, "is_enterprise_install": False}], "is_ext_shared_channel": False}
        return {**identity, "event": event, **moment, **rest, "event_context": f"4-{self._numbers}"}


def _kind(event: dict[str, Any]) -> str:
    """The name that one subscribes to."""
    if event["type"] != "message":
        return str(event["type"])
    return {"im": "message.im", "mpim": "message.mpim", "group": "message.groups"}.get(
        event.get("channel_type", ""), "message.channels"
    )
