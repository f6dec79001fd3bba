"""The Shares port."""

from portal.core.sharing import ShareRecord
from portal.errors import NotFound
from portal.storage.database import Database, Statement
from portal.storage.people import ADMITTED

SHARE = "conversation_id, owner, created_at"
SAVE = """
INSERT INTO shares (conversation_id, owner, token_hash, created_at)
SELECT id, owner, :token_hash, CAST(:created_at AS BIGINT) FROM conversations
WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NULL
ON CONFLICT (conversation_id) DO UPDATE SET token_hash = excluded.token_hash, created_at = excluded.created_at
RETURNING conversation_id"""
OF = f"SELECT {SHARE} FROM shares WHERE conversation_id = :conversation_id AND owner = :owner"
BY_TOKEN = f"""
SELECT {SHARE} FROM shares s WHERE s.token_hash = :token_hash AND {ADMITTED.format(owner="s.owner")}
    AND EXISTS (
        SELECT 1 FROM conversations c WHERE c.id = s.conversation_id AND c.owner = s.owner AND c.deleted_at IS NULL)"""
REMOVE = "DELETE FROM shares WHERE conversation_id = :conversation_id AND owner = :owner"


class StoredShares:
    """The Shares port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def save(self, share: ShareRecord, token_hash: str) -> None:
        """See Shares."""
        args = {
            "conversation_id": share.conversation_id,
            "owner": share.owner,
            "created_at": share.created_at,
            "token_hash": token_hash,
        }
        missing = NotFound(f"There is no conversation {share.conversation_id!r}.")
        await self._database.batch([Statement(SAVE, args, 1, missing)])

    async def of(self, owner: str, conversation_id: str) -> ShareRecord | None:
        """See Shares."""
        rows = await self._database.fetch(OF, owner=owner, conversation_id=conversation_id)
        return ShareRecord(**rows[0]) if rows else None

    async def by_token(self, token_hash: str) -> ShareRecord | None:
        """See Shares."""
        rows = await self._database.fetch(BY_TOKEN, token_hash=token_hash)
        return ShareRecord(**rows[0]) if rows else None

    async def remove(self, owner: str, conversation_id: str) -> None:
        """See Shares."""
        missing = NotFound(f"The conversation {conversation_id!r} is not shared.")
        args = {"owner": owner, "conversation_id": conversation_id}
        await self._database.batch([Statement(REMOVE, args, 1, missing)])
