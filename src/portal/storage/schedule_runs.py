"""The ports of runs: their history, and the queue of what is to run."""

from collections.abc import Mapping, Sequence

from portal.core.records import Page
from portal.core.schedules import ENDED, Delivery, RunRecord, RunStatus, ScheduleRecord
from portal.errors import Conflict, NotFound, RateLimited
from portal.storage.cursors import decode_cursor, encode_cursor
from portal.storage.database import Database, Row, Statement
from portal.storage.fence import Fence
from portal.storage.people import ADMITTED
from portal.storage.rows import columns
from portal.storage.schedules import SCHEDULE, SELECT, no_schedule, schedule_of, withdrawing

RUN = (
    "id, schedule_id, owner, cause, status, due_at, ready_at, response_id, last_id, conversation_id, started_at, "
    "ended_at, error, payload, delivery_id"
)
RUN_NAMES = RUN.split(", ")
DELIVERY = "target, status, attempts, ready_at, error"

LIST = f"""
SELECT {RUN} FROM schedule_runs WHERE schedule_id = :schedule_id AND owner = :owner{{after}}
ORDER BY id DESC LIMIT :limit"""
AFTER = " AND id < :last_id"
NEWEST = f"""
SELECT {columns(RUN, "r")} FROM schedules s JOIN schedule_runs r ON r.id = (
    SELECT id FROM schedule_runs WHERE schedule_id = s.id ORDER BY id DESC LIMIT 1)
WHERE s.owner = :owner"""
SENT = f"SELECT {RUN} FROM schedule_runs WHERE schedule_id = :schedule_id AND delivery_id = :delivery_id"
# On PostgreSQL no other run of it comes in between.
HOLD = "UPDATE schedules SET changed_at = changed_at WHERE id = :schedule_id"
ROOM = """
SELECT 1 AS room WHERE :most > (
    SELECT COUNT(*) FROM schedule_runs
    WHERE schedule_id = :schedule_id AND status IN ('queued', 'starting', 'running', 'waiting'))"""
DELIVERIES = f"SELECT run_id, {DELIVERY} FROM schedule_deliveries WHERE run_id = :run_id ORDER BY target"

DUE = f"""
SELECT {SCHEDULE} FROM schedules WHERE next_at <= :now AND {ADMITTED.format(owner="owner")}
ORDER BY next_at, id LIMIT 50"""
NEXT_DUE = "SELECT MIN(next_at) AS at FROM schedules WHERE next_at > :after"
NEXT_READY = "SELECT MIN(ready_at) AS at FROM schedule_runs WHERE status = 'queued' AND ready_at > :after"
NEXT_DELIVERY = "SELECT MIN(ready_at) AS at FROM schedule_deliveries WHERE status = 'pending' AND ready_at > :after"
ADVANCE = "UPDATE schedules SET next_at = CAST(:next_at AS BIGINT) WHERE id = :id AND next_at = :seen AND paused = 0"
INSERT = f"INSERT INTO schedule_runs ({RUN}) VALUES ({', '.join(f':{name}' for name in RUN_NAMES)})"
ONCE = " ON CONFLICT DO NOTHING"

ACTIVE = "('starting', 'running')"
CLAIM = f"""
UPDATE schedule_runs SET status = 'starting', started_at = :now
WHERE id = (
    SELECT r.id FROM schedule_runs r JOIN schedules s ON s.id = r.schedule_id
    WHERE r.status = 'queued' AND r.ready_at <= :now
        AND (s.paused = 0 OR r.cause = 'person') AND {ADMITTED.format(owner="s.owner")}
        AND (SELECT COUNT(*) FROM schedule_runs WHERE status IN {ACTIVE}) < :most
        AND (SELECT COUNT(*) FROM schedule_runs a WHERE a.schedule_id = s.id AND a.status IN {ACTIVE}) < s.parallel
    ORDER BY r.ready_at, r.id LIMIT 1 {{lock}}
) AND status = 'queued' RETURNING {RUN}"""
LOCK = {"sqlite": "", "postgres": "FOR UPDATE OF r SKIP LOCKED"}
"""Of servers that claim at the same moment each gets another run."""
OF_RUN = f"SELECT {SCHEDULE} FROM schedules WHERE id = :schedule_id"

CHANGE = """
UPDATE schedule_runs SET
    status = :status, ready_at = :ready_at, last_id = :last_id, conversation_id = :conversation_id,
    error = :error, payload = :payload,
    started_at = CAST(:started_at AS BIGINT), ended_at = CAST(:ended_at AS BIGINT)
WHERE id = :id AND status = :was"""
REQUEUE = f"{CHANGE} AND started_at = :started_at"
"""Whoever claimed it before, and is late, puts back nothing that another has claimed since."""
CONTINUE = "UPDATE schedules SET conversation_id = :conversation_id WHERE id = :schedule_id AND continued = 1"
INSERT_DELIVERY = f"""
INSERT INTO schedule_deliveries (run_id, owner, {DELIVERY})
VALUES (:run_id, :owner, :target, :status, :attempts, :ready_at, :error) ON CONFLICT (run_id, target) DO NOTHING"""
FOLLOWED = "SELECT id FROM responses WHERE previous_id = :last_id AND owner = :owner ORDER BY id DESC LIMIT 1"
AMONG = f"SELECT {RUN} FROM schedule_runs WHERE status = :status ORDER BY id"
# Older than whatever the conversation has read, for a permit does not outlast strangers' words. None for a run whose
# schedule was deleted, or permits something else, just now: nobody would take it away again.
PERMIT = """
INSERT INTO grants (id, owner, tool, toolset, extent, value, created_at)
SELECT :id, c.owner, :tool, :toolset, 'conversation', c.id,
    CASE WHEN c.created_at <= s.permitted_at THEN c.created_at - 1000 ELSE s.permitted_at END
FROM schedule_runs r JOIN schedules s ON s.id = r.schedule_id
    JOIN conversations c ON c.id = :conversation_id AND c.owner = r.owner
WHERE r.id = :run_id AND r.status = 'starting' AND s.permitted_at = :permitted_at
ON CONFLICT (owner, toolset, tool, extent, value) DO NOTHING"""
PRUNE = f"""
DELETE FROM schedule_runs
WHERE schedule_id = :schedule_id AND due_at < :before
    AND status IN ({", ".join(f"'{one}'" for one in sorted(ENDED))})
    AND id NOT IN (SELECT id FROM schedule_runs WHERE schedule_id = :schedule_id ORDER BY id DESC LIMIT :keep)"""

TAKE = """
UPDATE schedule_deliveries SET status = 'sending', attempts = attempts + 1
WHERE (run_id, target) IN (
    SELECT run_id, target FROM schedule_deliveries WHERE status = 'pending' AND ready_at <= :now
    ORDER BY ready_at, run_id, target LIMIT 1 {lock}
) AND status = 'pending' RETURNING run_id, target, status, attempts, ready_at, error"""
TAKE_LOCK = {"sqlite": "", "postgres": "FOR UPDATE SKIP LOCKED"}
SELECT_RUN = f"SELECT {RUN} FROM schedule_runs WHERE id = :run_id"
# Of the last attempt only: whoever was taken for gone, and is late, says nothing about a later one.
SETTLE = """
UPDATE schedule_deliveries SET status = :status, ready_at = :ready_at, error = :error
WHERE run_id = :run_id AND target = :target AND attempts = :attempts AND status <> 'failed'"""
REFUSED = """
UPDATE schedule_deliveries SET status = 'failed', error = :error
WHERE run_id = :run_id AND target = :target RETURNING run_id"""
INTERRUPTED = "UPDATE schedule_deliveries SET status = 'pending' WHERE status = 'sending'"


class StoredRuns:
    """The ScheduleRuns, RunQueue and DeliveryQueue ports on a Database."""

    def __init__(self, *, database: Database, fence: Fence | None = None) -> None:
        """What the one server does that runs schedules is done behind its `fence`."""
        self._database, self._fence = database, fence or Fence()

    # ------------------------------------------------------------------ history

    async def list(
        self, owner: str, schedule_id: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[RunRecord]:
        """See ScheduleRuns."""
        this, limit = ("runs", owner, schedule_id), max(limit, 1)
        args: dict[str, object] = {"owner": owner, "schedule_id": schedule_id, "limit": limit + 1}
        after = ""
        if cursor is not None:
            (args["last_id"],), after = decode_cursor(this, cursor, (str,)), AFTER
        known = Statement(SELECT, args, 1, no_schedule(schedule_id))
        rows = (await self._database.snapshot([known, Statement(LIST.format(after=after), args)]))[1]
        page = await self._told(rows[:limit])
        return Page(page, encode_cursor(this, (page[-1].id,)) if len(rows) > limit else None)

    async def newest(self, owner: str) -> Mapping[str, RunRecord]:
        """See ScheduleRuns."""
        rows = await self._database.fetch(NEWEST, owner=owner)
        return {run.schedule_id: run for run in await self._told(rows)}

    async def sent(self, schedule_id: str, delivery_id: str) -> RunRecord | None:
        """See ScheduleRuns."""
        rows = await self._database.fetch(SENT, schedule_id=schedule_id, delivery_id=delivery_id)
        return _run_of(rows[0]) if rows else None

    async def _told(self, rows: Sequence[Row]) -> Sequence[RunRecord]:
        """With their deliveries, all looked up at once."""
        found = await self._database.snapshot([Statement(DELIVERIES, {"run_id": row["id"]}) for row in rows])
        return [_run_of(row, [_delivery_of(one) for one in sent]) for row, sent in zip(rows, found, strict=True)]

    # ------------------------------------------------------------------ queue

    async def due(self, now: int) -> Sequence[ScheduleRecord]:
        """See RunQueue."""
        return [schedule_of(row) for row in await self._database.fetch(DUE, now=now)]

    async def next_after(self, now: int) -> int | None:
        """See RunQueue."""
        queries = [Statement(sql, {"after": now}) for sql in (NEXT_DUE, NEXT_READY, NEXT_DELIVERY)]
        found = await self._database.snapshot(queries)
        return min((row["at"] for rows in found for row in rows if row["at"] is not None), default=None)

    async def add(
        self, runs: Sequence[RunRecord], schedule: ScheduleRecord | None = None, next_at: int | None = None
    ) -> bool:
        """See RunQueue."""
        if schedule is None:
            await self._database.batch([Statement(INSERT, _args(run), 1) for run in runs])
            return True
        args = {"id": schedule.id, "seen": schedule.next_at, "next_at": next_at}
        try:
            await self._database.batch(
                [
                    *self._fence.on_duty(),
                    Statement(ADVANCE, args, 1),
                    *(Statement(INSERT + ONCE, _args(run)) for run in runs),
                ]
            )
        except Conflict:
            return False
        return True

    async def add_hooked(self, run: RunRecord, most: int) -> None:
        """See RunQueue."""
        args = {"schedule_id": run.schedule_id, "most": most}
        full = RateLimited("Too many runs of this webhook wait.", retry_after=60)
        again = Conflict("This was delivered before.", code="delivered_before")
        there = Statement(HOLD, args, 1, NotFound("There is no such webhook."))
        await self._database.batch([there, Statement(ROOM, args, 1, full), Statement(INSERT, _args(run), 1, again)])

    async def claim(self, now: int, most: int) -> tuple[ScheduleRecord, RunRecord] | None:
        """See RunQueue."""
        sql = CLAIM.format(lock=LOCK[self._database.dialect])
        claim = Statement(sql, {"now": now, "most": most})
        for row in (await self._database.batch([*self._fence.on_duty(), claim]))[-1]:
            for found in await self._database.fetch(OF_RUN, schedule_id=row["schedule_id"]):
                return schedule_of(found), _run_of(row)
        return None

    async def change(self, run: RunRecord, status: RunStatus) -> bool:
        """See RunQueue."""
        late = Conflict("The run is another one by now.", code="overtaken")
        sql = REQUEUE if run.status == "queued" else CHANGE
        statements = [Statement(sql, {**_args(run), "was": status}, 1, late)]
        for one in run.deliveries:
            args = {name: getattr(one, name) for name in DELIVERY.split(", ")}
            statements.append(Statement(INSERT_DELIVERY, {"run_id": run.id, "owner": run.owner, **args}))
        if run.status == "running":
            statements.append(Statement(CONTINUE, _args(run)))
        if run.status in ENDED:
            statements.append(withdrawing(run.owner, run.schedule_id, run.id))
        try:
            await self._database.batch(statements)
        except Conflict:
            return False
        return True

    async def permit(self, schedule: ScheduleRecord, run: RunRecord) -> None:
        """See RunQueue."""
        common = {"conversation_id": run.conversation_id, "run_id": run.id, "permitted_at": schedule.permitted_at}
        await self._database.batch(
            [
                Statement(
                    PERMIT,
                    {**common, "id": f"grant_{schedule.id}_{run.id}_{n}", "tool": one.tool, "toolset": one.toolset},
                )
                for n, one in enumerate(schedule.permits)
            ]
        )

    async def among(self, statuses: Sequence[RunStatus]) -> Sequence[RunRecord]:
        """See RunQueue."""
        found = await self._database.snapshot([Statement(AMONG, {"status": one}) for one in statuses])
        return sorted((_run_of(row) for rows in found for row in rows), key=lambda run: run.id)

    async def followed(self, run: RunRecord) -> str | None:
        """See RunQueue."""
        rows = await self._database.fetch(FOLLOWED, owner=run.owner, last_id=run.last_id)
        return str(rows[0]["id"]) if rows else None

    async def prune(self, schedule_id: str, keep: int, before: int) -> None:
        """See RunQueue."""
        await self._database.batch([Statement(PRUNE, {"schedule_id": schedule_id, "keep": keep, "before": before})])

    # ------------------------------------------------------------------ deliveries

    async def take(self, now: int) -> tuple[ScheduleRecord, RunRecord, Delivery] | None:
        """See DeliveryQueue."""
        sql = TAKE.format(lock=TAKE_LOCK[self._database.dialect])
        for row in (await self._database.batch([*self._fence.on_duty(), Statement(sql, {"now": now})]))[-1]:
            for run in await self._database.fetch(SELECT_RUN, run_id=row["run_id"]):
                for schedule in await self._database.fetch(OF_RUN, schedule_id=run["schedule_id"]):
                    return schedule_of(schedule), _run_of(run), _delivery_of(row)
        return None

    async def settle(self, run_id: str, delivery: Delivery) -> None:
        """See DeliveryQueue."""
        args = {name: getattr(delivery, name) for name in DELIVERY.split(", ")}
        await self._database.batch([Statement(SETTLE, {"run_id": run_id, **args})])

    async def refused(self, run_id: str, target: str, error: str) -> bool:
        """See DeliveryQueue."""
        args = {"run_id": run_id, "target": target, "error": error}
        return bool((await self._database.batch([Statement(REFUSED, args)]))[0])

    async def interrupted(self) -> None:
        """See DeliveryQueue."""
        await self._database.batch([*self._fence.on_duty(), Statement(INTERRUPTED)])


def _args(run: RunRecord) -> dict[str, object]:
    return {name: getattr(run, name) for name in RUN_NAMES}


def _run_of(row: Row, deliveries: Sequence[Delivery] = ()) -> RunRecord:
    return RunRecord(**{name: row[name] for name in RUN_NAMES}, deliveries=deliveries)


def _delivery_of(row: Row) -> Delivery:
    return Delivery(**{name: row[name] for name in DELIVERY.split(", ")})
