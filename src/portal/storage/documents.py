"""The Documents port, and what becomes of documents whose file or collection is gone."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

from portal.core.clock import micros
from portal.core.collections import DocumentRecord, DocumentStatus, NewDocument, Problem
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.records import Page
from portal.errors import Conflict, NotFound
from portal.storage.cleaning import AT_ONCE
from portal.storage.collections import SELECT as SELECT_COLLECTION
from portal.storage.collections import STAYS, forgetting, no_collection
from portal.storage.database import Database, Row, Statement
from portal.storage.files import VISIBLE, no_file
from portal.storage.keyset import page
from portal.storage.passage_filters import ELEMENTS
from portal.storage.passages import StoredPassages, describing
from portal.storage.rows import from_json, maybe_json, to_json

DOCUMENT = (
    "id, owner, collection_id, file_id, filename, status, created_at, size, sha256, problem, attributes, chunking, "
    "progress, passages, usage_bytes, note, place, modified, source_id, batch_id, attempts"
)
FRESH = (
    "status = 'in_progress', problem = NULL, progress = 0, claim = '', ready_at = :now, attempts = 0, "
    "created_at = CASE WHEN documents.status = 'in_progress' THEN documents.created_at ELSE :now END"
)

OF_COLLECTIONS = "collection_id NOT IN (SELECT id FROM collections WHERE leaving > 0)"
"""Of documents: that theirs is not being deleted."""
TOUCH = f"UPDATE collections SET last_active_at = :now WHERE id = :collection_id AND owner = :owner AND {STAYS}"

INSERT_BATCH = """
INSERT INTO file_batches (id, owner, collection_id, created_at, cancelled)
VALUES (:batch_id, :owner, :collection_id, :now, 0)"""

ADD = f"""
INSERT INTO documents ({DOCUMENT}, content_key, claim, ready_at)
SELECT :id, owner, :collection_id, id, filename, 'in_progress', :now, size, sha256, NULL, :attributes, :chunking,
    0, 0, 0, '', :place, CAST(:modified AS BIGINT), CAST(:source_id AS TEXT), :batch_id, 0, '', '', :now
FROM files WHERE id = :file_id AND {VISIBLE} AND (
    CAST(:source_id AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM sources WHERE id = :source_id AND owner = :owner))
ON CONFLICT (collection_id, file_id) DO UPDATE SET {FRESH},
    attributes = excluded.attributes, chunking = excluded.chunking, place = excluded.place,
    modified = excluded.modified, source_id = excluded.source_id,
    batch_id = COALESCE(excluded.batch_id, documents.batch_id)"""

WITHIN = f"""
SELECT {DOCUMENT} FROM documents WHERE collection_id = :collection_id AND owner = :owner AND {OF_COLLECTIONS}"""
OF_STATUS = " AND status = :status"
OF_BATCH = " AND batch_id = :batch_id"
OF_FILE = " AND file_id = :file_id"
CURSOR = """
SELECT created_at, id FROM documents WHERE collection_id = :collection_id AND owner = :owner AND file_id = :cursor"""

SAME = """ AND file_id <> :file_id AND status IN ('in_progress', 'completed')
    AND sha256 = (SELECT sha256 FROM files WHERE id = :file_id AND owner = :owner) LIMIT 1"""
OWN = f"SELECT {DOCUMENT} FROM documents WHERE owner = :owner AND {OF_COLLECTIONS}"
OF_SOURCE = " AND source_id = :source_id"
NAMED = f"SELECT {DOCUMENT} FROM documents WHERE owner || '' = :owner AND id IN ({{ids}}) AND {OF_COLLECTIONS}"
"""The owner is no part of an index: SQLite would rather look through all that one has."""

DESCRIBE = f"""
UPDATE documents SET attributes = :attributes
WHERE collection_id = :collection_id AND owner = :owner AND file_id = :file_id RETURNING {DOCUMENT}"""

AGAIN = f"""
UPDATE documents SET {FRESH}
WHERE collection_id = :collection_id AND owner = :owner AND status IN ('failed', 'cancelled'){{narrower}}
RETURNING id"""

MOVE = """
UPDATE documents SET place = :place, filename = :filename, modified = :modified
WHERE id = :document_id AND owner = :owner"""
RENAME = """
UPDATE files SET filename = :filename
WHERE owner = :owner AND id = (SELECT file_id FROM documents WHERE id = :document_id)"""

REMEMBER = """
INSERT INTO removed_places (source_id, place, sha256)
SELECT d.source_id, d.place, d.sha256 FROM documents d JOIN sources s ON s.id = d.source_id
WHERE d.id = :document_id AND d.owner = :owner
ON CONFLICT (source_id, place) DO UPDATE SET sha256 = excluded.sha256"""

ORPHANS = f"""
SELECT id, owner FROM documents d WHERE {OF_COLLECTIONS} AND NOT EXISTS (
    SELECT 1 FROM files f WHERE f.id = d.file_id AND f.ready = 1 AND (f.expires_at IS NULL OR f.expires_at > :now))"""
# Nobody would know what an empty one of a chain of responses was for.
LEAVE_CHAINS = f"""
UPDATE collections SET leaving = 1 WHERE conversation_id IS NOT NULL AND {STAYS}
    AND last_active_at + expires_days * 86400000000 <= :now"""
_OVER = f"last_active_at + expires_days * 86400000000 <= :now AND {STAYS}"
EXPIRED = f"""
SELECT id, owner, collection_id FROM documents WHERE collection_id IN (SELECT id FROM collections WHERE {_OVER})"""
STILL_EXPIRED = f"UPDATE collections SET leaving = leaving WHERE id = :collection_id AND {_OVER}"
"""Nobody uses it before this batch is stored."""


class StoredDocuments:
    """The Documents port on a Database."""

    def __init__(self, *, database: Database, passages: StoredPassages) -> None:
        self._database = database
        self._passages = passages

    async def add(
        self, owner: str, collection_id: str, documents: Sequence[NewDocument], *, batch_id: str | None = None
    ) -> None:
        """See Documents."""
        shared = {"owner": owner, "collection_id": collection_id, "batch_id": batch_id, "now": micros()}
        statements = [Statement(TOUCH, shared, 1, no_collection(collection_id))]
        if batch_id is not None:
            statements.append(Statement(INSERT_BATCH, shared))
        for one in documents:
            args = {**shared, **asdict(one), "id": new_id("doc")}
            args |= {"attributes": to_json(one.attributes), "chunking": to_json(one.chunking)}
            statements.append(Statement(ADD, args, 1, no_file(one.file_id)))
        await self._database.batch(statements)

    async def get(self, owner: str, collection_id: str, file_id: str) -> DocumentRecord:
        """See Documents."""
        args = {"owner": owner, "collection_id": collection_id, "file_id": file_id}
        for row in await self._database.fetch(WITHIN + OF_FILE, **args):
            return document_of(row)
        raise no_document(file_id)

    async def list(
        self,
        owner: str,
        collection_id: str,
        *,
        status: DocumentStatus | None = None,
        batch_id: str | None = None,
        limit: int = 20,
        after: str | None = None,
        before: str | None = None,
        ascending: bool = False,
    ) -> Page[DocumentRecord]:
        """See Documents."""
        args = {"owner": owner, "collection_id": collection_id, "status": status, "batch_id": batch_id}
        await self._database.snapshot([Statement(SELECT_COLLECTION, args, 1, no_collection(collection_id))])
        sql = WITHIN + (OF_STATUS if status else "") + (OF_BATCH if batch_id else "")
        return await page(
            self._database,
            sql,
            CURSOR,
            args,
            document_of,
            lambda record: record.file_id,
            limit=limit,
            after=after,
            before=before,
            ascending=ascending,
        )

    async def find(
        self, owner: str, *, ids: Sequence[str] = (), file_id: str | None = None, source_id: str | None = None
    ) -> Sequence[DocumentRecord]:
        """See Documents."""
        args: dict[str, object] = {"owner": owner}
        sql = OWN
        if file_id is not None:
            sql, args["file_id"] = sql + OF_FILE, file_id
        elif source_id is not None:
            sql, args["source_id"] = sql + OF_SOURCE, source_id
        else:
            sql, args["ids"] = NAMED.format(ids=ELEMENTS[self._database.dialect].format("ids")), to_json(list(ids))
        return [document_of(row) for row in await self._database.fetch(sql, **args)]

    async def same(self, owner: str, collection_id: str, file_id: str) -> DocumentRecord | None:
        """See Documents."""
        args = {"owner": owner, "collection_id": collection_id, "file_id": file_id}
        rows = await self._database.fetch(WITHIN + SAME, **args)
        return document_of(rows[0]) if rows else None

    async def describe(self, owner: str, collection_id: str, file_id: str, attributes: JsonObject) -> DocumentRecord:
        """See Documents."""
        record = await self.get(owner, collection_id, file_id)
        args = {"owner": owner, "collection_id": collection_id, "file_id": file_id, "attributes": to_json(attributes)}
        rows = await self._database.batch(
            [
                Statement(DESCRIBE, args, 1, no_document(file_id)),
                *describing(owner, record.id, attributes),
            ]
        )
        return document_of(rows[0][0])

    async def again(self, owner: str, collection_id: str, file_id: str | None = None) -> int:
        """See Documents."""
        args = {"owner": owner, "collection_id": collection_id, "file_id": file_id, "now": micros()}
        found = await self._database.batch(
            [
                Statement(TOUCH, args, 1, no_collection(collection_id)),
                Statement(AGAIN.format(narrower=OF_FILE if file_id else ""), args),
            ]
        )
        return len(found[-1])

    async def moved(self, owner: str, document_id: str, *, place: str, filename: str, modified: int | None) -> None:
        """See Documents."""
        args = {"owner": owner, "document_id": document_id, "place": place, "filename": filename, "modified": modified}
        await self._database.batch([Statement(MOVE, args, 1, no_document(document_id)), Statement(RENAME, args)])

    async def remove(self, owner: str, collection_id: str, file_id: str, *, gone: bool = False) -> None:
        """See Documents."""
        record = await self.get(owner, collection_id, file_id)
        remembered = [] if gone else [Statement(REMEMBER, {"owner": owner, "document_id": record.id})]
        forgotten = forgetting(self._passages, owner, [record.id])
        await self._database.batch([self._passages.marking(), *remembered, *forgotten])
        self._passages.clean()

    async def sweep(self) -> None:
        """Forget documents whose file is gone, and those of collections whose time is over."""
        now = micros()
        await self._database.batch([Statement(LEAVE_CHAINS, {"now": now})])
        for row in await self._database.fetch(ORPHANS, now=now):
            await self._database.batch(forgetting(self._passages, row["owner"], [row["id"]]))
        over: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in await self._database.fetch(EXPIRED, now=now):
            over[row["owner"], row["collection_id"]].append(row["id"])
        for (owner, collection_id), ids in over.items():
            still = Statement(STILL_EXPIRED, {"collection_id": collection_id, "now": now}, 1)
            with suppress(Conflict):  # somebody uses it again, or deletes it
                for at in range(0, len(ids), AT_ONCE):
                    forgotten = forgetting(self._passages, owner, ids[at : at + AT_ONCE])
                    await self._database.batch([self._passages.marking(), still, *forgotten])
        self._passages.clean()


def document_of(row: Row) -> DocumentRecord:
    """The record."""
    problem = from_json(row["problem"])
    read = {
        "problem": Problem(**problem) if problem else None,
        "attributes": from_json(row["attributes"]),
        "chunking": from_json(row["chunking"]),
    }
    return DocumentRecord(**{**row, **read})


def problem_json(problem: Problem | None) -> str | None:
    """As the column holds it."""
    return maybe_json(asdict(problem) if problem else None)


def no_document(file_id: str) -> NotFound:
    """The error for a file that is not in this collection."""
    return NotFound(f"No file found with id '{file_id}' in vector store.", param="file_id")
