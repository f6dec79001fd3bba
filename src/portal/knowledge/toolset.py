"""The tools by which models look things up in the user's documents themselves."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from portal.core.collections import Collections, DocumentRecord, Documents
from portal.core.items import JsonObject
from portal.core.passages import Passage, Passages, Within
from portal.core.ports import Conversations
from portal.core.tools import ToolContext, ToolResult, ToolSpec, failure
from portal.core.workspaces import Workspace
from portal.errors import NotFound
from portal.knowledge.recall import chosen
from portal.knowledge.search import HybridSearch
from portal.knowledge.told import documents_of

NAME = "knowledge"
_SEARCH = ToolSpec(
    name="search_knowledge",
    title="Search documents",
    description="Search the user's own documents (files, notes, manuals, contracts, papers that they added to "
    "Portal) for what a question needs. Say what you look for in a few words; ask again in other words if need be.",
    parameters={
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for"},
            "collection": {"type": "string", "description": "Name or id of the one collection to look in"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 20, "description": "Passages wanted, 5 by default"},
        },
        "required": ["query"],
        "additionalProperties": False,
    },
    risk="read",
    toolset=NAME,
    idempotent=True,
    untrusted=True,
)
_READ = ToolSpec(
    name="read_knowledge",
    title="Read in documents",
    description="Read one of the user's documents, or the part of it around a passage that search_knowledge found.",
    parameters={
        "type": "object",
        "properties": {
            "document": {"type": "string", "description": "Its id or file name, as search_knowledge tells it"},
            "around": {"type": "string", "description": "Id of the passage to read around; else from the beginning"},
        },
        "required": ["document"],
        "additionalProperties": False,
    },
    risk="read",
    toolset=NAME,
    idempotent=True,
    untrusted=True,
)
_AROUND = 5
"""Passages that are read before and behind one."""
_BEGINNING = 30
_LIMIT = 5


class KnowledgeTools:
    """Implements Toolset."""

    name = NAME

    def __init__(
        self,
        *,
        search: HybridSearch,
        passages: Passages,
        collections: Collections,
        documents: Documents,
        workspaces: Callable[[str], Sequence[Workspace]],
        conversations: Conversations | None = None,
    ) -> None:
        """`workspaces` are those of a person: a call sees the collections of the one that it is made in, and by
        `conversations` the files of its folder."""
        self._conversations = conversations
        self._search = search
        self._passages = passages
        self._collections = collections
        self._documents = documents
        self._workspaces = workspaces

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return (_SEARCH, _READ)

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """See Toolset."""
        there = (one.collections for one in self._workspaces(context.owner) if one.name == context.workspace)
        groups = await chosen(self._collections, context.owner, next(there, ()))
        for place in await self._places(context):
            if own := await self._collections.of_conversation(context.owner, place):
                groups.append(own.id)
        if name == _SEARCH.name:
            return await self._find(context.owner, groups, **arguments)
        return await self._read(context.owner, groups, **arguments)

    async def _places(self, context: ToolContext) -> list[str]:
        """The conversation and its folder, which may have files of their own."""
        places = [context.conversation_id] if context.conversation_id else []
        if places and self._conversations is not None:
            with suppress(NotFound):
                folder_id = (await self._conversations.get(context.owner, places[0])).folder_id
                places += [folder_id] if folder_id else []
        return places

    async def _find(
        self, owner: str, groups: Sequence[str], query: str, collection: str = "", limit: int = _LIMIT
    ) -> ToolResult:
        if collection:
            groups = [one for one in await chosen(self._collections, owner, [collection]) if one in groups]
        if not groups:
            named = f" named {collection!r}" if collection else ""
            return failure(f"There is no collection of documents{named}.")
        within = Within(owner=owner, space="documents", groups=groups)
        found = await self._search.search(within, query, limit=limit)
        records = await documents_of(self._documents, owner, found)
        told = [_told(one.passage, records[one.passage.document]) for one in found if one.passage.document in records]
        return ToolResult(text="\n\n".join(told) or "Nothing was found.")

    async def _read(self, owner: str, groups: Sequence[str], document: str, around: str = "") -> ToolResult:
        passages: Sequence[Passage] = await self._passages.get(owner, [around]) if around else ()
        place = next((one for one in passages if one.space == "documents" and one.group in groups), None)
        if place is not None:
            first = max(place.position - _AROUND, 0)
            read = await self._passages.of(owner, place.document, first, place.position + _AROUND)
        else:
            record = await self._named(owner, groups, document)
            if record is None:
                return failure(f"There is no document {document!r}; search_knowledge tells which there are.")
            read = await self._passages.of(owner, record.id, 0, _BEGINNING - 1)
        return ToolResult(text="\n".join(one.text for one in read) or "The document is empty.")

    async def _named(self, owner: str, groups: Sequence[str], document: str) -> DocumentRecord | None:
        """The document with this file id, or with this file name."""
        for record in await self._documents.find(owner, file_id=document):
            if record.collection_id in groups:
                return record
        for group in groups:
            page = await self._documents.list(owner, group, limit=100)
            for record in page.data:
                if record.filename == document:
                    return record
        return None

    async def aclose(self) -> None:
        """See Toolset."""


def _told(passage: Passage, record: DocumentRecord) -> str:
    page = "" if passage.page is None else f", page {passage.page}"
    return f"{record.filename}{page} (document {record.file_id}, passage {passage.id}):\n{passage.told}"
