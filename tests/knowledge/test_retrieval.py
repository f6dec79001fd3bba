"""Sixty documents in seven languages, found by questions in other words, with what an installation brings."""

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from portal.core.passages import Passage, Within
from portal.knowledge.minilm import MiniLM
from portal.knowledge.search import HybridSearch
from portal.settings import Settings
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER

FIXTURES = Path(__file__).parents[1] / "fixtures" / "retrieval"
WITHIN = Within(owner=OWNER, space="documents")
Find = Callable[[str], Awaitable[Sequence[str]]]


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FIXTURES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def embedder() -> MiniLM:
    return MiniLM()


@pytest.fixture(params=["sqlite", "postgres"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path, embedder: MiniLM) -> AsyncIterator[Storage]:
    url = request.getfixturevalue("postgres").database() if request.param == "postgres" else ""
    async with open_storage(Settings(data_dir=tmp_path, database=url)) as opened:
        for row in lines("docs"):
            one = Passage(
                id=f"chunk_{row['id']}",
                owner=OWNER,
                space="documents",
                group="vs_1",
                document=row["id"],
                heading=(row["title"],),
                text=row["text"],
                created_at=1,
            )
            vectors = await embedder.embed([one.told])
            await opened.passages.replace(OWNER, "documents", row["id"], [one], embedder=embedder.name, vectors=vectors)
        yield opened


async def ndcg(find: Find) -> float:
    """At 10; every question has one document."""
    wanted = {row["query_id"]: row["doc_id"] for row in lines("qrels")}
    gains = []
    for query in lines("queries"):
        found = list(await find(query["text"]))[:10]
        place = found.index(wanted[query["id"]]) if wanted[query["id"]] in found else math.inf
        gains.append(1 / math.log2(place + 2))
    return sum(gains) / len(gains)


async def test_questions_find_their_document_and_never_worse_than_either_way_alone(
    storage: Storage, embedder: MiniLM
) -> None:
    search = HybridSearch(passages=storage.passages, embedder=lambda: embedder)

    async def words(text: str) -> Sequence[str]:
        return [hit.id.removeprefix("chunk_") for hit in await storage.passages.words(WITHIN, text, 10)]

    async def vectors(text: str) -> Sequence[str]:
        (vector,) = await embedder.embed([text])
        near = await storage.passages.nearest(WITHIN, embedder.name, vector, 10)
        return [hit.id.removeprefix("chunk_") for hit in near]

    async def together(text: str) -> Sequence[str]:
        return [one.passage.document for one in await search.search(WITHIN, text)]

    reached, by_words = await ndcg(together), await ndcg(words)
    assert reached >= 0.96
    assert by_words == pytest.approx(0.836, abs=0.02)  # by either engine
    assert reached >= max(by_words, await ndcg(vectors)) - 0.02


async def test_what_is_told_unasked_bears_on_the_question(storage: Storage, embedder: MiniLM) -> None:
    search = HybridSearch(passages=storage.passages, embedder=lambda: embedder)
    wanted = {row["query_id"]: row["doc_id"] for row in lines("qrels")}
    chat = [
        "Hello, how are you today?",
        "Tell me a joke",
        "Write a poem about my grandmother",
        "Translate 'good morning' into Polish",
        "thanks, that was great!",
        "What is the capital of Mongolia?",
        "Write a Python function that reverses a string",
    ]

    told = [
        wanted[query["id"]] in [one.passage.document for one in await search.relevant(WITHIN, query["text"])]
        for query in lines("queries")
    ]
    unasked = [await search.relevant(WITHIN, text) for text in chat]

    assert sum(told) / len(told) >= 0.9
    assert sum(bool(found) for found in unasked) <= 1
