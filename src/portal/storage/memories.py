"""The Memories port: rows of their own, each with its passage in the index."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.memories import Embedded, MemoryRecord, Wanted, folded
from portal.core.passages import Passage, Space
from portal.core.records import Page
from portal.errors import Conflict, NotFound
from portal.storage.cursors import decode_cursor, encode_cursor
from portal.storage.database import Database, Row, Statement

if TYPE_CHECKING:
    from portal.core.passages import Vectors

PROPOSED = "proposed"
"""The group of passages that wait for their owner's word; those of active memories have their scope."""

_MEMORY = "id, owner, kind, text, scope, source, created_at, changed_at, happened_at, confidence, status, superseded_by"
_STORED = f"{_MEMORY}, digest, moment"

INSERT = f"INSERT INTO memories ({_STORED}) VALUES ({', '.join(f':{name}' for name in _STORED.split(', '))})"

CHANGE = """
UPDATE memories SET
    kind = :kind, text = :text, scope = :scope, source = :source, changed_at = :changed_at, status = :status,
    happened_at = CAST(:happened_at AS BIGINT), confidence = :confidence, digest = :digest, moment = :moment
WHERE id = :id AND owner = :owner AND changed_at = :before AND status <> 'superseded'"""

SUPERSEDE = """
UPDATE memories SET status = 'superseded', superseded_by = :id, changed_at = :changed_at
WHERE id = :old AND owner = :owner AND status = 'active'"""

SELECT = f"SELECT {_MEMORY} FROM memories WHERE id = :id AND owner = :owner"

HISTORY = f"""
WITH RECURSIVE earlier (id) AS (
    SELECT id FROM memories WHERE id = :id AND owner = :owner
    UNION ALL
    SELECT m.id FROM earlier JOIN memories m ON m.superseded_by = earlier.id
)
SELECT {_MEMORY} FROM memories WHERE id IN (SELECT id FROM earlier)
ORDER BY CASE WHEN id = :id THEN 0 ELSE 1 END, changed_at DESC, id DESC"""

LIST = f"""
SELECT {_MEMORY} FROM memories WHERE owner = :owner{{narrower}} ORDER BY moment DESC, id DESC LIMIT :limit"""
NARROWER = {
    "kind": " AND kind = :kind",
    "scope": " AND scope = :scope",
    "status": " AND status = :status",
    "since": " AND moment >= :since",
    "until": " AND moment < :until",
}
AFTER = " AND (moment, id) < (:last_moment, :last_id)"

# Its history goes with it.
DELETE = "DELETE FROM memories WHERE id = :id AND owner = :owner RETURNING id"
DELETE_ALL = "DELETE FROM memories WHERE owner = :owner RETURNING id"


class Index(Protocol):
    """What the index of passages offers to go into a batch of somebody else's."""

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
        """As Passages.replace."""

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
        """The same where there are none of it yet."""

    def adding_many(self, space: Space, passages: Sequence[Passage]) -> Sequence[Statement]:
        """The same for passages of many documents, without vectors. It takes its time: call it in a thread."""

    def dropping(
        self, owner: str, space: Space, *, document: str | None = None, group: str | None = None
    ) -> Sequence[Statement]:
        """As Passages.drop; `clean` comes after the batch."""

    def marking(self) -> Statement:
        """For a batch that hides passages of documents itself."""

    def clean(self) -> None:
        """Leave nothing of what was dropped in the files, soon."""


class StoredMemories:
    """The Memories port on a Database."""

    def __init__(self, *, database: Database, index: Index) -> None:
        self._database, self._index = database, index

    async def save(
        self,
        memory: MemoryRecord,
        *,
        before: MemoryRecord | None = None,
        supersedes: Sequence[str] = (),
        embedded: Embedded | None = None,
    ) -> None:
        """See Memories."""
        statements: list[Statement] = []
        for old in sorted(set(supersedes)):
            args = {"id": memory.id, "owner": memory.owner, "old": old, "changed_at": memory.changed_at}
            statements.append(Statement(SUPERSEDE, args, 1, _overtaken()))
            statements += self._index.dropping(memory.owner, "memories", document=old)
        if before is None:
            known = Conflict("You have this memory already.", code="memory_exists", param="text")
            statements.append(Statement(INSERT, _args(memory), 1, known))
        else:
            statements.append(Statement(CHANGE, {**_args(memory), "before": before.changed_at}, 1, _overtaken()))
            if before.status == "active" and before.text != memory.text:
                statements.append(Statement(INSERT, _args(_earlier(before, memory)), 1))
        shown = memory.status != "superseded"  # history is read, never found
        await self._database.batch([*statements, *(await self._indexing(memory, embedded) if shown else ())])

    async def get(self, owner: str, ids: Sequence[str]) -> Sequence[MemoryRecord]:
        """See Memories."""
        if not ids:
            return []
        found = await self._database.snapshot([Statement(SELECT, {"id": one, "owner": owner}) for one in ids])
        return [_memory_of(row) for rows in found for row in rows]

    async def history(self, owner: str, memory_id: str) -> Sequence[MemoryRecord]:
        """See Memories."""
        rows = await self._database.fetch(HISTORY, id=memory_id, owner=owner)
        if not rows:
            raise NotFound(f"There is no memory {memory_id!r}.", param="memory")
        return [_memory_of(row) for row in rows]

    async def list(
        self, owner: str, wanted: Wanted, *, limit: int = 50, cursor: str | None = None
    ) -> Page[MemoryRecord]:
        """See Memories."""
        asked = {name: value for name, value in _asked(wanted).items() if value is not None}
        this, limit = ("memories", owner, *asked.items()), max(limit, 1)
        args: dict[str, object] = {"owner": owner, "limit": limit + 1, **asked}
        narrower = "".join(NARROWER[name] for name in asked)
        if cursor is not None:
            narrower += AFTER
            args |= zip(("last_moment", "last_id"), decode_cursor(this, cursor, (int, str)), strict=True)
        found = [_memory_of(row) for row in await self._database.fetch(LIST.format(narrower=narrower), **args)]
        page = found[:limit]
        return Page(page, encode_cursor(this, (page[-1].when, page[-1].id)) if len(found) > limit else None)

    async def forget(self, owner: str, ids: Sequence[str] | None) -> Sequence[str]:
        """See Memories."""
        if ids is None:
            statements = [Statement(DELETE_ALL, {"owner": owner}), *self._index.dropping(owner, "memories")]
        else:
            wanted = sorted(set(ids))
            statements = [Statement(DELETE, {"id": one, "owner": owner}) for one in wanted]
            for one in wanted:
                statements += self._index.dropping(owner, "memories", document=one)
        results = await self._database.batch(statements)
        gone = [row["id"] for rows in results for row in rows if row.get("id")]
        self._index.clean()
        return gone

    async def _indexing(self, memory: MemoryRecord, embedded: Embedded | None) -> Sequence[Statement]:
        passage = Passage(
            id=memory.id,
            owner=memory.owner,
            space="memories",
            group=memory.scope if memory.status == "active" else PROPOSED,
            document=memory.id,
            text=memory.text,
            created_at=memory.when,
        )
        return await self._index.replacing(
            memory.owner,
            "memories",
            memory.id,
            [passage],
            embedder=embedded.embedder if embedded else "",
            vectors=embedded.vectors if embedded else None,
            attributes={"kind": memory.kind},
        )


def _digest(text: str) -> str:
    return hashlib.sha256(folded(text).encode("utf-8", "replace")).hexdigest()


def _earlier(before: MemoryRecord, memory: MemoryRecord) -> MemoryRecord:
    """What a memory said, as a part of its history."""
    return replace(before, id=new_id("mem"), status="superseded", superseded_by=memory.id, changed_at=memory.changed_at)


def _overtaken() -> Conflict:
    return Conflict("The memory changed meanwhile: look at it again.", code="memory_changed")


def _asked(wanted: Wanted) -> dict[str, object]:
    return {name: getattr(wanted, name) for name in NARROWER}


def _args(memory: MemoryRecord) -> dict[str, object]:
    known = {name: getattr(memory, name) for name in _MEMORY.split(", ")}
    return {**known, "digest": _digest(memory.text), "moment": memory.when}


def _memory_of(row: Row) -> MemoryRecord:
    return MemoryRecord(**{name: row[name] for name in _MEMORY.split(", ")})
