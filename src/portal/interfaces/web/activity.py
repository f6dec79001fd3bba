"""/portal/v1/activity and /portal/v1/log: how this Portal is, what happened, and how much of it is logged, for those
who run it. Admission keeps everybody else out."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from portal.core.items import JsonObject
from portal.core.journal import Note, NoteKind
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.ports import Activity
from portal.interfaces.web.requests import Body, Limit
from portal.observability.levels import Levels

_WEEK = 7 * 86_400


class Level(Body):
    """How much is logged: by everything, or by one logger and what is below it; until Portal ends, or for so many
    seconds."""

    level: Literal["debug", "info", "warning", "error", "DEBUG", "INFO", "WARNING", "ERROR"]
    logger: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_.]*$")] = ""
    seconds: Annotated[float, Field(gt=0, le=_WEEK)] | None = None


def activity_routes(*, activity: Activity) -> APIRouter:
    """Routes of what goes on."""
    router = LateRouter(prefix="/portal/v1/activity", tags=["activity"])

    @router.get("")
    async def get_activity() -> JsonObject:
        return await activity.now()

    @router.get("/events")
    async def list_events(
        kind: NoteKind | None = None,
        text: Annotated[str, Field(max_length=200)] = "",
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> JsonObject:
        return views.page(await activity.events(kind=kind or "", text=text, limit=limit, cursor=cursor), _event)

    return router


def log_routes(*, levels: Levels) -> APIRouter:
    """Routes of how much is logged."""
    router = LateRouter(prefix="/portal/v1/log", tags=["activity"])

    @router.get("")
    async def get_levels() -> JsonObject:
        return levels.view()

    @router.put("")
    async def set_level(body: Level) -> JsonObject:
        levels.change(body.level, body.logger, for_seconds=body.seconds)
        return levels.view()

    return router


def _event(note: Note) -> JsonObject:
    return {
        "id": note.id,
        "at": views.when(note.at),
        "kind": note.kind,
        "level": note.level,
        "source": note.source,
        "text": note.text,
        "request": note.request,
    }
