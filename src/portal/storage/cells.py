"""Cells of vectors that lie close, so that a search looks at few of them: kept in plain tables of SQLite.

New vectors wait as they are and are compared one by one; once there are enough they move into their cells. A cell that
grew too large, or lost too many, is made anew together with its neighbours. What was let be for longest, while others
came, is settled: centroids go to where their vectors are, and vectors to the cell that is then nearest. Each step is
one batch that holds only if nothing of it was deleted meanwhile; whatever a crash leaves is whole.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.errors import Conflict
from portal.storage.database import Database, Row, Statement
from portal.storage.rows import to_json

if TYPE_CHECKING:
    from portal.storage.vectors import Floats, Rows

FEW = 4_096
"""So many vectors are compared one by one."""
WAITING = 512
"""So many may wait beside the cells."""
SEGMENT = 64
"""Rows of one segment, as the places in the database count them."""
SIZE, LARGEST, SMALLEST = 256, 448, 64
"""Vectors of a cell."""
NEIGHBOURS = 4
"""Cells made anew together."""
SETTLED = 32
"""Cells settled together."""
EARNED = 5
"""Vectors that are settled for each that comes: every cell once about a fifth of all are new."""
MOVED_AT_ONCE = 16_384
SAMPLE = 65_536
ATTEMPTS = 20
"""How often a step is begun again because others deleted meanwhile, before it is left for later."""
HALVINGS = 6
"""How often what a step takes is halved, where others delete all the time."""

SELECT_EMBEDDERS = """
SELECT number, dimensions, unsettled, (SELECT COUNT(*) FROM passage_vectors WHERE embedder = number) AS waiting
FROM embedders"""
SELECT_CELLS = "SELECT cell, centroid FROM vector_cells WHERE embedder = :embedder ORDER BY cell"
SELECT_SIZES = """
SELECT c.cell, COALESCE(SUM(s.living), 0) AS living, COALESCE(SUM(s.rows), 0) AS rows, MIN(s.segment) AS oldest
FROM vector_cells c LEFT JOIN vector_segments s ON s.cell = c.cell WHERE c.embedder = :embedder GROUP BY c.cell"""
SELECT_SAMPLE = "SELECT vector FROM passage_vectors WHERE embedder = :embedder AND key % :nth = 0 LIMIT :most"
SELECT_VECTORS = "SELECT key, vector FROM passage_vectors WHERE embedder = :embedder ORDER BY key LIMIT :most"
SELECT_TAILS = """
SELECT segment, cell, rows, living, data FROM vector_segments
WHERE rows < 64 AND cell IN (SELECT value FROM json_each(:cells))"""
SELECT_SEGMENTS = """
SELECT segment, cell, living, data FROM vector_segments
WHERE cell IN (SELECT value FROM json_each(:cells)) ORDER BY segment"""
SELECT_LAST = "SELECT COALESCE(MAX(seq), 0) AS last FROM sqlite_sequence WHERE name = :name"

CHANGED = "UPDATE embedders SET generation = generation + 1 WHERE number = :embedder"
EARN = "UPDATE embedders SET unsettled = unsettled + :vectors WHERE number = :embedder"
PAY = "UPDATE embedders SET unsettled = MAX(unsettled - :vectors, 0) WHERE number = :embedder"
INSERT_CELL = "INSERT INTO vector_cells (cell, embedder, centroid) VALUES (:cell, :embedder, :centroid)"
PLACE_CELL = "UPDATE vector_cells SET centroid = :centroid WHERE cell = :cell"
DELETE_SEGMENTS = "DELETE FROM vector_segments WHERE cell IN (SELECT value FROM json_each(:cells))"
DELETE_CELLS = "DELETE FROM vector_cells WHERE cell IN (SELECT value FROM json_each(:cells))"
CHECK_LIVING = """
SELECT 1 FROM (SELECT COUNT(*) AS segments, COALESCE(SUM(living), 0) AS living FROM vector_segments
    WHERE cell IN (SELECT value FROM json_each(:cells))) AS found WHERE segments = :segments AND living = :living"""
INSERT_SEGMENT = """
INSERT INTO vector_segments (segment, cell, rows, living, data) VALUES (:segment, :cell, :rows, :living, :data)"""
EXTEND_SEGMENT = """
UPDATE vector_segments SET rows = :rows, living = :living, data = :data WHERE segment = :segment AND living = :before"""
DELETE_VECTORS = """
DELETE FROM passage_vectors WHERE embedder = :embedder AND key IN (SELECT value FROM json_each(:keys))"""
INSERT_PLACES = """
INSERT INTO passage_places (key, embedder, place) SELECT value ->> 0, :embedder, value ->> 1 FROM json_each(:places)"""
MOVE_PLACES = """
UPDATE passage_places SET place = moved.value ->> 1 FROM json_each(:places) AS moved
WHERE passage_places.key = moved.value ->> 0 AND embedder = :embedder"""

FORGET = """
DELETE FROM vector_cells WHERE embedder IN (SELECT number FROM embedders WHERE name = :embedder)"""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one embedder, as they are in memory."""

    generation: int
    ids: Sequence[int]
    centroids: "Floats"

    def closest(self, vector: "Floats") -> Sequence[int]:
        """All of them, closest first."""
        from portal.storage.vectors import nearest_centroids

        return [self.ids[at] for at in nearest_centroids(self.centroids, vector)] if self.ids else []

    def beside(self, cell: int) -> Sequence[int]:
        """All of them, those closest to this one first, itself before all. Raises Conflict where it is gone."""
        if cell not in self.ids:
            raise _gone()
        distances = ((self.centroids - self.centroids[list(self.ids).index(cell)]) ** 2).sum(axis=1)
        return [self.ids[at] for at in distances.argsort()]


class CellKeeper:
    """Moves vectors into cells and keeps those in shape."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._halved = 0
        """How often what the next step takes is halved: once more after each conflict, once less after each success."""

    async def load(self, embedder: int, generation: int) -> Cells:
        """The cells of an embedder."""
        from portal.storage.vectors import stacked

        rows = await self._database.fetch(SELECT_CELLS, embedder=embedder)
        ids = [row["cell"] for row in rows]
        return Cells(generation, ids, stacked([row["centroid"] for row in rows]) if rows else stacked([b""]))

    async def tend(self) -> bool:
        """One step of what is to be done, as one batch; whether there may be more."""
        for _ in range(ATTEMPTS):
            try:
                more = await self._step()
            except Conflict:  # something of it was deleted meanwhile
                self._halved = min(self._halved + 1, HALVINGS)
            else:
                self._halved = max(self._halved - 1, 0)
                return more
        return False

    async def _step(self) -> bool:
        for row in await self._database.fetch(SELECT_EMBEDDERS):
            embedder, dimensions, waiting = row["number"], row["dimensions"], row["waiting"]
            sizes = await self._database.fetch(SELECT_SIZES, embedder=embedder)
            large = [cell for cell in sizes if cell["living"] > LARGEST]
            if large:
                await self._reshape(embedder, dimensions, max(large, key=_living))
            elif waiting >= (WAITING if sizes else FEW):
                missing = (waiting + sum(map(_living, sizes))) // SIZE - len(sizes)
                if missing > len(sizes):
                    await self._found(embedder, waiting, missing)
                await self._move(embedder)
            elif small := [cell for cell in sizes if _is_small(cell, alone=len(sizes) == 1)]:
                await self._reshape(embedder, dimensions, min(small, key=_living))
            elif len(sizes) > 1 and row["unsettled"] >= min(sum(map(_living, sizes)), SETTLED * SIZE):
                await self._settle(embedder, dimensions, sorted(sizes, key=_oldest)[: -(-len(sizes) // 2)])
            else:
                continue
            return True
        return False

    async def _move(self, embedder: int) -> None:
        """Vectors that wait into their cells."""
        from portal.storage.vectors import assigned, encoded, stacked

        cells = await self.load(embedder, 0)
        rows = await self._database.fetch(SELECT_VECTORS, embedder=embedder, most=MOVED_AT_ONCE >> self._halved)
        if not rows or not cells.ids:
            raise _gone()
        keys = [row["key"] for row in rows]
        vectors = await asyncio.to_thread(stacked, [row["vector"] for row in rows])
        nearest = await asyncio.to_thread(assigned, vectors, cells.centroids)
        targets = sorted({cells.ids[at] for at in nearest})
        tails = await self._database.fetch(SELECT_TAILS, cells=to_json(targets))
        last = await self._last("vector_segments")
        packing = _Packing(last, {row["cell"]: row for row in tails})
        packed = await asyncio.to_thread(encoded, keys, vectors)
        await asyncio.to_thread(packing.add_all, packed, [cells.ids[at] for at in nearest])
        await self._database.batch(
            [
                Statement(DELETE_VECTORS, {"embedder": embedder, "keys": to_json(keys)}, len(keys)),
                *packing.statements(),
                Statement(INSERT_PLACES, {"embedder": embedder, "places": to_json(sorted(packing.places))}),
                Statement(EARN, {"embedder": embedder, "vectors": EARNED * len(keys)}),
            ]
        )

    async def _found(self, embedder: int, waiting: int, count: int) -> None:
        """New cells where there are none, or far too few."""
        from portal.storage.vectors import clustered, stacked

        wanted = {"nth": max(waiting // SAMPLE, 1), "most": SAMPLE}
        rows = await self._database.fetch(SELECT_SAMPLE, embedder=embedder, **wanted)
        if not rows:
            raise _gone()
        sample = await asyncio.to_thread(stacked, [row["vector"] for row in rows])
        del rows
        centroids = await asyncio.to_thread(clustered, sample, min(count, len(sample)))
        await self._database.batch(await self._cells(embedder, centroids))

    async def _cells(self, embedder: int, centroids: "Floats") -> list[Statement]:
        last = await self._last("vector_cells")
        return [
            Statement(CHANGED, {"embedder": embedder}),
            *(
                Statement(INSERT_CELL, {"cell": last + at, "embedder": embedder, "centroid": centroid.tobytes()})
                for at, centroid in enumerate(centroids, start=1)
            ),
        ]

    async def _last(self, table: str) -> int:
        last: int = (await self._database.fetch(SELECT_LAST, name=table))[0]["last"]
        return last

    async def _reshape(self, embedder: int, dimensions: int, cell: Row) -> None:
        """A cell and its neighbours made anew."""
        cells = await self.load(embedder, 0)
        together = cells.beside(cell["cell"])[:NEIGHBOURS]
        segments = await self._database.fetch(SELECT_SEGMENTS, cells=to_json(together))
        rows, centroids, parts = await asyncio.to_thread(_reshaped, segments, dimensions)
        made = await self._cells(embedder, centroids)
        first = await self._last("vector_cells") + 1
        packing = _Packing(await self._last("vector_segments"), {})
        packing.add_all(rows, [first + part for part in parts])
        await self._database.batch(
            [
                _unchanged(together, segments),
                Statement(DELETE_CELLS, {"cells": to_json(together)}, len(together)),
                *made,
                *packing.statements(),
                Statement(MOVE_PLACES, {"embedder": embedder, "places": to_json(sorted(packing.places))}),
            ]
        )

    async def _settle(self, embedder: int, dimensions: int, ripe: Sequence[Row]) -> None:
        """The first of these cells and those of them near it go to their vectors, vectors to what is then nearest."""
        cells = await self.load(embedder, 0)
        among = {row["cell"] for row in ripe}
        near = [cell for cell in cells.beside(ripe[0]["cell"]) if cell in among]
        together = near[: max(SETTLED >> self._halved, 1)]
        segments = await self._database.fetch(SELECT_SEGMENTS, cells=to_json(together))
        rows, homes, centroids = await asyncio.to_thread(_settled, segments, dimensions, cells)
        elsewhere = sorted(set(homes).difference(together))
        tails = await self._database.fetch(SELECT_TAILS, cells=to_json(elsewhere))
        packing = _Packing(await self._last("vector_segments"), {row["cell"]: row for row in tails})
        await asyncio.to_thread(packing.add_all, rows, homes)
        await self._database.batch(
            [
                _unchanged(together, segments),
                Statement(DELETE_SEGMENTS, {"cells": to_json(together)}, len(segments)),
                Statement(CHANGED, {"embedder": embedder}),
                *(Statement(PLACE_CELL, {"cell": cell, "centroid": centroids[cell]}, 1) for cell in centroids),
                *packing.statements(),
                Statement(MOVE_PLACES, {"embedder": embedder, "places": to_json(sorted(packing.places))}),
                Statement(PAY, {"embedder": embedder, "vectors": len(rows)}),
            ]
        )


def _unchanged(cells: Sequence[int], segments: Sequence[Row]) -> Statement:
    """That nothing of these cells was deleted since their segments were read."""
    living = {"segments": len(segments), "living": sum(row["living"] for row in segments)}
    return Statement(CHECK_LIVING, {"cells": to_json(cells), **living}, 1)


def _gone() -> Conflict:
    return Conflict("What is to be put in order was deleted meanwhile.")


def _oldest(cell: Row) -> int:
    """Its segment that was made first: segments are numbered as they are made."""
    oldest: int = cell["oldest"] or 0
    return oldest


def _living(cell: Row) -> int:
    living: int = cell["living"]
    return living


def _is_small(cell: Row, *, alone: bool) -> bool:
    """Whether a cell is too small, or has too much room that nothing uses."""
    return (_living(cell) < SMALLEST and not alone) or bool(cell["rows"] > 2 * max(_living(cell), SEGMENT))


def _reshaped(segments: Sequence[Row], dimensions: int) -> "tuple[Rows, Floats, Sequence[int]]":
    """The rows of these segments, new centroids and which one each row belongs to."""
    from portal.storage.vectors import decoded, living, parted, rows_of

    rows = living(rows_of(b"".join(row["data"] for row in segments), dimensions))
    vectors = decoded(rows)
    if not len(rows):
        return rows, vectors, []
    centroids, parts = parted(vectors, SIZE, SMALLEST, LARGEST)
    return rows, centroids, [int(part) for part in parts]


def _settled(
    segments: Sequence[Row], dimensions: int, cells: Cells
) -> "tuple[Rows, Sequence[int], Mapping[int, bytes]]":
    """The rows of these segments, the cell that each belongs to now, and the centroids of the segments' cells. Raises
    Conflict where none is left."""
    import numpy as np

    from portal.storage.vectors import decoded, keys_of, rows_of, settled

    rows = rows_of(b"".join(row["data"] for row in segments), dimensions)
    each = [len(row["data"]) // rows.shape[1] for row in segments]
    alive = keys_of(rows) != 0
    if not alive.any():
        raise _gone()
    at = {cell: place for place, cell in enumerate(cells.ids)}
    parts = np.repeat([at[row["cell"]] for row in segments], each)[alive]
    parts, centroids = settled(decoded(rows[alive]), parts, cells.centroids)
    homes = [cells.ids[part] for part in parts]
    return rows[alive], homes, {cell: centroids[at[cell]].tobytes() for cell in {row["cell"] for row in segments}}


class _Packing:
    """Rows put into segments: into the last one of their cell while it has room, else into new ones."""

    def __init__(self, last: int, tails: Mapping[int, Row]) -> None:
        self._last, self._tails = last, tails
        self._statements: list[Statement] = []
        self.places: list[tuple[int, int]] = []
        """Of each key."""

    def statements(self) -> Sequence[Statement]:
        """What stores the segments."""
        return self._statements

    def add_all(self, rows: "Rows", cells: Sequence[int]) -> None:
        """Each row into its cell."""
        import numpy as np

        homes = np.array(cells, dtype=np.int64)
        order = np.argsort(homes, kind="stable")
        ends = np.flatnonzero(np.diff(homes[order])) + 1
        for places in np.split(order, ends) if len(order) else ():
            self._add(int(homes[places[0]]), rows[places])

    def _add(self, cell: int, rows: "Rows") -> None:
        tail = self._tails.get(cell)
        if tail is not None:
            some, rows = rows[: SEGMENT - tail["rows"]], rows[SEGMENT - tail["rows"] :]
            grown = {"rows": tail["rows"] + len(some), "living": tail["living"] + len(some)}
            place = {"segment": tail["segment"], "before": tail["living"]}
            self._place(tail["segment"], tail["rows"], some)
            self._statements.append(
                Statement(EXTEND_SEGMENT, {**grown, **place, "data": tail["data"] + some.tobytes()}, 1)
            )
        for at in range(0, len(rows), SEGMENT):
            some = rows[at : at + SEGMENT]
            self._last += 1
            self._place(self._last, 0, some)
            made = {"segment": self._last, "cell": cell, "rows": len(some), "living": len(some)}
            self._statements.append(Statement(INSERT_SEGMENT, {**made, "data": some.tobytes()}))

    def _place(self, segment: int, start: int, rows: "Rows") -> None:
        from portal.storage.vectors import keys_of

        first = segment * SEGMENT + start
        self.places += [(int(key), first + at) for at, key in enumerate(keys_of(rows))]
