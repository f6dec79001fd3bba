"""The MediaJobs and MediaQueue ports: jobs by owner, claimed one by one."""

from portal.core.media import JobStatus, Kind, MediaJob
from portal.core.records import Page
from portal.errors import Conflict, NotFound
from portal.storage.cursors import decode_cursor, encode_cursor
from portal.storage.database import Database, Row, Statement
from portal.storage.people import ADMITTED
from portal.storage.rows import from_json, to_json

JOB = (
    "id, owner, kind, recipe, engine, status, given, pictures, engine_job, progress, detail, error, code, results, "
    "call_id, created_at, started_at, ended_at"
)
NAMES = JOB.split(", ")

INSERT = f"INSERT INTO media_jobs ({JOB}, ready_at) VALUES ({', '.join(f':{name}' for name in NAMES)}, :created_at)"
SELECT = f"SELECT {JOB} FROM media_jobs WHERE id = :job_id AND owner = :owner"
LIST = f"SELECT {JOB} FROM media_jobs WHERE owner = :owner"
OF = {name: f" AND {name} = :{name}" for name in ("kind", "status", "call_id")}
AFTER = " AND id < :last_id"
NEWEST_FIRST = " ORDER BY id DESC LIMIT :limit"

CANCEL = """
UPDATE media_jobs SET status = 'cancelled', ended_at = :now
WHERE id = :job_id AND owner = :owner AND status IN ('queued', 'running')"""
DELETE = "DELETE FROM media_jobs WHERE id = :job_id AND owner = :owner AND status NOT IN ('queued', 'running')"

# Whoever takes it up has a time of their own, by a microsecond: what the one before still writes finds no such job.
CLAIM = f"""
UPDATE media_jobs SET status = 'running', ready_at = :until, started_at = COALESCE(started_at + 1, :now)
WHERE id = (
    SELECT id FROM media_jobs WHERE status IN ('queued', 'running') AND ready_at <= :now
        AND {ADMITTED.format(owner="media_jobs.owner")}
    ORDER BY ready_at, id LIMIT 1 {{lock}}
) AND status IN ('queued', 'running') RETURNING {JOB}"""
LOCK = {"sqlite": "", "postgres": "FOR UPDATE SKIP LOCKED"}
"""Of servers that claim at the same moment each gets another job."""
CHANGE = """
UPDATE media_jobs SET
    status = :status, engine_job = :engine_job, progress = :progress, detail = :detail, error = :error, code = :code,
    results = :results, ended_at = CAST(:ended_at AS BIGINT), ready_at = :until
WHERE id = :id AND owner = :owner AND status = 'running' AND started_at = :started_at RETURNING id"""
RELEASE = "UPDATE media_jobs SET ready_at = :now WHERE status = 'running' AND ready_at > :now"


class StoredMediaJobs:
    """Both ports on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, job: MediaJob) -> None:
        """See MediaJobs."""
        await self._database.batch([Statement(INSERT, _args(job))])

    async def get(self, owner: str, job_id: str) -> MediaJob:
        """See MediaJobs."""
        for row in await self._database.fetch(SELECT, owner=owner, job_id=job_id):
            return _job(row)
        raise no_job(job_id)

    async def list(
        self,
        owner: str,
        *,
        kind: Kind | None = None,
        status: JobStatus | None = None,
        call_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[MediaJob]:
        """See MediaJobs."""
        wanted = {"kind": kind, "status": status, "call_id": call_id}
        this, limit = ("media", owner, kind, status, call_id), max(limit, 1)
        args: dict[str, object] = {"owner": owner, "limit": limit + 1}
        sql = LIST
        for name, value in wanted.items():
            if value is not None:
                sql, args[name] = sql + OF[name], value
        if cursor is not None:
            (args["last_id"],), sql = decode_cursor(this, cursor, (str,)), sql + AFTER
        found = [_job(row) for row in await self._database.fetch(sql + NEWEST_FIRST, **args)]
        page = found[:limit]
        return Page(page, encode_cursor(this, (page[-1].id,)) if len(found) > limit else None)

    async def cancel(self, owner: str, job_id: str, now: int) -> MediaJob:
        """See MediaJobs."""
        args = {"owner": owner, "job_id": job_id, "now": now}
        known = Statement(SELECT, args, 1, no_job(job_id))
        ended = Conflict("The job has ended: there is nothing to stop.", code="job_ended")
        await self._database.batch([known, Statement(CANCEL, args, 1, ended)])
        return await self.get(owner, job_id)

    async def delete(self, owner: str, job_id: str) -> None:
        """See MediaJobs."""
        args = {"owner": owner, "job_id": job_id}
        known = Statement(SELECT, args, 1, no_job(job_id))
        running = Conflict("The job still runs: stop it first.", code="job_running")
        await self._database.batch([known, Statement(DELETE, args, 1, running)])

    async def claim(self, now: int, until: int) -> MediaJob | None:
        """See MediaQueue."""
        sql = CLAIM.format(lock=LOCK[self._database.dialect])
        for row in (await self._database.batch([Statement(sql, {"now": now, "until": until})]))[0]:
            return _job(row)
        return None

    async def change(self, job: MediaJob, until: int) -> bool:
        """See MediaQueue."""
        return bool((await self._database.batch([Statement(CHANGE, {**_args(job), "until": until})]))[0])

    async def release(self, now: int) -> None:
        """See MediaQueue. On PostgreSQL another server may hold it: there its time runs out by itself."""
        if self._database.dialect == "sqlite":
            await self._database.batch([Statement(RELEASE, {"now": now})])


def no_job(job_id: str) -> NotFound:
    """The error for a job this owner does not have."""
    return NotFound(f"There is no media job {job_id!r}.", param="job")


def _args(job: MediaJob) -> dict[str, object]:
    plain = {name: getattr(job, name) for name in NAMES if name != "given"}
    return {
        **plain,
        "given": to_json(dict(job.values)),
        "pictures": to_json(dict(job.pictures)),
        "results": to_json(list(job.results)),
    }


def _job(row: Row) -> MediaJob:
    plain = {name: row[name] for name in NAMES if name != "given"}
    read = {"pictures": from_json(row["pictures"]), "results": tuple(from_json(row["results"]))}
    return MediaJob(**{**plain, **read, "values": from_json(row["given"])})
