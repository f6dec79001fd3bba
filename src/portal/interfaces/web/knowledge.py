"""/portal/v1/knowledge: collections at a glance, what is in them, where it comes from, and citations opened."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from portal.core.clock import micros
from portal.core.collections import CollectionRecord, DocumentRecord, NewDocument, SourceRecord
from portal.core.items import JsonObject
from portal.core.passages import Found, Passage, Within
from portal.core.ports import Files
from portal.errors import NotFound
from portal.interfaces.late import LateRouter
from portal.interfaces.library import Library
from portal.interfaces.openai.knowledge_schema import attributes_of
from portal.interfaces.openai.vector_stores import counts_object, store_object
from portal.interfaces.web import views
from portal.interfaces.web.requests import Body, Limit, Moment, Packed, Who, stored

_MOST_COLLECTIONS = 1000
_NEIGHBOUR = 2000
"""Characters that are shown of a neighbour."""


class SearchAll(Body):
    """A question to all collections, or to those named."""

    query: Annotated[str, Field(min_length=1, max_length=10_000)]
    collections: Annotated[list[str], Field(max_length=100)] | None = None
    filters: JsonObject | None = None
    since: Moment = None
    until: Moment = None
    """Bounds of when it was written, in Unix seconds, the second one not included."""
    limit: Annotated[int, Field(ge=1, le=50)] = 10


class Follow(Body):
    """A folder of the machine that Portal runs on, or an address."""

    place: Annotated[str, Field(min_length=1, max_length=4000)]


class Add(Body):
    """An uploaded file. It is deleted where the collection has its content already."""

    file_id: Annotated[str, Field(min_length=1, max_length=100)]
    attributes: JsonObject | None = None


class Retry(Body):
    """One file; without it all that failed or were cancelled."""

    file_id: str | None = None


def knowledge_routes(*, library: Library) -> APIRouter:
    """Routes of knowledge as a whole."""
    router = LateRouter(prefix="/portal/v1/knowledge", tags=["knowledge"], route_class=Packed)

    @router.get("")
    async def get_knowledge(who: Who) -> JsonObject:
        page = await library.collections.list(who.owner, limit=_MOST_COLLECTIONS)
        waiting = sum(record.counts.in_progress for record in page.data)
        failed = sum(record.counts.failed for record in page.data)
        return {
            "object": "portal.knowledge",
            "collections": [collection(record) for record in page.data if not record.conversation_id],
            "chats": [collection(record) for record in page.data if record.conversation_id],
            "embedder": await library.embedder.status(),
            "queue": {"in_progress": waiting, "failed": failed},
            "sources": [source(record) for record in await library.places.list(who.owner)],
            "folders": [str(one) for one in library.places.granted],
        }

    @router.post("/search")
    async def search_knowledge(who: Who, body: SearchAll) -> JsonObject:
        for collection in body.collections or ():
            await library.collections.get(who.owner, collection)
        within = Within(
            owner=who.owner,
            space="documents",
            groups=body.collections,
            filters=body.filters,
            since=stored(body.since),
            until=stored(body.until),
        )
        found = await library.search.search(within, body.query, limit=body.limit)
        named = await library.documents.find(who.owner, ids=[one.passage.document for one in found])
        documents = {record.id: record for record in named}
        return views.listing(
            result(one, documents[one.passage.document]) for one in found if one.passage.document in documents
        )

    return router


def citation_routes(*, library: Library) -> APIRouter:
    """Routes of passages, and of the text around them."""
    router = LateRouter(prefix="/portal/v1/knowledge", tags=["knowledge"], route_class=Packed)

    @router.get("/passages/{passage_id}")
    async def get_passage(who: Who, passage_id: str) -> JsonObject:
        found = await library.passages.get(who.owner, [passage_id])
        named = await library.documents.find(who.owner, ids=[one.document for one in found])
        if not found or not named:
            raise NotFound(f"There is no passage {passage_id!r}: its document was deleted, or has a newer version.")
        one = found[0]
        around = await library.passages.of(who.owner, one.document, max(one.position - 1, 0), one.position + 1)
        told = {each.position - one.position: each.text for each in around}
        shown = {**passage(one), "document": document(named[0])}
        return {**shown, "before": told.get(-1, "")[-_NEIGHBOUR:], "after": told.get(1, "")[:_NEIGHBOUR]}

    @router.get("/documents/{file_id}/text")
    async def get_text(
        who: Who,
        file_id: str,
        collection: str | None = None,
        first: Annotated[int, Field(ge=0, le=10**9)] = 0,
        limit: Limit = 50,
    ) -> JsonObject:
        found = await library.documents.find(who.owner, file_id=file_id)
        one = next((each for each in found if collection in (None, each.collection_id) and each.passages), None)
        if one is None:
            raise NotFound(f"There is no text of {file_id!r}.")
        passages = await library.passages.of(who.owner, one.id, first, first + limit - 1)
        after = first + limit
        return {
            **document(one),
            "first": first,
            "passages": [passage(each) for each in passages],
            "next": after if after < one.passages else None,
        }

    return router


def collection_routes(*, library: Library, files: Files) -> APIRouter:
    """Routes of one collection: what is in it and where that comes from."""
    router = LateRouter(prefix="/portal/v1/knowledge", tags=["knowledge"], route_class=Packed)

    @router.get("/{collection_id}/documents")
    async def list_documents(
        who: Who,
        collection_id: str,
        status: Literal["in_progress", "completed", "failed", "cancelled"] | None = None,
        limit: Limit = 50,
        cursor: str | None = None,
    ) -> JsonObject:
        page = await library.documents.list(who.owner, collection_id, status=status, limit=limit, after=cursor)
        return views.page(page, document)

    @router.post("/{collection_id}/documents")
    async def add_document(who: Who, collection_id: str, body: Add) -> JsonObject:
        await library.collections.get(who.owner, collection_id)
        known = await library.documents.same(who.owner, collection_id, body.file_id)
        if known is not None:
            await files.delete(who.owner, body.file_id)
            return {**document(known), "known": True}
        new = NewDocument(file_id=body.file_id, attributes=attributes_of(body.attributes))
        await library.documents.add(who.owner, collection_id, [new])
        return {**document(await library.documents.get(who.owner, collection_id, body.file_id)), "known": False}

    @router.post("/{collection_id}/retry")
    async def retry(who: Who, collection_id: str, body: Retry) -> JsonObject:
        return {"retried": await library.documents.again(who.owner, collection_id, body.file_id)}

    @router.get("/{collection_id}/sources")
    async def list_sources(who: Who, collection_id: str) -> JsonObject:
        return views.listing(source(record) for record in await library.places.list(who.owner, collection_id))

    @router.post("/{collection_id}/sources", status_code=201)
    async def follow(who: Who, collection_id: str, body: Follow) -> JsonObject:
        trusted = who.kind == "local"
        return source(await library.places.follow(who.owner, collection_id, body.place, trusted=trusted))

    @router.delete("/{collection_id}")
    async def delete(who: Who, collection_id: str, files: bool = False) -> JsonObject:
        await library.collections.delete(who.owner, collection_id, files=files)
        return {"id": collection_id, "deleted": True}

    @router.delete("/sources/{source_id}")
    async def leave(who: Who, source_id: str, documents: bool = False) -> JsonObject:
        await library.places.leave(who.owner, source_id, documents=documents)
        return {"id": source_id, "deleted": True}

    @router.post("/look")
    async def look(who: Who) -> JsonObject:
        at = micros()
        library.places.look(who.owner)
        return {"looking": True, "at": views.when(at)}

    return router


def collection(record: CollectionRecord) -> JsonObject:
    """A collection."""
    return {
        **store_object(record),
        "object": "portal.collection",
        "conversation": record.conversation_id,
        "file_counts": counts_object(record.counts),
    }


def document(record: DocumentRecord) -> JsonObject:
    """A document, with what OpenAI's object does not say."""
    problem = record.problem
    return {
        "object": "portal.document",
        "file_id": record.file_id,
        "collection": record.collection_id,
        "filename": record.filename,
        "status": record.status,
        "progress": round(record.progress, 3),
        "error": {"code": problem.code, "message": problem.message} if problem else None,
        "note": record.note,
        "size": record.size,
        "sha256": record.sha256,
        "passages_count": record.passages,
        "attributes": record.attributes,
        "place": record.place,
        "modified": views.when(record.modified),
        "created_at": views.when(record.created_at),
    }


def passage(one: Passage) -> JsonObject:
    """A passage."""
    return {
        "id": one.id,
        "object": "portal.passage",
        "position": one.position,
        "text": one.text,
        "heading": list(one.heading),
        "page": one.page,
        "start": one.start,
        "end": one.end,
    }


def result(found: Found, of: DocumentRecord) -> JsonObject:
    """A passage that was found, and in which document."""
    return {**passage(found.passage), "score": found.score, "weak": found.weak, "document": document(of)}


def source(record: SourceRecord) -> JsonObject:
    """A watched place."""
    return {
        "id": record.id,
        "object": "portal.source",
        "collection": record.collection_id,
        "kind": record.kind,
        "place": record.place,
        "error": record.error,
        "files": record.state.get("files"),
        "left_out": record.state.get("left_out"),
        "created_at": views.when(record.created_at),
        "checked_at": views.when(record.checked_at),
    }
