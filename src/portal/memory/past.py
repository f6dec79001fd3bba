"""Past conversations: their turns as memory recalls them, and the search of conversations, by words and by meaning."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from portal.core.memories import PastTurn
from portal.core.passages import Found, Search, Within
from portal.core.ports import Conversations, Responses
from portal.core.records import ConversationRecord, Filters, Page
from portal.core.scene import tainted_at
from portal.errors import NotFound
from portal.memory.likeness import ALIKE, Likeness

_MORE = 3
"""Hits asked for per turn wanted: some are of conversations that are gone, or of one that has its share."""
_LIKE = 20
"""Conversations found by meaning alone, behind those that have the words."""
_SNIPPET = 160
_TURNS_EACH = 2


class Past:
    """Looks through what was said."""

    def __init__(
        self, *, search: Search, likeness: Likeness, conversations: Conversations, responses: Responses
    ) -> None:
        self._search = search
        self._likeness = likeness
        self._conversations = conversations
        self._responses = responses

    async def turns(
        self,
        owner: str,
        text: str,
        *,
        since: int | None = None,
        until: int | None = None,
        limit: int = 5,
        without: str | None = None,
    ) -> Sequence[PastTurn]:
        """The best ones, best first, of any conversation `without` this one; at most two of each."""
        within = Within(owner=owner, space="turns", since=since, until=until)
        found = await self._search.search(within, text, limit=limit * _MORE, rerank=False) if text.strip() else ()
        turns: list[PastTurn] = []
        for one in found:
            taken = sum(turn.conversation_id == one.passage.group for turn in turns)
            if len(turns) < limit and taken < _TURNS_EACH and one.passage.group != without:
                turns += await self._turn(owner, one)
        return turns

    async def _turn(self, owner: str, found: Found) -> list[PastTurn]:
        """Nothing where its conversation was deleted."""
        passage = found.passage
        try:
            conversation = await self._conversations.get(owner, passage.group)
            window = await self._responses.window(owner, passage.document)
        except NotFound:
            return []
        turn = PastTurn(
            conversation_id=conversation.id,
            response_id=passage.document,
            title=conversation.title,
            text=passage.text,
            created_at=passage.created_at,
            untrusted=tainted_at([stored.item for record in window for stored in record.items]) is not None,
        )
        return [turn]

    async def find(
        self, owner: str, query: str, filters: Filters, *, limit: int = 50, cursor: str | None = None
    ) -> Page[ConversationRecord]:
        """Conversations that have the words of the query, newest first, and behind the last of them those that say
        something like it, best first. Raises BadRequest for a cursor of another list."""
        page = await self._conversations.list(owner, limit=limit, cursor=cursor, query=query, **asdict(filters))
        room = min(_LIKE, limit - len(page.data))
        if page.next is not None or not query.strip() or room <= 0:
            return page
        return Page([*page.data, *await self._alike(owner, query, filters, room)])

    async def _alike(self, owner: str, query: str, filters: Filters, room: int) -> list[ConversationRecord]:
        """Conversations that do not have the words, but say something like them."""
        within = Within(owner=owner, space="turns")
        found = await self._search.search(within, query[:1000], limit=room * _MORE, rerank=False)
        like = await self._likeness.of(owner, query, [one.passage.id for one in found])
        near = [one for one in found if like.get(one.passage.id, 0) >= ALIKE]
        best = {one.passage.group: one.passage for one in reversed(near)}
        if not best:
            return []
        narrow = {**asdict(filters), "among": list(best), "limit": len(best)}
        having = {record.id for record in (await self._conversations.list(owner, query=query, **narrow)).data}
        there = {record.id: record for record in (await self._conversations.list(owner, **narrow)).data}
        ordered = dict.fromkeys(one.passage.group for one in near)
        alike = [there[group] for group in ordered if group in there and group not in having]
        return [replace(one, snippet=_line(best[one.id].text), alike=True) for one in alike[:room]]


def _line(text: str) -> str:
    line = " ".join(text[: _SNIPPET * 2].split())
    return line if len(line) <= _SNIPPET else f"{line[:_SNIPPET]}…"
