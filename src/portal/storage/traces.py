"""Where the time of stored turns went. Written with a turn's last batch; read by its owner, and by those who run this
installation, who look for slow and failed turns of everybody. Calls of models that nothing is stored of are known from
the log of usage alone, and are found beside them."""

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
# Read in the order of time, on no index of their own: they are many, and few look.
CALLS = """
SELECT t.id AS response_id, t.owner, t.created_at, t.milliseconds, t.status, t.door, t.model, t.model AS workspace,
    COALESCE(t.error, '') AS error, COALESCE(u.name, '') AS person
FROM usage_log t LEFT JOIN users u ON u.id = t.owner
WHERE t.created_at >= :since AND substr(t.id, 1, 5) = 'call_'{narrower} ORDER BY {order} LIMIT :limit"""
CALL = """
SELECT id, owner, created_at, milliseconds, status, door, model, backend, first_milliseconds, input_tokens,
    output_tokens, COALESCE(error, '') AS error
FROM usage_log WHERE id = :response_id AND substr(id, 1, 5) = 'call_'"""
SLOW = " AND t.milliseconds >= 1000"
"""Calls that are quicker are nobody's trouble."""
FAILED = " AND t.status = 'failed'"
BEYOND = " AND (t.{by}, t.response_id) < (:place, :last_id)"

EXPIRE = "DELETE FROM traces WHERE created_at < :before"
FORGET_ERRORS = "UPDATE usage_log SET error = NULL WHERE created_at < :before AND error IS NOT NULL"


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
        return await self._one(response_id, OF_OWNER, owner=owner)

    async def of_anybody(self, response_id: str) -> TraceRecord:
        """See Traces."""
        return await self._one(response_id, "")

    async def _one(self, response_id: str, whose: str, **args: object) -> TraceRecord:
        for row in await self._database.fetch(SELECT + whose, response_id=response_id, **args):
            return TraceRecord(**{**row, "spans": from_json(row["spans"])})
        for row in await self._database.fetch(CALL + whose, response_id=response_id, **args):
            return _of_call(row)
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
        narrower += SLOW if sort == "slow" else ""
        calls = CALLS.format(narrower=narrower, order=order).replace("t.response_id", "t.id")
        rows += await self._database.fetch(calls, **args)
        rows.sort(key=lambda row: (row[by], row["response_id"][:1]), reverse=True)  # each kind is in order already
        found = [TraceRecord(**row) for row in rows[:limit]]
        if len(rows) <= limit:
            return Page(found)
        last = found[-1]
        return Page(found, encode_cursor(whose, (args["since"], getattr(last, by), last.response_id)))

    async def expire(self, before: int) -> None:
        """Forget those of turns that began before this time, in microseconds UTC, and why calls failed before it."""
        await self._database.batch([Statement(sql, {"before": before}) for sql in (EXPIRE, FORGET_ERRORS)])


def _of_call(row: Row) -> TraceRecord:
    """What is known of a call that nothing was stored of: the model took all of it."""
    noted = {
        "server": row["backend"],
        "first_ms": row["first_milliseconds"],
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
    }
    step = {"start": 0, "ms": row["milliseconds"]}
    known = {name: value for name, value in noted.items() if value is not None}
    return TraceRecord(
        response_id=row["id"],
        workspace=row["model"],
        spans=[
            {"id": 0, "parent": None, "kind": "turn", "name": row["model"], **step},
            {"id": 1, "parent": 0, "kind": "model", "name": row["model"], **step, "attributes": known},
        ],
        **{name: row[name] for name in ("owner", "created_at", "milliseconds", "status", "door", "model", "error")},
    )
