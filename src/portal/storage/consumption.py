"""The Consumption port: one query over an index by time, whatever is asked."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from portal.core.consumption import By, Question
from portal.core.items import JsonObject
from portal.storage.database import Database, Row

DAY = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_COLUMNS: dict[By, str] = {
    "user": "owner",
    "model": "model",
    "workspace": "COALESCE(workspace, '')",
    "door": "door",
    "backend": "backend",
    "key": "COALESCE(credential, '')",
}
REPORT = """
SELECT {columns}COUNT(*) AS calls, SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failures,
    CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT) AS input_tokens,
    CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT) AS output_tokens,
    CAST(COALESCE(SUM(milliseconds), 0) AS BIGINT) AS milliseconds,
    CAST(COALESCE(SUM(first_milliseconds), 0) AS BIGINT) AS first_milliseconds, COUNT(first_milliseconds) AS firsts
FROM usage_log WHERE {whose}created_at >= :since AND created_at < :until{narrower}
{grouped}ORDER BY {order}calls DESC LIMIT :limit"""


class StoredConsumption:
    """The Consumption port on a Database."""

    def __init__(self, *, database: Database, written: Callable[[], Awaitable[object]]) -> None:
        """`written` sees to it that what waits to be written is."""
        self._database = database
        self._written = written

    async def report(self, question: Question) -> Sequence[JsonObject]:
        """See Consumption."""
        await self._written()
        sql, args = query(question)
        return [_row(row) for row in await self._database.fetch(sql, **args)]


def query(question: Question) -> tuple[str, dict[str, object]]:
    """The question as SQL, and its arguments."""
    args: dict[str, object] = {"since": question.since, "until": question.until, "limit": question.limit}
    day, offsets = _day(question) if "day" in question.by else ("", {})
    columns = {**_COLUMNS, "day": day}
    by = list(dict.fromkeys(question.by))
    whose = narrower = ""
    if question.owner is not None:
        whose, args["owner"] = "owner = :owner AND ", question.owner
    if question.model is not None:
        narrower, args["model"] = " AND model = :model", question.model
    places = ", ".join(str(place) for place, _ in enumerate(by, 1))
    sql = REPORT.format(
        columns="".join(f"{columns[one]} AS {_as(one)}, " for one in by),
        whose=whose,
        narrower=narrower,
        grouped=f"GROUP BY {places}\n" if by else "HAVING COUNT(*) > 0\n",
        order=f"{_as('day')} DESC, " if "day" in by else "",
    )
    return sql, {**args, **offsets}


def _as(by: By) -> str:
    return f"by_{by}"  # `user` is a word of SQL


def _day(question: Question) -> tuple[str, dict[str, object]]:
    """The number of a call's day in the question's zone, whose clock may be put forward and back meanwhile."""
    changes = _changes(ZoneInfo(question.zone), question.since, question.until)
    args: dict[str, object] = {f"offset_{number}": offset for number, (_, offset) in enumerate(changes)}
    if len(changes) == 1:
        return f"(created_at + :offset_0) / {DAY}", args
    args |= {f"before_{number}": before for number, (before, _) in enumerate(changes[:-1])}
    steps = " ".join(f"WHEN created_at < :before_{number} THEN :offset_{number}" for number in range(len(changes) - 1))
    return f"(created_at + CASE {steps} ELSE :offset_{len(changes) - 1} END) / {DAY}", args


def _changes(zone: ZoneInfo, since: int, until: int) -> list[tuple[int, int]]:
    """Until when the clock of a zone differed by how much from UTC; all in microseconds."""
    found: list[tuple[int, int]] = []
    offset = _offset(zone, since)
    for start in range(since, until, DAY):
        end = min(start + DAY, until)
        if (after := _offset(zone, end)) != offset:
            found.append((_change(zone, start, end, offset), offset))
            offset = after
    return [*found, (until, offset)]


def _change(zone: ZoneInfo, low: int, high: int, before: int) -> int:
    """The first moment, to the second, at which the clock differs by something else than `before`."""
    while high - low > 1_000_000:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high // 1_000_000 * 1_000_000


def _offset(zone: ZoneInfo, moment: int) -> int:
    there = datetime.fromtimestamp(moment // 1_000_000, UTC).astimezone(zone).utcoffset() or timedelta()
    return int(there.total_seconds()) * 1_000_000


def _row(row: Row) -> JsonObject:
    calls, firsts = row["calls"], row.pop("firsts")
    named = {name.removeprefix("by_"): value for name, value in row.items()}
    if "day" in named:
        named["day"] = (_EPOCH + timedelta(days=named["day"])).isoformat()
    return {
        **named,
        "milliseconds": round(row["milliseconds"] / calls),
        "first_milliseconds": round(row["first_milliseconds"] / firsts) if firsts else None,
    }
