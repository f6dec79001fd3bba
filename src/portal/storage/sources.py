"""The Sources port: places that collections follow."""

from collections.abc import Mapping, Sequence

from portal.core.collections import SourceRecord
from portal.errors import Conflict, NotFound
from portal.storage.collections import SELECT as SELECT_COLLECTION
from portal.storage.collections import forgetting, no_collection
from portal.storage.database import Database, Row, Statement
from portal.storage.passages import StoredPassages
from portal.storage.rows import from_json, to_json

SOURCE = "id, owner, collection_id, kind, place, created_at, checked_at, next_at, error, state"

INSERT = f"""
INSERT INTO sources ({SOURCE})
VALUES (:id, :owner, :collection_id, :kind, :place, :created_at, :checked_at, :next_at, :error, :state)"""

LIST = f"SELECT {SOURCE} FROM sources WHERE owner = :owner{{narrower}} ORDER BY created_at, id"
OF_COLLECTION = " AND collection_id = :collection_id"
REMOVED = """
SELECT r.place, r.sha256 FROM removed_places r JOIN sources s ON s.id = r.source_id
WHERE r.source_id = :source_id AND s.owner = :owner"""
DUE = f"SELECT {SOURCE} FROM sources WHERE next_at <= :now ORDER BY next_at, id"
LOOKED = """
UPDATE sources SET checked_at = :checked_at, next_at = :next_at, error = :error, state = :state
WHERE id = :id AND owner = :owner"""

SELECT_DOCUMENTS = "SELECT id FROM documents WHERE source_id = :source_id AND owner = :owner"
LEAVE = "UPDATE documents SET source_id = NULL WHERE source_id = :source_id AND owner = :owner"
DELETE = "DELETE FROM sources WHERE id = :source_id AND owner = :owner"

AT_ONCE = 64
"""Documents that are forgotten in one batch."""
_EVER = 2**62


class StoredSources:
    """The Sources port on a Database."""

    def __init__(self, *, database: Database, passages: StoredPassages) -> None:
        self._database = database
        self._passages = passages

    async def add(self, source: SourceRecord) -> None:
        """See Sources."""
        args = _args(source)
        twice = Conflict(f"This collection follows {source.place} already.", param="place")
        await self._database.batch(
            [
                Statement(SELECT_COLLECTION, args, 1, no_collection(source.collection_id)),
                Statement(INSERT, args, 1, twice),
            ]
        )

    async def list(self, owner: str, collection_id: str | None = None) -> Sequence[SourceRecord]:
        """See Sources."""
        args = {"owner": owner, "collection_id": collection_id}
        queries = [Statement(LIST.format(narrower=OF_COLLECTION if collection_id else ""), args)]
        if collection_id is not None:
            queries.insert(0, Statement(SELECT_COLLECTION, args, 1, no_collection(collection_id)))
        return [_source_of(row) for row in (await self._database.snapshot(queries))[-1]]

    async def remove(self, owner: str, source_id: str, *, documents: bool) -> None:
        """See Sources."""
        args = {"owner": owner, "source_id": source_id}
        rows = await self._database.fetch(SELECT_DOCUMENTS, **args) if documents else []
        missing = NotFound(f"There is no watched place {source_id!r}.", param="source_id")
        for at in range(0, len(rows), AT_ONCE):
            some = [row["id"] for row in rows[at : at + AT_ONCE]]
            await self._database.batch(forgetting(self._passages, owner, some))
        await self._database.batch([Statement(DELETE, args, 1, missing), Statement(LEAVE, args)])
        if rows:
            self._passages.clean()

    async def removed(self, owner: str, source_id: str) -> Mapping[str, str]:
        """See Sources."""
        rows = await self._database.fetch(REMOVED, owner=owner, source_id=source_id)
        return {row["place"]: row["sha256"] for row in rows}

    async def due(self, now: int | None) -> Sequence[SourceRecord]:
        """See Sources."""
        return [_source_of(row) for row in await self._database.fetch(DUE, now=_EVER if now is None else now)]

    async def looked(self, source: SourceRecord) -> None:
        """See Sources."""
        await self._database.batch([Statement(LOOKED, _args(source))])


def _args(source: SourceRecord) -> dict[str, object]:
    return {**{name: getattr(source, name) for name in SOURCE.split(", ")}, "state": to_json(source.state)}


def _source_of(row: Row) -> SourceRecord:
    return SourceRecord(**{**row, "state": from_json(row["state"])})
