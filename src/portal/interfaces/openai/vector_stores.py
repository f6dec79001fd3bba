"""`/v1/vector_stores`: collections of documents, and searching them."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.core.clock import micros, seconds
from portal.core.collections import CollectionRecord, Counts, DocumentRecord, NewDocument
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.passages import Found, Within
from portal.errors import BadRequest, PortalError
from portal.interfaces.late import LateRouter
from portal.interfaces.library import Library
from portal.interfaces.openai.knowledge_schema import (
    CreateVectorStore,
    SearchVectorStore,
    UpdateVectorStore,
    chunking_of,
    queries_of,
)
from portal.interfaces.openai.pages import listed, page_query
from portal.interfaces.openai.validation import check, parse_json
from portal.interfaces.wire import json_response

_USED_MICROS = 60_000_000
"""A search notes that its store is used, at most so often."""


def counts_object(counts: Counts) -> JsonObject:
    """OpenAI's file counts."""
    return {
        "in_progress": counts.in_progress,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "total": counts.total,
    }


def store_object(record: CollectionRecord) -> JsonObject:
    """OpenAI's vector store object."""
    days, end = record.expires_days, record.expires_at
    return {
        "id": record.id,
        "object": "vector_store",
        "created_at": seconds(record.created_at),
        "name": record.name,
        "description": record.description or None,
        "usage_bytes": record.usage_bytes,
        "file_counts": counts_object(record.counts),
        "status": status_of(record),
        "expires_after": {"anchor": "last_active_at", "days": days} if days is not None else None,
        "expires_at": seconds(end) if end is not None else None,
        "last_active_at": seconds(record.last_active_at),
        "metadata": record.metadata,
    }


def status_of(record: CollectionRecord) -> str:
    """OpenAI's status of a store."""
    if record.expires_at is not None and record.expires_at <= micros():
        return "expired"
    return "in_progress" if record.counts.in_progress else "completed"


class _Door:
    """The endpoints."""

    def __init__(self, *, library: Library) -> None:
        self._library = library

    async def create(self, request: Request) -> Response:
        """A new store, with files if some are given."""
        raw = await request.body()
        body = check(CreateVectorStore, parse_json(raw) if raw.strip() else {})
        owner, when = request.state.caller.owner, micros()
        chunking = chunking_of(body.chunking_strategy)
        record = CollectionRecord(
            id=new_id("vs"),
            owner=owner,
            name=body.name or "",
            description=body.description or "",
            metadata=body.metadata or {},
            created_at=when,
            last_active_at=when,
            expires_days=body.expires_after.days if body.expires_after else None,
        )
        await self._library.collections.create(record)
        if body.file_ids:
            new = [NewDocument(file_id=one, chunking=chunking) for one in dict.fromkeys(body.file_ids)]
            try:
                await self._library.documents.add(owner, record.id, new)
            except PortalError:
                await self._library.collections.delete(owner, record.id)
                raise
        return json_response(store_object(await self._library.collections.get(owner, record.id)))

    async def list(self, request: Request) -> Response:
        """A page of stores, newest first unless asked otherwise."""
        query = page_query(request.query_params)
        page = await self._library.collections.list(
            request.state.caller.owner,
            limit=query.limit,
            after=query.after,
            before=query.before,
            ascending=query.ascending,
        )
        return json_response(listed([store_object(record) for record in page.data], more=page.next is not None))

    async def get(self, request: Request) -> Response:
        """One store."""
        return json_response(store_object(await self._library.collections.get(*_names(request))))

    async def update(self, request: Request) -> Response:
        """Change what the body names."""
        raw = parse_json(await request.body())
        body = check(UpdateVectorStore, raw)
        owner, store_id = _names(request)
        after = body.expires_after
        values = {
            "name": body.name or "",
            "description": body.description or "",
            "metadata": body.metadata or {},
            "expires_days": after.days if after else None,
        }
        given = {("expires_days" if name == "expires_after" else name) for name in raw}
        changes = {name: value for name, value in values.items() if name in given}
        return json_response(store_object(await self._library.collections.change(owner, store_id, changes)))

    async def delete(self, request: Request) -> Response:
        """Forget it and what is in it; the files stay."""
        owner, store_id = _names(request)
        await self._library.collections.delete(owner, store_id)
        return json_response({"id": store_id, "object": "vector_store.deleted", "deleted": True})

    async def search(self, request: Request) -> Response:
        """The passages that answer best."""
        body = check(SearchVectorStore, parse_json(await request.body()))
        owner, store_id = _names(request)
        queries = queries_of(body.query)
        await self._use(owner, store_id)
        options = body.ranking_options
        within = Within(owner=owner, space="documents", groups=[store_id], filters=body.filters)
        best: dict[str, Found] = {}
        for query in queries:
            for one in await self._library.search.search(
                within, query, limit=body.max_num_results, rerank=not options or options.ranker != "none"
            ):
                if one.passage.id not in best or best[one.passage.id].score < one.score:
                    best[one.passage.id] = one
        least = (options.score_threshold if options else None) or 0
        found = sorted((one for one in best.values() if one.score >= least), key=lambda one: -one.score)
        named = await self._library.documents.find(owner, ids=[one.passage.document for one in found])
        documents = {record.id: record for record in named}
        data = [_result(one, documents[one.passage.document]) for one in found if one.passage.document in documents]
        return json_response(
            {
                "object": "vector_store.search_results.page",
                "search_query": queries,
                "data": data[: body.max_num_results],
                "has_more": False,
                "next_page": None,
            }
        )

    async def _use(self, owner: str, store_id: str) -> None:
        """Raises BadRequest for one whose time is over."""
        record = await self._library.collections.get(owner, store_id)
        if status_of(record) == "expired":
            raise BadRequest(f"Vector store '{store_id}' has expired.", param="vector_store_id", code="expired")
        if micros() - record.last_active_at > _USED_MICROS:
            await self._library.collections.change(owner, store_id, {})


def _result(found: Found, document: DocumentRecord) -> JsonObject:
    passage = found.passage
    return {
        "file_id": document.file_id,
        "filename": document.filename,
        "score": found.score,
        "attributes": document.attributes,
        "content": [{"type": "text", "text": passage.text}],
        "portal:passage": {"id": passage.id, "page": passage.page, "heading": list(passage.heading)},
    }


def _names(request: Request) -> tuple[str, str]:
    return request.state.caller.owner, request.path_params["vector_store_id"]


def vector_store_routes(*, library: Library) -> Sequence[BaseRoute]:
    """The routes of vector stores themselves."""
    door = _Door(library=library)
    router = LateRouter(tags=["vector stores"])
    add, one = router.add_api_route, "/v1/vector_stores/{vector_store_id}"
    add("/v1/vector_stores", door.create, methods=["POST"], name="create_vector_store")
    add("/v1/vector_stores", door.list, methods=["GET"], name="list_vector_stores")
    add(one, door.get, methods=["GET"], name="get_vector_store")
    add(one, door.update, methods=["POST"], name="update_vector_store")
    add(one, door.delete, methods=["DELETE"], name="delete_vector_store")
    add(f"{one}/search", door.search, methods=["POST"], name="search_vector_store")
    return router.routes
