"""What is found, and in which order: over a real index, with an embedder that needs no weights."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from portal.core.model import Relevances
from portal.core.passages import Found, Hit, Passage, Reranker, Within
from portal.errors import BackendUnavailable, BadRequest
from portal.knowledge.ranking import distinct, joined, weighed
from portal.knowledge.relevance import bears
from portal.knowledge.rerankers import LikenessReranker, ModelReranker
from portal.knowledge.search import HybridSearch
from portal.settings import Settings
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER, STRANGER

from .bag import BagEmbedder

EVERYTHING = Within(owner=OWNER, space="documents")


def passage(text: str, document: str = "doc_1", position: int = 0, **fields: object) -> Passage:
    known = {"owner": OWNER, "space": "documents", "group": "vs_1", "created_at": 1}
    identity = f"chunk_{document}_{position}"
    return Passage(**{**known, "id": identity, "document": document, "position": position, "text": text, **fields})  # type: ignore[arg-type]


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(Settings(data_dir=tmp_path)) as opened:
        yield opened


@pytest.fixture
def embedder() -> BagEmbedder:
    return BagEmbedder()


@pytest.fixture
def search(storage: Storage, embedder: BagEmbedder) -> HybridSearch:
    return HybridSearch(passages=storage.passages, embedder=lambda: embedder)


async def put(storage: Storage, embedder: BagEmbedder | None, *texts: str, **fields: object) -> None:
    """Each text a document of its own."""
    for number, text in enumerate(texts):
        await put_document(storage, embedder, f"doc_{number}", text, **fields)


async def put_document(
    storage: Storage, embedder: BagEmbedder | None, document: str, *texts: str, **fields: object
) -> None:
    made = [passage(text, document, position, **fields) for position, text in enumerate(texts)]
    vectors = await embedder.embed([one.told for one in made]) if embedder else None
    name = embedder.name if embedder else ""
    await storage.passages.replace(OWNER, "documents", document, made, embedder=name, vectors=vectors)


def texts(found: Sequence[Found]) -> list[str]:
    return [one.passage.text for one in found]


CODE, CAR, STEW = "The door code is 4821.", "He sold his automobile.", "Stew needs two hours."


async def test_words_and_meaning_find_together(storage: Storage, search: HybridSearch, embedder: BagEmbedder) -> None:
    await put(storage, embedder, CODE, CAR, STEW)

    assert texts(await search.search(EVERYTHING, "what is the code of the door"))[0] == CODE
    assert texts(await search.search(EVERYTHING, "car"))[0] == CAR
    found = await search.search(EVERYTHING, "car", limit=2)
    assert len(found) == 2
    assert 1 >= found[0].score > found[1].score >= 0


async def test_without_an_embedder_words_find_alone(storage: Storage, embedder: BagEmbedder) -> None:
    await put(storage, None, CODE, CAR, STEW)
    bare = HybridSearch(passages=storage.passages, embedder=lambda: None)
    unembedded = HybridSearch(passages=storage.passages, embedder=lambda: embedder)
    embedder.away = True

    for search in (bare, unembedded):
        assert texts(await search.search(EVERYTHING, "the door code")) == [CODE]
        assert await search.search(EVERYTHING, "car") == []
    embedder.away = False
    assert texts(await unembedded.search(EVERYTHING, "the door code")) == [CODE]


async def test_a_model_that_changed_its_size_is_done_without_until_all_is_embedded_again(
    storage: Storage, search: HybridSearch, embedder: BagEmbedder
) -> None:
    await put(storage, embedder, CODE, CAR, STEW)
    of_another_size = np.eye(1, 5, dtype=np.float32)
    older = [passage(CODE, "doc_0")]
    await storage.passages.forget_embedder(embedder.name)
    await storage.passages.replace(OWNER, "documents", "doc_0", older, embedder=embedder.name, vectors=of_another_size)

    assert texts(await search.search(EVERYTHING, "the code")) == [CODE]
    assert await storage.passages.embedders() == {}
    with pytest.raises(BadRequest):
        await search.search(replace(EVERYTHING, filters={"type": "like"}), "the code")


async def test_passages_without_a_vector_are_found_beside_others(
    storage: Storage, search: HybridSearch, embedder: BagEmbedder
) -> None:
    await put(storage, embedder, CAR, STEW)
    await put_document(storage, None, "doc_new", CODE)

    assert texts(await search.search(EVERYTHING, "door code"))[0] == CODE


@pytest.mark.parametrize("query", ["", " \n", "?", "😀", "x", "the", '"AND (', "词", "a" * 8000, "code " * 3000])
async def test_any_text_is_safe(storage: Storage, search: HybridSearch, embedder: BagEmbedder, query: str) -> None:
    assert await search.search(EVERYTHING, query) == []  # nothing is there
    await put(storage, embedder, CODE, CAR)

    assert len(await search.search(EVERYTHING, query)) <= 2
    assert len(await search.relevant(EVERYTHING, query)) <= 1


async def test_nothing_is_looked_for_nowhere(storage: Storage, search: HybridSearch, embedder: BagEmbedder) -> None:
    await put(storage, embedder, CODE)
    embedder.asked.clear()

    assert await search.search(replace(EVERYTHING, groups=[]), "door") == []
    assert await search.search(EVERYTHING, "door", limit=0) == []
    assert embedder.asked == []
    assert await search.search(replace(EVERYTHING, owner=STRANGER), "door") == []
    with pytest.raises(BadRequest):
        await search.search(replace(EVERYTHING, filters={"type": "like"}), "door")


async def test_the_same_is_told_once_and_neighbours_as_one(
    storage: Storage, search: HybridSearch, embedder: BagEmbedder
) -> None:
    await put_document(storage, embedder, "doc_a", "Of doors.", CODE, "Nobody may know the code.")
    await put_document(storage, embedder, "doc_b", CODE.upper())

    found = await search.search(EVERYTHING, "door code", limit=3)

    best = found[0].passage
    assert best.text == f"Of doors.\n{CODE}\nNobody may know the code."
    assert best.id == "chunk_doc_a_1"
    assert [one.passage.document for one in found] == ["doc_a"]


async def test_what_does_not_bear_on_it_is_not_told(
    storage: Storage, search: HybridSearch, embedder: BagEmbedder
) -> None:
    await put(storage, embedder, CODE, CAR, STEW)

    assert texts(await search.relevant(EVERYTHING, "what is the code of the door?")) == [CODE]
    weak = {one.passage.text: one.weak for one in await search.search(EVERYTHING, "what is the code of the door?")}
    assert weak == {CODE: False, CAR: True, STEW: True}
    for chat in ("Good morning to you all", "Tell me a joke", "Write a poem about spring"):
        assert await search.relevant(EVERYTHING, chat) == []


async def test_without_an_embedder_the_share_of_words_decides(storage: Storage) -> None:
    await put(storage, None, "Die Kündigungsfrist beträgt drei Monate.", "大門的密碼是四八二一。", "Door 4821")
    search = HybridSearch(passages=storage.passages, embedder=lambda: None)

    assert len(await search.relevant(EVERYTHING, "Wie lang ist die Kündigungsfrist?")) == 1
    assert len(await search.relevant(EVERYTHING, "大門密碼")) == 1
    assert len(await search.relevant(EVERYTHING, "4821")) == 1
    assert await search.relevant(EVERYTHING, "Wie wird das Wetter am nächsten Monatsende in Berlin?") == []


class Judge:
    """Likes long texts."""

    name = "judge"

    def __init__(self, failure: Exception | None = None, *, slow: bool = False) -> None:
        self.failure, self.slow = failure, slow
        self.asked: list[Sequence[str]] = []

    async def judge(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        self.asked.append(texts)
        if self.failure:
            raise self.failure
        return [min(len(text) / 100, 1) for text in texts]


def judged(storage: Storage, embedder: BagEmbedder, judge: Reranker | None) -> HybridSearch:
    return HybridSearch(passages=storage.passages, embedder=lambda: embedder, reranker=lambda: judge)


async def test_a_reranker_has_the_last_word(storage: Storage, embedder: BagEmbedder) -> None:
    long = "The code of the door is kept by the porter, who never tells it to anybody."
    await put(storage, embedder, CODE, long)
    search = judged(storage, embedder, judge := Judge())

    found = await search.search(EVERYTHING, "door code")

    assert texts(found) == [long, CODE]
    assert found[0].score == len(long) / 100
    assert texts(await search.search(EVERYTHING, "door code", rerank=False))[0] == CODE
    assert len(judge.asked) == 1


async def test_more_than_it_judges_comes_behind(storage: Storage, embedder: BagEmbedder) -> None:
    await put(storage, embedder, *(f"code number {number} of {number * 7} doors" for number in range(40)))

    found = await judged(storage, embedder, Judge()).search(EVERYTHING, "code", limit=40)

    assert len(found) == 40
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


async def test_a_reranker_that_fails_is_done_without(storage: Storage, embedder: BagEmbedder) -> None:
    await put(storage, embedder, CODE, CAR)

    found = await judged(storage, embedder, Judge(BackendUnavailable("away"))).search(EVERYTHING, "door code")

    assert texts(found)[0] == CODE


class Logits:
    """A server that answers with what its model says."""

    def __init__(self, *scores: float) -> None:
        self._scores = scores

    async def rerank(self, model: str, query: str, documents: Sequence[str]) -> Relevances:
        return Relevances(self._scores, 1)


async def test_logits_become_shares() -> None:
    made = await ModelReranker(backend=Logits(-1000, 0, 3), model="m").judge("q", ["a", "b", "c"])

    assert made[0] == pytest.approx(0)
    assert made[1] == 0.5
    assert await ModelReranker(backend=Logits(0.2, 1), model="m").judge("q", ["a", "b"]) == (0.2, 1)


async def test_likeness_ranks() -> None:
    made = await LikenessReranker(BagEmbedder()).judge("the car", ["an automobile", "a stew"])

    assert made[0] > made[1] >= 0


async def test_many_at_once_change_nothing(storage: Storage, search: HybridSearch, embedder: BagEmbedder) -> None:
    await put(storage, embedder, CODE, CAR, STEW)
    async with asyncio.TaskGroup() as group:
        searches = [group.create_task(search.search(EVERYTHING, "door code")) for _ in range(20)]
        for number in range(10):
            group.create_task(put_document(storage, embedder, f"doc_more_{number}", f"More of {number}."))

    assert {texts(task.result())[0] for task in searches} == {CODE}


# ---------------------------------------------------------------------- the pure parts


def test_only_words_are_ranked_by_words() -> None:
    assert weighed([Hit("a", 4.0), Hit("b", 1.0)], {}, None) == [Hit("a", 1.0), Hit("b", 0.25)]
    assert weighed([], {}, None) == []
    assert weighed([Hit("a", 0.0)], {}, None) == [Hit("a", 0.0)]


def test_the_best_tell_the_query_more_of_documents() -> None:
    vectors = {"a": np.array([1.0, 0.0]), "b": np.array([0.8, 0.6]), "c": np.array([0.0, 1.0])}
    query = np.array([0.6, 0.8])

    plain = weighed([], vectors, query, again=False)
    again = weighed([Hit("a", 1.0)], vectors, query)

    assert [hit.id for hit in plain] == ["b", "c", "a"]
    assert {hit.id for hit in again} == {"a", "b", "c"}
    assert all(0 <= hit.score <= 1 for hit in [*plain, *again])


def found(*places: int, document: str = "doc_1", **fields: object) -> list[Found]:
    return [
        Found(passage=passage(f"text {at}", document, at, **fields), score=1 - n / 10) for n, at in enumerate(places)
    ]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ((3,), ["text 3"]),
        ((3, 1), ["text 3", "text 1"]),
        ((3, 4), ["text 3\ntext 4"]),
        ((4, 3), ["text 3\ntext 4"]),
        ((2, 9, 1, 3), ["text 1\ntext 2\ntext 3", "text 9"]),
        ((5, 1, 2, 3, 4, 6, 7), ["text 4\ntext 5\ntext 6\ntext 7", "text 1\ntext 2\ntext 3"]),
    ],
)
def test_neighbours_are_joined(places: tuple[int, ...], expected: list[str]) -> None:
    made = joined(found(*places))

    assert texts(made) == expected
    assert made[0].passage.id == f"chunk_doc_1_{places[0]}"


def test_neighbours_of_other_documents_are_not() -> None:
    assert len(joined([*found(1), *found(2, document="doc_2")])) == 2


def test_what_overlaps_is_told_once() -> None:
    first = passage("one two three", start=0, end=13, heading=("A", "B"))
    second = passage("three four", position=1, start=8, end=18, heading=("A", "C"))
    (made,) = joined([Found(passage=first, score=1), Found(passage=second, score=0.5)])

    assert (made.passage.text, made.passage.heading) == ("one two three four", ("A",))
    assert (made.passage.start, made.passage.end) == (0, 18)


@pytest.mark.parametrize("other", [{"page": 2}, {"heading": ("b.txt",)}, {"heading": ()}])
def test_neighbours_on_another_page_or_in_another_file_are_told_apart(other: dict[str, object]) -> None:
    first = passage("one", heading=("a.txt",), page=1)
    second = passage("two", position=1, **{"heading": ("a.txt",), "page": 1, **other})

    assert texts(joined([Found(passage=second, score=1), Found(passage=first, score=0.5)])) == ["two", "one"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (["a b c", "A, b. C!"], 1),
        (["a b c", "a b d"], 2),
        (["a", "a b c d e"], 2),
        (["!", "?"], 1),
        (["!", "a"], 2),
    ],
)
def test_the_same_is_kept_once(said: list[str], kept: int) -> None:
    assert len(distinct([passage(text, position=at) for at, text in enumerate(said)], 10)) == kept


def test_no_more_are_kept_than_are_asked_for() -> None:
    said = [passage("one and one"), passage("one and one"), passage("two and two"), passage("three and three")]
    assert [one.text for one in distinct(said, 2)] == ["one and one", "two and two"]


@pytest.mark.parametrize(
    ("question", "text", "likeness", "expected"),
    [
        ("anything", "else", 0.5, True),
        ("anything", "else", 0.1, False),
        ("the door code", CODE, None, True),
        ("the door code", CODE, 0.0, False),
        ("the door code", CODE, 0.2, True),
        ("hi", "hi", None, False),
        ("Rechnungen bezahlen", "Die Rechnung wurde bezahlt", None, True),
    ],
)
def test_what_bears_on_a_question(question: str, text: str, likeness: float | None, expected: bool) -> None:
    assert bears(question, text, likeness) is expected


async def test_turns_are_found_as_well(storage: Storage, search: HybridSearch, embedder: BagEmbedder) -> None:
    turn = replace(passage(CODE, "resp_1"), id="resp_1", space="turns", group="conv_1")
    vectors = await embedder.embed([CODE])
    await storage.passages.replace(OWNER, "turns", "resp_1", [turn], embedder="bag", vectors=vectors)

    assert texts(await search.search(replace(EVERYTHING, space="turns"), "door code")) == [CODE]
    assert await search.search(EVERYTHING, "door code") == []
