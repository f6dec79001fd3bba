"""The Conversations port: heads in the tree of responses, listed, searched and paged."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import Item
from portal.core.records import ConversationRecord, Page, TurnRecord
from portal.errors import Conflict, NotFound
from portal.storage.changes import change_of
from portal.storage.cursors import decode_cursor, encode_cursor
from portal.storage.database import Database, Row, Statement
from portal.storage.passage_filters import ELEMENTS
from portal.storage.rows import CONVERSATION, columns, conversation_of, inputs_of, to_json
from portal.storage.search import TITLE, Search, phrases, snippet, title_row
from portal.storage.turn_log import keep_item
from portal.storage.turn_passages import TurnPassages
from portal.storage.turns import path_queries, turns_of

INSERT = f"""
INSERT INTO conversations ({CONVERSATION}) VALUES ({", ".join(f":{name}" for name in CONVERSATION.split(", "))})"""

SELECT_FOLDER = "SELECT 1 FROM folders WHERE id = :folder_id AND owner = :owner"

SELECT = f"""
SELECT {CONVERSATION} FROM conversations WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NULL"""

LIST = f"""
SELECT {columns(CONVERSATION, "c")} FROM conversations c
WHERE c.owner = :owner AND c.deleted_at IS NULL{{narrower}}
ORDER BY c.pinned DESC, c.updated_at DESC, c.id DESC LIMIT :limit"""

# CROSS JOIN keeps SQLite walking from the few hits to their conversations.
FIND = f"""
SELECT {columns(CONVERSATION, "c")}, t.side, t.body
FROM ({{hits}}) AS hits
CROSS JOIN conversations c
CROSS JOIN search_texts t
WHERE c.id = hits.conversation_id AND t.key = hits.key AND c.owner = :owner AND c.deleted_at IS NULL{{narrower}}
ORDER BY c.pinned DESC, c.updated_at DESC, c.id DESC LIMIT :limit"""

IN_FOLDER = " AND c.folder_id = :folder_id"
NARROWER = {
    "folder_id": IN_FOLDER,
    "model": """ AND (c.model = :model OR EXISTS (
        SELECT 1 FROM responses r WHERE r.conversation_id = c.id AND r.model = :model))""",
    "since": " AND c.updated_at >= :since",
    "until": " AND c.updated_at < :until",
}
AFTER = " AND (c.pinned, c.updated_at, c.id) < (:pinned, :updated_at, :last_id)"

HEAD = "SELECT head FROM conversations WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NULL"
ABOVE = """
SELECT b.previous_id FROM responses b JOIN conversations c ON c.id = :conversation_id
WHERE b.id = :before AND b.owner = :owner AND c.owner = :owner AND c.deleted_at IS NULL"""
WITHIN = " AND (r.conversation_id = :conversation_id OR r.conversation_id IS NULL)"

SELECT_BEFORE = (
    """
SELECT 1 FROM responses r WHERE r.id = :before AND r.owner = :owner"""
    + WITHIN
)

TOUCH = """
UPDATE conversations SET updated_at = :now
WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NULL"""

# After the conversation was touched: no turn can begin in it meanwhile.
RUNS_NOTHING = """
SELECT 1 WHERE NOT EXISTS (
    SELECT 1 FROM responses WHERE conversation_id = :conversation_id AND status IN ('queued', 'in_progress'))"""

# After the conversation was touched: who adds at the same time waits there, and then sees the new head.
INSERT_ADDED = """
INSERT INTO responses (id, owner, conversation_id, previous_id, model, status, created_at, completed_at, request,
    background, feedback, last_seq)
SELECT :response_id, owner, id, head, '', 'completed', CAST(:now AS BIGINT), CAST(:now AS BIGINT), '{}', 0, 0, -1
FROM conversations WHERE id = :conversation_id"""

MOVE_HEAD = "UPDATE conversations SET head = :response_id WHERE id = :conversation_id"

SELECT_ITEM = """
SELECT 1 FROM items i JOIN responses r ON r.id = i.response_id
WHERE i.id = :item_id AND r.conversation_id = :conversation_id AND r.owner = :owner LIMIT 1"""

ITEM_PLACES = """
(response_id, side, position) IN (
    SELECT i.response_id, i.side, i.position FROM items i JOIN responses r ON r.id = i.response_id
    WHERE i.id = :item_id AND r.conversation_id = :conversation_id
)"""

DELETE_ITEM = """
DELETE FROM items WHERE id = :item_id AND EXISTS (
    SELECT 1 FROM responses r
    WHERE r.id = items.response_id AND r.conversation_id = :conversation_id AND r.owner = :owner
)"""

MOVE = """
UPDATE conversations SET folder_id = :folder_id
WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NULL"""

ENTITLE = """
UPDATE conversations SET title = :title, title_source = :source
WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NULL
    AND title_source <> 'user' AND (title = '' OR :source = 'model')"""

HIDE = """
UPDATE conversations SET deleted_at = :now
WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NULL RETURNING id"""

SHOW = """
UPDATE conversations SET deleted_at = NULL
WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NOT NULL RETURNING id"""

SELECT_GONE = "SELECT id, owner FROM conversations WHERE deleted_at < :before ORDER BY deleted_at LIMIT :limit"

DELETE = "DELETE FROM conversations WHERE id = :conversation_id AND deleted_at < :before RETURNING id"

OF_CONVERSATION = "conversation_id = :conversation_id"

PURGED_AT_ONCE = 50


class StoredConversations:
    """The Conversations port on a Database."""

    def __init__(self, *, database: Database, search: Search, turns: TurnPassages) -> None:
        self._database, self._search, self._turns = database, search, turns

    async def create(self, conversation: ConversationRecord, items: Sequence[Item] = ()) -> None:
        """See Conversations."""
        args = _args(conversation)
        statements = []
        if conversation.folder_id is not None:
            statements.append(Statement(SELECT_FOLDER, args, 1, no_folder(conversation.folder_id)))
        statements.append(Statement(INSERT, args))
        if conversation.title:
            statements += self._search.add_all([title_row(conversation.owner, conversation.id, conversation.title)])
        if items:
            statements += await self._add(conversation.owner, conversation.id, items, conversation.created_at)
        await self._database.batch(statements)

    async def get(self, owner: str, conversation_id: str) -> ConversationRecord:
        """See Conversations."""
        for row in await self._database.fetch(SELECT, owner=owner, conversation_id=conversation_id):
            return conversation_of(row)
        raise no_conversation(conversation_id)

    async def list(
        self,
        owner: str,
        *,
        limit: int = 50,
        cursor: str | None = None,
        folder_id: str | None = None,
        query: str | None = None,
        model: str | None = None,
        since: int | None = None,
        until: int | None = None,
        among: Sequence[str] | None = None,
    ) -> Page[ConversationRecord]:
        """See Conversations."""
        filters = {"folder_id": folder_id, "model": model, "since": since, "until": until}
        asked = {name: value for name, value in filters.items() if value is not None}
        this, limit = ("conversations", owner, query, *asked.items(), among), max(limit, 1)
        args: dict[str, object] = {"owner": owner, "limit": limit + 1, **asked}
        narrower = "".join(NARROWER[name] for name in asked)
        if among is not None:
            narrower += f" AND c.id IN ({ELEMENTS[self._database.dialect].format('among')})"
            args["among"] = to_json(list(among))
        if cursor is not None:
            narrower += AFTER
            key = decode_cursor(this, cursor, (int, int, str))
            args |= zip(("pinned", "updated_at", "last_id"), key, strict=True)
        found = await self._find(query, narrower, args) if query and query.strip() else await self._all(narrower, args)
        page = found[:limit]
        more = len(found) > limit
        return Page(page, encode_cursor(this, _key(page[-1])) if more else None)

    async def turns(
        self, owner: str, conversation_id: str, *, before: str | None = None, limit: int = 50
    ) -> Page[TurnRecord]:
        """See Conversations."""
        args: dict[str, object] = {"owner": owner, "conversation_id": conversation_id, "limit": limit}
        checks = [Statement(SELECT, args, 1, no_conversation(conversation_id))]
        if before is not None:
            args["before"] = before
            checks.append(Statement(SELECT_BEFORE, args, 1, NotFound(f"There is no turn {before!r}.", param="before")))
        queries = path_queries(HEAD if before is None else ABOVE, WITHIN, args, siblings=True)
        results = await self._database.snapshot([*checks, *queries])
        turns = turns_of(results[len(checks) :])
        more = len(turns) == limit and turns[0].response.previous_id is not None
        return Page(turns, turns[0].response.id if more else None)

    async def update(self, owner: str, conversation_id: str, changes: Mapping[str, object]) -> ConversationRecord:
        """See Conversations."""
        if not changes:
            return await self.get(owner, conversation_id)
        change = change_of(changes)
        args = {**change.args, "owner": owner, "conversation_id": conversation_id}
        statements = [
            *(Statement(sql, args, 1, missing) for sql, missing in change.checks),
            Statement(change.sql, args, 1, no_conversation(conversation_id)),
        ]
        at = len(statements) - 1
        if "title" in changes:
            statements += self._search.remove(TITLE, conversation_id=conversation_id)
            statements += self._search.add_all([title_row(owner, conversation_id, str(changes["title"]))])
        return conversation_of((await self._database.batch(statements))[at][0])

    async def entitle(self, owner: str, conversation_id: str, title: str, source: Literal["none", "model"]) -> None:
        """See Conversations."""
        args = {"owner": owner, "conversation_id": conversation_id, "title": title, "source": source}
        await self._database.batch(
            [
                Statement(SELECT, args, 1, no_conversation(conversation_id)),
                Statement(ENTITLE, args, 1, Conflict("The conversation has a title that is to stay.")),
                *self._search.remove(TITLE, conversation_id=conversation_id),
                *self._search.add_all([title_row(owner, conversation_id, title)]),
            ]
        )

    async def move(self, owner: str, conversation_ids: Sequence[str], folder_id: str | None) -> None:
        """See Conversations."""
        shared = {"owner": owner, "folder_id": folder_id}
        moves = [
            Statement(MOVE, {**shared, "conversation_id": one}, 1, no_conversation(one))
            for one in sorted(set(conversation_ids))
        ]
        there = [Statement(SELECT_FOLDER, shared, 1, no_folder(folder_id))] if folder_id is not None else []
        await self._database.batch([*there, *moves])

    async def add_items(self, owner: str, conversation_id: str, items: Sequence[Item]) -> str:
        """See Conversations."""
        now = micros()
        args = {"owner": owner, "conversation_id": conversation_id, "now": now}
        free = [
            Statement(TOUCH, args, 1, no_conversation(conversation_id)),
            Statement(RUNS_NOTHING, args, 1, _locked()),
        ]
        added = await self._add(owner, conversation_id, items, now)
        await self._database.batch([*free, *added])
        return str(added[0].args["response_id"])

    async def delete_item(self, owner: str, conversation_id: str, item_id: str) -> None:
        """See Conversations."""
        args = {"owner": owner, "conversation_id": conversation_id, "item_id": item_id}
        missing = NotFound(f"There is no item {item_id!r} in this conversation.", param="item_id")
        having = await self._turns.having(owner, conversation_id, item_id)
        dropping, concerned = await self._turns.leaving(owner, having)
        await self._database.batch(
            [
                Statement(SELECT, args, 1, no_conversation(conversation_id)),
                Statement(SELECT_ITEM, args, 1, missing),
                *self._search.remove(ITEM_PLACES, **args),
                *dropping,
                Statement(DELETE_ITEM, args),
            ]
        )
        await self._turns.renew(concerned)

    async def delete(self, owner: str, conversation_ids: Sequence[str]) -> Sequence[str]:
        """See Conversations."""
        return await self._each(HIDE, owner, conversation_ids)

    async def restore(self, owner: str, conversation_ids: Sequence[str]) -> Sequence[str]:
        """See Conversations."""
        return await self._each(SHOW, owner, conversation_ids)

    async def purge(self, before: int) -> int:
        """See Conversations."""
        purged, done = 0, 1
        while done and (gone := await self._database.fetch(SELECT_GONE, before=before, limit=PURGED_AT_ONCE)):
            done = sum([await self._purge(row["owner"], row["id"], before) for row in gone])
            purged += done
        if purged:
            self._turns.clean()
        return purged

    async def _purge(self, owner: str, conversation_id: str, before: int) -> bool:
        """Whether it was still there, and deleted: somebody may have restored it meanwhile."""
        args = {"conversation_id": conversation_id, "before": before}
        statements = [
            Statement(DELETE, args, 1),
            *self._search.remove(OF_CONVERSATION, **args),
            *self._turns.purging(owner, conversation_id),
        ]
        with suppress(Conflict):
            await self._database.batch(statements)
            return True
        return False

    async def _add(self, owner: str, conversation_id: str, items: Sequence[Item], now: int) -> Sequence[Statement]:
        """A completed response of these items at the head."""
        response_id = new_id("resp")
        args = {"conversation_id": conversation_id, "response_id": response_id, "now": now}
        stored = inputs_of(response_id, items)
        statements = [Statement(INSERT_ADDED, args), Statement(MOVE_HEAD, args)]
        for one in stored:
            statements += [*keep_item(response_id, one), *self._search.add(one)]
        heads = await self._database.fetch(HEAD, conversation_id=conversation_id, owner=owner)
        turn = {"id": response_id, "owner": owner, "conversation_id": conversation_id, "created_at": now}
        previous = heads[0]["head"] if heads else None
        return [*statements, *await self._turns.keeping({**turn, "previous_id": previous}, stored)]

    async def _all(self, narrower: str, args: Mapping[str, object]) -> Sequence[ConversationRecord]:
        return [conversation_of(row) for row in await self._database.fetch(LIST.format(narrower=narrower), **args)]

    async def _find(self, query: str, narrower: str, args: Mapping[str, object]) -> Sequence[ConversationRecord]:
        wanted = phrases(query)
        if not wanted:
            return []
        sql = FIND.format(hits=self._search.hits, narrower=narrower)
        rows = await self._database.fetch(sql, **args, match=self._search.match(wanted))
        return [conversation_of(row, snippet=_snippet(row, query)) for row in rows]

    async def _each(self, sql: str, owner: str, conversation_ids: Sequence[str]) -> Sequence[str]:
        """The ids that a statement returned; in one order, so that two such batches cannot block each other."""
        now = micros()
        ids = sorted(set(conversation_ids))
        results = await self._database.batch(
            [Statement(sql, {"owner": owner, "conversation_id": one, "now": now}) for one in ids]
        )
        there = {row["id"] for rows in results for row in rows}
        return [one for one in dict.fromkeys(conversation_ids) if one in there]


def no_conversation(conversation_id: str) -> NotFound:
    """The error for a conversation this owner does not have."""
    return NotFound(f"There is no conversation {conversation_id!r}.", param="conversation")


def no_folder(folder_id: str) -> NotFound:
    """The error for a folder this owner does not have."""
    return NotFound(f"There is no folder {folder_id!r}.", param="folder_id")


def _locked() -> Conflict:
    return Conflict("A turn of this conversation is still in progress.", code="conversation_locked")


def _key(record: ConversationRecord) -> tuple[int, int, str]:
    return int(record.pinned), record.updated_at, record.id


def _snippet(row: Row, query: str) -> str:
    return "" if row["side"] == "title" else snippet(row["body"], query)


def _args(record: ConversationRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "owner": record.owner,
        "title": record.title,
        "title_source": record.title_source,
        "head": record.head,
        "folder_id": record.folder_id,
        "model": record.model,
        "pinned": int(record.pinned),
        "metadata": to_json(record.metadata),
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "deleted_at": record.deleted_at,
    }
