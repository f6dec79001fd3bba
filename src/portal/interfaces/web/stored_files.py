"""/portal/v1/files: what a person's files take, small pictures of them, their pages, and what they say."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from portal.core.items import JsonObject
from portal.core.ports import Files
from portal.interfaces.late import LateRouter
from portal.interfaces.web.ports import Previews
from portal.interfaces.web.requests import Who

_Number = Annotated[int, Path(ge=1, le=100_000)]


def stored_file_routes(*, files: Files, previews: Previews) -> APIRouter:
    """Routes of files beyond what `/v1/files` has."""
    router = LateRouter(prefix="/portal/v1/files", tags=["files"])

    @router.get("/usage")
    async def get_file_usage(who: Who) -> JsonObject:
        usage = await files.usage(who.owner)
        return {"files": usage.files, "bytes": usage.bytes, "quota": usage.quota}

    @router.get("/{file_id}/thumbnail")
    async def get_file_thumbnail(who: Who, file_id: str, request: Request) -> Response:
        return _picture(request, *await previews.thumbnail(who.owner, file_id))

    @router.get("/{file_id}/pages/{number}")
    async def get_file_page(who: Who, file_id: str, number: _Number, request: Request) -> Response:
        return _picture(request, *await previews.page(who.owner, file_id, number))

    @router.get("/{file_id}/text")
    async def get_file_text(who: Who, file_id: str) -> JsonObject:
        text, whole = await previews.text(who.owner, file_id)
        return {"text": text, "whole": whole}

    return router


def _picture(request: Request, version: str, picture: bytes) -> Response:
    headers = {"ETag": f'"{version}"', "Cache-Control": "private, max-age=86400"}
    if f'"{version}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(picture, headers=headers, media_type="image/png")
