"""/portal/v1/media: what can be made here, jobs with their progress, and what came of them."""

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field

from portal.core.items import JsonObject
from portal.core.media import ENDED, EngineState, JobStatus, Kind, MediaJob, Order, Progress, Recipe
from portal.core.ports import Files
from portal.errors import NotFound
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.requests import Body, Limit, Who
from portal.interfaces.wire import EventStream
from portal.media.studio import MediaStudio

_INERT = {"Content-Security-Policy": "sandbox; default-src 'none'", "Cache-Control": "no-store"}
_Name = Annotated[str, Field(max_length=100)]


class NewJob(Body):
    """What is to be made. `pictures` are file ids by the name of the input."""

    kind: Kind
    workflow: Annotated[str, Field(max_length=200)] = ""
    values: Annotated[dict[_Name, str | int | float | bool], Field(max_length=100, default_factory=dict)]
    pictures: Annotated[dict[_Name, _Name], Field(max_length=10, default_factory=dict)]


def routers(*, studio: MediaStudio, files: Files) -> Sequence[APIRouter]:
    """All of them."""
    return [media_routes(studio=studio), job_routes(studio=studio, files=files)]


def media_routes(*, studio: MediaStudio) -> APIRouter:
    """Engines, workflows and orders."""
    router = LateRouter(prefix="/portal/v1/media", tags=["media"])

    @router.get("/engines")
    async def list_engines(who: Who) -> JsonObject:
        return views.listing(_engine(one) for one in await studio.states())

    @router.get("/workflows")
    async def list_workflows(who: Who, kind: Kind | None = None) -> JsonObject:
        return views.listing(_recipe(one) for one in await studio.recipes(kind))

    @router.get("/jobs")
    async def list_jobs(
        who: Who,
        kind: Kind | None = None,
        status: JobStatus | None = None,
        call_id: str | None = None,
        limit: Limit = 50,
        cursor: str | None = None,
    ) -> JsonObject:
        wanted = {"kind": kind, "status": status, "call_id": call_id}
        page = await studio.jobs.list(who.owner, **wanted, limit=limit, cursor=cursor)  # type: ignore[arg-type]
        return views.page(page, job_view)

    @router.post("/jobs", status_code=202)
    async def order(who: Who, body: NewJob) -> JsonObject:
        wanted = Order(kind=body.kind, recipe=body.workflow, values=body.values, pictures=body.pictures)
        return views.listing(job_view(one) for one in await studio.order(who.owner, wanted))

    return router


def job_routes(*, studio: MediaStudio, files: Files) -> APIRouter:
    """Routes of one job."""
    router = LateRouter(prefix="/portal/v1/media/jobs/{job_id}", tags=["media"])

    @router.get("")
    async def get_job(who: Who, job_id: str) -> JsonObject:
        return job_view(await studio.jobs.get(who.owner, job_id))

    @router.post("/cancel")
    async def cancel_job(who: Who, job_id: str) -> JsonObject:
        return job_view(await studio.cancel(who.owner, job_id))

    @router.delete("")
    async def delete_job(who: Who, job_id: str, keep_files: bool = False) -> JsonObject:
        """Forget it, and its files unless they are to be kept."""
        job = await studio.jobs.get(who.owner, job_id)
        await studio.jobs.delete(who.owner, job_id)
        for one in () if keep_files else job.results:
            try:
                await files.delete(who.owner, one["file_id"])
            except NotFound:
                continue
        return {"id": job_id, "deleted": True}

    @router.get("/events")
    async def job_events(who: Who, job_id: str) -> Response:
        """How far it is, as server-sent events, until it has ended."""
        await studio.jobs.get(who.owner, job_id)
        return EventStream(_events(studio, who.owner, job_id), headers={}, on_gone=lambda: None)

    @router.get("/preview")
    async def job_preview(who: Who, job_id: str, request: Request) -> Response:
        """What it looks like so far."""
        await studio.jobs.get(who.owner, job_id)
        found = studio.preview(job_id)
        if found is None or not found.content_type.startswith("image/"):
            raise NotFound("There is no preview of this job.")
        return Response(found.data, media_type=found.content_type, headers=_INERT)

    return router


async def _events(studio: MediaStudio, owner: str, job_id: str) -> AsyncGenerator[bytes, None]:
    async for progress in studio.follow(owner, job_id):
        yield b"data: " + orjson.dumps(_progress(progress)) + b"\n\n"


def _progress(one: Progress) -> JsonObject:
    return {**job_view(one.job), "previews": one.previews, "ended": one.job.status in ENDED}


def job_view(job: MediaJob) -> JsonObject:
    """A job as the page and the command line have it."""
    return {
        "id": job.id,
        "kind": job.kind,
        "workflow": job.recipe,
        "engine": job.engine,
        "status": job.status,
        "prompt": job.prompt,
        "values": dict(job.values),
        "pictures": dict(job.pictures),
        "progress": round(job.progress, 4),
        "detail": job.detail,
        "error": job.error or None,
        "code": job.code or None,
        "files": list(job.results),
        "call_id": job.call_id or None,
        "created_at": views.when(job.created_at),
        "started_at": views.when(job.started_at),
        "ended_at": views.when(job.ended_at),
    }


def _recipe(one: Recipe) -> JsonObject:
    return {
        "name": one.name,
        "title": one.title,
        "kind": one.kind,
        "engine": one.engine,
        "description": one.description,
        "inputs": dict(one.inputs),
        "pictures": list(one.pictures),
        "needed": list(one.needed),
        "ready": one.ready,
        "needs": one.needs or None,
        "memory": one.memory,
    }


def _engine(one: EngineState) -> JsonObject:
    return {
        "name": one.name,
        "kind": one.kind,
        "url": one.url,
        "reachable": one.reachable,
        "version": one.version,
        "device": one.device,
        "memory": one.memory,
        "problem": one.problem or None,
    }
