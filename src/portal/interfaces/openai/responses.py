"""`/v1/responses`: Portal's native door, as JSON and as server-sent events."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute

from portal.core.agent import Agent, Turn
from portal.core.collections import Collections
from portal.core.events import Event
from portal.core.ports import Files, Responses
from portal.core.responses import stored_resource
from portal.core.run import Run
from portal.interfaces.late import LateRouter
from portal.interfaces.openai.drawn import Drawn
from portal.interfaces.openai.pages import page_of, page_query, whole_number
from portal.interfaces.openai.turns import DOORS, Turns, route_headers
from portal.interfaces.openai.validation import parse_json
from portal.interfaces.openai.websocket import LIFETIME, ResponsesSocket
from portal.interfaces.wire import KEEP_ALIVE, ClientGone, EventStream, json_response, while_there

_GONE = 499


def wanted(event: Event, *, ours: bool) -> bool:
    """Whether a client sees this event: Portal's own go only to those who ask."""
    return ours or not event["type"].startswith("portal:")


async def frames(events: AsyncGenerator[Event, None], *, ours: bool) -> AsyncGenerator[bytes, None]:
    """Server-sent events of a response, the literal `[DONE]` last."""
    async with aclosing(events) as watched:
        async for event in watched:
            if wanted(event, ours=ours):
                yield b"event: %b\ndata: %b\n\n" % (event["type"].encode("ascii"), orjson.dumps(event))
    yield b"data: [DONE]\n\n"


def asks_for_ours(request: Request) -> bool:
    """Whether this client asked for Portal's own events."""
    return request.query_params.get("portal_events") in ("1", "true")


class _Door:
    """The endpoints."""

    def __init__(self, *, agent: Agent, responses: Responses, turns: Turns, drawn: Drawn, keep_alive: float) -> None:
        self._agent = agent
        self._drawn = drawn
        self._responses = responses
        self._turns = turns
        self._keep_alive = keep_alive

    async def create(self, request: Request) -> Response:
        """Answer a turn: whole, as a stream, or later."""
        payload = parse_json(await request.body())
        caller = request.state.caller
        body, turn = await self._turns.read(payload, owner=caller.owner, door=DOORS[caller.kind])
        run = await self._turns.start(turn)
        if body.stream:
            return self._streamed(request, run, turn)
        if turn.background:
            return json_response(await _first(run), headers=route_headers(run))
        try:
            result = await while_there(request.receive, run.result())
        except ClientGone:
            run.cancel()
            return Response(status_code=_GONE)
        return json_response(await self._drawn.response(turn.owner, result), headers=route_headers(run))

    def _streamed(self, request: Request, run: Run, turn: Turn) -> Response:
        return EventStream(
            frames(self._drawn.events(turn.owner, run.events()), ours=asks_for_ours(request)),
            headers=route_headers(run),
            on_gone=_nothing if turn.background else run.cancel,
            keep_alive=self._keep_alive,
        )

    async def retrieve(self, request: Request) -> Response:
        """A response as it is now, or its events from a number on."""
        owner, response_id = request.state.caller.owner, request.path_params["response_id"]
        query = request.query_params
        after = whole_number(query.get("starting_after", "-1"), "starting_after")
        record = await self._responses.get(owner, response_id)
        if query.get("stream", "false").lower() not in ("true", "1"):
            return json_response(await self._drawn.response(owner, stored_resource(record)))
        events = self._agent.attach(owner, response_id, after)
        return EventStream(
            frames(self._drawn.events(owner, events), ours=asks_for_ours(request)),
            headers={},
            on_gone=_nothing,
            keep_alive=self._keep_alive,
        )

    async def delete(self, request: Request) -> Response:
        """Forget a response; a running one is stopped."""
        response_id = request.path_params["response_id"]
        await self._agent.delete(request.state.caller.owner, response_id)
        return json_response({"id": response_id, "object": "response", "deleted": True})

    async def cancel(self, request: Request) -> Response:
        """Stop a running response; a finished one stays as it is."""
        owner = request.state.caller.owner
        stopped = await self._agent.cancel(owner, request.path_params["response_id"])
        return json_response(await self._drawn.response(owner, stopped))

    async def input_items(self, request: Request) -> Response:
        """The items a response was given, newest first unless asked otherwise."""
        query, owner = page_query(request.query_params), request.state.caller.owner
        record = await self._responses.get(owner, request.path_params["response_id"])
        page = page_of([stored.item for stored in record.items if stored.side == "input"], query)
        return json_response({**page, "data": await self._drawn.items(owner, page["data"])})

    async def compact(self, request: Request) -> Response:
        """Summarise a conversation into fewer items."""
        payload = parse_json(await request.body())
        work = self._turns.compact(payload, owner=request.state.caller.owner)
        try:
            return json_response(await while_there(request.receive, work))
        except ClientGone:
            return Response(status_code=_GONE)


async def _first(run: Run) -> object:
    """The response object as it begins."""
    async with aclosing(run.events()) as events:
        return (await anext(events))["response"]


def _nothing() -> None:
    """A response in the background goes on when its watcher leaves."""


def responses_routes(
    *,
    agent: Agent,
    responses: Responses,
    collections: Collections,
    files: Files,
    keep_alive: float = KEEP_ALIVE,
    socket_lifetime: float = LIFETIME,
) -> Sequence[BaseRoute]:
    """The routes of the Responses API, WebSocket included; times in seconds."""
    drawn = Drawn(files=files)
    turns = Turns(agent=agent, responses=responses, drawn=drawn, collections=collections)
    door = _Door(agent=agent, responses=responses, turns=turns, drawn=drawn, keep_alive=keep_alive)
    router = LateRouter(tags=["responses"])
    add, one = router.add_api_route, "/v1/responses/{response_id}"
    add("/v1/responses", door.create, methods=["POST"], name="create_response")
    add("/v1/responses/compact", door.compact, methods=["POST"], name="compact_response")
    add(one, door.retrieve, methods=["GET"], name="get_response")
    add(one, door.delete, methods=["DELETE"], name="delete_response")
    add(f"{one}/cancel", door.cancel, methods=["POST"], name="cancel_response")
    add(f"{one}/input_items", door.input_items, methods=["GET"], name="list_input_items")
    socket = ResponsesSocket(turns=turns, drawn=drawn, lifetime=socket_lifetime)
    return [*router.routes, WebSocketRoute("/v1/responses", socket, name="responses_socket")]
