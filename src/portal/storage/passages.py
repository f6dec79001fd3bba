"""The Passages port: what both engines share. A document's passages, words, vectors and attributes come and go in one
batch; other stores take the same statements into batches of their own."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from portal.core.items import JsonObject
from portal.core.passages import Hit, Passage, Space, Within
from portal.errors import BadRequest, StorageError
from portal.storage.cleaning import HIDE, Cleaning
from portal.storage.database import Database, Row, Statement, storable
from portal.storage.passage_filters import BY_ID, SHOWN, STAYING, attribute_rows
from portal.storage.passage_index import Index
from portal.storage.passage_words import indexed
from portal.storage.rows import from_json, to_json

if TYPE_CHECKING:
    from portal.core.passages import Vectors

logger = logging.getLogger(__name__)

PASSAGE = "id, owner, space, in_group, document, position, body, heading, page, starts_at, ends_at, created_at"

SELECT = f"SELECT {PASSAGE} FROM passages p WHERE {{by_id}} AND {SHOWN} AND {STAYING}"
OF = f"""
SELECT {PASSAGE} FROM passages p WHERE owner = :owner AND document = :document AND position >= :first {{last}}
    AND {SHOWN} ORDER BY position, key"""
UP_TO = "AND position <= :last"
UNEMBEDDED = f"""
SELECT {PASSAGE} FROM passages p WHERE NOT EXISTS (
    SELECT 1 FROM {{embedded}} v JOIN embedders e ON e.number = v.embedder
    WHERE v.key = p.key AND e.name = :embedder)
ORDER BY key LIMIT :limit"""

# Joined to nothing, the space is no part of an index: SQLite would rather look through all that an owner has in it.
IN_DOCUMENT = "owner = :owner AND space || '' = :space AND document = :document"
IN_GROUP = "owner = :owner AND space = :space AND in_group = :in_group"
IN_SPACE = "owner = :owner AND space = :space"
DELETE = "DELETE FROM passages WHERE {where}"
DELETE_ATTRIBUTES = """
DELETE FROM passage_attributes WHERE owner = :owner AND document IN (SELECT document FROM passages WHERE {where})"""
CLEAR_ATTRIBUTES = "DELETE FROM passage_attributes WHERE owner = :owner AND document = :document"
INSERT_ATTRIBUTE = """
INSERT INTO passage_attributes (owner, document, name, text, number, truth)
VALUES (:owner, :document, :name, :text, :number, :truth)"""

# An embedder none of whose vectors is left may come back with another size.
FORGET_UNUSED = """
DELETE FROM embedders WHERE name = :embedder AND dimensions <> :dimensions
    AND NOT EXISTS (SELECT 1 FROM {embedded} v WHERE v.embedder = number)"""
ADD_EMBEDDER = "INSERT INTO embedders (name, dimensions) VALUES (:embedder, :dimensions) ON CONFLICT (name) DO NOTHING"
SIZE = "SELECT dimensions FROM embedders WHERE name = :embedder"
CHECK_EMBEDDER = "SELECT number FROM embedders WHERE name = :embedder AND dimensions = :dimensions"
ADD_VECTOR = """
INSERT INTO passage_vectors (key, embedder, vector)
SELECT p.key, e.number, :vector FROM passages p CROSS JOIN embedders e WHERE p.id = :id AND e.name = :embedder
ON CONFLICT (key, embedder) DO UPDATE SET vector = excluded.vector"""
EMBEDDERS = """
SELECT e.name, COUNT(*) AS vectors FROM embedders e JOIN {embedded} v ON v.embedder = e.number
GROUP BY e.name ORDER BY e.name"""
DELETE_EMBEDDER = "DELETE FROM embedders WHERE name = :embedder"


class StoredPassages:
    """The Passages port on a Database."""

    def __init__(self, *, database: Database, index: Index, cleaning: Cleaning) -> None:
        """`index` is the engine's."""
        self._database, self._index, self._cleaning = database, index, cleaning
        self._added, self._tending = asyncio.Event(), asyncio.Lock()

    async def run(self) -> None:
        """For a server, in a task of its opener's: after vectors were added, keep them quick to find."""
        while True:
            try:
                await self.tend()
            except StorageError:
                logger.exception("vectors could not be put in order; they are found all the same")
            await self._added.wait()
            self._added.clear()

    async def tend(self) -> None:
        """Do what `run` does now and then, to the end."""
        async with self._tending:
            while await self._index.tend():
                pass

    async def replacing(
        self,
        owner: str,
        space: Space,
        document: str,
        passages: Sequence[Passage],
        *,
        embedder: str = "",
        vectors: "Vectors | None" = None,
        attributes: JsonObject | None = None,
    ) -> Sequence[Statement]:
        """What `replace` does, for the batch of another store. Raises BadRequest."""
        place: Mapping[str, object] = {"owner": owner, "space": space, "document": document}
        statements = [*self._deleting(space, IN_DOCUMENT, place)]
        statements += await self.adding(owner, space, document, passages, embedder=embedder, vectors=vectors)
        if attributes is not None:
            statements += describing(owner, document, attributes)
        return statements

    async def adding(
        self,
        owner: str,
        space: Space,
        document: str,
        passages: Sequence[Passage],
        *,
        embedder: str,
        vectors: "Vectors | None",
    ) -> Sequence[Statement]:
        """What adds passages to those of a document, for the batch of another store. Raises BadRequest."""
        place: Mapping[str, object] = {"owner": owner, "space": space, "document": document}
        rows = await asyncio.to_thread(_rows, passages, place)
        statements = [*self._index.add(space, rows)] if rows else []
        if vectors is not None and len(passages):
            statements += await self._embedding(embedder, [passage.id for passage in passages], vectors)
        return statements

    def adding_many(self, space: Space, passages: Sequence[Passage]) -> Sequence[Statement]:
        """What adds passages of many documents, for the batch of another store. It takes its time: not on the loop."""
        rows = [
            row
            for one in passages
            for row in _rows([one], {"owner": one.owner, "space": space, "document": one.document})
        ]
        return self._index.add(space, rows) if rows else []

    def dropping(
        self, owner: str, space: Space, *, document: str | None = None, group: str | None = None
    ) -> Sequence[Statement]:
        """What `drop` does, for the batch of another store, which then calls `clean`."""
        args = {"owner": owner, "space": space, "document": document, "in_group": group}
        mark = self._cleaning.marking(space)
        if document is not None:
            return [mark, Statement(CLEAR_ATTRIBUTES, args), *self._deleting(space, IN_DOCUMENT, args)]
        where = IN_SPACE if group is None else IN_GROUP
        return [mark, Statement(DELETE_ATTRIBUTES.format(where=where), args), *self._deleting(space, where, args)]

    def hiding(self, owner: str, document: str) -> Sequence[Statement]:
        """What `dropping` does to a document, however long it is: found no more now, and deleted by and by. `marking`
        goes before it."""
        args = {"owner": owner, "document": document}
        return [Statement(CLEAR_ATTRIBUTES, args), Statement(HIDE, args)]

    def marking(self) -> Statement:
        """For a batch that hides passages of documents; the first of it, so that no two wait for each other."""
        return self._cleaning.marking("documents")

    def clean(self) -> None:
        """After a batch with `dropping` or `hiding` in it: leave nothing of it in the files, soon."""
        self._cleaning.call()

    def _deleting(self, space: Space, where: str, args: Mapping[str, object]) -> Sequence[Statement]:
        return [*self._index.forget_words(space, where, args), Statement(DELETE.format(where=where), args)]

    async def replace(
        self,
        owner: str,
        space: Space,
        document: str,
        passages: Sequence[Passage],
        *,
        embedder: str = "",
        vectors: "Vectors | None" = None,
        attributes: JsonObject | None = None,
    ) -> None:
        """See Passages."""
        more = {"embedder": embedder, "vectors": vectors, "attributes": attributes}
        await self._database.batch(await self.replacing(owner, space, document, passages, **more))  # type: ignore[arg-type]

    async def describe(self, owner: str, document: str, attributes: JsonObject) -> None:
        """See Passages."""
        await self._database.batch(describing(owner, document, attributes))

    async def drop(self, owner: str, space: Space, *, document: str | None = None, group: str | None = None) -> None:
        """See Passages."""
        await self._database.batch(self.dropping(owner, space, document=document, group=group))
        await self._cleaning.clean()

    async def get(self, owner: str, ids: Sequence[str]) -> Sequence[Passage]:
        """See Passages."""
        sql = SELECT.format(by_id=BY_ID[self._database.dialect])
        rows = await self._database.fetch(sql, owner=owner, ids=to_json(list(ids)))
        found = {row["id"]: passage_of(row) for row in rows}
        return [found[one] for one in dict.fromkeys(ids) if one in found]

    async def of(self, owner: str, document: str, first: int = 0, last: int | None = None) -> Sequence[Passage]:
        """See Passages."""
        sql = OF.format(last="" if last is None else UP_TO)
        rows = await self._database.fetch(sql, owner=owner, document=document, first=first, last=last)
        return [passage_of(row) for row in rows]

    async def words(self, within: Within, text: str, limit: int) -> Sequence[Hit]:
        """See Passages. Raises BadRequest for a filter that cannot be understood."""
        return await self._index.words(within, text, limit)

    async def nearest(self, within: Within, embedder: str, vector: "Vectors", limit: int) -> Sequence[Hit]:
        """See Passages. Raises BadRequest for such a filter, and for a vector of another size than the embedder's."""
        if not await self._comparable(embedder, vector):
            return []
        return await self._index.nearest(within, embedder, vector, limit)

    async def cosines(self, owner: str, embedder: str, vector: "Vectors", ids: Sequence[str]) -> Mapping[str, float]:
        """See Passages."""
        if not ids or not await self._comparable(embedder, vector):
            return {}
        stored = await self._index.vectors(owner, embedder, ids)
        return {one: float(row @ vector) for one, row in stored.items()}

    async def vectors(self, owner: str, embedder: str, ids: Sequence[str]) -> "Mapping[str, Vectors]":
        """See Passages."""
        known = await self._database.fetch(SIZE, embedder=embedder)
        return await self._index.vectors(owner, embedder, ids) if known else {}

    async def unembedded(self, embedder: str, limit: int) -> Sequence[Passage]:
        """See Passages."""
        sql = UNEMBEDDED.format(embedded=self._index.embedded)
        return [passage_of(row) for row in await self._database.fetch(sql, embedder=embedder, limit=limit)]

    async def embed(self, embedder: str, ids: Sequence[str], vectors: "Vectors") -> None:
        """See Passages. Raises BadRequest as `replace`."""
        if len(ids):
            await self._database.batch(await self._embedding(embedder, ids, vectors))

    async def embedders(self) -> Mapping[str, int]:
        """See Passages."""
        rows = await self._database.fetch(EMBEDDERS.format(embedded=self._index.embedded))
        return {row["name"]: row["vectors"] for row in rows}

    async def forget_embedder(self, embedder: str) -> None:
        """See Passages."""
        forgotten = Statement(DELETE_EMBEDDER, {"embedder": embedder})
        await self._database.batch([*self._index.forget_vectors(embedder), forgotten])

    async def _embedding(self, embedder: str, ids: Sequence[str], vectors: "Vectors") -> Sequence[Statement]:
        from portal.storage.vectors import unit_rows

        if vectors.ndim != 2 or len(vectors) != len(ids) or not vectors.shape[1]:
            raise BadRequest("There must be one vector for each passage.")
        known = {"embedder": embedder, "dimensions": int(vectors.shape[1])}
        rows = await asyncio.to_thread(unit_rows, vectors)
        self._added.set()
        return [
            Statement(FORGET_UNUSED.format(embedded=self._index.embedded), known),
            Statement(ADD_EMBEDDER, known),
            Statement(CHECK_EMBEDDER, known, 1, _wrong_size(embedder)),
            *(
                Statement(ADD_VECTOR, {"embedder": embedder, "id": one, "vector": row})
                for one, row in zip(ids, rows, strict=True)
            ),
        ]

    async def _comparable(self, embedder: str, vector: "Vectors") -> bool:
        """Whether there is such an embedder. Raises BadRequest when the vector cannot be one of its."""
        rows = await self._database.fetch(SIZE, embedder=embedder)
        if rows and vector.shape != (rows[0]["dimensions"],):
            raise _wrong_size(embedder)
        return bool(rows)


def passage_of(row: Row) -> Passage:
    """A row with the columns of PASSAGE."""
    return Passage(
        id=row["id"],
        owner=row["owner"],
        space=row["space"],
        group=row["in_group"],
        document=row["document"],
        position=row["position"],
        text=row["body"],
        heading=tuple(from_json(row["heading"])),
        page=row["page"],
        start=row["starts_at"],
        end=row["ends_at"],
        created_at=row["created_at"],
    )


def describing(owner: str, document: str, attributes: JsonObject) -> Sequence[Statement]:
    """What `describe` does, for the batch of another store. Raises BadRequest."""
    place = {"owner": owner, "document": document}
    rows = [Statement(INSERT_ATTRIBUTE, {**place, **row}) for row in attribute_rows(attributes)]
    return [Statement(CLEAR_ATTRIBUTES, place), *rows]


def _rows(passages: Sequence[Passage], place: Mapping[str, object]) -> list[Row]:
    return [
        dict(
            storable(
                {
                    **place,
                    "id": passage.id,
                    "in_group": passage.group,
                    "position": passage.position,
                    "body": passage.text,
                    "heading": to_json(list(passage.heading)),
                    "page": passage.page,
                    "starts_at": passage.start,
                    "ends_at": passage.end,
                    "created_at": passage.created_at,
                    "words": indexed(passage.told),
                }
            )
        )
        for passage in passages
    ]


def _wrong_size(embedder: str) -> BadRequest:
    return BadRequest(f"The vectors are of another size than the others of {embedder!r}.")
