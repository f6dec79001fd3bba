"""The tools by which clients put documents into a person's collections, and take them out again."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from pathlib import PurePath

from portal.core.clock import micros
from portal.core.collections import CollectionRecord, Collections, Documents, NewDocument
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.ports import Files
from portal.core.records import FileRecord
from portal.core.tools import ToolContext, ToolResult, ToolSpec, failure
from portal.errors import ToolError
from portal.knowledge.toolset import NAME

FIRST = "Documents"
"""The collection that is made where there is none."""
_LOOK = 0.2
_PATIENCE = 240.0
_AT_ONCE = 1000
_WHICH: JsonObject = {"type": "string", "description": "Name or id of the collection"}
_LIST = ToolSpec(
    name="list_collections",
    title="List collections",
    description="List the user's collections of documents, with how many documents each holds.",
    risk="read",
    toolset=NAME,
    idempotent=True,
)
_ADD = ToolSpec(
    name="add_document",
    title="Add a document",
    description="Add a document to the user's own, so that search_knowledge finds it from then on, in every "
    "conversation. Give its text, or its bytes in base64.",
    parameters={
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "File name with its ending, such as notes.md or offer.pdf"},
            "text": {"type": "string", "description": "What it says"},
            "base64": {"type": "string", "description": "Or its bytes, of a PDF, a Word file, a picture"},
            "collection": {**_WHICH, "description": f"Name of the collection, made if need be; {FIRST} by default"},
        },
        "required": ["name"],
        "additionalProperties": False,
    },
    risk="write",
    toolset=NAME,
    timeout=_PATIENCE + 60,
    harmless=True,
)
_FORGET = ToolSpec(
    name="forget_document",
    title="Forget a document",
    description="Delete one of the user's documents from what can be searched, for good.",
    parameters={
        "type": "object",
        "properties": {
            "document": {"type": "string", "description": "Its id, as search_knowledge tells it: file-... or file_..."},
            "collection": {**_WHICH, "description": "Only from this collection; from all by default"},
        },
        "required": ["document"],
        "additionalProperties": False,
    },
    risk="write",
    toolset=NAME,
)


class KnowledgeKeeping:
    """Implements Toolset."""

    name = NAME

    def __init__(self, *, collections: Collections, documents: Documents, files: Files) -> None:
        self._collections = collections
        self._documents = documents
        self._files = files

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return (_LIST, _ADD, _FORGET)

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """See Toolset."""
        if name == _ADD.name:
            return await self._add(context, **arguments)
        if name == _FORGET.name:
            return await self._forget(context.owner, **arguments)
        lines = [
            f"{one.name or '-'} ({one.counts.total} documents, {one.id})" for one in await self._all(context.owner)
        ]
        return ToolResult(text="\n".join(lines) or "There are no collections yet.")

    async def aclose(self) -> None:
        """See Toolset."""

    async def _add(
        self, context: ToolContext, name: str, text: str = "", base64: str = "", collection: str = ""
    ) -> ToolResult:
        content = _decoded(base64) if base64 else text.encode("utf-8", "replace")
        if not content.strip():
            return failure("There is nothing in it: give `text` or `base64`.")
        place = await self._place(context.owner, collection or FIRST)
        record = FileRecord(
            id=new_id("file"),
            owner=context.owner,
            filename=PurePath(name.replace("\\", "/")).name.strip() or "document.txt",
            purpose="user_data",
            size=0,
            sha256="",
            content_type="application/octet-stream",
            created_at=micros(),
        )
        stored = await self._files.create(record, _once(content))
        if known := await self._documents.same(context.owner, place.id, stored.id):
            await self._files.delete(context.owner, stored.id)
            return ToolResult(text=f"It is there already, as {known.filename} ({known.file_id}).")
        await self._documents.add(context.owner, place.id, [NewDocument(file_id=stored.id)])
        return await self._read(context, place, stored)

    async def _read(self, context: ToolContext, place: CollectionRecord, stored: FileRecord) -> ToolResult:
        """Wait until it can be found, or cannot be read."""
        try:
            async with asyncio.timeout(_PATIENCE):
                while True:
                    document = await self._documents.get(context.owner, place.id, stored.id)
                    if document.status != "in_progress":
                        break
                    context.report(f"reading {stored.filename}: {document.progress:.0%}")
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            return ToolResult(text=f"Added as {stored.id}; it is still being read.")
        if document.status == "completed":
            where = f"to {place.name}" if place.name else "to the collection"
            return ToolResult(text=f"Added {stored.filename} {where} as {stored.id}, {document.passages} passages.")
        await self._forget(context.owner, stored.id)
        return failure(f"{stored.filename} cannot be read: {document.problem.message if document.problem else ''}")

    async def _forget(self, owner: str, document: str, collection: str = "") -> ToolResult:
        places = {one.id for one in await self._all(owner) if collection in ("", one.id, one.name)}
        known = await self._documents.find(owner, file_id=document)
        gone = [one for one in known if one.collection_id in places]
        if not gone:
            return failure(f"There is no document {document!r}; search_knowledge tells their ids.")
        for one in gone:
            await self._documents.remove(owner, one.collection_id, document)
        if len(gone) == len(known) and not any(one.source_id for one in gone):
            await self._files.delete(owner, document)
        return ToolResult(text=f"{gone[0].filename} is forgotten.")

    async def _place(self, owner: str, wanted: str) -> CollectionRecord:
        for one in await self._all(owner):
            if wanted in (one.id, one.name):
                return one
        now = micros()
        made = CollectionRecord(id=new_id("vs"), owner=owner, name=wanted, created_at=now, last_active_at=now)
        return await self._collections.first(made)

    async def _all(self, owner: str) -> Sequence[CollectionRecord]:
        """Those of the user; files of conversations are theirs."""
        found: list[CollectionRecord] = []
        after: str | None = None
        while True:
            page = await self._collections.list(owner, limit=_AT_ONCE, after=after)
            found += [one for one in page.data if not one.conversation_id]
            if (after := page.next) is None:
                return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ToolError("`base64` is no base64.") from error


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
