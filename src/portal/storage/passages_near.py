"""The nearest vectors on SQLite: those that wait, by sqlite-vec one by one; those in cells, in the cells that are
closest. What does not fit the conditions is left out inside the search: where much does not, more cells are looked at,
and where hardly any does, just those are."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from portal.core.passages import Hit, Within
from portal.storage.cells import CellKeeper, Cells
from portal.storage.database import Database, Row, Statement
from portal.storage.passage_filters import BY_ID, condition
from portal.storage.rows import from_json, to_json

if TYPE_CHECKING:
    from portal.core.passages import Vectors
    from portal.storage.vectors import Ranked

PROBES, MOST_PROBES = 28, 256
"""Cells that are looked at where all fits, and where little does."""
PORTION = 32
"""Cells that are in memory at a time."""
FEW, MANY = 1_000, 65_536
"""So many that fit are all compared; so many are known before their cells are looked at."""
CHECKED = 100
MOST_CHECKED = 6_000

STATE = "SELECT number, generation FROM embedders WHERE name = :embedder"
SEGMENTS = "SELECT data FROM vector_segments WHERE cell IN (SELECT value FROM json_each(:cells))"
FITTING = """
SELECT p.key, p.id FROM json_each(:keys) AS wanted CROSS JOIN passages p ON p.key = wanted.value WHERE {within}"""
KEYS = """
SELECT json_group_array(key) AS keys FROM (SELECT p.key FROM passages p WHERE {within} LIMIT :most)"""

# Of vectors of length 1 the cosine is 1 less half the square of their distance.
WAITING = """
SELECT p.id, 1 - vec_distance_l2(v.vector, :vector) * vec_distance_l2(v.vector, :vector) / 2 AS score
FROM passage_vectors v CROSS JOIN passages p ON p.key = v.key
WHERE v.embedder = :number AND {within} ORDER BY score DESC, p.key LIMIT :limit"""
_NUMBER = "(SELECT number FROM embedders WHERE name = :embedder)"
_ROW = "substr(s.data, l.place % 64 * (length(s.data) / s.rows) + 1, length(s.data) / s.rows) AS row"
IN_CELLS = f"""
SELECT p.id, {_ROW} FROM passages p JOIN passage_places l ON l.key = p.key AND l.embedder = {_NUMBER}
CROSS JOIN vector_segments s ON s.segment = l.place / 64 WHERE {{within}}"""
VECTORS = f"""
SELECT p.id, v.vector FROM passages p CROSS JOIN passage_vectors v ON v.key = p.key AND v.embedder = {_NUMBER}
WHERE {BY_ID["sqlite"]}"""


@dataclass(slots=True)
class _Query:
    """One search as it goes on."""

    embedder: str
    number: int
    vector: "Vectors"
    within: Within
    limit: int
    scores: dict[str, float] = field(default_factory=dict)
    """Of those that fit."""
    vectors: "dict[str, Vectors]" = field(default_factory=dict)
    """Of those whose rows were read on the way."""

    def hits(self) -> Sequence[Hit]:
        ranked = sorted(self.scores.items(), key=lambda item: (-item[1], item[0]))
        return [Hit(one, score, self.vectors.get(one)) for one, score in ranked[: self.limit]]


class Near:
    """Finds vectors; the centroids of cells stay in memory."""

    def __init__(self, *, database: Database, keeper: CellKeeper) -> None:
        self._database, self._keeper = database, keeper
        self._cells: dict[int, Cells] = {}

    async def nearest(self, within: Within, embedder: str, vector: "Vectors", limit: int) -> Sequence[Hit]:
        """See Index."""
        states = await self._database.fetch(STATE, embedder=embedder)
        if not states:
            return []
        state = states[0]
        query = _Query(embedder, state["number"], vector.astype("<f4"), within, limit)
        order, waiting, segments = await self._first(query, state)
        query.scores = {row["id"]: row["score"] for row in waiting}
        if order:
            await self._in_cells(query, order, segments)
        return query.hits()

    async def _first(self, query: _Query, state: Row) -> tuple[Sequence[int], list[Row], list[Row]]:
        """All cells, closest first; the best of those that wait; what is in the closest cells, of the same moment."""
        where, args = condition(query.within, "sqlite")
        sought = {"number": query.number, "vector": query.vector.tobytes(), "limit": query.limit}
        waiting = Statement(WAITING.format(within=where), {**args, **sought})
        while True:
            cells = await self._known(state)
            order = await asyncio.to_thread(cells.closest, query.vector)
            segments = Statement(SEGMENTS, {"cells": to_json(order[:PROBES])})
            now, near, read = await self._database.snapshot(
                [Statement(STATE, {"embedder": query.embedder}), waiting, segments]
            )
            if now == [state] or not now:
                return order, near, read
            state = now[0]

    async def _known(self, state: Row) -> Cells:
        known = self._cells.get(state["number"])
        if known is None or known.generation != state["generation"]:
            known = await self._keeper.load(state["number"], state["generation"])
            self._cells[state["number"]] = known
        return known

    async def _in_cells(self, query: _Query, order: Sequence[int], first: Sequence[Row]) -> None:
        from portal.storage.vectors import scored

        near = await asyncio.to_thread(scored, [row["data"] for row in first], query.vector)
        checked = max(CHECKED, 2 * query.limit)
        fitting = await self._ranked(query, near, 0, checked)
        share = max(fitting, 1) / max(len(near.keys[:checked]), 1)
        if fitting * 2 >= checked or (len(order) <= PROBES and fitting == len(near.keys)):
            return
        known = await self._keys(query)
        if len(known) <= FEW:
            return await self._all_that_fit(query)
        probes = min(int(PROBES / share), MOST_PROBES)
        if len(known) <= MANY:
            found = await self._among(query, order[:probes], known)
            return None if found >= query.limit else await self._all_that_fit(query)
        more = await self._database.fetch(SEGMENTS, cells=to_json(list(order[:probes])))
        near = await asyncio.to_thread(scored, [row["data"] for row in more], query.vector)
        found = 0
        step = max(checked, int(2 * query.limit / share))
        for at in range(0, min(len(near.keys), MOST_CHECKED), step):
            found += await self._ranked(query, near, at, at + step)
            if found >= query.limit:
                return
        if probes < len(order) or len(near.keys) > MOST_CHECKED:
            await self._all_that_fit(query)

    async def _ranked(self, query: _Query, near: "Ranked", first: int, end: int) -> int:
        """Add those of these ranks that fit; how many they are."""
        keys = near.keys[first:end].tolist()
        ids = await self._fitting(query, keys)
        fitting = [rank for rank, key in enumerate(keys, first) if key in ids]
        query.scores |= {ids[keys[rank - first]]: float(near.scores[rank]) for rank in fitting}
        if best := fitting[: query.limit]:
            query.vectors |= zip([ids[keys[rank - first]] for rank in best], near.vectors(best), strict=True)
        return len(fitting)

    async def _fitting(self, query: _Query, keys: Sequence[int]) -> Mapping[int, str]:
        """Those of these passages that fit, and their ids."""
        where, args = condition(query.within, "sqlite")
        rows = await self._database.fetch(FITTING.format(within=where), **args, keys=to_json(keys))
        return {row["key"]: row["id"] for row in rows}

    async def _keys(self, query: _Query) -> Sequence[int]:
        """Those that fit, where they are not too many."""
        where, args = condition(query.within, "sqlite")
        rows = await self._database.fetch(KEYS.format(within=where), **args, most=MANY + 1)
        return await asyncio.to_thread(from_json, rows[0]["keys"])

    async def _among(self, query: _Query, cells: Sequence[int], fitting: Sequence[int]) -> int:
        """Add the best of those that fit in these cells; how many there are."""
        import numpy as np

        from portal.storage.vectors import scored_among

        known, best = np.sort(np.array(fitting, np.int64)), dict[int, float]()
        for at in range(0, len(cells), PORTION):
            rows = await self._database.fetch(SEGMENTS, cells=to_json(list(cells[at : at + PORTION])))
            keys, scores = await asyncio.to_thread(scored_among, [row["data"] for row in rows], query.vector, known)
            best |= dict(zip(keys[: query.limit].tolist(), scores[: query.limit].tolist(), strict=True))
        top = sorted(best, key=lambda key: -best[key])[: query.limit]
        ids = await self._fitting(query, top)
        query.scores |= {one: best[key] for key, one in ids.items()}
        return len(ids)

    async def _all_that_fit(self, query: _Query) -> None:
        where, args = condition(query.within, "sqlite")
        rows = await self._database.fetch(IN_CELLS.format(within=where), **args, embedder=query.embedder)
        query.scores |= await asyncio.to_thread(_cosines, rows, query.vector)

    async def vectors(self, owner: str, embedder: str, ids: Sequence[str]) -> "Mapping[str, Vectors]":
        """See Index."""
        from portal.storage.vectors import vector_of

        wanted = {"owner": owner, "ids": to_json(list(ids)), "embedder": embedder}
        waiting, settled = await self._database.snapshot(
            [Statement(VECTORS, wanted), Statement(IN_CELLS.format(within=BY_ID["sqlite"]), wanted)]
        )
        found = {row["id"]: vector_of(row["vector"]) for row in waiting}
        return found | dict(zip([row["id"] for row in settled], _decoded(settled) if settled else (), strict=True))


def _cosines(rows: Sequence[Row], vector: "Vectors") -> dict[str, float]:
    if not rows:
        return {}
    cosines = (_decoded(rows) @ vector).tolist()
    return dict(zip([row["id"] for row in rows], cosines, strict=True))


def _decoded(rows: Sequence[Row]) -> "Vectors":
    """The vectors of some rows of cells."""
    from portal.storage.vectors import HEAD, decoded, rows_of

    return decoded(rows_of(b"".join(row["row"] for row in rows), len(rows[0]["row"]) - HEAD))
