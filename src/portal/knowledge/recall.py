"""What the user's documents say about a turn: looked up by Portal for workspaces that have knowledge, and wherever a
client's request has the `file_search` tool."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from portal.core.collections import CollectionRecord, Collections, DocumentRecord, Documents
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.passages import Found, Passages, Within
from portal.core.recall import Recalled, Seeking, file_search
from portal.errors import BadRequest, NotFound
from portal.knowledge.search import HybridSearch
from portal.knowledge.told import cost, cost_of, documents_of, fitting, result, source

log = logging.getLogger(__name__)

_RESULTS = 8
"""Passages that are told, unless the client wants more or fewer."""
_MOST_FILES = 100
_MOST_PASSAGES = 200
"""Of a conversation's files, that are told as a whole where they fit."""
_AT_ONCE = 1000
"""Collections that are read together."""
_SHORT = 8
"""Words up to which a question may mean what was said before it."""
_PREAMBLE = 80
"""Tokens of what stands before the sources."""
_RESULTS_INCLUDED = "file_search_call.results"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """Where to look, and for how much."""

    within: Within
    limit: int = _RESULTS
    least: float = 0.0
    explicit: bool = False
    """The client asked for it: what is found best is told, whether or not it bears on the question."""
    rerank: bool = True


class KnowledgeRecall:
    """Implements Recall."""

    looks = "knowledge"

    def __init__(
        self, *, search: HybridSearch, passages: Passages, collections: Collections, documents: Documents
    ) -> None:
        self._search = search
        self._passages = passages
        self._collections = collections
        self._documents = documents

    async def recall(self, seeking: Seeking) -> Recalled:
        """See Recall. The files of the conversation and its folder come first."""
        if not seeking.shelves:
            return await self._others(seeking)
        kept = await self._kept(seeking)
        told = sum(cost(one) for one in kept.sources)
        rest = await self._others(replace(seeking, room=seeking.room - told)) if seeking.text.strip() else Recalled()
        return Recalled(
            text=kept.text,
            items=[*kept.items, *rest.items],
            untrusted=kept.untrusted or rest.untrusted,
            sources=[*kept.sources, *rest.sources],
        )

    async def _kept(self, seeking: Seeking) -> Recalled:
        """Of those files all, where they fit, else what bears best on what is said."""
        kept = [await self._collections.of_conversation(seeking.owner, place) for place in seeking.shelves]
        groups = [one.id for one in kept if one is not None]
        if not groups:
            return Recalled()
        records = [record for group in groups for record in await self._oldest(seeking.owner, group)]
        within = Within(owner=seeking.owner, space="documents", groups=groups)
        wish = _Wish(within=within, limit=_RESULTS, explicit=True)
        found = await self._whole(records, seeking.room - _PREAMBLE)
        if not found:
            queries = _queries(seeking)
            found = await self._found(wish, queries) if seeking.text.strip() else await self._beginning(records)
        recalled = await self._recalled(seeking, wish, [seeking.text], found)
        return replace(recalled, text="\n".join(_unread(record) for record in records if record.status != "completed"))

    async def _oldest(self, owner: str, collection_id: str) -> Sequence[DocumentRecord]:
        return (await self._documents.list(owner, collection_id, limit=_MOST_FILES, ascending=True)).data

    async def _whole(self, records: Sequence[DocumentRecord], room: int) -> list[Found]:
        """Every passage in order; nothing where that is too much."""
        if sum(record.passages for record in records) > _MOST_PASSAGES:
            return []
        read = [one for record in records for one in await self._passages.of(record.owner, record.id)]
        found = [Found(passage=one, score=1.0) for one in read]
        return found if sum(cost_of(one.told) for one in read) <= room else []

    async def _beginning(self, records: Sequence[DocumentRecord]) -> list[Found]:
        """Of the newest file, where nothing is asked."""
        read = await self._passages.of(records[-1].owner, records[-1].id, 0, _RESULTS - 1) if records else ()
        return [Found(passage=one, score=1.0) for one in read]

    async def _others(self, seeking: Seeking) -> Recalled:
        tool = file_search(seeking.request)
        queries = _queries(seeking)
        try:
            wish = await self._asked(seeking.owner, tool) if tool else await self._own(seeking)
            if wish is None:
                return Recalled()
            found = await self._found(wish, queries)
        except (BadRequest, NotFound) as error:
            log.warning("a file search failed: %s", error.message, extra={"response": seeking.response_id})
            return Recalled(items=[_item(queries, "failed", [], None)])
        return await self._recalled(seeking, wish, queries, found)

    async def _asked(self, owner: str, tool: JsonObject) -> _Wish:
        """What a client's tool says. Raises NotFound."""
        groups = list(dict.fromkeys(tool["vector_store_ids"]))
        for group in groups:
            await self._collections.get(owner, group)
        options = tool.get("ranking_options") or {}
        return _Wish(
            within=Within(owner=owner, space="documents", groups=groups, filters=tool.get("filters")),
            limit=tool.get("max_num_results") or _RESULTS,
            least=options.get("score_threshold") or 0.0,
            explicit=True,
            rerank=options.get("ranker") != "none",
        )

    async def _own(self, seeking: Seeking) -> _Wish | None:
        """All of the user's collections, or those of the workspace; None where there are none."""
        if not seeking.workspace.knowledge:
            return None
        groups = await chosen(self._collections, seeking.owner, seeking.workspace.collections)
        return _Wish(within=Within(owner=seeking.owner, space="documents", groups=groups)) if groups else None

    async def _found(self, wish: _Wish, queries: Sequence[str]) -> list[Found]:
        """What the queries find, best first, each passage once; a question alone goes before it with its context."""
        best: dict[str, Found] = {}
        for at, query in enumerate(queries):
            if wish.explicit:
                hits = await self._search.search(wish.within, query, limit=wish.limit, rerank=wish.rerank)
            else:
                hits = await self._search.relevant(wish.within, query, limit=wish.limit)
            for one in hits:
                known = replace(one, score=one.score * (0.9 if at else 1.0))
                if one.passage.id not in best or best[one.passage.id].score < known.score:
                    best[one.passage.id] = known
        ordered = sorted(best.values(), key=lambda one: -one.score)
        return [one for one in ordered if one.score >= wish.least][: wish.limit]

    async def _recalled(
        self, seeking: Seeking, wish: _Wish, queries: Sequence[str], found: Sequence[Found]
    ) -> Recalled:
        records = await documents_of(self._documents, seeking.owner, found)
        there = [(one, records[one.passage.document]) for one in found if one.passage.document in records]
        sources = fitting([source(*one) for one in there], seeking.room - _PREAMBLE)
        told = there[: len(sources)]
        if not told and not wish.explicit:
            return Recalled()
        included = _RESULTS_INCLUDED in (seeking.request.get("include") or ())
        results = [result(*one, text=True) for one in told] if included else None
        item = _item(queries, "completed", [result(*one, text=False) for one in told], results)
        return Recalled(items=[item], sources=sources, untrusted=bool(told))


def _queries(seeking: Seeking) -> list[str]:
    queries = [seeking.text]
    if seeking.before and len(re.findall(r"\w+", seeking.text)) <= _SHORT:
        queries.append(f"{seeking.before}\n{seeking.text}")
    return queries


def _unread(record: DocumentRecord) -> str:
    """What a model is told of a file that it cannot be told of."""
    if record.status == "in_progress":
        return f"The attached file {record.filename} is still being read: say so, and that they may ask again soon."
    why = record.problem.message if record.problem else "It was cancelled."
    return f"The attached file {record.filename} could not be read: {why}"


async def chosen(collections: Collections, owner: str, wanted: Sequence[str] = ()) -> list[str]:
    """The ids of the user's collections, or of those with these names or ids; files of conversations are theirs."""
    found: list[str] = []
    after = None
    while True:
        page = await collections.list(owner, limit=_AT_ONCE, after=after)
        found += [one.id for one in page.data if (_is_wanted(one, wanted) if wanted else not one.conversation_id)]
        if (after := page.next) is None:
            return found


def _is_wanted(one: CollectionRecord, wanted: Sequence[str]) -> bool:
    return one.id in wanted or (one.name in wanted and not one.conversation_id)


def _item(queries: Sequence[str], status: str, found: Sequence[JsonObject], results: object) -> Item:
    return {
        "type": "file_search_call",
        "id": new_id("fs"),
        "status": status,
        "queries": list(queries),
        "results": results,
        "portal:found": list(found),
        "portal:untrusted": bool(found),
    }
