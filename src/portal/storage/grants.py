"""The Grants port: what people allowed for longer than one call."""

from collections.abc import Sequence

from portal.core.approvals import ApprovalRecord, Extent, GrantRecord
from portal.core.ids import new_id
from portal.errors import NotFound
from portal.storage.database import Database, Statement
from portal.storage.rows import GRANT, grant_of

# One for a conversation that is gone means nothing any more.
LIST = f"""
SELECT {GRANT} FROM grants WHERE owner = :owner AND (extent <> 'conversation' OR EXISTS (
    SELECT 1 FROM conversations c WHERE c.id = grants.value AND c.deleted_at IS NULL))
ORDER BY created_at DESC, id DESC"""

INSERT = f"""
INSERT INTO grants ({GRANT}) VALUES (:id, :owner, :tool, :toolset, :extent, :value, :created_at)
ON CONFLICT (owner, toolset, tool, extent, value) DO UPDATE SET id = excluded.id, created_at = excluded.created_at"""

DELETE = "DELETE FROM grants WHERE id = :grant_id AND owner = :owner"


class StoredGrants:
    """The Grants port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def list(self, owner: str) -> Sequence[GrantRecord]:
        """See Grants."""
        return [grant_of(row) for row in await self._database.fetch(LIST, owner=owner)]

    async def remove(self, owner: str, grant_id: str) -> None:
        """See Grants."""
        missing = NotFound(f"There is no grant {grant_id!r}.")
        await self._database.batch([Statement(DELETE, {"owner": owner, "grant_id": grant_id}, 1, missing)])


def grant_statement(asked: ApprovalRecord, extent: Extent, value: str, now: int) -> Statement:
    """Add a grant for the tool that was asked for, or give again what was given: what counts is when it was said
    last."""
    who = {"id": new_id("grant"), "owner": asked.owner, "tool": asked.tool, "toolset": asked.toolset}
    return Statement(INSERT, {**who, "extent": extent, "value": value, "created_at": now})
