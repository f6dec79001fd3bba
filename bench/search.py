"""How long a search of documents takes, through the server's own API and with the embedding of the question.

    python bench/search.py [--passages N] [--queries N]

Passages have the words of Portal's manual, each as often as it is there, and one in twenty is of a made-up language;
their vectors lie in clusters. Questions are some of those words, embedded by the embedded embedder. Work is processor
time of the whole server, for each question. `--keep` leaves the data there, to be searched again.
"""

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from bench.vectors import DOCUMENT, Space

from portal.knowledge.minilm import MiniLM
from portal.storage.open import Storage
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import passage

MANUAL = Path(__file__).parent.parent / "docs"
INVENTED, RARE, LENGTH, ASKED = 30_000, 0.05, 90, 8
SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]


class Language:
    """Texts whose words are as common or rare as they are in real ones."""

    def __init__(self, seed: int) -> None:
        self._dice = np.random.default_rng(seed)
        known = Counter(
            re.findall(r"[a-z]+", " ".join(path.read_text() for path in sorted(MANUAL.glob("*.md"))).lower())
        )
        invented = ["".join(self._dice.choice(SYLLABLES, 3 + n % 3)) for n in range(INVENTED)]
        self._words = np.array([*known, *invented])
        often, seldom = np.array(list(known.values())), 1 / np.arange(2, INVENTED + 2)
        self._shares = np.concatenate([often / often.sum() * (1 - RARE), seldom / seldom.sum() * RARE])

    def text(self, length: int) -> str:
        return " ".join(self._dice.choice(self._words, length, p=self._shares))


async def collected(client: httpx.AsyncClient, count: int) -> str:
    """A collection of so many documents that say next to nothing."""
    store = (await client.post("/v1/vector_stores", json={"name": "bench"})).raise_for_status().json()["id"]
    sent = [{"file": (f"{number}.txt", f"Paper {number}".encode())} for number in range(count)]
    answers = [await client.post("/v1/files", files=one, data={"purpose": "user_data"}) for one in sent]
    files = [answer.raise_for_status().json()["id"] for answer in answers]
    for at in range(0, count, 500):
        await client.post(f"/v1/vector_stores/{store}/file_batches", json={"file_ids": files[at : at + 500]})
    while (await client.get(f"/v1/vector_stores/{store}")).json()["file_counts"]["completed"] < count:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    return store


async def fill(portal: TestPortal, store: str) -> None:
    """A hundred passages for each document, in place of what was read."""
    storage: Storage = portal.portal.storage
    documents = await storage.database.fetch("SELECT document FROM passages GROUP BY document")
    language, space, embedder = Language(1), Space(len(documents) * DOCUMENT, 2), MiniLM.name
    for number, file in enumerate(row["document"] for row in documents):
        place = {"owner": portal.owner, "group": store, "document": file}
        pieces = [passage(language.text(LENGTH), **place, position=at) for at in range(DOCUMENT)]
        vectors = space.some(DOCUMENT, 1000 + number)
        await storage.passages.replace(portal.owner, "documents", file, pieces, embedder=embedder, vectors=vectors)
    await storage.passages.tend()


async def ask(client: httpx.AsyncClient, address: str, question: str) -> float:
    began = time.perf_counter()
    answer = await client.post(address, json={"query": question})
    assert answer.raise_for_status().json()["data"]
    return (time.perf_counter() - began) * 1000


async def measure(portal: TestPortal, count: int, queries: int) -> None:
    async with httpx.AsyncClient(base_url=portal.url, headers=portal.headers, timeout=600) as client:
        stores = (await client.get("/v1/vector_stores")).raise_for_status().json()["data"]
        began = time.perf_counter()
        store = stores[0]["id"] if stores else await collected(client, count // DOCUMENT)
        if not stores:
            await fill(portal, store)
            print(f"{count} passages stored in {time.perf_counter() - began:.0f} s", flush=True)
        language = Language(1)
        for address in ("/portal/v1/knowledge/search", f"/v1/vector_stores/{store}/search"):
            await ask(client, address, language.text(ASKED))  # loads the model
            work = time.process_time()
            times = sorted([await ask(client, address, language.text(ASKED)) for _ in range(queries)])
            work = (time.process_time() - work) * 1000 / queries
            late = times[int(queries * 0.95)]
            print(f"{address:40} p50 {statistics.median(times):.1f} ms, p95 {late:.1f} ms, {work:.1f} ms of work")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="put the data there and leave it, or search what is there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary) / "data"
        async with open_test_portal(folder, embedder=MiniLM()) as portal:
            await measure(portal, asked.passages, asked.queries)


if __name__ == "__main__":
    asyncio.run(main())
