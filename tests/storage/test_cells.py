"""Many vectors on SQLite: found quickly and nearly all, whatever is added, replaced and dropped."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from portal.core.passages import Within
from portal.settings import Settings
from portal.storage.cells import SELECT_CELLS, SELECT_SAMPLE, SELECT_SEGMENTS, SELECT_VECTORS
from portal.storage.cleaning import Cleaning
from portal.storage.database import Database, Row, Statement
from portal.storage.open import Storage, open_storage
from portal.storage.passage_index import index_on
from portal.storage.passages import StoredPassages
from portal.storage.timed import TimedDatabase
from portal.storage.vectors import decoded, living, rows_of
from portal.testing.records import OWNER, passage

DOCUMENTS = Within(owner=OWNER, space="documents")
DIMENSIONS = 32

Floats = npt.NDArray[np.float32]


def clustered(dice: np.random.Generator, count: int, centres: int = 60) -> Floats:
    """Vectors as texts have them: in clusters of their own."""
    middles = dice.normal(size=(centres, DIMENSIONS))
    rows = middles[dice.integers(0, centres, count)] + 0.6 * dice.normal(size=(count, DIMENSIONS))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Library:
    """Documents of one hundred passages each, and what is known of them without an index."""

    def __init__(self, storage: Storage, embedder: str = "e") -> None:
        self.storage, self.embedder = storage, embedder
        self.rows: dict[str, Floats] = {}
        self.groups: dict[str, str] = {}

    async def put(self, document: str, vectors: Floats, group: str = "vs_1") -> None:
        pieces = [
            passage("x", id=f"{document}-{n}", document=document, position=n, group=group) for n in range(len(vectors))
        ]
        self.forget(document)
        self.rows |= dict(zip((one.id for one in pieces), vectors, strict=True))
        self.groups |= {one.id: group for one in pieces}
        attributes = {"group": group}
        await self.storage.passages.replace(
            OWNER, "documents", document, pieces, embedder=self.embedder, vectors=vectors, attributes=attributes
        )

    def forget(self, document: str) -> None:
        self.rows = {one: row for one, row in self.rows.items() if one.split("-")[0] != document}

    async def recall(self, queries: Floats, within: Within = DOCUMENTS, groups: Sequence[str] = ()) -> float:
        """Of the ten really nearest, the share that is found."""
        ids = [one for one in self.rows if not groups or self.groups[one] in groups]
        matrix = np.array([self.rows[one] for one in ids])
        right = 0
        for query in queries:
            truth = {ids[at] for at in np.argsort(-(matrix @ query))[:10]}
            hits = await self.storage.passages.nearest(within, "e", query, 10)
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            for hit in hits:
                assert hit.score == pytest.approx(float(self.rows[hit.id] @ query), abs=0.02)
                if hit.vector is not None:
                    assert float(hit.vector @ self.rows[hit.id]) == pytest.approx(1, abs=0.001)
            right += len(truth & {hit.id for hit in hits})
        return right / (10 * len(queries))


async def cells(storage: Storage) -> list[dict[str, int]]:
    return await storage.database.fetch(
        "SELECT c.cell, COALESCE(SUM(s.living), 0) AS living FROM vector_cells c "
        "LEFT JOIN vector_segments s ON s.cell = c.cell GROUP BY c.cell"
    )


async def check_places(storage: Storage, library: Library) -> None:
    """Every vector is in one place, where it can be read."""
    some = list(library.rows)[::7]
    query = library.rows[some[0]]
    cosines = await storage.passages.cosines(OWNER, "e", query, some)
    assert cosines == {one: pytest.approx(float(library.rows[one] @ query), abs=0.02) for one in some}
    assert await storage.passages.embedders() == {"e": len(library.rows)}
    (living,) = await storage.database.fetch("SELECT SUM(living) AS living FROM vector_segments")
    (waiting,) = await storage.database.fetch("SELECT COUNT(*) AS waiting FROM passage_vectors")
    assert living["living"] + waiting["waiting"] == len(library.rows)


async def test_many_vectors_are_found_as_they_come_and_go(tmp_path: Path) -> None:
    dice = np.random.default_rng(3)
    vectors, queries = clustered(dice, 12_000), clustered(np.random.default_rng(3), 12_050)[12_000:]
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        library = Library(storage)
        for n in range(60):
            await library.put(f"file{n}", vectors[n * 100 : n * 100 + 100], f"vs_{n % 20}")
        await storage.passages.tend()
        assert len(await cells(storage)) > 10
        for n in range(60, 120):
            await library.put(f"file{n}", vectors[n * 100 : n * 100 + 100], f"vs_{n % 20}")
        assert await library.recall(queries) >= 0.95
        await storage.passages.tend()
        sizes = [row["living"] for row in await cells(storage)]
        assert max(sizes) <= 448
        assert min(sizes) >= 64
        assert await library.recall(queries) >= 0.95
        await check_places(storage, library)
        read = [hit.vector is not None for hit in await storage.passages.nearest(DOCUMENTS, "e", queries[0], 100)]
        assert len(read) == 100
        assert sum(read) > 90

        group = replace(DOCUMENTS, groups=["vs_3"])
        assert await library.recall(queries, group, ["vs_3"]) >= 0.99
        filters = {"type": "eq", "key": "group", "value": "vs_3"}
        assert await library.recall(queries, replace(DOCUMENTS, filters=filters), ["vs_3"]) >= 0.95
        several = {"type": "in", "key": "group", "value": [f"vs_{n}" for n in range(9)]}
        groups = [f"vs_{n}" for n in range(9)]
        assert await library.recall(queries, replace(DOCUMENTS, filters=several), groups) >= 0.95
        nothing = replace(DOCUMENTS, filters={"type": "eq", "key": "group", "value": "none"})
        assert await storage.passages.nearest(nothing, "e", queries[0], 10) == []

        drifted = clustered(np.random.default_rng(9), 4_000, centres=5)
        for n in range(40):
            await library.put(f"file{n * 3}", drifted[n * 100 : n * 100 + 100], f"vs_{n % 20}")
        for n in range(1, 120, 3):
            library.forget(f"file{n}")
            await storage.passages.drop(OWNER, "documents", document=f"file{n}")
        await check_places(storage, library)
        assert await library.recall(queries) >= 0.95
        await storage.passages.tend()
        await check_places(storage, library)
        assert await library.recall(queries) >= 0.95
        assert await library.recall(drifted[::100]) >= 0.95
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        library.storage = storage
        assert await library.recall(queries) >= 0.95
        await storage.passages.forget_embedder("e")
        assert await storage.database.fetch("SELECT 1 FROM vector_segments") == []
        assert await storage.database.fetch("SELECT 1 FROM passage_places") == []
        assert await storage.passages.nearest(DOCUMENTS, "e", queries[0], 10) == []


async def test_vectors_that_are_all_alike_and_those_added_again(tmp_path: Path) -> None:
    one = np.zeros((5_000, DIMENSIONS), np.float32)
    one[:, 0] = 1
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        library = Library(storage)
        for n in range(50):
            await library.put(f"file{n}", one[:100])
        await storage.passages.tend()
        assert max(row["living"] for row in await cells(storage)) <= 448
        assert len(await storage.passages.nearest(DOCUMENTS, "e", one[0], 10)) == 10
        other = -one[:1]
        await storage.passages.embed("e", ["file0-0"], other)
        assert (await storage.passages.nearest(DOCUMENTS, "e", other[0], 1))[0].id == "file0-0"
        library.rows["file0-0"] = other[0]
        await check_places(storage, library)
        await storage.passages.drop(OWNER, "documents")
        await storage.passages.tend()
        assert await storage.passages.nearest(DOCUMENTS, "e", one[0], 10) == []
        assert await storage.database.fetch("SELECT 1 FROM vector_segments") == []


async def test_what_is_dropped_while_it_moves_is_not_found_again(tmp_path: Path) -> None:
    vectors = clustered(np.random.default_rng(4), 5_000)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        library = Library(storage)
        for n in range(50):
            await library.put(f"file{n}", vectors[n * 100 : n * 100 + 100])
        async with asyncio.TaskGroup() as group:
            for n in range(0, 50, 2):
                library.forget(f"file{n}")
                group.create_task(storage.passages.drop(OWNER, "documents", document=f"file{n}"))
                group.create_task(storage.passages.nearest(DOCUMENTS, "e", vectors[n], 10))
            group.create_task(storage.passages.tend())
        await check_places(storage, library)
        assert await library.recall(vectors[100:4_000:100]) >= 0.95


class Disturbed(TimedDatabase):
    """Before each of its batches, or of those queries, somebody else's comes through."""

    def __init__(self, database: Database, query: str = "") -> None:
        super().__init__(database, lambda _: None)
        self.before: Callable[[], Awaitable[None]] | None = None
        self._query, self._fetch = query, database.fetch
        if query:
            self.fetch = self._disturbed

    async def _disturbed(self, sql: str, **args: object) -> list[Row]:
        if self.before is not None and sql == self._query:
            await self.before()
        return await self._fetch(sql, **args)

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        if self.before is not None and not self._query:
            await self.before()
        return await super().batch(statements)


def disturbed(storage: Storage, query: str = "") -> tuple[Disturbed, StoredPassages]:
    """What others come between, and the passages on it."""
    database = Disturbed(storage.database, query)
    index = index_on(database)
    cleaning = Cleaning(database=storage.database, index=index)
    return database, StoredPassages(database=database, index=index, cleaning=cleaning)


@pytest.mark.slow
@pytest.mark.long
async def test_vectors_come_into_cells_though_some_are_dropped_all_the_time(tmp_path: Path) -> None:
    vectors = clustered(np.random.default_rng(6), 6_000)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        library = Library(storage)
        (database, kept), others = disturbed(storage), storage.passages
        library.storage = replace(storage, passages=kept)
        for n in range(60):
            await library.put(f"file{n}", vectors[n * 100 : n * 100 + 100])
        newest = iter(range(59, -1, -1))

        async def drop_newest() -> None:
            document = f"file{next(newest)}"
            library.forget(document)
            await others.drop(OWNER, "documents", document=document)

        database.before = drop_newest
        await kept.tend()
        database.before = None
        (waiting,) = await storage.database.fetch("SELECT COUNT(*) AS waiting FROM passage_vectors")
        assert len(library.rows) > 3_000
        assert waiting["waiting"] < 512
        await check_places(storage, library)
        assert await library.recall(vectors[:3_000:100]) >= 0.95


async def misplaced(storage: Storage, embedder: str = "e") -> float:
    """The share of its vectors that another cell than their own is clearly nearer to."""
    cells = await storage.database.fetch(
        "SELECT cell, centroid FROM vector_cells WHERE embedder = (SELECT number FROM embedders WHERE name = :name)",
        name=embedder,
    )
    centroids = np.array([np.frombuffer(row["centroid"], "<f4") for row in cells])
    place = {row["cell"]: at for at, row in enumerate(cells)}
    wrong, all_of_them = 0, 0
    for row in await storage.database.fetch("SELECT cell, data FROM vector_segments"):
        if row["cell"] not in place:
            continue
        vectors = decoded(living(rows_of(row["data"], DIMENSIONS)))
        squares = ((vectors[:, None] - centroids) ** 2).sum(axis=2)
        wrong += int((squares.min(axis=1) < 0.97 * squares[:, place[row["cell"]]]).sum())
        all_of_them += len(vectors)
    return wrong / all_of_them


async def test_vectors_settle_in_the_nearest_cell_after_others_replaced_them(tmp_path: Path) -> None:
    vectors = clustered(np.random.default_rng(7), 6_000)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        library = Library(storage)
        for n in range(60):
            await library.put(f"file{n}", vectors[n * 100 : n * 100 + 100])
        await storage.passages.tend()
        for seed in range(8, 12):
            drifted = clustered(np.random.default_rng(seed), 1_500, centres=20)
            for n in range(15):
                await library.put(f"file{n * 4 + seed % 4}", drifted[n * 100 : n * 100 + 100])
            await storage.passages.tend()
        assert await misplaced(storage) < 0.2
        await check_places(storage, library)


async def test_what_is_to_settle_is_known_after_every_new_start(tmp_path: Path) -> None:
    """Little comes each time, too little to settle for: after a while it is settled all the same."""
    vectors = clustered(np.random.default_rng(7), 6_000)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        library = Library(storage)
        for n in range(60):
            await library.put(f"file{n}", vectors[n * 100 : n * 100 + 100])
        await storage.passages.tend()
    drifted = clustered(np.random.default_rng(8), 6_000, centres=20)
    for day in range(10):
        async with open_storage(Settings(data_dir=tmp_path)) as storage:
            library.storage = storage
            for n in range(day * 6, day * 6 + 6):
                await library.put(f"file{n}", drifted[n * 100 : n * 100 + 100])
            await storage.passages.tend()
            if day == 9:
                assert await misplaced(storage) < 0.2
                await check_places(storage, library)


@pytest.mark.slow
@pytest.mark.long
async def test_each_embedder_has_its_own_to_settle(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        still, moving = Library(storage, "e"), Library(storage, "f")
        for seed, library in ((7, still), (8, moving)):
            vectors = clustered(np.random.default_rng(seed), 6_000)
            for n in range(60):
                await library.put(f"{library.embedder}{n}", vectors[n * 100 : n * 100 + 100])
        await storage.passages.tend()
        before = await placed(storage, "e")
        for seed in range(8, 12):
            drifted = clustered(np.random.default_rng(seed), 1_500, centres=20)
            for n in range(15):
                await moving.put(f"f{n * 4 + seed % 4}", drifted[n * 100 : n * 100 + 100])
            await storage.passages.tend()
        assert await placed(storage, "e") == before
        assert await misplaced(storage, "f") < 0.2


async def placed(storage: Storage, embedder: str) -> int:
    """How often its cells changed."""
    (row,) = await storage.database.fetch("SELECT generation FROM embedders WHERE name = :name", name=embedder)
    return int(row["generation"])


@pytest.mark.parametrize("forgotten", [True, False], ids=["the embedder", "each document"])
@pytest.mark.parametrize(
    "query",
    [SELECT_SAMPLE, SELECT_VECTORS, SELECT_CELLS, SELECT_SEGMENTS],
    ids=["sample", "vectors", "cells", "segments"],
)
async def test_all_may_be_dropped_in_the_middle_of_a_step(tmp_path: Path, query: str, forgotten: bool) -> None:
    vectors = clustered(np.random.default_rng(5), 4_200)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        database, kept = disturbed(storage, query)
        library = Library(replace(storage, passages=kept))

        async def drop() -> None:
            database.before = None
            if forgotten:
                await storage.passages.forget_embedder("e")
            else:
                await storage.passages.drop(OWNER, "documents")

        for n in range(42):
            await library.put(f"file{n}", vectors[n * 100 : n * 100 + 100])
        if query == SELECT_SEGMENTS:
            await kept.tend()
            for n in range(6):
                await library.put(f"file{n}", vectors[n * 100 : n * 100 + 100])
        database.before = drop
        await kept.tend()
        assert database.before is None
        assert await kept.nearest(DOCUMENTS, "e", vectors[0], 10) == []
        library.rows.clear()
        await library.put("file0", vectors[:100])
        assert len(await kept.nearest(DOCUMENTS, "e", vectors[0], 10)) == 10
