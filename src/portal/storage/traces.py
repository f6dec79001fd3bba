"""Where the time of stored turns went. Written with a turn's last batch; read by its owner, and by those who run this
installation, who look for slow and failed turns of everybody."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from portal.core.records import Page, TraceRecord
from portal.errors import NotFound
from portal.storage.cursors import decode_cursor, encode_cursor
from portal.storage.database import Database, Row, Statement
from portal.storage.rows import from_json, to_json

Sort: TypeAlias = Literal["slow", "failed", "recent"]

_COLUMNS = "response_id, owner, created_at, milliseconds, status, door, model, workspace, error, spans, dropped"
_LISTED = "t.response_id, t.owner, t.created_at, t.milliseconds, t.status, t.door, t.model, t.workspace, t.error"

INSERT = f"""
INSERT INTO traces ({_COLUMNS}) VALUES ({", ".join(f":{name}" for name in _COLUMNS.split(", "))})
ON CONFLICT (response_id) DO NOTHING"""

SELECT = f"SELECT {_COLUMNS} FROM traces WHERE response_id = :response_id"
OF_OWNER = " AND owner = :owner"

LIST = f"""
SELECT {_LISTED}, COALESCE(u.name, '') AS person FROM traces t LEFT JOIN users u ON u.id = t.owner
WHERE t.created_at >= :since{{narrower}} ORDER BY {{order}} LIMIT :limit"""
_NEWEST = ("created_at", "t.created_at DESC, t.response_id DESC")
_ORDERS: dict[Sort, tuple[str, str]] = {
    "slow": ("milliseconds", "t.milliseconds DESC, t.response_id DESC"),
    "failed": _NEWEST,
    "recent": _NEWEST,
}
FAILED = " AND t.status = 'failed'"
BEYOND = " AND (t.{by}, t.response_id) < (:place, :last_id)"

EXPIRE = "DELETE FROM traces WHERE created_at < :before"


def keeping(trace: TraceRecord) -> Statement:
    """For the batch that ends a turn."""
    values = {name: getattr(trace, name) for name in _COLUMNS.split(", ")}
    return Statement(INSERT, {**values, "spans": to_json(list(trace.spans))})


class StoredTraces:
    """The Traces port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def get(self, owner: str, response_id: str) -> TraceRecord:
        """See Traces."""
        return self._one(
            response_id, await self._database.fetch(SELECT + OF_OWNER, owner=owner, response_id=response_id)
        )

    async def of_anybody(self, response_id: str) -> TraceRecord:
        """See Traces."""
        return self._one(response_id, await self._database.fetch(SELECT, response_id=response_id))

    @staticmethod
    def _one(response_id: str, rows: Sequence[Row]) -> TraceRecord:
        for row in rows:
            return TraceRecord(**{**row, "spans": from_json(row["spans"])})
        raise NotFound(f"Nothing is kept of where the time of {response_id!r} went.", param="response_id")

    async def list(self, sort: Sort, *, since: int, limit: int = 50, cursor: str | None = None) -> Page[TraceRecord]:
        """See Traces."""
        by, order = _ORDERS[sort]
        whose = ("traces", sort)
        args: dict[str, object] = {"since": since, "limit": limit + 1}
        narrower = FAILED if sort == "failed" else ""
        if cursor is not None:
            names = ("since", "place", "last_id")
            args |= zip(names, decode_cursor(whose, cursor, (int, int, str)), strict=True)
            narrower += BEYOND.format(by=by)
        rows = await self._database.fetch(LIST.format(narrower=narrower, order=order), **args)
        found = [TraceRecord(**row) for row in rows[:limit]]
        if len(rows) <= limit:
            return Page(found)
        last = found[-1]
        return Page(found, encode_cursor(whose, (args["since"], getattr(last, by), last.response_id)))

    async def expire(self, before: int) -> None:
        """Forget those of turns that began before this time, in microseconds UTC."""
        await self._database.batch([Statement(EXPIRE, {"before": before})])
