"""The Arrivals port: conversations that come in from elsewhere, stored with their own times and shown once whole."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from portal.core.clock import micros
from portal.core.events import numbered
from portal.core.exchange import Arriving, Coming, steps
from portal.core.passages import Passage
from portal.core.records import ConversationRecord, StoredItem
from portal.errors import Conflict
from portal.storage.database import Database, Row, Statement
from portal.storage.imports import no_import
from portal.storage.passage_filters import ELEMENTS
from portal.storage.rows import CONVERSATION, RESPONSE, inputs_of, response_args, to_json
from portal.storage.search import Search, item_row, title_row
from portal.storage.turn_log import keep_item
from portal.storage.turn_passages import TurnPassages, passages_of

# Holds the import, and with it its owner, until the batch is through.
GOING_ON = "UPDATE imports SET changed_at = :now WHERE id = :import_id AND owner = :owner"

SELECT = "SELECT owner, head, deleted_at FROM conversations WHERE id = :conversation_id"
KNOWN = "SELECT id FROM responses WHERE owner = :owner AND id IN ({ids})"

# Hidden while it is not whole: what is never gone on with is really deleted with what people delete.
INSERT = f"""
INSERT INTO conversations ({CONVERSATION})
VALUES (:id, :owner, :title, :title_source, NULL, :folder_id, :model, :pinned, :metadata, :created_at, :updated_at,
    :now)"""
INSERT_RESPONSE = f"""
INSERT INTO responses ({RESPONSE})
VALUES ({
    ", ".join(
        "(SELECT p.id FROM responses p WHERE p.id = :previous_id AND p.owner = :owner)"
        if name == "previous_id"
        else f":{name}"
        for name in RESPONSE.split(", ")
    )
})"""
FINISH = """
UPDATE conversations SET deleted_at = NULL, head = :head,
    updated_at = CASE WHEN updated_at < :updated_at THEN :updated_at ELSE updated_at END
WHERE id = :conversation_id AND owner = :owner"""


@dataclass(frozen=True, slots=True)
class _Part:
    """What of a conversation one batch stores."""

    opening: ConversationRecord | None
    """The conversation, where it is not there."""
    new: Sequence[Arriving]
    said: Mapping[str, Arriving]
    """All that comes of it, by id."""
    ending: Statement | None
    """What shows it, where this is the last of it."""


class StoredArrivals:
    """The Arrivals port on a Database."""

    def __init__(self, *, database: Database, search: Search, turns: TurnPassages) -> None:
        self._database, self._search, self._turns = database, search, turns

    async def take(
        self,
        import_id: str,
        conversation: ConversationRecord | None,
        turns: Sequence[Arriving],
        *,
        owner: str,
        more: bool = False,
    ) -> Collection[str]:
        """See Arrivals."""
        there = await self._there(owner, conversation)
        known = await self._known(owner, turns)
        new = [one for one in turns if one.response.id not in known]
        whole = there is not None and there["deleted_at"] is None
        if not new and (conversation is None or whole or more):
            return frozenset()
        said = {one.response.id: one for one in turns}
        opening = None if there else conversation
        ending = None if conversation is None or more else _ending(conversation, there, known)
        *first, last = await asyncio.to_thread(list, steps(new))
        for some in first:
            await self._store(import_id, owner, [_Part(opening, some, said, None)])
            opening = None
        await self._store(import_id, owner, [_Part(opening, last, said, ending)])
        return frozenset(one.response.id for one in new)

    async def take_all(self, import_id: str, coming: Sequence[Coming], *, owner: str) -> Collection[str]:
        """See Arrivals."""
        every = [one for _, turns in coming for one in turns]
        looks = [Statement(SELECT, {"conversation_id": conversation.id}) for conversation, _ in coming]
        *found, here = await self._database.snapshot([*looks, self._knowing(owner, every)])
        known = {row["id"] for row in here}
        parts = [
            part
            for (conversation, turns), rows in zip(coming, found, strict=True)
            if (part := _whole(conversation, turns, _ours(rows, owner), known)) is not None
        ]
        if parts:
            await self._store(import_id, owner, parts)
        return {one.response.id for one in every} - known

    async def _there(self, owner: str, conversation: ConversationRecord | None) -> Row | None:
        if conversation is None:
            return None
        return _ours(await self._database.fetch(SELECT, conversation_id=conversation.id), owner)

    async def _known(self, owner: str, turns: Sequence[Arriving]) -> Collection[str]:
        """Those that are there already: each was stored whole."""
        query = self._knowing(owner, turns)
        return {row["id"] for row in await self._database.fetch(query.sql, **query.args)}

    def _knowing(self, owner: str, turns: Sequence[Arriving]) -> Statement:
        sql = KNOWN.format(ids=ELEMENTS[self._database.dialect].format("ids"))
        return Statement(sql, {"owner": owner, "ids": to_json([one.response.id for one in turns])})

    async def _store(self, import_id: str, owner: str, parts: Sequence[_Part]) -> None:
        going_on = {"import_id": import_id, "owner": owner, "now": micros()}
        statements = await asyncio.to_thread(self._statements, parts)
        await self._database.batch([Statement(GOING_ON, going_on, 1, no_import(import_id)), *statements])

    def _statements(self, parts: Sequence[_Part]) -> list[Statement]:
        """What stores them; their words come last, and all at once, which is most of the work."""
        statements: list[Statement] = []
        rows: list[Row] = []
        passages: list[Passage] = []
        for part in parts:
            if part.opening is not None:
                statements.append(_opening(part.opening))
                if part.opening.title:
                    rows.append(title_row(part.opening.owner, part.opening.id, part.opening.title))
            for one in part.new:
                record, (items, last_seq) = one.response, _placed(one)
                args = response_args(record)
                statements.append(Statement(INSERT_RESPONSE, {**args, "last_seq": last_seq}, None, _taken()))
                for item in items:
                    statements += keep_item(record.id, item)
                if record.conversation_id is not None:
                    found = (item_row(record.owner, record.conversation_id, item) for item in items)
                    rows += (row for row in found if row is not None)
                before = part.said.get(record.previous_id or "")
                passages += passages_of(args, items, _placed(before)[0] if before else ())
            if part.ending is not None:
                statements.append(part.ending)
        return [*statements, *self._search.add_all(rows), *self._turns.arriving(passages)]


def _whole(
    conversation: ConversationRecord, turns: Sequence[Arriving], there: Row | None, known: Collection[str]
) -> _Part | None:
    """One in one piece; None where all of it is there."""
    new = [one for one in turns if one.response.id not in known]
    if not new and there is not None and there["deleted_at"] is None:
        return None
    said = {one.response.id: one for one in turns}
    return _Part(None if there else conversation, new, said, _ending(conversation, there, known))


def _opening(conversation: ConversationRecord) -> Statement:
    args: Mapping[str, object] = {
        **{name: getattr(conversation, name) for name in CONVERSATION.split(", ")},
        "pinned": int(conversation.pinned),
        "metadata": to_json(conversation.metadata),
        "now": micros(),
    }
    return Statement(INSERT, args, None, _taken())


def _ours(rows: Sequence[Row], owner: str) -> Row | None:
    """The conversation of that id, if there is one. Raises Conflict where it is somebody else's."""
    if rows and rows[0]["owner"] != owner:
        raise _taken()
    return rows[0] if rows else None


def _ending(conversation: ConversationRecord, there: Row | None, known: Collection[str]) -> Statement:
    """The branch that a person has gone on with since stays the one on show."""
    head = there["head"] if there else None
    ours = conversation.head if head is None or head in known else head
    args = {
        "conversation_id": conversation.id,
        "owner": conversation.owner,
        "head": ours,
        "updated_at": conversation.updated_at,
    }
    return Statement(FINISH, args, 1)


def _placed(one: Arriving) -> tuple[list[StoredItem], int]:
    outputs, last_seq = numbered(one.response.id, one.outputs)
    return [*inputs_of(one.response.id, one.inputs), *outputs], last_seq


def _taken() -> Conflict:
    return Conflict("One of its ids is in use by somebody else.", code="id_taken")
