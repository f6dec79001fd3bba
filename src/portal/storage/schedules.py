"""The Schedules port: schedules and webhooks. A webhook's token comes in as SHA-256 hex, never itself."""

from collections.abc import Sequence

from portal.core.schedules import Permit, ScheduleRecord
from portal.errors import BadRequest, Conflict, NotFound
from portal.storage.database import Database, Row, Statement
from portal.storage.owners import holding
from portal.storage.people import ADMITTED
from portal.storage.rows import from_json, to_json

SCHEDULE = (
    "id, owner, name, prompt, workspace, kind, timing, zone, continued, conversation_id, catch_up, jitter, parallel, "
    "targets, permits, permitted_at, signature, paused, next_at, created_at, changed_at"
)
NAMES = SCHEDULE.split(", ")

INSERT = f"""
INSERT INTO schedules ({SCHEDULE}, token_hash) VALUES ({", ".join(f":{name}" for name in NAMES)}, :token_hash)"""
# The next time only where it changes: the scheduler may just be moving it on.
_CHANGED = [name for name in NAMES if name not in ("id", "owner", "created_at", "next_at", "conversation_id")]
CHANGE = f"""
UPDATE schedules SET
    {", ".join(f"{name} = :{name}" for name in _CHANGED)}{{next}},
    token_hash = COALESCE(CAST(:token_hash AS TEXT), token_hash)
WHERE id = :id AND owner = :owner AND changed_at = :before"""
NEXT = ", next_at = CAST(:next_at AS BIGINT)"
ROOM = "SELECT 1 AS room WHERE (SELECT COUNT(*) FROM schedules WHERE owner = :owner) < :most"

SELECT = f"SELECT {SCHEDULE} FROM schedules WHERE id = :schedule_id AND owner = :owner"
LIST = f"SELECT {SCHEDULE} FROM schedules WHERE owner = :owner ORDER BY created_at, id"
BY_TOKEN = f"SELECT {SCHEDULE} FROM schedules WHERE token_hash = :token_hash AND {ADMITTED.format(owner='owner')}"
DELETE = "DELETE FROM schedules WHERE id = :schedule_id AND owner = :owner"

# A permit's id begins with those of its schedule and run.
WITHDRAW = "DELETE FROM grants WHERE owner = :owner AND id LIKE :permits"


class StoredSchedules:
    """The Schedules port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def save(
        self,
        schedule: ScheduleRecord,
        *,
        before: ScheduleRecord | None = None,
        token_hash: str | None = None,
        most: int = 0,
    ) -> None:
        """See Schedules."""
        args = {**schedule_args(schedule), "token_hash": token_hash}
        if before is None:
            taken = Conflict(f"You have a schedule named {schedule.name!r} already.", param="name")
            await self._database.batch([*_room(schedule.owner, most), Statement(INSERT, args, 1, taken)])
            return
        changed = Conflict("The schedule is another one by now, or its name is taken: look at it again.")
        sql = CHANGE.format(next="" if before.next_at == schedule.next_at else NEXT)
        statements = [Statement(sql, {**args, "before": before.changed_at}, 1, changed)]
        if list(before.permits) != list(schedule.permits):
            statements.append(withdrawing(schedule.owner, schedule.id))
        await self._database.batch(statements)

    async def get(self, owner: str, schedule_id: str) -> ScheduleRecord:
        """See Schedules."""
        for row in await self._database.fetch(SELECT, owner=owner, schedule_id=schedule_id):
            return schedule_of(row)
        raise no_schedule(schedule_id)

    async def list(self, owner: str) -> Sequence[ScheduleRecord]:
        """See Schedules."""
        return [schedule_of(row) for row in await self._database.fetch(LIST, owner=owner)]

    async def by_token(self, token_hash: str) -> ScheduleRecord | None:
        """See Schedules."""
        rows = await self._database.fetch(BY_TOKEN, token_hash=token_hash)
        return schedule_of(rows[0]) if rows else None

    async def delete(self, owner: str, schedule_id: str) -> None:
        """See Schedules."""
        args = {"owner": owner, "schedule_id": schedule_id}
        await self._database.batch(
            [Statement(DELETE, args, 1, no_schedule(schedule_id)), withdrawing(owner, schedule_id)]
        )


def _room(owner: str, most: int) -> Sequence[Statement]:
    """That somebody has fewer than that many, until the batch is through; 0 is any number."""
    full = BadRequest(f"{most} schedules are the most: delete one first.")
    return [holding(owner), Statement(ROOM, {"owner": owner, "most": most}, 1, full)] if most else []


def withdrawing(owner: str, schedule_id: str, run_id: str = "") -> Statement:
    """Take away what a run, or every run of a schedule, was permitted."""
    return Statement(WITHDRAW, {"owner": owner, "permits": f"grant_{schedule_id}_{run_id}%"})


def no_schedule(schedule_id: str) -> NotFound:
    """The error for a schedule this owner does not have."""
    return NotFound(f"There is no schedule {schedule_id!r}.", param="schedule")


def schedule_args(schedule: ScheduleRecord) -> dict[str, object]:
    """The arguments of a schedule's row."""
    permits = [[one.toolset, one.tool] for one in schedule.permits]
    return {
        **{name: getattr(schedule, name) for name in NAMES},
        "continued": int(schedule.continued),
        "paused": int(schedule.paused),
        "targets": to_json(list(schedule.targets)),
        "permits": to_json(permits),
    }


def schedule_of(row: Row) -> ScheduleRecord:
    """The schedule of a row that may hold more."""
    permits = [Permit(toolset=toolset, tool=tool) for toolset, tool in from_json(row["permits"])]
    told = {
        "continued": bool(row["continued"]),
        "paused": bool(row["paused"]),
        "targets": from_json(row["targets"]),
        "permits": permits,
    }
    return ScheduleRecord(**{**{name: row[name] for name in NAMES}, **told})
