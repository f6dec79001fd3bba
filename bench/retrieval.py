"""How well documents are found: nDCG@10 and recall@10 over collections with judged queries.

    python bench/retrieval.py --data FOLDER [--data FOLDER ...] [--quick] [--cache FOLDER] [--queries N]

A folder has docs.jsonl {id, title?, text}, queries.jsonl {id, text} and qrels.jsonl {query_id, doc_id, rel}. Without
--quick every document is uploaded and every query sent through the public API of a Portal started for it; with it, the
index and the search are used directly, and words and vectors alone are measured beside them.
"""

import argparse
import asyncio
import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from portal.core.documents import Block, Extracted
from portal.core.passages import Found, Hit, Passage, Within
from portal.knowledge.chunks import cut
from portal.knowledge.minilm import MiniLM
from portal.knowledge.search import HybridSearch
from portal.settings import Settings
from portal.storage.open import Storage, open_storage
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import OWNER

DEPTH = 10
PASSAGES = 50
"""Asked for, so that there are ten documents among them."""
BATCH = 500


@dataclass(frozen=True)
class Collection:
    name: str
    documents: Mapping[str, str]
    titles: Mapping[str, str]
    queries: Mapping[str, str]
    judged: Mapping[str, Mapping[str, float]]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def collection(folder: Path, most: int) -> Collection:
    """What a folder holds; of the queries that have an answer, `most` at even distances."""
    judged: dict[str, dict[str, float]] = {}
    for row in lines(folder / "qrels.jsonl"):
        if row["rel"] > 0:
            judged.setdefault(str(row["query_id"]), {})[str(row["doc_id"])] = row["rel"]
    docs = lines(folder / "docs.jsonl")
    queries = {str(row["id"]): row["text"] for row in lines(folder / "queries.jsonl") if str(row["id"]) in judged}
    ids = [*queries][:: max(len(queries) // most, 1)][:most]
    return Collection(
        name=folder.name,
        documents={str(row["id"]): row["text"] for row in docs},
        titles={str(row["id"]): row.get("title") or "" for row in docs},
        queries={one: queries[one] for one in ids},
        judged=judged,
    )


def ndcg(ranked: Sequence[str], judged: Mapping[str, float]) -> float:
    gain = sum(judged.get(one, 0) / math.log2(place + 2) for place, one in enumerate(ranked[:DEPTH]))
    best = sorted(judged.values(), reverse=True)[:DEPTH]
    return gain / sum(value / math.log2(place + 2) for place, value in enumerate(best))


def recall(ranked: Sequence[str], judged: Mapping[str, float]) -> float:
    return len(set(ranked[:DEPTH]) & judged.keys()) / min(len(judged), DEPTH)


def told(way: str, found: Collection, ranked: Mapping[str, Sequence[str]], seconds: float) -> None:
    scores = [ndcg(ranked[one], found.judged[one]) for one in found.queries]
    shares = [recall(ranked[one], found.judged[one]) for one in found.queries]
    count = len(scores)
    print(
        f"{found.name:14} {way:12} nDCG@10 {sum(scores) / count:.4f}  recall@10 {sum(shares) / count:.4f}  "
        f"{count} queries, {seconds * 1000 / count:.1f} ms each",
        flush=True,
    )


# ---------------------------------------------------------------------- through the public API


async def uploaded(client: httpx.AsyncClient, found: Collection) -> tuple[str, dict[str, str]]:
    """A store with every document, once all are read; its id, and the document of each file."""
    store = (await client.post("/v1/vector_stores", json={"name": found.name})).raise_for_status().json()["id"]
    files: dict[str, str] = {}
    for one, text in found.documents.items():
        title = found.titles[one]
        body = f"# {title}\n\n{text}" if title else text
        sent = {"file": (f"{len(files)}.md", body.encode() or b" ")}
        answer = await client.post("/v1/files", files=sent, data={"purpose": "assistants"})
        files[answer.raise_for_status().json()["id"]] = one
    ids = [*files]
    for start in range(0, len(ids), BATCH):
        batch = {"file_ids": ids[start : start + BATCH]}
        (await client.post(f"/v1/vector_stores/{store}/file_batches", json=batch)).raise_for_status()
    while True:
        counts = (await client.get(f"/v1/vector_stores/{store}")).json()["file_counts"]
        if not counts["in_progress"]:
            print(f"{found.name}: {counts}", flush=True)
            return store, files
        await asyncio.sleep(1)


async def through_the_api(portal: TestPortal, found: Collection) -> None:
    async with httpx.AsyncClient(base_url=portal.url, headers=portal.headers, timeout=600) as client:
        store, files = await uploaded(client, found)
        ranked: dict[str, Sequence[str]] = {}
        began = time.perf_counter()
        for one, text in found.queries.items():
            body = {"query": text, "max_num_results": PASSAGES}
            answer = (await client.post(f"/v1/vector_stores/{store}/search", json=body)).raise_for_status().json()
            ranked[one] = list(dict.fromkeys(files[row["file_id"]] for row in answer["data"]))
        told("public API", found, ranked, time.perf_counter() - began)


# ---------------------------------------------------------------------- directly


def passages(found: Collection) -> list[list[Passage]]:
    """Of each document, cut as those that are uploaded."""
    made = []
    for document, text in found.documents.items():
        title = found.titles[document]
        whole = f"{title}\n\n{text}" if title else text
        start = len(whole) - len(text)
        blocks = [Block("heading", 0, len(title), level=1)] if title else []
        blocks += [Block("text", start, len(whole))] if text else []
        pieces = cut(Extracted(text=whole, blocks=blocks)) if whole else []
        made.append(
            [
                Passage(
                    id=f"chunk_{found.name}_{document}_{position}",
                    owner=OWNER,
                    space="documents",
                    group=found.name,
                    document=document,
                    position=position,
                    text=piece.text,
                    heading=piece.heading,
                    start=piece.start,
                    end=piece.end,
                    created_at=1,
                )
                for position, piece in enumerate(pieces)
            ]
        )
    return made


async def indexed(storage: Storage, embedder: MiniLM, found: Collection, cache: Path) -> None:
    """With vectors, which are kept in a file from one run to the next."""
    import numpy as np

    made = [one for one in passages(found) if one]
    texts = [one.told for document in made for one in document]
    if not cache.exists() or len(np.load(cache)) != len(texts):  # noqa: ASYNC240
        np.save(cache, np.concatenate([await embedder.embed(texts[at : at + 256]) for at in range(0, len(texts), 256)]))
    vectors, at = np.load(cache), 0
    for document in made:
        rows = vectors[at : at + len(document)]
        at += len(document)
        await storage.passages.replace(
            OWNER, "documents", document[0].document, document, embedder=embedder.name, vectors=rows
        )


async def directly(found: Collection, cache: Path) -> None:
    embedder = MiniLM()
    with tempfile.TemporaryDirectory() as place:
        async with open_storage(Settings(data_dir=Path(place))) as storage:
            await indexed(storage, embedder, found, cache / f"{found.name}.npy")
            within = Within(owner=OWNER, space="documents", groups=[found.name])
            search = HybridSearch(passages=storage.passages, embedder=lambda: embedder)

            async def by_words(text: str) -> Sequence[Hit]:
                return await storage.passages.words(within, text, PASSAGES)

            async def by_vectors(text: str) -> Sequence[Hit]:
                return await storage.passages.nearest(
                    within, embedder.name, (await embedder.embed([text]))[0], PASSAGES
                )

            async def hybrid(text: str) -> Sequence[Found]:
                return await search.search(within, text, limit=PASSAGES)

            for way, find in (("words", by_words), ("vectors", by_vectors), ("hybrid", hybrid)):
                ranked: dict[str, Sequence[str]] = {}
                began = time.perf_counter()
                for one, text in found.queries.items():
                    ranked[one] = list(dict.fromkeys(document_of(hit) for hit in await find(text)))
                told(way, found, ranked, time.perf_counter() - began)


def document_of(hit: Hit | Found) -> str:
    return hit.passage.document if isinstance(hit, Found) else hit.id.split("_", 2)[2].rpartition("_")[0]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--quick", action="store_true", help="use index and search directly")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()), help="where --quick keeps vectors")
    parser.add_argument("--queries", type=int, default=1000, help="at most so many of each collection")
    chosen = parser.parse_args()
    for folder in chosen.data:
        found = collection(folder, chosen.queries)
        if chosen.quick:
            await directly(found, chosen.cache)
            continue
        with tempfile.TemporaryDirectory() as place:
            async with open_test_portal(Path(place) / "data", embedder=MiniLM()) as portal:
                await through_the_api(portal, found)


if __name__ == "__main__":
    asyncio.run(main())
