"""/portal/v1/usage: what model calls came to, one's own, or for those who run this installation everybody's."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from portal.core.clock import micros, now
from portal.core.consumption import EVERY_BY, By, Consumption, Question
from portal.core.items import JsonObject
from portal.core.people import RANKS
from portal.errors import BadRequest, Forbidden
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.requests import Body, Who
from portal.security.credentials import Caller
from portal.security.people import Membership

_MOST = 5000
_DAYS = 3660
_FIGURES = ("calls", "failures", "input_tokens", "output_tokens", "milliseconds", "first_milliseconds")


class Asked(Body):
    """`since` and `until` are days in `timezone` (this installation's by default), both included; without them it is
    the last `days`. `by` are names with commas between them: day, user, model, workspace, door, backend, key."""

    days: Annotated[int, Field(ge=1, le=_DAYS)] = 30
    since: date | None = None
    until: date | None = None
    timezone: Annotated[str, Field(max_length=100)] = ""
    by: Annotated[str, Field(max_length=100)] = "day,model"
    everybody: bool = False
    user: Annotated[str, Field(max_length=100)] | None = None
    model: Annotated[str, Field(max_length=300)] | None = None


def _asked(asked: Annotated[Asked, Query()]) -> Asked:
    return asked


Wanted = Annotated[Asked, Depends(_asked)]


def usage_routes(*, consumption: Consumption, membership: Membership, zone: str) -> APIRouter:
    """Routes of what was used. `zone` is meant where none is named."""
    router = LateRouter(prefix="/portal/v1/usage", tags=["usage"])

    @router.get("")
    async def get_usage(who: Who, asked: Wanted) -> JsonObject:
        rows = await _rows(who, asked)
        return {**views.listing(rows[:_MOST]), "has_more": len(rows) > _MOST}

    @router.get("/csv")
    async def get_usage_csv(who: Who, asked: Wanted) -> Response:
        headers = {"content-disposition": 'attachment; filename="portal-usage.csv"', "cache-control": "no-store"}
        return Response(_csv(await _rows(who, asked), _by(asked)), media_type="text/csv", headers=headers)

    async def _rows(who: Caller, asked: Asked) -> Sequence[JsonObject]:
        rows = await consumption.report(_question(who, asked, zone))
        if "user" not in _by(asked):
            return rows
        names = {one.id: one.name for one in await membership.list()}
        return [{**row, "name": names.get(row["user"], "")} for row in rows]

    return router


def _question(who: Caller, asked: Asked, zone_name: str) -> Question:
    owner = None if asked.everybody else asked.user or who.owner
    if owner != who.owner and RANKS[who.role] < RANKS["admin"]:
        raise Forbidden("Only those who run this installation see what others used.")
    name = asked.timezone or zone_name
    since, until = _span(asked, _zone(name))
    return Question(since=since, until=until, by=_by(asked), zone=name, owner=owner, model=asked.model, limit=_MOST + 1)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadRequest(f"There is no time zone {name!r}: it is one like Europe/Berlin.", param="timezone") from error


def _span(asked: Asked, zone: ZoneInfo) -> tuple[int, int]:
    """From the start of the first day to the end of the last, in microseconds UTC."""
    last = asked.until or now().astimezone(zone).date()
    try:
        first = asked.since or last - timedelta(days=asked.days - 1)
        if not timedelta() <= last - first < timedelta(days=_DAYS):
            raise BadRequest(f"The days must be in their order, and at most {_DAYS}.", param="since")
        return _start(first, zone), _start(last + timedelta(days=1), zone)
    except OverflowError as error:
        raise BadRequest("Such a day is too far away.", param="since") from error


def _by(asked: Asked) -> Sequence[By]:
    names = [name for name in asked.by.split(",") if name]
    unknown = [name for name in names if name not in EVERY_BY]
    if unknown:
        raise BadRequest(f"Usage is told by {', '.join(EVERY_BY)}; not by {unknown[0]!r}.", param="by")
    return cast("Sequence[By]", names)


def _start(day: date, zone: ZoneInfo) -> int:
    return max(micros(datetime.combine(day, time(), zone).astimezone(UTC)), 0)


def _csv(rows: Sequence[Mapping[str, object]], by: Sequence[str]) -> str:
    names = [*by, *(["name"] if "user" in by else []), *_FIGURES]
    written = io.StringIO()
    table = csv.DictWriter(written, names, extrasaction="ignore", lineterminator="\r\n")
    table.writeheader()
    table.writerows({name: _plain(row.get(name)) for name in names} for row in rows)
    return written.getvalue()


def _plain(value: object) -> object:
    """As no spreadsheet takes it for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
