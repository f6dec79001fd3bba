"""What grew too old goes, where the settings say so: conversations as if they had been deleted by hand, the rest at
once, in steps that keep nobody else from writing for long."""

from contextlib import suppress

from portal.core.clock import micros
from portal.core.ports import Responses
from portal.errors import NotFound
from portal.settings.backup import RetentionSettings
from portal.storage.audit import StoredAudit
from portal.storage.database import Database, Statement

DAY = 86_400_000_000
AT_ONCE = 500

_UNTOUCHED = "updated_at < :before AND pinned = 0 AND deleted_at IS NULL"
UNTOUCHED = f"SELECT id FROM conversations WHERE {_UNTOUCHED} ORDER BY updated_at LIMIT :limit"
# Not one that somebody goes on with at this moment.
HIDE = f"UPDATE conversations SET deleted_at = :now WHERE id IN ({UNTOUCHED}) AND {_UNTOUCHED}"
ALONE = """
SELECT owner, id FROM responses
WHERE conversation_id IS NULL AND created_at < :before AND status NOT IN ('queued', 'in_progress')
ORDER BY created_at LIMIT :limit"""
FORGET_USAGE = """
DELETE FROM usage_log WHERE id IN (SELECT id FROM usage_log WHERE created_at < :before LIMIT :limit) RETURNING id"""


async def forget_old(
    wanted: RetentionSettings,
    *,
    database: Database,
    responses: Responses,
    audit: StoredAudit,
) -> None:
    """Once now; a server does so every few hours. Raises StorageError."""
    if wanted.conversation_days:
        args = {"before": micros() - wanted.conversation_days * DAY, "limit": AT_ONCE}
        while await database.fetch(UNTOUCHED, **{**args, "limit": 1}):
            await database.batch([Statement(HIDE, {**args, "now": micros()})])
        while rows := await database.fetch(ALONE, **args):
            for row in rows:
                with suppress(NotFound):  # its person was faster
                    await responses.delete(row["owner"], row["id"])
    if wanted.usage_days:
        args = {"before": micros() - wanted.usage_days * DAY, "limit": AT_ONCE}
        while (await database.batch([Statement(FORGET_USAGE, args)]))[0]:
            pass
    if wanted.audit_days:
        await audit.forget(micros() - wanted.audit_days * DAY)
