"""The Departures port: all that somebody has, read in pages."""

from collections.abc import Sequence
from itertools import groupby

from portal.core.exchange import Arriving
from portal.core.items import Item, JsonObject
from portal.core.records import ConversationRecord
from portal.storage.database import Database, Row, Statement
from portal.storage.rows import CONVERSATION, RESPONSE, columns, conversation_of, from_json, response_of

CONVERSATIONS = f"""
SELECT {CONVERSATION} FROM conversations
WHERE owner = :owner AND deleted_at IS NULL AND id > :after ORDER BY id LIMIT :limit"""

# What runs is not whole yet.
PAGE = """
WITH page AS (
    SELECT id, created_at FROM responses
    WHERE owner = :owner AND {where} AND status NOT IN ('queued', 'in_progress')
        AND (created_at, id) > (:after_time, :after_id)
    ORDER BY created_at, id LIMIT :limit
)"""
WITHIN = "conversation_id = :conversation_id"
OUTSIDE = "conversation_id IS NULL"
RESPONSES = f"""
SELECT {columns(RESPONSE, "r")} FROM page CROSS JOIN responses r WHERE r.id = page.id ORDER BY r.created_at, r.id"""
ITEMS = """
SELECT i.response_id, i.side, i.item FROM page CROSS JOIN items i WHERE i.response_id = page.id
ORDER BY i.response_id, i.side, i.position"""

COUNTS = """
SELECT
    (SELECT COUNT(*) FROM conversations WHERE owner = :owner AND deleted_at IS NULL) AS conversations,
    (SELECT COUNT(*) FROM responses r WHERE r.owner = :owner AND r.status NOT IN ('queued', 'in_progress')
        AND (r.conversation_id IS NULL OR EXISTS (
            SELECT 1 FROM conversations c WHERE c.id = r.conversation_id AND c.deleted_at IS NULL))) AS responses,
    (SELECT COUNT(*) FROM folders WHERE owner = :owner) AS folders,
    (SELECT COUNT(*) FROM memories WHERE owner = :owner) AS memories,
    (SELECT COUNT(*) FROM workspaces WHERE owner = :owner) AS workspaces,
    (SELECT COUNT(*) FROM files WHERE owner = :owner AND ready = 1) AS files"""


class StoredDepartures:
    """The Departures port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def conversations(self, owner: str, *, after: str = "", limit: int = 100) -> Sequence[ConversationRecord]:
        """See Departures."""
        rows = await self._database.fetch(CONVERSATIONS, owner=owner, after=after, limit=limit)
        return [conversation_of(row) for row in rows]

    async def turns(
        self, owner: str, conversation_id: str | None, *, after: tuple[int, str] = (-1, ""), limit: int = 50
    ) -> Sequence[Arriving]:
        """See Departures."""
        page = PAGE.format(where=OUTSIDE if conversation_id is None else WITHIN)
        args: dict[str, object] = {"owner": owner, "limit": limit, "after_time": after[0], "after_id": after[1]}
        if conversation_id is not None:
            args["conversation_id"] = conversation_id
        responses, items = await self._database.snapshot([Statement(page + sql, args) for sql in (RESPONSES, ITEMS)])
        said = {key: list(rows) for key, rows in groupby(items, key=lambda row: row["response_id"])}
        return [_leaving(row, said.get(row["id"], [])) for row in responses]

    async def counts(self, owner: str) -> JsonObject:
        """See Departures."""
        (row,) = await self._database.fetch(COUNTS, owner=owner)
        return {name: int(value) for name, value in row.items()}


def _leaving(row: Row, items: Sequence[Row]) -> Arriving:
    return Arriving(response=response_of(row), inputs=_side(items, "input"), outputs=_side(items, "output"))


def _side(items: Sequence[Row], side: str) -> list[Item]:
    return [from_json(item["item"]) for item in items if item["side"] == side]
