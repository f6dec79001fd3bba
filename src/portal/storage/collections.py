"""The Collections and Batches ports, and what forgetting documents takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from portal.core.clock import micros
from portal.core.collections import BatchRecord, CollectionRecord, Counts
from portal.core.records import Page
from portal.errors import Conflict, NotFound
from portal.storage.cleaning import HIDE_FILES, SOME_DOCUMENTS, Cleaning
from portal.storage.database import Database, Row, Statement
from portal.storage.keyset import page
from portal.storage.owners import holding
from portal.storage.passage_filters import ELEMENTS
from portal.storage.passages import StoredPassages
from portal.storage.rows import from_json, to_json

STAYS = "leaving = 0"
COLLECTION = "id, owner, name, description, metadata, created_at, last_active_at, expires_days, conversation_id"

INSERT = f"""
INSERT INTO collections ({COLLECTION})
VALUES (:id, :owner, :name, :description, :metadata, :created_at, :last_active_at, :expires_days,
    :conversation_id)"""

SELECT = f"SELECT {COLLECTION} FROM collections WHERE id = :collection_id AND owner = :owner AND {STAYS}"
OF_CONVERSATION = f"""
SELECT id FROM collections WHERE conversation_id = :conversation_id AND owner = :owner AND {STAYS}
ORDER BY created_at, id LIMIT 1"""
SAME = f"SELECT id FROM collections WHERE owner = :owner AND {{of}} AND {STAYS} ORDER BY created_at, id LIMIT 1"
OF = {True: "conversation_id = :conversation_id", False: "conversation_id IS NULL AND name = :name"}
NONE = "SELECT 1 AS none WHERE NOT EXISTS ({sought})"
LIST = f"SELECT {COLLECTION} FROM collections WHERE owner = :owner AND {STAYS}"
CURSOR = "SELECT created_at, id FROM collections WHERE id = :cursor AND owner = :owner"

# Several collections at once: a page of a list.
COUNTS = """
SELECT collection_id, status, COUNT(*) AS documents, SUM(usage_bytes) AS bytes FROM documents
WHERE collection_id IN ({ids}) GROUP BY collection_id, status"""

CHANGE = f"UPDATE collections SET {{changes}} WHERE id = :collection_id AND owner = :owner AND {STAYS}"

# A file that a watched place brought goes with its document, unless another has it.
HIDE_FILE = """
UPDATE files SET ready = 0 WHERE owner = :owner AND ready = 1
    AND id IN (SELECT file_id FROM documents WHERE id = :document_id AND owner = :owner AND source_id IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.file_id = files.id AND d.id <> :document_id)"""
DELETE_DOCUMENT = "DELETE FROM documents WHERE id = :document_id AND owner = :owner"
LEAVE = f"UPDATE collections SET leaving = :leaving WHERE id = :collection_id AND owner = :owner AND {STAYS}"
DELETE_SOURCES = "DELETE FROM sources WHERE collection_id = :collection_id"
DELETE_BATCHES = "DELETE FROM file_batches WHERE collection_id = :collection_id"
HIDDEN_AT_ONCE = 1000
"""Files of a collection that go together with it; the rest follow."""

SELECT_BATCH = """
SELECT id, owner, collection_id, created_at, cancelled FROM file_batches
WHERE id = :batch_id AND collection_id = :collection_id AND owner = :owner"""
BATCH_COUNTS = "SELECT status, COUNT(*) AS documents FROM documents WHERE batch_id = :batch_id GROUP BY status"
CANCEL_BATCH = """
UPDATE file_batches SET cancelled = 1 WHERE id = :batch_id AND collection_id = :collection_id AND owner = :owner"""
CANCEL_DOCUMENTS = """
UPDATE documents SET status = 'cancelled', claim = '' WHERE batch_id = :batch_id AND owner = :owner
    AND status = 'in_progress'"""


class StoredCollections:
    """The Collections port on a Database."""

    def __init__(self, *, database: Database, cleaning: Cleaning) -> None:
        self._database = database
        self._cleaning = cleaning

    async def create(self, collection: CollectionRecord) -> None:
        """See Collections."""
        args = {name: getattr(collection, name) for name in COLLECTION.split(", ")}
        await self._database.batch([Statement(INSERT, {**args, "metadata": to_json(collection.metadata)})])

    async def first(self, collection: CollectionRecord) -> CollectionRecord:
        """See Collections."""
        args = {name: getattr(collection, name) for name in COLLECTION.split(", ")}
        sought = SAME.format(of=OF[collection.conversation_id is not None])
        known = Conflict("There is such a collection already.")
        insert = Statement(INSERT, {**args, "metadata": to_json(collection.metadata)})
        try:
            none = Statement(NONE.format(sought=sought), args, 1, known)
            await self._database.batch([holding(collection.owner), none, insert])
        except Conflict as error:
            if error is not known:
                raise
            for row in await self._database.fetch(sought, **args):
                return await self.get(collection.owner, row["id"])
            raise no_collection(collection.id) from error  # it was deleted just now
        return collection

    async def get(self, owner: str, collection_id: str) -> CollectionRecord:
        """See Collections."""
        args = {"owner": owner, "collection_id": collection_id}
        found, counts = await self._database.snapshot(
            [
                Statement(SELECT, args, 1, no_collection(collection_id)),
                Statement(COUNTS.format(ids=":collection_id"), args),
            ]
        )
        return _counted([_collection_of(found[0])], counts)[0]

    async def list(
        self,
        owner: str,
        *,
        limit: int = 20,
        after: str | None = None,
        before: str | None = None,
        ascending: bool = False,
    ) -> Page[CollectionRecord]:
        """See Collections."""
        found = await page(
            self._database,
            LIST,
            CURSOR,
            {"owner": owner},
            _collection_of,
            lambda record: record.id,
            limit=limit,
            after=after,
            before=before,
            ascending=ascending,
        )
        sql = COUNTS.format(ids=ELEMENTS[self._database.dialect].format("ids"))
        rows = await self._database.fetch(sql, ids=to_json([record.id for record in found.data]))
        return replace(found, data=_counted(found.data, rows))

    async def of_conversation(self, owner: str, conversation_id: str) -> CollectionRecord | None:
        """See Collections."""
        args = {"owner": owner, "conversation_id": conversation_id}
        found = await self._database.fetch(OF_CONVERSATION, **args)
        return await self.get(owner, found[0]["id"]) if found else None

    async def change(self, owner: str, collection_id: str, changes: Mapping[str, object]) -> CollectionRecord:
        """See Collections."""
        values = {name: to_json(value) if name == "metadata" else value for name, value in changes.items()}
        sets = ", ".join(f"{name} = :{name}" for name in ("last_active_at", *values))
        args = {**values, "owner": owner, "collection_id": collection_id, "last_active_at": micros()}
        await self._database.batch([Statement(CHANGE.format(changes=sets), args, 1, no_collection(collection_id))])
        return await self.get(owner, collection_id)

    async def delete(self, owner: str, collection_id: str, *, files: bool = False) -> None:
        """See Collections."""
        args = {"owner": owner, "collection_id": collection_id, "leaving": 2 if files else 1, "most": HIDDEN_AT_ONCE}
        await self._database.batch(
            [
                self._cleaning.marking("documents"),
                Statement(LEAVE, args, 1, no_collection(collection_id)),
                *(Statement(sql, args) for sql in (DELETE_SOURCES, DELETE_BATCHES)),
                Statement(HIDE_FILES.format(those=SOME_DOCUMENTS), args),
            ]
        )
        self._cleaning.call()


class StoredBatches:
    """The Batches port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def get(self, owner: str, collection_id: str, batch_id: str) -> BatchRecord:
        """See Batches."""
        args = {"owner": owner, "collection_id": collection_id, "batch_id": batch_id}
        found, counts = await self._database.snapshot(
            [Statement(SELECT_BATCH, args, 1, no_batch(batch_id)), Statement(BATCH_COUNTS, args)]
        )
        (row,) = found
        return BatchRecord(**{**row, "cancelled": bool(row["cancelled"])}, counts=_counts(counts))

    async def cancel(self, owner: str, collection_id: str, batch_id: str) -> BatchRecord:
        """See Batches."""
        args = {"owner": owner, "collection_id": collection_id, "batch_id": batch_id}
        await self._database.batch(
            [Statement(CANCEL_BATCH, args, 1, no_batch(batch_id)), Statement(CANCEL_DOCUMENTS, args)]
        )
        return await self.get(owner, collection_id, batch_id)


def forgetting(passages: StoredPassages, owner: str, document_ids: Iterable[str]) -> Sequence[Statement]:
    """What forgets these documents."""
    statements: list[Statement] = []
    for one in document_ids:
        args = {"owner": owner, "document_id": one}
        statements += [
            Statement(HIDE_FILE, args),
            *passages.hiding(owner, one),
            Statement(DELETE_DOCUMENT, args),
        ]
    return [passages.marking(), *statements] if statements else []


def no_collection(collection_id: str) -> NotFound:
    """The error for a collection this owner does not have."""
    return NotFound(f"Vector store with id '{collection_id}' not found.", param="vector_store_id")


def no_batch(batch_id: str) -> NotFound:
    """The error for a batch that is not in this collection."""
    return NotFound(f"File batch with id '{batch_id}' not found in this vector store.", param="batch_id")


def _collection_of(row: Row) -> CollectionRecord:
    return CollectionRecord(**{**row, "metadata": from_json(row["metadata"])})


def _counted(records: Sequence[CollectionRecord], rows: Sequence[Row]) -> Sequence[CollectionRecord]:
    """The records with what they hold."""
    made = []
    for record in records:
        own = [row for row in rows if row["collection_id"] == record.id]
        made.append(replace(record, counts=_counts(own), usage_bytes=int(sum(row["bytes"] for row in own))))
    return made


def _counts(rows: Sequence[Row]) -> Counts:
    return Counts(**{row["status"]: row["documents"] for row in rows})
