"""Where the time of turns went: of one's own answers for everybody, and the slow and failed ones of all people for
those who run this installation. Figures and names; no route here tells what was said."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from portal.core.clock import micros
from portal.core.items import JsonObject
from portal.core.ports import Traces
from portal.core.records import TraceRecord
from portal.errors import NotFound
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.requests import Limit, Moment, Who, stored
from portal.security.credentials import Caller

_DAY = 86_400 * 1_000_000


def routers(*, traces: Traces, is_admin: Callable[[Caller], Awaitable[bool]]) -> Sequence[APIRouter]:
    """All of them."""
    return [trace_routes(traces=traces, is_admin=is_admin), turn_routes(traces=traces)]


def trace_routes(*, traces: Traces, is_admin: Callable[[Caller], Awaitable[bool]]) -> APIRouter:
    """The route beside those of an answer."""
    router = LateRouter(prefix="/portal/v1/responses", tags=["responses"])

    @router.get("/{response_id}/trace")
    async def get_trace(who: Who, response_id: str) -> JsonObject:
        try:
            return _whole(await traces.get(who.owner, response_id))
        except NotFound:
            if not await is_admin(who):
                raise
        return _whole(await traces.of_anybody(response_id))

    return router


def turn_routes(*, traces: Traces) -> APIRouter:
    """Routes over the turns of all people. Admission keeps everybody else out."""
    router = LateRouter(prefix="/portal/v1/turns", tags=["turns"])

    @router.get("")
    async def list_turns(
        who: Who,
        sort: Literal["slow", "failed", "recent"] = "slow",
        since: Moment = None,
        limit: Limit = 50,
        cursor: Annotated[str, Field(max_length=1000)] | None = None,
    ) -> JsonObject:
        """`since` is in Unix seconds, a day ago where it is left out."""
        from_when = stored(since) if since is not None else micros() - _DAY
        return views.page(await traces.list(sort, since=from_when or 0, limit=limit, cursor=cursor), _row)

    return router


def _row(record: TraceRecord) -> JsonObject:
    return {
        "response_id": record.response_id,
        "object": "portal.turn",
        "user_id": record.owner,
        "person": record.person,
        "created_at": views.when(record.created_at),
        "ms": record.milliseconds,
        "status": record.status,
        "door": record.door,
        "model": record.model,
        "workspace": record.workspace,
        "error": record.error,
    }


def _whole(record: TraceRecord) -> JsonObject:
    row = {name: value for name, value in _row(record).items() if name != "person"}
    return {**row, "object": "portal.trace", "spans": list(record.spans), "dropped": record.dropped}
