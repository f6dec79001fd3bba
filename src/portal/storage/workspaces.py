"""The SavedWorkspaces port."""

from collections.abc import Sequence

from portal.core.records import WorkspaceRecord
from portal.errors import NotFound
from portal.storage.database import Database, Statement
from portal.storage.rows import WORKSPACE, to_json, workspace_of

# Oldest first, which is the order in which they are offered.
ALL = f"SELECT {WORKSPACE} FROM workspaces ORDER BY created_at, owner, name"

SAVE = f"""
INSERT INTO workspaces ({WORKSPACE}) VALUES (:owner, :name, :fields, :created_at)
ON CONFLICT (owner, name) DO UPDATE SET fields = excluded.fields"""

DELETE = "DELETE FROM workspaces WHERE owner = :owner AND name = :name"


class StoredWorkspaces:
    """The SavedWorkspaces port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[WorkspaceRecord]:
        """See SavedWorkspaces."""
        return [workspace_of(row) for row in await self._database.fetch(ALL)]

    async def save(self, workspace: WorkspaceRecord) -> None:
        """See SavedWorkspaces."""
        args = {
            "owner": workspace.owner,
            "name": workspace.name,
            "fields": to_json(workspace.fields),
            "created_at": workspace.created_at,
        }
        await self._database.batch([Statement(SAVE, args)])

    async def delete(self, owner: str, name: str) -> None:
        """See SavedWorkspaces."""
        missing = NotFound(f"There is no workspace {name!r} of yours.", param="name")
        await self._database.batch([Statement(DELETE, {"owner": owner, "name": name}, 1, missing)])
