"""The Backlog port: counted by the indexes that the work itself is found by."""

from portal.core.backlog import Unsent, Waiting
from portal.core.clock import micros
from portal.storage.database import Database, Statement

APPROVALS = "SELECT COUNT(*) AS n FROM approvals WHERE status = 'pending' AND expires_at > :now"
DOCUMENTS = "SELECT COUNT(*) AS n FROM documents WHERE status = 'in_progress' AND ready_at >= 0"
MEDIA = """
SELECT status, COUNT(*) AS n FROM media_jobs WHERE status IN ('queued', 'running') AND ready_at >= 0
GROUP BY status"""
SESSIONS = """
SELECT COUNT(*) AS n FROM credentials
WHERE kind = 'session' AND secret_hash > '' AND (expires_at IS NULL OR expires_at > :now)"""
UNSENT = """
SELECT channel, COUNT(*) AS n, MIN(created_at) AS since FROM channel_deliveries
WHERE open = 1 AND channel > '' GROUP BY channel ORDER BY channel"""


class StoredBacklog:
    """The Backlog port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def waiting(self) -> Waiting:
        """See Backlog."""
        now = {"now": micros()}
        approvals, documents, media, sessions, unsent = await self._database.snapshot(
            [
                Statement(APPROVALS, now),
                Statement(DOCUMENTS),
                Statement(MEDIA),
                Statement(SESSIONS, now),
                Statement(UNSENT),
            ]
        )
        jobs = {row["status"]: row["n"] for row in media}
        return Waiting(
            approvals=approvals[0]["n"],
            documents=documents[0]["n"],
            media_queued=jobs.get("queued", 0),
            media_running=jobs.get("running", 0),
            sessions=sessions[0]["n"],
            unsent=[Unsent(channel=row["channel"], count=row["n"], since=row["since"]) for row in unsent],
        )
