"""The Folders port."""

from collections.abc import Sequence

from portal.core.records import FolderRecord
from portal.errors import NotFound
from portal.storage.database import Database, Statement
from portal.storage.rows import FOLDER, folder_of, to_json
from portal.storage.turn_passages import TurnPassages

LIST = f"SELECT {FOLDER} FROM folders WHERE owner = :owner ORDER BY name, id"

SELECT = f"SELECT {FOLDER} FROM folders WHERE id = :folder_id AND owner = :owner"

SAVE = f"""
INSERT INTO folders ({FOLDER}) VALUES (:id, :owner, :name, :instructions, :model, :file_ids, :created_at)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, instructions = excluded.instructions, model = excluded.model, file_ids = excluded.file_ids
WHERE folders.owner = excluded.owner"""

# The conversations leave it through the foreign key.
DELETE = "DELETE FROM folders WHERE id = :folder_id AND owner = :owner"


class StoredFolders:
    """The Folders port on a Database."""

    def __init__(self, *, database: Database, turns: TurnPassages) -> None:
        self._database = database
        self._turns = turns

    async def list(self, owner: str) -> Sequence[FolderRecord]:
        """See Folders."""
        return [folder_of(row) for row in await self._database.fetch(LIST, owner=owner)]

    async def get(self, owner: str, folder_id: str) -> FolderRecord:
        """See Folders."""
        for row in await self._database.fetch(SELECT, owner=owner, folder_id=folder_id):
            return folder_of(row)
        raise no_folder(folder_id)

    async def save(self, folder: FolderRecord) -> None:
        """See Folders."""
        args = {
            "id": folder.id,
            "owner": folder.owner,
            "name": folder.name,
            "instructions": folder.instructions,
            "model": folder.model,
            "file_ids": to_json(list(folder.file_ids)),
            "created_at": folder.created_at,
        }
        await self._database.batch([Statement(SAVE, args, 1, no_folder(folder.id))])

    async def delete(self, owner: str, folder_id: str) -> None:
        """See Folders."""
        deletion = Statement(DELETE, {"owner": owner, "folder_id": folder_id}, 1, no_folder(folder_id))
        await self._database.batch([deletion, *self._turns.unshelving(owner, folder_id)])
        self._turns.clean()


def no_folder(folder_id: str) -> NotFound:
    """The error for a folder this owner does not have."""
    return NotFound(f"There is no folder {folder_id!r}.", param="folder_id")
