"""The ReadingQueue port: documents in progress, claimed one by one."""

from collections.abc import Sequence

from portal.core.clock import micros
from portal.core.collections import DocumentRecord, Job, Problem, ReadText
from portal.core.ids import new_id
from portal.errors import Conflict
from portal.storage.collections import forgetting
from portal.storage.database import Database, Statement
from portal.storage.documents import DOCUMENT, OF_COLLECTIONS, document_of, problem_json
from portal.storage.passages import StoredPassages, describing

CLAIM = f"""
UPDATE documents SET claim = :claim, ready_at = :until, attempts = attempts + 1
WHERE id = (
    SELECT id FROM documents WHERE status = 'in_progress' AND ready_at <= :now AND {OF_COLLECTIONS}
    ORDER BY ready_at, id LIMIT 1 {{lock}}
) RETURNING {DOCUMENT}"""
LOCK = {"sqlite": "", "postgres": "FOR UPDATE SKIP LOCKED"}
"""Of workers that claim at the same moment each gets another document; SQLite has one writer at a time."""

MINE = f" WHERE id = :document_id AND owner = :owner AND claim = :claim AND status = 'in_progress' AND {OF_COLLECTIONS}"
HOLD = "UPDATE documents SET claim = claim" + MINE
"""Nobody else can claim it before this batch is stored."""
RENEW = "UPDATE documents SET ready_at = :until, progress = :progress" + MINE
COMPLETE = (
    "UPDATE documents SET status = 'completed', progress = 1, problem = NULL, claim = '', ready_at = 0, "
    "content_key = :key"
)
FILLED = ", passages = :passages, usage_bytes = :usage_bytes, note = :note"
FAIL = "UPDATE documents SET status = :status, problem = :problem, claim = '', ready_at = :ready_at" + MINE

TWIN = """
SELECT id FROM documents WHERE owner = :owner AND content_key = :key
ORDER BY CASE WHEN id = :document_id THEN 0 ELSE 1 END LIMIT 1"""
OLDER = """
SELECT id FROM documents
WHERE source_id = :source_id AND owner = :owner AND place = :place AND created_at < :created_at"""

# Its passages arrive unseen, and are then seen at once in the place of those of before. What another worker left is
# among those.
OLD = "SELECT COALESCE(MAX(key), 0) FROM passages WHERE owner = :owner AND document = :document_id"
OUTDATE = f"""
UPDATE hidden_passages SET claim = '', last_key = ({OLD}) WHERE document = :document_id AND claim > ''"""
ARRIVE = f"""
INSERT INTO hidden_passages (document, owner, first_key, last_key, claim)
SELECT id, owner, ({OLD}) + 1, {2**62}, :claim FROM documents WHERE id = :document_id
ON CONFLICT (document, first_key) DO UPDATE SET last_key = excluded.last_key, claim = excluded.claim"""
HIDE_OLD = """
INSERT INTO hidden_passages (document, owner, first_key, last_key, claim)
SELECT document, owner, 0, first_key - 1, '' FROM hidden_passages
WHERE document = :document_id AND claim = :claim AND first_key > 1
ON CONFLICT (document, first_key) DO UPDATE SET last_key = excluded.last_key"""
SHOW_NEW = "DELETE FROM hidden_passages WHERE document = :document_id AND claim = :claim"

AT_ONCE = 64
"""Passages of one batch, so that a long document never holds up a running turn for long."""

GIVE_BACK = "UPDATE documents SET claim = '', ready_at = :now, attempts = attempts - 1" + MINE
RELEASE = "UPDATE documents SET claim = '', ready_at = :now WHERE status = 'in_progress' AND claim <> ''"

_NUMBER = 4
"""Bytes of one of a vector's numbers."""


class StoredReadingQueue:
    """The ReadingQueue port on a Database."""

    def __init__(self, *, database: Database, passages: StoredPassages) -> None:
        self._database = database
        self._passages = passages

    async def claim(self, now: int, until: int) -> Job | None:
        """See ReadingQueue."""
        claim = new_id("claim")
        sql = CLAIM.format(lock=LOCK[self._database.dialect])
        for row in (await self._database.batch([Statement(sql, {"claim": claim, "now": now, "until": until})]))[0]:
            return Job(document=document_of(row), claim=claim)
        return None

    async def renew(self, job: Job, until: int, progress: float) -> None:
        """See ReadingQueue."""
        args = {**_mine(job), "until": until, "progress": progress}
        await self._database.batch([Statement(RENEW, args, 1, _lost(job))])

    async def twin(self, job: Job, key: str) -> str | None:
        """See ReadingQueue."""
        for row in await self._database.fetch(TWIN, owner=job.document.owner, key=key, document_id=job.document.id):
            return str(row["id"])
        return None

    async def complete(self, job: Job, key: str, text: ReadText | None) -> None:
        """See ReadingQueue."""
        document = job.document
        args = {**_mine(job), "key": key}
        filled, seen = "", list[Statement]()
        if text is not None:
            await self._arrive(job, text)
            args |= {"passages": len(text.passages), "usage_bytes": _usage(text), "note": text.note}
            filled, seen = FILLED, [Statement(HIDE_OLD, args), Statement(SHOW_NEW, args)]
        older = await self._older(document)
        again = text is not None and (document.passages or document.attempts > 1)
        marked = [self._passages.marking()] if older or again else []
        await self._database.batch(
            [
                *marked,
                Statement(COMPLETE + filled + MINE, args, 1, _lost(job)),
                *describing(document.owner, document.id, document.attributes),
                *seen,
                *older,
            ]
        )
        if marked:
            self._passages.clean()

    async def _arrive(self, job: Job, text: ReadText) -> None:
        """Store passages that nobody sees yet."""
        mine, document = _mine(job), job.document
        hold = Statement(HOLD, mine, 1, _lost(job))
        await self._database.batch([hold, Statement(OUTDATE, mine), Statement(ARRIVE, mine)])
        for at in range(0, len(text.passages), AT_ONCE):
            some = slice(at, at + AT_ONCE)
            vectors = None if text.vectors is None else text.vectors[some]
            adding = await self._passages.adding(
                document.owner,
                "documents",
                document.id,
                text.passages[some],
                embedder=text.embedder,
                vectors=vectors,
            )
            await self._database.batch([hold, *adding])

    async def fail(self, job: Job, problem: Problem, *, retry_at: int | None = None) -> None:
        """See ReadingQueue."""
        status = "failed" if retry_at is None else "in_progress"
        args = {**_mine(job), "status": status, "problem": problem_json(problem), "ready_at": retry_at or 0}
        await self._database.batch([Statement(FAIL, args, 1, _lost(job))])

    async def release(self, job: Job | None = None) -> None:
        """See ReadingQueue."""
        mine = _mine(job) if job else {}
        await self._database.batch([Statement(GIVE_BACK if job else RELEASE, {**mine, "now": micros()})])

    async def _older(self, document: DocumentRecord) -> Sequence[Statement]:
        """What forgets the versions that a watched place had before."""
        if document.source_id is None:
            return []
        args = {name: getattr(document, name) for name in ("source_id", "owner", "place", "created_at")}
        old = [row["id"] for row in await self._database.fetch(OLDER, **args)]
        return forgetting(self._passages, document.owner, old)


def _mine(job: Job) -> dict[str, object]:
    return {"document_id": job.document.id, "owner": job.document.owner, "claim": job.claim}


def _lost(job: Job) -> Conflict:
    return Conflict(f"The document {job.document.filename!r} is not to be read by this worker any more.")


def _usage(text: ReadText) -> int:
    words = sum(len(one.told.encode("utf-8")) for one in text.passages)
    return words + (0 if text.vectors is None else text.vectors.size * _NUMBER)
