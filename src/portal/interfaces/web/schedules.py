"""/portal/v1/schedules: what runs by itself, and its history; and /hooks, where requests from outside come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from portal.core.items import JsonObject
from portal.core.schedules import PAGE, CatchUp, Deliverer, ScheduleRecord, ScheduleRuns, Signature, Wanted, spoken
from portal.errors import NotFound, TooLarge
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.requests import Body, Limit, Who
from portal.schedules.hooks import Hooks
from portal.schedules.keeper import Keeper
from portal.settings.schedules import ScheduleSettings

_NAMES = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """What runs by itself, as routes need it."""

    keeper: Keeper
    hooks: Hooks
    runs: ScheduleRuns
    deliverer: Deliverer


class ScheduleFields(Body):
    """A schedule; of one that is there only what is sent is changed. `when` is a cron expression, `every 30 minutes`,
    `every weekday at 8:00`, a local time, or `webhook`."""

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    prompt: Annotated[str, Field(min_length=1, max_length=100_000)] | None = None
    when: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    zone: Annotated[str, Field(max_length=100)] | None = None
    workspace: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    continued: bool | None = None
    catch_up: CatchUp | None = None
    jitter: Annotated[int, Field(ge=0, le=86_400)] | None = None
    parallel: Annotated[int, Field(ge=1, le=100)] | None = None
    targets: _NAMES | None = None
    tools: _NAMES | None = None
    signature: Signature | None = None
    secret: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    paused: bool | None = None


class When(Body):
    """When something would run."""

    when: Annotated[str, Field(min_length=1, max_length=200)]
    zone: Annotated[str, Field(max_length=100)] | None = None


def routers(*, table: Timetable, settings: ScheduleSettings) -> Sequence[APIRouter]:
    """All of them, in their order."""
    single = single_schedule_routes(table=table)
    return [schedule_routes(table=table), single, hook_routes(table=table, settings=settings)]


def schedule_routes(*, table: Timetable) -> APIRouter:
    """Routes of all schedules; they come before those of single ones."""
    router = LateRouter(prefix="/portal/v1/schedules", tags=["schedules"])

    @router.get("")
    async def list_schedules(who: Who) -> JsonObject:
        newest = await table.runs.newest(who.owner)
        return views.listing(views.schedule(one, newest.get(one.id)) for one in await table.keeper.list(who.owner))

    @router.post("", status_code=201)
    async def create_schedule(who: Who, body: ScheduleFields, request: Request) -> JsonObject:
        return _made(request, *await table.keeper.create(who.owner, Wanted(**body.model_dump())))

    @router.post("/preview")
    async def preview_schedule(who: Who, body: When) -> JsonObject:
        plan = table.keeper.plan(body.when, body.zone)
        times = [views.when(at) for at in plan.next]
        return {
            "when": spoken(plan.kind, plan.timing),
            "kind": plan.kind,
            "timing": plan.timing,
            "zone": plan.zone,
            "next": times,
        }

    @router.get("/targets")
    async def list_targets(who: Who) -> JsonObject:
        known = [(PAGE, ""), *await table.deliverer.targets(who.owner)]
        return views.listing({"name": name, "title": title} for name, title in known)

    return router


def single_schedule_routes(*, table: Timetable) -> APIRouter:
    """Routes of one schedule, by its id or name."""
    router = LateRouter(prefix="/portal/v1/schedules/{schedule}", tags=["schedules"])
    keeper = table.keeper

    @router.get("")
    async def get_schedule(who: Who, schedule: str) -> JsonObject:
        found = await keeper.find(who.owner, schedule)
        page = await table.runs.list(who.owner, found.id, limit=1)
        return views.schedule(found, next(iter(page.data), None))

    @router.patch("")
    async def change_schedule(who: Who, schedule: str, body: ScheduleFields) -> JsonObject:
        found = await keeper.find(who.owner, schedule)
        return views.schedule(await keeper.change(who.owner, found.id, Wanted(**body.model_dump())))

    @router.delete("")
    async def delete_schedule(who: Who, schedule: str) -> JsonObject:
        found = await keeper.find(who.owner, schedule)
        await keeper.delete(who.owner, found.id)
        return {"id": found.id, "deleted": True}

    @router.post("/run", status_code=202)
    async def run_schedule(who: Who, schedule: str) -> JsonObject:
        found = await keeper.find(who.owner, schedule)
        return views.schedule_run(await keeper.run_now(who.owner, found.id))

    @router.post("/token")
    async def renew_token(who: Who, schedule: str, request: Request) -> JsonObject:
        found = await keeper.find(who.owner, schedule)
        return _made(request, *await keeper.renew_token(who.owner, found.id))

    @router.get("/runs")
    async def list_runs(who: Who, schedule: str, limit: Limit = 50, cursor: str | None = None) -> JsonObject:
        found = await keeper.find(who.owner, schedule)
        page = await table.runs.list(who.owner, found.id, limit=limit, cursor=cursor)
        return views.page(page, views.schedule_run)

    return router


def _made(request: Request, schedule: ScheduleRecord, token: str) -> JsonObject:
    """With the address of a webhook, which is shown this once."""
    address = {"url": f"{str(request.base_url).rstrip('/')}/hooks/{token}"} if token else {}
    return {**views.schedule(schedule), **address}


def hook_routes(*, table: Timetable, settings: ScheduleSettings) -> APIRouter:
    """Where requests from outside come in: who has the token may."""
    router = LateRouter(tags=["schedules"])

    @router.post("/hooks/{token}", status_code=202)
    async def call_webhook(request: Request, token: str) -> JSONResponse:
        """Begin a run with what is sent. A second request of the same delivery begins nothing."""
        if not settings.enabled:
            raise NotFound("There is no such webhook.")
        hooked = await table.hooks.take(token, request.headers, await _body(request, settings.hook_bytes))
        run = hooked.run
        told = {"run_id": run.id, "response_id": run.response_id, "again": hooked.again}
        return JSONResponse(told, status_code=202)

    return router


async def _body(request: Request, largest: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > largest:
            raise TooLarge(f"A webhook takes {largest:,} bytes at most.")
    return bytes(body)
