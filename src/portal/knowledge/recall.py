"""What the user's documents say about a turn: looked up by Portal for workspaces that have knowledge, and wherever a
client's request has the `file_search` tool."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from portal.core.collections import Collections, Documents
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.passages import Found, Within
from portal.core.recall import Recalled, Seeking, file_search
from portal.errors import BadRequest, NotFound
from portal.knowledge.search import HybridSearch
from portal.knowledge.told import documents_of, fitting, result, source

log = logging.getLogger(__name__)

_RESULTS = 8
"""Passages that are told, unless the client wants more or fewer."""
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

    def __init__(self, *, search: HybridSearch, collections: Collections, documents: Documents) -> None:
        self._search = search
        self._collections = collections
        self._documents = documents

    async def recall(self, seeking: Seeking) -> Recalled:
        """See Recall."""
        tool = file_search(seeking.request)
        queries = [seeking.text]
        try:
            wish = await self._asked(seeking.owner, tool) if tool else await self._own(seeking)
            if wish is None:
                return Recalled()
            if seeking.before and len(re.findall(r"\w+", seeking.text)) <= _SHORT:
                queries.append(f"{seeking.before}\n{seeking.text}")
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
        if not groups:
            return None
        everything = None if not seeking.workspace.collections else groups
        return _Wish(within=Within(owner=seeking.owner, space="documents", groups=everything))

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


async def chosen(collections: Collections, owner: str, wanted: Sequence[str] = ()) -> list[str]:
    """The ids of the user's collections, or of those with these names or ids."""
    found: list[str] = []
    after = None
    while True:
        page = await collections.list(owner, limit=_AT_ONCE, after=after)
        found += [one.id for one in page.data if not wanted or one.id in wanted or one.name in wanted]
        if (after := page.next) is None:
            return found


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
