"""Pages of lists by creation, forwards and backwards from a row that the caller names."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from portal.core.records import Page
from portal.errors import BadRequest
from portal.storage.database import Database, Row, Statement

T = TypeVar("T")

BEYOND = " AND (created_at, id) {sign} ({cursor})"
ORDERED = " ORDER BY created_at {way}, id {way} LIMIT :limit"


async def page(
    database: Database,
    sql: str,
    cursor: str,
    args: Mapping[str, object],
    record: Callable[[Row], T],
    key: Callable[[T], str],
    *,
    limit: int,
    after: str | None,
    before: str | None,
    ascending: bool,
) -> Page[T]:
    """The rows of `sql` in order. `cursor` selects created_at and id of the row that the argument `cursor` names.

    Raises:
        BadRequest: there is no such row.
    """
    backwards = after is None and before is not None
    named = before if backwards else after
    up = ascending != backwards
    limit = max(limit, 1)
    known = {**args, "limit": limit + 1, "cursor": named}
    queries = []
    if named is not None:
        what = "before" if backwards else "after"
        unknown = BadRequest(f"There is no {named!r} in this list to go on {what}.", param=what, code="invalid_value")
        queries.append(Statement(cursor, known, 1, unknown))
        sql += BEYOND.format(sign=">" if up else "<", cursor=cursor)
    queries.append(Statement(sql + ORDERED.format(way="ASC" if up else "DESC"), known))
    found = [record(row) for row in (await database.snapshot(queries))[-1]]
    rows = found[:limit]
    if backwards:
        rows.reverse()
    return Page(rows, key(rows[-1]) if len(found) > len(rows) else None)
