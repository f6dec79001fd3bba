"""Files that are documents as well: one that is deleted is deleted there, too."""

from portal.core.collections import Documents
from portal.core.ports import Files
from portal.errors import NotFound


class KnownFiles:
    """The Files port around another one."""

    def __init__(self, *, files: Files, documents: Documents) -> None:
        self._files, self._documents = files, documents
        self.create, self.get, self.list, self.content = files.create, files.get, files.list, files.content
        self.usage = files.usage

    async def delete(self, owner: str, file_id: str) -> None:
        """See Files. Its documents go first: what is cut off in between is seen, and deleted again. One that came from
        a watched place goes with its document, and comes back from there only when it changes."""
        documents = await self._documents.find(owner, file_id=file_id)
        for one in documents:
            await self._documents.remove(owner, one.collection_id, file_id)
        try:
            await self._files.delete(owner, file_id)
        except NotFound:
            if not documents:
                raise
