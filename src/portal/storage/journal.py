"""The Notes port on a Database: the newest some thousands."""

from collections.abc import Sequence

from portal.core.journal import Note
from portal.core.records import Page
from portal.storage.cursors import decode_cursor, encode_cursor
from portal.storage.database import Database, Statement

KEPT = 5000
COLUMNS = "id, at, kind, level, source, text, request"
INSERT = f"""
INSERT INTO journal ({COLUMNS}) VALUES (:id, :at, :kind, :level, :source, :text, :request)
ON CONFLICT (id) DO NOTHING"""
PRUNE = """
DELETE FROM journal WHERE at < (SELECT at FROM journal WHERE at > 0 ORDER BY at DESC LIMIT 1 OFFSET :kept)"""
LIST = f"""
SELECT {COLUMNS} FROM journal WHERE (at, id) < (:at, :last_id){{narrower}} ORDER BY at DESC, id DESC LIMIT :limit"""
OF_KIND = " AND kind = :kind"
WITH_TEXT = " AND LOWER(text) LIKE :text ESCAPE '!'"
_END = 2**62


class StoredNotes:
    """The Notes port."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, notes: Sequence[Note]) -> None:
        """See Notes."""
        rows = [
            {
                "id": one.id,
                "at": one.at,
                "kind": one.kind,
                "level": one.level,
                "source": one.source,
                "text": one.text,
                "request": one.request,
            }
            for one in notes
        ]
        inserts = [Statement(INSERT, row) for row in rows]
        await self._database.batch([*inserts, Statement(PRUNE, {"kept": KEPT})])

    async def list(self, *, kind: str = "", text: str = "", limit: int = 100, cursor: str | None = None) -> Page[Note]:
        """See Notes."""
        this, limit, narrower = ("journal", kind, text), max(limit, 1), ""
        at, last_id = (_END, "") if cursor is None else decode_cursor(this, cursor, (int, str))
        args: dict[str, object] = {"at": at, "last_id": last_id, "limit": limit + 1}
        if kind:
            narrower, args["kind"] = narrower + OF_KIND, kind
        if text:
            narrower, args["text"] = narrower + WITH_TEXT, f"%{_literal(text.lower())}%"
        rows = await self._database.fetch(LIST.format(narrower=narrower), **args)
        page = [Note(**row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(page, encode_cursor(this, (page[-1].at, page[-1].id)) if more else None)


def _literal(text: str) -> str:
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return text
