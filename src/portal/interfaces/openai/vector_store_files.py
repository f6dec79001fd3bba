"""`/v1/vector_stores/{id}/files` and `/file_batches`: documents of a collection."""

from collections.abc import Mapping, Sequence
from typing import cast, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.core.clock import seconds
from portal.core.collections import BatchRecord, DocumentRecord, DocumentStatus, NewDocument
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.passages import Passage
from portal.errors import BadRequest
from portal.interfaces.late import LateRouter
from portal.interfaces.library import Library
from portal.interfaces.openai.knowledge_schema import AddBatch, AddFile, DescribeFile, attributes_of, chunking_of
from portal.interfaces.openai.pages import listed, page_query
from portal.interfaces.openai.validation import check, check_length, missing, one_of, parse_json
from portal.interfaces.openai.vector_stores import counts_object
from portal.interfaces.wire import json_response

_STATUSES = get_args(DocumentStatus)
_SOON = {"openai-poll-after-ms": "300"}
"""Tells whoever waits when to ask again."""
_LONGEST_PAGE = 9
"""Digits of a page's number."""
_CONTENT_AT_ONCE = 1000


def document_object(record: DocumentRecord) -> JsonObject:
    """OpenAI's vector store file object. Cutting after the text's own structure has no name there but `other`."""
    problem = record.problem
    return {
        "id": record.file_id,
        "object": "vector_store.file",
        "usage_bytes": record.usage_bytes,
        "created_at": seconds(record.created_at),
        "vector_store_id": record.collection_id,
        "status": record.status,
        "last_error": {"code": problem.code, "message": problem.message} if problem else None,
        "chunking_strategy": {"type": "static", "static": record.chunking} if record.chunking else {"type": "other"},
        "attributes": record.attributes,
    }


def batch_object(record: BatchRecord) -> JsonObject:
    """OpenAI's batch object."""
    counts = record.counts
    status = "in_progress" if counts.in_progress else "cancelled" if record.cancelled else "completed"
    if counts.failed and counts.failed == counts.total:
        status = "failed"
    return {
        "id": record.id,
        "object": "vector_store.files_batch",
        "created_at": seconds(record.created_at),
        "vector_store_id": record.collection_id,
        "status": status,
        "file_counts": counts_object(counts),
    }


def read_on(passages: Sequence[Passage]) -> Sequence[str]:
    """The texts of passages that follow each other, each without what the one before has said already."""
    texts, end = [], 0
    for one in passages:
        said = max(end - one.start, 0) if one.end - one.start == len(one.text) else 0
        texts.append(one.text[said:])
        end = max(end, one.end)
    return texts


class _Door:
    """The endpoints."""

    def __init__(self, *, library: Library) -> None:
        self._library = library

    async def add(self, request: Request) -> Response:
        """Let a file be read into the store."""
        body = check(AddFile, parse_json(await request.body()))
        owner, store_id = _names(request)
        await self._library.documents.add(owner, store_id, [_new(body)])
        return _document(await self._library.documents.get(owner, store_id, body.file_id))

    async def list(self, request: Request) -> Response:
        """A page of the store's files."""
        return await self._list(request, None)

    async def get(self, request: Request) -> Response:
        """One file."""
        return _document(await self._library.documents.get(*_names(request), request.path_params["file_id"]))

    async def describe(self, request: Request) -> Response:
        """Replace its attributes."""
        body = check(DescribeFile, parse_json(await request.body()))
        attributes = attributes_of(body.attributes)
        file_id = request.path_params["file_id"]
        return _document(await self._library.documents.describe(*_names(request), file_id, attributes))

    async def delete(self, request: Request) -> Response:
        """Take it out of the store; the file itself stays."""
        file_id = request.path_params["file_id"]
        await self._library.documents.remove(*_names(request), file_id)
        return json_response({"id": file_id, "object": "vector_store.file.deleted", "deleted": True})

    async def content(self, request: Request) -> Response:
        """The text that was read, piece by piece."""
        owner, store_id = _names(request)
        record = await self._library.documents.get(owner, store_id, request.path_params["file_id"])
        page = request.query_params.get("page", "0")
        if not page.isdecimal() or len(page) > _LONGEST_PAGE:
            raise BadRequest(f"Invalid 'page': {page!r}.", param="page", code="invalid_value")
        first = int(page)
        found = await self._library.passages.of(owner, record.id, first, first + _CONTENT_AT_ONCE)
        more = len(found) > _CONTENT_AT_ONCE
        return json_response(
            {
                "object": "vector_store.file_content.page",
                "data": [{"type": "text", "text": text} for text in read_on(found[:_CONTENT_AT_ONCE])],
                "has_more": more,
                "next_page": str(first + _CONTENT_AT_ONCE) if more else None,
            }
        )

    async def add_batch(self, request: Request) -> Response:
        """Let several files be read at once."""
        body = check(AddBatch, parse_json(await request.body()))
        owner, store_id = _names(request)
        batch_id = new_id("vsfb")
        await self._library.documents.add(owner, store_id, _several(body), batch_id=batch_id)
        return _batch(await self._library.batches.get(owner, store_id, batch_id))

    async def get_batch(self, request: Request) -> Response:
        """How far a batch is."""
        return _batch(await self._library.batches.get(*_names(request), request.path_params["batch_id"]))

    async def cancel_batch(self, request: Request) -> Response:
        """Leave alone what is not read yet."""
        return _batch(await self._library.batches.cancel(*_names(request), request.path_params["batch_id"]))

    async def list_batch(self, request: Request) -> Response:
        """A page of the batch's files."""
        batch_id = request.path_params["batch_id"]
        await self._library.batches.get(*_names(request), batch_id)
        return await self._list(request, batch_id)

    async def _list(self, request: Request, batch_id: str | None) -> Response:
        query = page_query(request.query_params)
        status = request.query_params.get("filter")
        if status is not None and status not in _STATUSES:
            raise one_of(_STATUSES, status, "filter")
        page = await self._library.documents.list(
            *_names(request),
            status=cast("DocumentStatus | None", status),
            batch_id=batch_id,
            limit=query.limit,
            after=query.after,
            before=query.before,
            ascending=query.ascending,
        )
        return json_response(listed([document_object(record) for record in page.data], more=page.next is not None))


def _names(request: Request) -> tuple[str, str]:
    return request.state.caller.owner, request.path_params["vector_store_id"]


def _document(record: DocumentRecord) -> Response:
    return json_response(document_object(record), headers=_SOON if record.status == "in_progress" else None)


def _batch(record: BatchRecord) -> Response:
    return json_response(batch_object(record), headers=_SOON if record.counts.in_progress else None)


def _new(body: AddFile, at: str = "") -> NewDocument:
    return NewDocument(
        file_id=body.file_id,
        attributes=attributes_of(body.attributes, f"{at}attributes"),
        chunking=chunking_of(body.chunking_strategy, f"{at}chunking_strategy"),
    )


def _several(body: AddBatch) -> Sequence[NewDocument]:
    """Raises BadRequest unless it has just one of the two lists."""
    if body.files is not None and body.file_ids is not None:
        raise BadRequest("'file_ids' and 'files' exclude each other.", param="files", code="mutually_exclusive")
    if body.files is not None:
        check_length("files", body.files, len(body.files))
        found = [_new(one, f"files[{at}].") for at, one in enumerate(body.files)]
    else:
        if body.file_ids is None:
            raise missing("file_ids")
        check_length("file_ids", body.file_ids, len(body.file_ids))
        shared = {"attributes": body.attributes, "chunking_strategy": body.chunking_strategy}
        found = [_new(AddFile(file_id=one, **_given(shared))) for one in body.file_ids]
    return list({one.file_id: one for one in found}.values())


def _given(fields: Mapping[str, JsonObject | None]) -> Mapping[str, JsonObject]:
    return {name: value for name, value in fields.items() if value is not None}


def vector_store_file_routes(*, library: Library) -> Sequence[BaseRoute]:
    """The routes of files and batches of files."""
    door = _Door(library=library)
    router = LateRouter(tags=["vector stores"])
    add, store = router.add_api_route, "/v1/vector_stores/{vector_store_id}"
    one, batch = f"{store}/files/{{file_id}}", f"{store}/file_batches/{{batch_id}}"
    add(f"{store}/files", door.add, methods=["POST"], name="add_vector_store_file")
    add(f"{store}/files", door.list, methods=["GET"], name="list_vector_store_files")
    add(one, door.get, methods=["GET"], name="get_vector_store_file")
    add(one, door.describe, methods=["POST"], name="update_vector_store_file")
    add(one, door.delete, methods=["DELETE"], name="delete_vector_store_file")
    add(f"{one}/content", door.content, methods=["GET"], name="get_vector_store_file_content")
    add(f"{store}/file_batches", door.add_batch, methods=["POST"], name="create_file_batch")
    add(batch, door.get_batch, methods=["GET"], name="get_file_batch")
    add(f"{batch}/cancel", door.cancel_batch, methods=["POST"], name="cancel_file_batch")
    add(f"{batch}/files", door.list_batch, methods=["GET"], name="list_file_batch_files")
    return router.routes
