"""The Departures port: all that somebody has, read in pages."""

from collections.abc import Sequence
from itertools import groupby

from portal.core.exchange import Arriving
from portal.core.items import Item
from portal.core.records import ConversationRecord
from portal.storage.database import Database, Row, Statement
from portal.storage.passage_filters import ELEMENTS
from portal.storage.rows import CONVERSATION, RESPONSE, conversation_of, from_json, response_of, to_json

CONVERSATIONS = f"""
SELECT {CONVERSATION} FROM conversations
WHERE owner = :owner AND deleted_at IS NULL AND id > :after ORDER BY id LIMIT :limit"""

# What runs is not whole yet.
ORDER = """
SELECT id FROM responses
WHERE owner = :owner AND {where} AND status NOT IN ('queued', 'in_progress') ORDER BY created_at, id"""
WITHIN = "conversation_id = :conversation_id"
OUTSIDE = "conversation_id IS NULL"
RESPONSES = f"SELECT {RESPONSE} FROM responses WHERE owner = :owner AND id IN ({{ids}})"
ITEMS = """
SELECT response_id, side, item FROM items WHERE owner = :owner AND response_id IN ({ids})
ORDER BY response_id, side, position"""


class StoredDepartures:
    """The Departures port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def conversations(self, owner: str, *, after: str = "", limit: int = 100) -> Sequence[ConversationRecord]:
        """See Departures."""
        rows = await self._database.fetch(CONVERSATIONS, owner=owner, after=after, limit=limit)
        return [conversation_of(row) for row in rows]

    async def order(self, owner: str, conversation_id: str | None) -> Sequence[str]:
        """See Departures."""
        sql = ORDER.format(where=OUTSIDE if conversation_id is None else WITHIN)
        named = {} if conversation_id is None else {"conversation_id": conversation_id}
        return [row["id"] for row in await self._database.fetch(sql, owner=owner, **named)]

    async def turns(self, owner: str, ids: Sequence[str]) -> Sequence[Arriving]:
        """See Departures."""
        among = ELEMENTS[self._database.dialect].format("ids")
        args = {"owner": owner, "ids": to_json(list(ids))}
        queries = [Statement(sql.format(ids=among), args) for sql in (RESPONSES, ITEMS)]
        responses, items = await self._database.snapshot(queries)
        said = {key: list(rows) for key, rows in groupby(items, key=lambda row: row["response_id"])}
        found = {row["id"]: row for row in responses}
        return [_leaving(found[one], said.get(one, [])) for one in ids if one in found]


def _leaving(row: Row, items: Sequence[Row]) -> Arriving:
    return Arriving(response=response_of(row), inputs=_side(items, "input"), outputs=_side(items, "output"))


def _side(items: Sequence[Row], side: str) -> list[Item]:
    return [from_json(item["item"]) for item in items if item["side"] == side]
