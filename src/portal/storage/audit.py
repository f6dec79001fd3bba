"""The Audit port: lines that are only ever added."""

from portal.core.approvals import AuditRecord
from portal.core.records import Page
from portal.storage.cursors import decode_cursor, encode_cursor
from portal.storage.database import Database, Statement
from portal.storage.rows import AUDIT, audit_of, to_json

INSERT = f"INSERT INTO audit ({AUDIT}) VALUES (:id, :owner, :at, :action, :subject, :detail)"

LIST = f"""
SELECT {AUDIT} FROM audit WHERE owner = :owner{{narrower}} ORDER BY at DESC, id DESC LIMIT :limit"""
AFTER = " AND (at, id) < (:at, :last_id)"


class StoredAudit:
    """The Audit port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def record(self, entry: AuditRecord) -> None:
        """See Audit."""
        args = {
            "id": entry.id,
            "owner": entry.owner,
            "at": entry.at,
            "action": entry.action,
            "subject": entry.subject,
            "detail": to_json(entry.detail),
        }
        await self._database.batch([Statement(INSERT, args)])

    async def list(self, owner: str, *, limit: int = 100, cursor: str | None = None) -> Page[AuditRecord]:
        """See Audit."""
        this, limit, narrower = ("audit", owner), max(limit, 1), ""
        args: dict[str, object] = {"owner": owner, "limit": limit + 1}
        if cursor is not None:
            narrower = AFTER
            args |= zip(("at", "last_id"), decode_cursor(this, cursor, (int, str)), strict=True)
        rows = await self._database.fetch(LIST.format(narrower=narrower), **args)
        page = [audit_of(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(page, encode_cursor(this, (page[-1].at, page[-1].id)) if more else None)
