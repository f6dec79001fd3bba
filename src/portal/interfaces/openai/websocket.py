"""The WebSocket transport of `/v1/responses`: many turns on one connection, one after the other.

The newest turn of a chain that is not stored lives in the connection alone, and is forgotten with it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import orjson
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from portal.core.agent import Turn
from portal.core.events import Event
from portal.core.items import Item, JsonObject
from portal.core.run import Run
from portal.errors import BadRequest, Conflict, PortalError
from portal.interfaces.openai.drawn import Drawn
from portal.interfaces.openai.errors import error_object
from portal.interfaces.openai.turns import DOORS, Turns, continued
from portal.interfaces.openai.validation import missing, one_of, parse_json

LIFETIME = 3600.0
"""Seconds after which a connection is closed; the client opens another and goes on."""

_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponsesSocket:
    """The ASGI endpoint; each connection is a `_Connection`."""

    def __init__(self, *, turns: Turns, drawn: Drawn, lifetime: float) -> None:
        self._turns = turns
        self._drawn = drawn
        self._lifetime = lifetime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until either side ends it."""
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        connection = _Connection(socket, self._turns, self._drawn)
        try:
            async with asyncio.timeout(self._lifetime):
                await connection.serve()
        except TimeoutError:
            limit = BadRequest(
                "This connection has reached its limit of 60 minutes. Open another one to continue.",
                code="websocket_connection_limit_reached",
            )
            await connection.fail(limit)
            await socket.close(1000)


class _Connection:
    def __init__(self, socket: WebSocket, turns: Turns, drawn: Drawn) -> None:
        self._socket = socket
        self._drawn = drawn
        self._turns = turns
        self._caller = socket.state.caller
        self._ours = socket.query_params.get("portal_events") in ("1", "true")
        self._local: Mapping[str, Sequence[Item]] = {}
        self._busy = False

    async def serve(self) -> None:
        """Take requests until the client leaves; then the running turn stops."""
        async with asyncio.TaskGroup() as group:
            running: asyncio.Task[None] | None = None
            try:
                while True:
                    payload = await self._next()
                    if payload is not None:
                        self._busy = True
                        running = group.create_task(self._answer(payload))
            except WebSocketDisconnect:
                if running is not None:
                    running.cancel()

    async def _next(self) -> JsonObject | None:
        """The next request, or None after one that was refused."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        try:
            return self._create(message)
        except PortalError as error:
            await self.fail(error)
            return None

    def _create(self, message: Mapping[str, object]) -> JsonObject:
        text = message.get("text")
        if not isinstance(text, str):
            raise BadRequest("Send events as text frames.", code="invalid_frame")
        payload = parse_json(text.encode("utf-8", "surrogatepass"))
        if "type" not in payload:
            raise missing("type")
        if payload["type"] != "response.create":
            raise one_of(("response.create",), payload["type"], "type")
        if payload.get("background"):
            raise BadRequest("A WebSocket has no background mode.", param="background", code="unsupported_parameter")
        if self._busy:
            raise Conflict(
                "A response is under way on this connection; wait for its end, or open another connection.",
                code="response_in_progress",
            )
        return payload

    async def _answer(self, payload: JsonObject) -> None:
        previous = payload.get("previous_response_id")
        try:
            _, turn = await self._turns.read(payload, owner=self._caller.owner, door=DOORS[self._caller.kind])
            earlier = self._local.get(turn.previous_response_id or "")
            turn = turn if earlier is None else continued(turn, earlier)
            run = await self._turns.start(turn)
        except PortalError as error:
            self._forget(previous)
            self._busy = False
            await self.fail(error)
            return
        await self._stream(run, turn, previous if earlier is not None else None)

    async def _stream(self, run: Run, turn: Turn, local_previous: str | None) -> None:
        """Send a run's events; `local_previous` is the previous response that only this connection knows."""
        ended = False
        try:
            async for event in run.events():
                if event["type"] in _TERMINAL:
                    ended = True
                    self._remember(run, turn, event["response"], local_previous)
                    self._busy = False
                if local_previous is not None and "response" in event:
                    event = {**event, "response": {**event["response"], "previous_response_id": local_previous}}
                if self._ours or not event["type"].startswith("portal:"):
                    await self._send(await self._drawn.event(turn.owner, event))
        finally:
            if not ended:
                run.cancel()

    def _remember(self, run: Run, turn: Turn, response: JsonObject, local_previous: str | None) -> None:
        if response["status"] == "failed":
            self._forget(local_previous)
        elif not turn.store:
            self._local = {run.id: [*turn.history, *turn.input, *response["output"]]}

    def _forget(self, response_id: object) -> None:
        self._local = {known: items for known, items in self._local.items() if known != response_id}

    async def fail(self, error: PortalError) -> None:
        """Send a failure that is no part of a response."""
        body = {**error_object(error), "code": error.code or error.type}
        await self._send({"type": "error", "status": error.status, "error": body})

    async def _send(self, event: Event) -> None:
        """Send if there is still somebody to read it; that they left is for `serve` to notice."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect):
                await self._socket.send_text(orjson.dumps(event).decode("utf-8"))
