"""/portal/v1/imports and /portal/v1/export: what a person brings in from elsewhere, and takes along."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from portal.core.clock import now
from portal.core.exchange import ImportRecord
from portal.core.items import JsonObject
from portal.core.ports import Conversations
from portal.errors import BadRequest, Conflict
from portal.exchange.exporter import Exporter
from portal.exchange.jobs import ImportJobs
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.requests import Who

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
FileName = Annotated[str, Query(max_length=400)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What brings in and hands out."""

    jobs: ImportJobs
    exporter: Exporter
    discreet: Exporter
    """Leaves out e-mail addresses as well."""
    conversations: Conversations
    exporting: set[str] = field(default_factory=set)
    """Whose exports are under way."""


def view(record: ImportRecord) -> JsonObject:
    """An import, with its count check."""
    return {
        "object": "portal.import",
        "id": record.id,
        "filename": record.filename,
        "bytes": record.size,
        "source": record.source or None,
        "status": record.status,
        "dry_run": record.dry_run,
        "progress": round(record.progress, 4),
        "report": record.report or None,
        "problem": record.problem or None,
        "created_at": views.when(record.created_at),
        "changed_at": views.when(record.changed_at),
    }


def import_routes(*, exchange: Exchange) -> APIRouter:
    """Routes of imports."""
    router = LateRouter(prefix="/portal/v1/imports", tags=["data"])
    jobs = exchange.jobs

    @router.get("")
    async def list_imports(who: Who) -> JsonObject:
        return views.listing(view(record) for record in await jobs.list(who.owner))

    @router.post("", status_code=201, openapi_extra=_BODY)
    async def bring_in(
        who: Who,
        request: Request,
        filename: FileName = "export",
        source: Annotated[str, Query(alias="from", max_length=20)] = "",
        dry_run: bool = False,
        start: bool = False,
    ) -> JsonObject:
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise BadRequest("Send the file itself as the body, not a form.", code="invalid_content_type")
        record = await jobs.add(
            who.owner, request.stream(), filename=filename, source=source, dry_run=dry_run, start=start
        )
        return view(record)

    @router.get("/{import_id}")
    async def get_import(who: Who, import_id: str) -> JsonObject:
        return view(await jobs.get(who.owner, import_id))

    @router.post("/{import_id}/start")
    async def start_import(who: Who, import_id: str) -> JsonObject:
        return view(await jobs.start(who.owner, import_id))

    @router.delete("/{import_id}")
    async def delete_import(who: Who, import_id: str) -> JsonObject:
        await jobs.delete(who.owner, import_id)
        return {"id": import_id, "deleted": True}

    return router


def export_routes(*, exchange: Exchange) -> APIRouter:
    """Routes of exports."""
    router = LateRouter(prefix="/portal/v1", tags=["data"])

    @router.get("/export", response_class=StreamingResponse)
    async def export_everything(who: Who, addresses: bool = True) -> StreamingResponse:
        if who.owner in exchange.exporting:
            raise Conflict("An export of yours is under way: wait until it is through.", code="export_under_way")
        name = f"portal-export-{now():%Y-%m-%d}.zip"
        content = _alone(exchange, who.owner, exchange.exporter if addresses else exchange.discreet)
        return StreamingResponse(content, media_type="application/zip", headers=_saved_as(name))

    @router.get("/conversations/{conversation_id}/export", response_class=StreamingResponse)
    async def export_conversation(
        who: Who, conversation_id: str, format: Literal["markdown", "json"] = "markdown", addresses: bool = True
    ) -> StreamingResponse:
        exporter = exchange.exporter if addresses else exchange.discreet
        record = await exchange.conversations.get(who.owner, conversation_id)
        name = exporter.file_name(record)
        if format == "json":
            content, kind = exporter.single(who.owner, record), "application/json"
            name = f"{name.removesuffix('.md')}.json"
        else:
            content, kind = exporter.markdown(who.owner, record), "text/markdown; charset=utf-8"
        return StreamingResponse(content, media_type=kind, headers=_saved_as(name))

    return router


async def _alone(exchange: Exchange, owner: str, exporter: Exporter) -> AsyncIterator[bytes]:
    with _noted(exchange.exporting, owner):
        async with aclosing(exporter.export(owner)) as pieces:
            async for piece in pieces:
                yield piece


@contextmanager
def _noted(those: set[str], one: str) -> Iterator[None]:
    those.add(one)
    try:
        yield
    finally:
        those.discard(one)


def _saved_as(name: str) -> dict[str, str]:
    plain = name.encode("ascii", "replace").decode("ascii").replace("?", "_").replace('"', "_")
    return {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}",
        "cache-control": "no-store",
    }
