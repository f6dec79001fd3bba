"""The nearest vectors on PostgreSQL: those that wait are compared by numpy, a page at a time; where pgvector is, the
many lie in a table that it searches: all of them while they are few, by an HNSW index beyond that. What does not fit
the conditions is left out inside the search, which goes on until enough fits."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import orjson

from portal.core.passages import Hit, Within
from portal.errors import Conflict, StorageError
from portal.storage.database import Database, Row, Statement
from portal.storage.passage_filters import BY_ID, condition
from portal.storage.rows import to_json

if TYPE_CHECKING:
    from portal.core.passages import Vectors

logger = logging.getLogger(__name__)

Alone = Callable[..., Awaitable[None]]
"""Runs statements, each by itself, on a connection of their own."""

PAGE = 2_000
"""Vectors in memory at once."""
FEW = 4_096
"""So many wait before the first of an embedder move, and so many are searched without an index."""
WAITING = 512
"""So many may wait beside those that have moved."""
MOVED_AT_ONCE = 2_048
LONGEST = 4_000
"""Dimensions that an index of pgvector can have."""
EF_SEARCH, MOST_EF = 120, 1_000
"""Candidates that a search keeps: more find more surely, and take longer."""
ROW_BYTES = 400
"""Of a row of the index, beside its numbers."""
OLDEST = (0, 8)
"""Of pgvector: from there on a search goes on where conditions leave too little."""
ATTEMPTS = 3

EXTENSION = """
SELECT a.default_version AS offered, e.extversion AS version, EXISTS (
    SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('passage_near') AND attname = 'near' AND NOT attisdropped
) AS ready
FROM (SELECT 1) AS one LEFT JOIN pg_available_extensions a ON a.name = 'vector'
LEFT JOIN pg_extension e ON e.extname = 'vector'"""
ADD_EXTENSION = Statement("CREATE EXTENSION IF NOT EXISTS vector")
# Without the column nothing of them is known: they are embedded again.
ADD_COLUMN = (
    Statement("DELETE FROM passage_near"),
    Statement("ALTER TABLE passage_near ADD COLUMN IF NOT EXISTS near halfvec NOT NULL"),
)

SELECT_EMBEDDERS = """
SELECT number, dimensions, (SELECT COUNT(*) FROM passage_vectors WHERE embedder = number) AS waiting,
    (SELECT COUNT(*) FROM passage_near WHERE embedder = number) AS settled,
    EXISTS (SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('passage_near_' || number)) AS indexed
FROM embedders ORDER BY number"""
SELECT_UNUSED = """
SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = to_regclass('passage_near') AND c.relname ~ '^passage_near_[0-9]+$' AND (
    CAST(substr(c.relname, 14) AS BIGINT) NOT IN (SELECT number FROM embedders)
    OR NOT i.indisvalid AND i.indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index))"""
"""Indices of embedders that are gone, and what a crash left of one; not one that somebody is making."""
SELECT_WAITING = """
SELECT key, vector, CAST(xmin AS text) AS version FROM passage_vectors WHERE embedder = :embedder
ORDER BY key LIMIT :most"""
# Only as they were read: what was embedded again meanwhile stays.
TAKE = """
DELETE FROM passage_vectors v USING json_array_elements(CAST(:rows AS json)) AS sent (value)
WHERE v.embedder = :embedder AND v.key = CAST(sent.value ->> 0 AS BIGINT) AND CAST(v.xmin AS text) = sent.value ->> 1"""
PUT = """
INSERT INTO passage_near (key, embedder, near)
SELECT CAST(sent.value ->> 0 AS BIGINT), :embedder, CAST(sent.value ->> 1 AS halfvec)
FROM json_array_elements(CAST(:rows AS json)) AS sent (value)"""
CHANGED = "UPDATE embedders SET generation = generation + 1 WHERE number = :embedder"

STATE = """
SELECT number, generation, dimensions, EXISTS (SELECT 1 FROM passage_near WHERE embedder = number) AS settled
FROM embedders WHERE name = :embedder"""
# Planned for just these conditions: whether an index of vectors or one of passages is quicker depends on them.
PATIENCE = """
SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', :kept, true),
    set_config('plan_cache_mode', 'force_custom_plan', true)"""
NEAR = """
SELECT p.id, -(CAST(v.near AS halfvec({dimensions})) <#> CAST(:vector AS halfvec({dimensions}))) AS score
FROM passage_near v JOIN passages p ON p.key = v.key WHERE v.embedder = {number} AND {within}
ORDER BY (CAST(v.near AS halfvec({dimensions})) <#> CAST(:vector AS halfvec({dimensions}))){exactly} LIMIT :limit"""
"""The number is written out, so that an index of just this embedder is used."""
EXACTLY = " + 0"
WAITING_PAGE = """
SELECT p.id, p.key, v.vector FROM passage_vectors v JOIN passages p ON p.key = v.key
WHERE v.embedder = :number AND v.key > :after AND {within} ORDER BY v.key LIMIT :page"""

_OF = f"""JOIN embedders e ON e.number = v.embedder
WHERE {BY_ID["postgres"]} AND e.name = :embedder"""
VECTORS = f"SELECT p.id, v.vector FROM passages p JOIN passage_vectors v ON v.key = p.key {_OF}"
NEAR_VECTORS = (
    f"SELECT p.id, CAST(v.near AS real[]) AS vector FROM passages p JOIN passage_near v ON v.key = p.key {_OF}"
)


class NearKeeper:
    """Moves vectors to where pgvector finds them, and makes its indices, in the background."""

    def __init__(self, *, database: Database, alone: Alone) -> None:
        self._database, self._alone = database, alone
        self._told = False

    async def tend(self) -> bool:
        """One step of what is to be done; whether there may be more."""
        try:
            return await self._able() and await self._step()
        except Conflict:  # another process was at the same, or something was embedded again
            return False

    async def _able(self) -> bool:
        """Whether vectors can move; makes the column for them when the extension is there for the first time."""
        (found,) = await self._database.fetch(EXTENSION)
        if found["ready"]:
            return True
        if why := unusable(found):
            self._tell(why)
            return False
        try:
            await self._database.batch([ADD_EXTENSION, *ADD_COLUMN])
        except StorageError as error:
            self._tell(f"the extension `vector` could not be added: {error.message}")
            return False
        return True

    def _tell(self, why: str) -> None:
        if not self._told:
            logger.info("vectors are compared one by one: %s", why)
        self._told = True

    async def _step(self) -> bool:
        for unused in await self._database.fetch(SELECT_UNUSED):
            await self._alone(f"DROP INDEX CONCURRENTLY IF EXISTS {unused['name']}")
        for row in await self._database.fetch(SELECT_EMBEDDERS):
            if row["waiting"] >= (WAITING if row["settled"] else FEW):
                await self._move(row["number"])
            elif row["settled"] >= FEW and row["dimensions"] <= LONGEST and not row["indexed"]:
                await self._build(row)
            else:
                continue
            return True
        return False

    async def _move(self, embedder: int) -> None:
        rows = await self._database.fetch(SELECT_WAITING, embedder=embedder, most=MOVED_AT_ONCE)
        put = await asyncio.to_thread(_literals, rows)
        taken = to_json([[row["key"], row["version"]] for row in rows])
        await self._database.batch(
            [
                Statement(TAKE, {"embedder": embedder, "rows": taken}, len(rows)),
                Statement(PUT, {"embedder": embedder, "rows": put}, len(rows)),
                Statement(CHANGED, {"embedder": embedder}),
            ]
        )

    async def _build(self, row: Row) -> None:
        """Beside searches and writes, which go on; half an index that a crash leaves is dropped and made again."""
        number, dimensions = row["number"], row["dimensions"]
        needed = row["settled"] * (2 * dimensions + ROW_BYTES) // 2**20 + 64
        await self._alone(
            f"SET maintenance_work_mem = '{min(needed, 1024)}MB'",
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS passage_near_{number} ON passage_near "
            f"USING hnsw ((CAST(near AS halfvec({dimensions}))) halfvec_ip_ops) WHERE embedder = {number}",
            "VACUUM (ANALYZE) passage_vectors, passage_near, passages, passage_attributes",
        )


class Near:
    """Finds vectors."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def nearest(self, within: Within, embedder: str, vector: "Vectors", limit: int) -> Sequence[Hit]:
        """See Index."""
        found: dict[str, float] = {}
        state = await self._state(embedder)
        for _ in range(ATTEMPTS):
            if state is None:
                return []
            found = await self._all(within, state, vector, limit)
            now = await self._state(embedder)
            if now == state:
                break
            state = now
        ranked = sorted(found.items(), key=lambda hit: (-hit[1], hit[0]))
        return [Hit(one, score) for one, score in ranked[:limit]]

    async def _state(self, embedder: str) -> Row | None:
        rows = await self._database.fetch(STATE, embedder=embedder)
        return rows[0] if rows else None

    async def _all(self, within: Within, state: Row, vector: "Vectors", limit: int) -> dict[str, float]:
        found = await self._settled(within, state, vector, limit) if state["settled"] else {}
        return found | await self._waiting(within, state["number"], vector, limit)

    async def _settled(self, within: Within, state: Row, vector: "Vectors", limit: int) -> dict[str, float]:
        where, args = condition(within, "postgres")
        sought = {**args, "vector": _literal(vector), "limit": limit}
        shape = {"number": state["number"], "dimensions": state["dimensions"], "within": where}
        kept = {"kept": str(min(max(EF_SEARCH, 2 * limit), MOST_EF))}
        quick = Statement(NEAR.format(**shape, exactly=""), sought)
        rows = (await self._database.snapshot([Statement(PATIENCE, kept), quick]))[1]
        if len(rows) < limit:  # the search gave up before it had enough, or there is no more
            rows = await self._database.fetch(NEAR.format(**shape, exactly=EXACTLY), **sought)
        return {row["id"]: row["score"] for row in rows}

    async def _waiting(self, within: Within, number: int, vector: "Vectors", limit: int) -> dict[str, float]:
        from portal.storage.vectors import best

        where, args = condition(within, "postgres")
        sql, after, found = WAITING_PAGE.format(within=where), 0, list[tuple[float, str]]()
        while rows := await self._database.fetch(sql, **args, number=number, after=after, page=PAGE):
            after = rows[-1]["key"]
            near = await asyncio.to_thread(best, [row["vector"] for row in rows], vector, limit)
            found = sorted([*found, *((score, rows[at]["id"]) for at, score in near)], key=lambda hit: -hit[0])[:limit]
            if len(rows) < PAGE:
                break
        return {one: score for score, one in found}

    async def vectors(self, owner: str, embedder: str, ids: Sequence[str]) -> "Mapping[str, Vectors]":
        """See Index."""
        import numpy as np

        from portal.storage.vectors import vector_of

        wanted = {"owner": owner, "embedder": embedder, "ids": to_json(list(ids))}
        state = await self._state(embedder)
        queries = [Statement(VECTORS, wanted)]
        if state and state["settled"]:
            queries.append(Statement(NEAR_VECTORS, wanted))
        waiting, *settled = await self._database.snapshot(queries)
        found = {row["id"]: vector_of(row["vector"]) for row in waiting}
        return found | {row["id"]: np.array(row["vector"], dtype=np.float32) for rows in settled for row in rows}


def unusable(found: Row) -> str:
    """Why pgvector cannot be used, from a row of EXTENSION; empty where it can."""
    version = found["version"] or found["offered"]
    if version is None:
        return "the server does not have pgvector"
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        return f"its pgvector {version} is older than {'.'.join(map(str, OLDEST))}"
    return ""


def _literal(vector: "Vectors") -> str:
    import numpy as np

    return orjson.dumps(np.ascontiguousarray(vector, np.float32), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _literals(rows: Sequence[Row]) -> str:
    from portal.storage.vectors import vector_of

    sent = [[row["key"], vector_of(row["vector"])] for row in rows]
    return orjson.dumps(sent, option=orjson.OPT_SERIALIZE_NUMPY).decode()
