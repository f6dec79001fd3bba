"""Collections, documents and batches that tell when somebody changed something."""

from collections.abc import Callable, Mapping, Sequence

from portal.core.collections import (
    Batches,
    BatchRecord,
    CollectionRecord,
    Collections,
    DocumentRecord,
    Documents,
    NewDocument,
    SourceRecord,
    Sources,
)
from portal.core.items import JsonObject

Tell = Callable[[str, str], None]
"""Owner and collection."""


class AnnouncedCollections:
    """The Collections port around another one."""

    def __init__(self, *, collections: Collections, tell: Tell) -> None:
        self._inner, self._tell = collections, tell
        self.get, self.list = collections.get, collections.list
        self.of_conversation = collections.of_conversation

    async def create(self, collection: CollectionRecord) -> None:
        """See Collections."""
        await self._inner.create(collection)
        self._tell(collection.owner, collection.id)

    async def first(self, collection: CollectionRecord) -> CollectionRecord:
        """See Collections."""
        found = await self._inner.first(collection)
        if found.id == collection.id:
            self._tell(found.owner, found.id)
        return found

    async def change(self, owner: str, collection_id: str, changes: Mapping[str, object]) -> CollectionRecord:
        """See Collections."""
        made = await self._inner.change(owner, collection_id, changes)
        if changes:
            self._tell(owner, collection_id)
        return made

    async def delete(self, owner: str, collection_id: str, *, files: bool = False) -> None:
        """See Collections."""
        await self._inner.delete(owner, collection_id, files=files)
        self._tell(owner, collection_id)


class AnnouncedDocuments:
    """The Documents port around another one."""

    def __init__(self, *, documents: Documents, tell: Tell) -> None:
        self._inner, self._tell = documents, tell
        self.get, self.list, self.find, self.moved = documents.get, documents.list, documents.find, documents.moved
        self.same = documents.same

    async def add(
        self, owner: str, collection_id: str, documents: Sequence[NewDocument], *, batch_id: str | None = None
    ) -> None:
        """See Documents."""
        await self._inner.add(owner, collection_id, documents, batch_id=batch_id)
        self._tell(owner, collection_id)

    async def describe(self, owner: str, collection_id: str, file_id: str, attributes: JsonObject) -> DocumentRecord:
        """See Documents."""
        made = await self._inner.describe(owner, collection_id, file_id, attributes)
        self._tell(owner, collection_id)
        return made

    async def again(self, owner: str, collection_id: str, file_id: str | None = None) -> int:
        """See Documents."""
        found = await self._inner.again(owner, collection_id, file_id)
        self._tell(owner, collection_id)
        return found

    async def remove(self, owner: str, collection_id: str, file_id: str, *, gone: bool = False) -> None:
        """See Documents."""
        await self._inner.remove(owner, collection_id, file_id, gone=gone)
        self._tell(owner, collection_id)


class AnnouncedBatches:
    """The Batches port around another one."""

    def __init__(self, *, batches: Batches, tell: Tell) -> None:
        self._inner, self._tell = batches, tell
        self.get = batches.get

    async def cancel(self, owner: str, collection_id: str, batch_id: str) -> BatchRecord:
        """See Batches."""
        made = await self._inner.cancel(owner, collection_id, batch_id)
        self._tell(owner, collection_id)
        return made


class AnnouncedSources:
    """The Sources port around another one."""

    def __init__(self, *, sources: Sources, tell: Tell) -> None:
        self._inner, self._tell = sources, tell
        self.list, self.due, self.removed = sources.list, sources.due, sources.removed

    async def add(self, source: SourceRecord) -> None:
        """See Sources."""
        await self._inner.add(source)
        self._tell(source.owner, source.collection_id)

    async def remove(self, owner: str, source_id: str, *, documents: bool) -> None:
        """See Sources."""
        known = await self._inner.list(owner)
        await self._inner.remove(owner, source_id, documents=documents)
        self._tell(owner, next(source.collection_id for source in known if source.id == source_id))

    async def looked(self, source: SourceRecord) -> None:
        """See Sources."""
        await self._inner.looked(source)
        self._tell(source.owner, source.collection_id)
