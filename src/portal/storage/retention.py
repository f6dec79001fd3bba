"""What grew too old goes, where the settings say so: conversations as if they had been deleted by hand, the rest at
once, in steps that keep nobody else from writing for long."""

from collections import defaultdict

from portal.core.clock import micros
from portal.core.ports import Conversations, Responses
from portal.settings.backup import RetentionSettings
from portal.storage.audit import StoredAudit
from portal.storage.database import Database, Statement

DAY = 86_400_000_000
AT_ONCE = 500

UNTOUCHED = """
SELECT owner, id FROM conversations
WHERE updated_at < :before AND pinned = 0 AND deleted_at IS NULL ORDER BY updated_at LIMIT :limit"""
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
    conversations: Conversations,
    responses: Responses,
    audit: StoredAudit,
) -> None:
    """Once now; a server does so every few hours. Raises StorageError."""
    if wanted.conversation_days:
        args = {"before": micros() - wanted.conversation_days * DAY, "limit": AT_ONCE}
        while rows := await database.fetch(UNTOUCHED, **args):
            of_owner: dict[str, list[str]] = defaultdict(list)
            for row in rows:
                of_owner[row["owner"]].append(row["id"])
            for owner, ids in of_owner.items():
                await conversations.delete(owner, ids)
        while rows := await database.fetch(ALONE, **args):
            for row in rows:
                await responses.delete(row["owner"], row["id"])
    if wanted.usage_days:
        args = {"before": micros() - wanted.usage_days * DAY, "limit": AT_ONCE}
        while (await database.batch([Statement(FORGET_USAGE, args)]))[0]:
            pass
    if wanted.audit_days:
        await audit.forget(micros() - wanted.audit_days * DAY)
