"""Nearest passages among many: how soon, how surely, in how much memory and disk, beside a plain scan in the same run.

    python bench/vectors.py [--vectors N] [--queries N] [--short] [--chroma PYTHON] [--keep FOLDER] [--postgres]

`--postgres` keeps them in a PostgreSQL server started for it, or in the empty database that PORTAL_DATABASE names.

Vectors have 384 dimensions and lie in clusters of a curved space of fewer. `--chroma` names a Python that has chromadb,
for the same vectors there. Times are medians; the ratio is to a numpy scan of all float32 vectors just before.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from portal.core.passages import Within
from portal.settings import load_settings
from portal.storage.backups.data_files import DATABASE_NAME
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER, passage

DIMENSIONS, LATENT, DOCUMENT, GROUPS = 384, 32, 100, 100
FILTER = {"type": "eq", "key": "shelf", "value": 7}
TABLES = ("passage_vectors", "passage_places", "vector_segments", "vector_cells")
DISK = {
    "sqlite": "SELECT SUM(pgsize) AS size FROM dbstat WHERE name LIKE :name",
    "postgres": "SELECT pg_total_relation_size(to_regclass(:table)) AS size",
}
POSTGRES_TABLES = ("passage_vectors", "passage_near")
CHROMA = """
import json, sys, time, numpy as np, chromadb
folder, size = sys.argv[1], int(sys.argv[2])
vectors, queries = np.load(folder + "/vectors.npy", mmap_mode="r")[:size], np.load(folder + "/queries.npy")
truth, narrow = np.load(folder + "/truth.npy"), np.load(folder + "/narrow.npy")
made = chromadb.PersistentClient(path=folder + "/chroma").create_collection("bench", metadata={"hnsw:space": "cosine"})
began = time.perf_counter()
for at in range(0, size, 5000):
    ids = [str(n) for n in range(at, min(at + 5000, size))]
    shelves = [{"shelf": int(n) // 100 % 100} for n in ids]
    made.add(ids=ids, embeddings=vectors[at : at + 5000].tolist(), metadatas=shelves)
built = time.perf_counter() - began
def run(where, right):
    times, hits = [], 0
    for query, known in zip(queries, right):
        began = time.perf_counter()
        found = made.query(query_embeddings=[query.tolist()], n_results=10, where=where, include=[])["ids"][0]
        times.append((time.perf_counter() - began) * 1000)
        hits += len({int(one) for one in found} & set(known.tolist()))
    return [float(np.median(times)), hits / (10 * len(queries))]
print(json.dumps({"built": built, "all": run(None, truth), "1 %": run({"shelf": 7}, narrow)}))
"""


class Space:
    """Where the vectors come from."""

    def __init__(self, size: int, seed: int) -> None:
        dice = np.random.default_rng(1)
        self._map = dice.normal(size=(LATENT, DIMENSIONS)).astype(np.float32) / np.sqrt(LATENT)
        self._centres = np.random.default_rng(seed).normal(size=(max(size // 500, 10), LATENT)).astype(np.float32)

    def some(self, count: int, seed: int) -> Any:
        dice = np.random.default_rng(seed)
        made = np.empty((count, DIMENSIONS), np.float32)
        for at in range(0, count, 50_000):
            size = min(50_000, count - at)
            latent = self._centres[dice.integers(0, len(self._centres), size)]
            latent = latent + 0.6 * dice.standard_normal((size, LATENT), np.float32)
            rows = np.tanh(latent @ self._map) + 0.1 * dice.standard_normal((size, DIMENSIONS), np.float32)
            made[at : at + size] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return made


def scan(vectors: Any, queries: Any) -> float:
    """Median milliseconds of finding the ten really nearest among all."""
    times = []
    for query in queries:
        began = time.perf_counter()
        scores = vectors @ query
        np.argpartition(-scores, 10)[:10]
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def really_nearest(vectors: Any, queries: Any, numbers: Any) -> Any:
    """The ten of each query, among the vectors of these numbers."""
    best, scores = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    for at in range(0, len(numbers), 20_000):
        some = numbers[at : at + 20_000]
        best = np.concatenate([best, np.broadcast_to(some, (len(queries), len(some)))], axis=1)
        scores = np.concatenate([scores, queries @ vectors[some].T], axis=1)
        top = np.argsort(-scores, axis=1)[:, :10]
        best, scores = np.take_along_axis(best, top, 1), np.take_along_axis(scores, top, 1)
    return best


def shelves(size: int) -> Any:
    return np.arange(size) // DOCUMENT % GROUPS


async def put(storage: Storage, vectors: Any, documents: Any) -> None:
    """Documents of a hundred passages each, a few at once."""
    gate = asyncio.Semaphore(8)

    async def one(document: int) -> None:
        async with gate:
            places = range(document * DOCUMENT, min((document + 1) * DOCUMENT, len(vectors)))
            shelf, name = document % GROUPS, f"file_{document}"
            pieces = [
                passage(f"n{at}", id=f"chunk_{at}", document=name, group=f"vs_{shelf}", position=at, created_at=at)
                for at in places
            ]
            rows = vectors[places.start : places.stop]
            attributes = {"shelf": shelf}
            await storage.passages.replace(
                OWNER, "documents", name, pieces, embedder="e", vectors=rows, attributes=attributes
            )

    for at in range(0, len(documents), 200):
        async with asyncio.TaskGroup() as group:
            for document in documents[at : at + 200]:
                group.create_task(one(int(document)))
    await storage.passages.tend()


async def disk(storage: Storage) -> float:
    """Megabytes of vectors."""
    dialect = storage.database.dialect
    tables = TABLES if dialect == "sqlite" else POSTGRES_TABLES
    sizes = [await storage.database.fetch(DISK[dialect], name=f"{table}%", table=table) for table in tables]
    return float(sum(int(rows[0]["size"] or 0) for rows in sizes) / 1e6)


async def measured(folder: Path, size: int) -> dict[str, Any]:
    """In a process of its own, so that its memory is only the search's."""
    queries, truth, narrow = (np.load(folder / f"{name}.npy") for name in ("queries", "truth", "narrow"))
    documents = Within(owner=OWNER, space="documents")
    places = {
        "all": (documents, truth),
        "1 % by group": (Within(owner=OWNER, space="documents", groups=["vs_7"]), narrow),
        "1 % by attribute": (Within(owner=OWNER, space="documents", filters=FILTER), narrow),
    }
    figures: dict[str, Any] = {}
    async with open_storage(load_settings({"data_dir": folder})) as storage:
        _ = queries[:2] @ queries[0]
        before = psutil.Process().memory_info().rss
        for name, (within, right) in places.items():
            times, found, worked = [], 0, time.process_time()
            for query, known in zip(queries, right, strict=True):
                began = time.perf_counter()
                hits = await storage.passages.nearest(within, "e", query, 10)
                times.append((time.perf_counter() - began) * 1000)
                found += len({int(hit.id.split("_")[1]) for hit in hits} & set(known.tolist()))
            times.sort()
            worked = (time.process_time() - worked) * 1000 / len(queries)
            late = times[int(len(times) * 0.95)]
            figures[name] = [statistics.median(times), late, worked, found / (10 * len(queries))]
        figures["memory"] = (psutil.Process().memory_info().rss - before) / 2**20
        figures["disk"] = await disk(storage)
    return figures


def in_another_process(folder: Path, size: int) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(
        run(sys.executable, __file__, "--measure", str(folder), "--vectors", str(size))
    )
    return figures


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def report(name: str, figures: dict[str, Any], linear: float) -> None:
    print(f"\n{name}: {figures['disk']:.0f} MB of vectors on disk, {figures['memory']:.0f} MiB of memory more")
    for what in ("all", "1 % by group", "1 % by attribute"):
        middle, late, worked, recall = figures[what]
        times = f"p50 {middle:6.2f} ms, p95 {late:6.2f} ms, {worked:6.2f} ms of work, {middle / linear:6.3f} of a scan"
        print(f"  {what:18} {times}, recall {recall:.3f}", flush=True)


def truths(folder: Path, vectors: Any, queries: Any) -> float:
    """Write what is right; milliseconds of a scan."""
    numbers = np.arange(len(vectors))
    truth = really_nearest(vectors, queries, numbers)
    narrow = really_nearest(vectors, queries, numbers[shelves(len(vectors)) == 7])
    for name, array in {"queries": queries, "truth": truth, "narrow": narrow}.items():
        np.save(folder / f"{name}.npy", array)
    return scan(vectors, queries[:20])


async def main(arguments: argparse.Namespace, folder: Path) -> None:
    size, space = arguments.vectors, Space(arguments.vectors, 2)
    vectors, queries = space.some(size, 3), space.some(arguments.queries, 4)
    linear = truths(folder, vectors, queries)
    print(f"{size} vectors; a scan of all: {linear:.2f} ms")
    began = time.perf_counter()
    async with open_storage(load_settings({"data_dir": folder})) as storage:
        await put(storage, vectors, np.arange(-(-size // DOCUMENT)))
    file = folder / DATABASE_NAME
    print(
        f"stored in {time.perf_counter() - began:.0f} s"
        + (f", {file.stat().st_size / 1e6:.0f} MB in all" if file.exists() else "")
    )
    report("as stored", in_another_process(folder, size), linear)
    if arguments.chroma:
        np.save(folder / "vectors.npy", vectors)
        print("chroma:", run(arguments.chroma, "-c", CHROMA, str(folder), str(size)), flush=True)

    replaced = np.random.default_rng(5).permutation(size // DOCUMENT)[: size // DOCUMENT * 3 // 10]
    drifted, began = Space(size, 6), time.perf_counter()
    for document, rows in zip(
        replaced, np.split(drifted.some(len(replaced) * DOCUMENT, 7), len(replaced)), strict=True
    ):
        vectors[document * DOCUMENT : (document + 1) * DOCUMENT] = rows
    async with open_storage(load_settings({"data_dir": folder})) as storage:
        await put(storage, vectors, replaced)
    print(f"\n30 % replaced by others in {time.perf_counter() - began:.0f} s")
    half = len(queries) // 2
    queries = np.concatenate([queries[:half], drifted.some(half, 8)])
    linear = truths(folder, vectors, queries)
    report("after that", in_another_process(folder, size), linear)


def started(arguments: argparse.Namespace, folder: Path) -> None:
    """With the database that is asked for."""
    if not arguments.postgres or "PORTAL_DATABASE" in os.environ:  # noqa: TID251
        return asyncio.run(main(arguments, folder))
    from portal.testing.postgres import postgres_server

    with postgres_server() as server:
        os.environ["PORTAL_DATABASE"] = server.database()  # noqa: TID251 -- also for the process that measures
        asyncio.run(main(arguments, folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--short", action="store_true", help="20,000 vectors, 50 queries")
    parser.add_argument("--chroma", help="a Python that has chromadb")
    parser.add_argument("--keep", type=Path, help="put the data there and leave it")
    parser.add_argument("--postgres", action="store_true", help="in PostgreSQL instead of SQLite")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.short:
        parsed.vectors, parsed.queries = 20_000, 50
    if parsed.measure:
        print(json.dumps(asyncio.run(measured(parsed.measure, parsed.vectors))))
    elif parsed.keep:
        parsed.keep.mkdir(parents=True, exist_ok=True)
        started(parsed, parsed.keep)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            started(parsed, Path(temporary))
