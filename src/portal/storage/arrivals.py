"""The Arrivals port: conversations that come in from elsewhere, stored with their own times and shown once whole."""

from collections.abc import Collection, Mapping, Sequence

from portal.core.clock import micros
from portal.core.events import numbered
from portal.core.exchange import Arriving, Coming
from portal.core.records import ConversationRecord, StoredItem
from portal.errors import Conflict
from portal.storage.database import Database, Row, Statement
from portal.storage.imports import no_import
from portal.storage.passage_filters import ELEMENTS
from portal.storage.rows import CONVERSATION, RESPONSE, inputs_of, response_args, to_json
from portal.storage.search import Search
from portal.storage.turn_log import keep_item
from portal.storage.turn_passages import TurnPassages

AT_ONCE = 50
"""Responses of one batch, so that a long conversation never holds up a running turn for long."""

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
        going_on = Statement(GOING_ON, {"import_id": import_id, "owner": owner, "now": micros()}, 1)
        opening = [] if conversation is None or there else self._opening(conversation)
        ending = [] if conversation is None or more else [_ending(conversation, there, known)]
        for start in range(0, max(len(new), 1), AT_ONCE):
            statements = [going_on, *opening]
            for one in new[start : start + AT_ONCE]:
                statements += await self._arriving(one, said)
            last = start + AT_ONCE >= len(new)
            await self._store(import_id, [*statements, *(ending if last else ())])
            opening = []
        return frozenset(one.response.id for one in new)

    async def take_all(self, import_id: str, coming: Sequence[Coming], *, owner: str) -> Collection[str]:
        """See Arrivals."""
        every = [one for _, turns in coming for one in turns]
        looks = [Statement(SELECT, {"conversation_id": conversation.id}) for conversation, _ in coming]
        *found, here = await self._database.snapshot([*looks, self._knowing(owner, every)])
        known = {row["id"] for row in here}
        going_on = Statement(GOING_ON, {"import_id": import_id, "owner": owner, "now": micros()}, 1)
        statements: list[Statement] = []
        for (conversation, turns), rows in zip(coming, found, strict=True):
            statements += await self._whole(conversation, turns, _ours(rows, owner), known)
        if statements:
            await self._store(import_id, [going_on, *statements])
        return {one.response.id for one in every} - known

    async def _whole(
        self, conversation: ConversationRecord, turns: Sequence[Arriving], there: Row | None, known: Collection[str]
    ) -> list[Statement]:
        """Of one in one piece; nothing where all of it is there."""
        new = [one for one in turns if one.response.id not in known]
        if not new and there is not None and there["deleted_at"] is None:
            return []
        said = {one.response.id: one for one in turns}
        statements = [] if there else self._opening(conversation)
        for one in new:
            statements += await self._arriving(one, said)
        return [*statements, _ending(conversation, there, known)]

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

    async def _store(self, import_id: str, statements: Sequence[Statement]) -> None:
        first, *others = statements
        gone = Statement(first.sql, first.args, 1, no_import(import_id))
        await self._database.batch([gone, *others])

    def _opening(self, conversation: ConversationRecord) -> list[Statement]:
        args: Mapping[str, object] = {
            **{name: getattr(conversation, name) for name in CONVERSATION.split(", ")},
            "pinned": int(conversation.pinned),
            "metadata": to_json(conversation.metadata),
            "now": micros(),
        }
        statements = [Statement(INSERT, args, None, _taken())]
        if conversation.title:
            statements += self._search.add_title(conversation.owner, conversation.id, conversation.title)
        return statements

    async def _arriving(self, one: Arriving, said: Mapping[str, Arriving]) -> list[Statement]:
        record = one.response
        items, last_seq = _placed(one)
        statements = [Statement(INSERT_RESPONSE, {**response_args(record), "last_seq": last_seq}, None, _taken())]
        for item in items:
            statements += [*keep_item(record.id, item), *self._search.add(item)]
        before = said.get(record.previous_id or "")
        earlier = _placed(before)[0] if before else ()
        return [*statements, *await self._turns.arriving(response_args(record), items, earlier)]


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
