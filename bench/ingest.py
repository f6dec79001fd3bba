"""How fast documents are read into a collection, and what memory that takes, through the server's own API.

    python bench/ingest.py --documents 10000 --paragraphs 3 [--words]

`--words` leaves vectors out: what remains is queue, reading, cutting and storage.
"""

import argparse
import asyncio
import io
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time

import openai
import psutil

from portal.core.passages import Embedder
from portal.knowledge.minilm import MiniLM
from portal.testing.portal import TestPortal, open_test_portal

WORDS = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8").split()
BATCH = 500


def texts(count: int, paragraphs: int) -> Iterator[str]:
    """Documents of words in random order, about a passage a paragraph."""
    chance = random.Random(5)
    for number in range(count):
        yield f"# Paper {number}\n\n" + "\n\n".join(" ".join(chance.choices(WORDS, k=90)) for _ in range(paragraphs))


def megabytes() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


async def add(client: openai.AsyncOpenAI, store: str, some: list[str]) -> None:
    files = []
    for text in some:
        sent = ("paper.md", io.BytesIO(text.encode()))
        files.append((await client.files.create(file=sent, purpose="user_data")).id)
    await client.vector_stores.file_batches.create(store, file_ids=files)


async def measure(portal: TestPortal, count: int, paragraphs: int) -> None:
    async with openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key) as client:
        store = (await client.vector_stores.create(name="bench")).id
        waiting = list(texts(count, paragraphs))
        for start in range(0, count, BATCH):
            began, worked = perf_counter(), process_time()
            await add(client, store, waiting[start : start + BATCH])
            uploaded = perf_counter()
            while (await client.vector_stores.retrieve(store)).file_counts.in_progress:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            done = perf_counter()
            counted = await portal.portal.storage.database.fetch("SELECT COUNT(*) AS n FROM passages")
            print(
                f"{start + BATCH:6} documents, {counted[0]['n']:6} passages: {uploaded - began:5.1f} s uploading, "
                f"{done - began:5.1f} s until read, {process_time() - worked:5.1f} s of work, {megabytes():5.0f} MB",
                flush=True,
            )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--paragraphs", type=int, default=3)
    parser.add_argument("--words", action="store_true")
    asked = parser.parse_args()
    embedder: Embedder | None = None if asked.words else MiniLM()
    with tempfile.TemporaryDirectory() as folder:
        async with open_test_portal(Path(folder) / "data", embedder=embedder) as portal:
            await measure(portal, asked.documents, asked.paragraphs)


asyncio.run(main())
