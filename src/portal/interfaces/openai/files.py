"""`/v1/files`: uploads, kept for their owner."""

import mimetypes
import re
from collections.abc import AsyncIterator, Mapping, Sequence

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.core.clock import micros, seconds
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.ports import Files
from portal.core.records import FileRecord
from portal.errors import BadRequest
from portal.interfaces.late import LateRouter
from portal.interfaces.openai.file_content import answer
from portal.interfaces.openai.forms import read_form
from portal.interfaces.openai.pages import listed, page_query, whole_number
from portal.interfaces.openai.validation import missing, one_of
from portal.interfaces.wire import json_response

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_MOST = 10_000
_CHUNK = 256 * 1024
_SHORTEST, _LONGEST = 3600, 30 * 86_400
_SECOND = 1_000_000
_MEDIA_TYPE = re.compile(r"[a-z0-9.+_-]{1,100}/[a-z0-9.+_-]{1,100}")


def file_object(record: FileRecord) -> JsonObject:
    """OpenAI's file object."""
    return {
        "id": record.id,
        "object": "file",
        "bytes": record.size,
        "created_at": seconds(record.created_at),
        "expires_at": seconds(record.expires_at) if record.expires_at is not None else None,
        "filename": record.filename,
        "purpose": record.purpose,
        "status": "processed",
        "content_type": record.content_type,
    }


class _Door:
    """The endpoints."""

    def __init__(self, *, files: Files) -> None:
        self._files = files

    async def upload(self, request: Request) -> Response:
        """Keep a file."""
        form = await read_form(request, "Files")
        try:
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                raise missing("file")
            record = _record(request.state.caller.owner, upload, _fields(form))
            return json_response(file_object(await self._files.create(record, _chunks(upload))))
        finally:
            await form.close()

    async def list(self, request: Request) -> Response:
        """A page of files, newest first unless asked otherwise."""
        query = page_query(request.query_params, default=_MOST, most=_MOST)
        page = await self._files.list(
            request.state.caller.owner,
            purpose=request.query_params.get("purpose"),
            limit=query.limit,
            after=query.after,
            ascending=query.ascending,
        )
        return json_response(listed([file_object(record) for record in page.data], more=page.next is not None))

    async def get(self, request: Request) -> Response:
        """What is known of a file."""
        return json_response(file_object(await self._files.get(*_names(request))))

    async def content(self, request: Request) -> Response:
        """The file itself, or the part that a `Range` names: whatever it holds, it is never a page of this site."""
        owner, file_id = _names(request)
        return await answer(request, self._files, await self._files.get(owner, file_id))

    async def delete(self, request: Request) -> Response:
        """Forget a file."""
        owner, file_id = _names(request)
        await self._files.delete(owner, file_id)
        return json_response({"id": file_id, "object": "file", "deleted": True})


def _names(request: Request) -> tuple[str, str]:
    return request.state.caller.owner, request.path_params["file_id"]


def _fields(form: FormData) -> dict[str, str]:
    return {name: value for name, value in form.multi_items() if isinstance(value, str)}


def _record(owner: str, upload: UploadFile, fields: Mapping[str, str]) -> FileRecord:
    purpose = fields.get("purpose")
    if not purpose:
        raise missing("purpose")
    if purpose not in PURPOSES:
        raise one_of(PURPOSES, purpose, "purpose")
    printable = "".join(char for char in upload.filename or "" if char.isprintable())
    name = printable.replace("\\", "/").rsplit("/", 1)[-1]
    if not name:
        raise missing("file.filename")
    when = micros()
    return FileRecord(
        id=new_id("file"),
        owner=owner,
        filename=name,
        purpose=purpose,
        size=0,
        sha256="",
        content_type=_content_type(upload, name),
        created_at=when,
        expires_at=_expiry(fields, when),
    )


def _content_type(upload: UploadFile, name: str) -> str:
    sent = (upload.content_type or "").split(";")[0].strip().lower()
    if _MEDIA_TYPE.fullmatch(sent) and sent != "application/octet-stream":
        return sent
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _expiry(fields: Mapping[str, str], when: int) -> int | None:
    anchor, length = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and length is None:
        return None
    if anchor != "created_at":
        raise one_of(("created_at",), anchor or "", "expires_after.anchor")
    if length is None:
        raise missing("expires_after.seconds")
    kept = whole_number(length, "expires_after.seconds")
    if not _SHORTEST <= kept <= _LONGEST:
        raise BadRequest(
            f"Invalid 'expires_after.seconds': expected {_SHORTEST} to {_LONGEST}, but got {kept} instead.",
            param="expires_after.seconds",
            code="invalid_value",
        )
    return when + kept * _SECOND


async def _chunks(upload: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await upload.read(_CHUNK):
        yield chunk


def files_routes(*, files: Files) -> Sequence[BaseRoute]:
    """The routes of the Files API."""
    door = _Door(files=files)
    router = LateRouter(tags=["files"])
    add, one = router.add_api_route, "/v1/files/{file_id}"
    add("/v1/files", door.upload, methods=["POST"], name="upload_file")
    add("/v1/files", door.list, methods=["GET"], name="list_files")
    add(one, door.get, methods=["GET"], name="get_file")
    add(one, door.delete, methods=["DELETE"], name="delete_file")
    add(f"{one}/content", door.content, methods=["GET"], name="get_file_content")
    add(f"{one}/content", door.content, methods=["HEAD"], name="head_file_content", include_in_schema=False)
    return router.routes
