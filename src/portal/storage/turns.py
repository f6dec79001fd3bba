"""Turns as they are read: a path up the tree of responses, with items and unfinished ones, from one moment."""

from collections.abc import Sequence
from itertools import groupby

from portal.core.records import StoredItem, TurnRecord
from portal.storage.database import Row, Statement
from portal.storage.partials import merged, newest_seq
from portal.storage.rows import RESPONSE, columns, item_of, response_of

# :limit responses from {start} towards the root, never more of the tree than that. The CROSS JOINs keep SQLite
# walking from the path to what belongs to it: it would rather scan a whole table in the order that is asked for.
PATH = """
WITH RECURSIVE path (id, previous_id, conversation_id, depth) AS (
    SELECT id, previous_id, conversation_id, 1 FROM responses WHERE id = ({start}) AND owner = :owner
    UNION ALL
    SELECT r.id, r.previous_id, r.conversation_id, path.depth + 1
    FROM path CROSS JOIN responses r
    WHERE r.id = path.previous_id AND path.depth < :limit AND r.owner = :owner{within}
)"""

# The newest of an owner's: ids begin with their time.
RECENT = """
WITH path (id, previous_id, conversation_id, depth) AS (
    SELECT id, previous_id, conversation_id, 1 FROM responses
    WHERE owner = :owner AND model <> '' ORDER BY id DESC LIMIT :limit
)"""

SELECT_RESPONSES = f"""
SELECT {columns(RESPONSE, "r")} FROM path CROSS JOIN responses r WHERE r.id = path.id ORDER BY path.depth DESC"""

SELECT_ITEMS = """
SELECT i.response_id, i.side, i.position, i.item, i.first_seq, i.last_seq, i.cuts
FROM path CROSS JOIN items i WHERE i.response_id = path.id ORDER BY i.response_id, i.side, i.position"""

SELECT_PARTIALS = """
SELECT p.response_id, p.position, p.item, p.first_seq, p.last_seq, p.cuts
FROM path CROSS JOIN partials p WHERE p.response_id = path.id ORDER BY p.response_id, p.position, p.number"""

SELECT_SIBLINGS = """
SELECT path.id AS response_id, s.id
FROM path CROSS JOIN responses s
WHERE s.conversation_id = path.conversation_id
    AND COALESCE(s.previous_id, '') = COALESCE(path.previous_id, '')
ORDER BY path.id, s.created_at, s.id"""


def path_queries(start: str, within: str, args: dict[str, object], *, siblings: bool) -> list[Statement]:
    """The queries of one path; `start` is SQL for the id it begins at, `within` narrows every step further."""
    path = PATH.format(start=start, within=within)
    wanted = [SELECT_RESPONSES, SELECT_ITEMS, SELECT_PARTIALS, *([SELECT_SIBLINGS] if siblings else [])]
    return [Statement(path + query, args) for query in wanted]


def recent_queries(owner: str, limit: int) -> list[Statement]:
    """The queries of an owner's newest turns, in any order."""
    wanted = (SELECT_RESPONSES, SELECT_ITEMS, SELECT_PARTIALS)
    return [Statement(RECENT + query, {"owner": owner, "limit": limit}) for query in wanted]


def turns_of(results: Sequence[Sequence[Row]]) -> list[TurnRecord]:
    """What `path_queries` brought, as turns, oldest first."""
    responses, items, partials = results[:3]
    siblings = _by_response(results[3]) if len(results) > 3 else None
    by_item, by_piece = _by_response(items), _by_response(partials)
    return [
        TurnRecord(
            response=response_of(row, last_seq=newest_seq(by_piece.get(row["id"], []))),
            items=_in_order(by_item.get(row["id"], []), by_piece.get(row["id"], [])),
            siblings=() if siblings is None else _ids(siblings.get(row["id"], [row])),
        )
        for row in responses
    ]


def _ids(rows: Sequence[Row]) -> tuple[str, ...]:
    """Of a response outside any conversation the row is its own."""
    return tuple(row["id"] for row in rows)


def _in_order(items: Sequence[Row], pieces: Sequence[Row]) -> tuple[StoredItem, ...]:
    found = [*map(item_of, items), *merged(pieces)]
    return tuple(sorted(found, key=lambda stored: (stored.side, stored.position)))


def _by_response(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {key: list(group) for key, group in groupby(rows, key=lambda row: row["response_id"])}
