"""The Passages port: found by words and by meaning, whatever the text, and gone once dropped."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from portal.core.items import JsonObject
from portal.core.passages import Passage, Space, Within
from portal.errors import BadRequest, Conflict
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.open import Storage, open_storage
from portal.storage.passage_words import MOST_PLACES
from portal.testing.records import OWNER, STRANGER, passage

if TYPE_CHECKING:
    from portal.core.passages import Vectors

DOCUMENTS = Within(owner=OWNER, space="documents")


def vectors(*rows: Sequence[float]) -> "Vectors":
    made = np.array(rows, dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


async def put(storage: Storage, *passages: Passage, attributes: JsonObject | None = None) -> None:
    """Each a document of its own."""
    for one in passages:
        await storage.passages.replace(one.owner, one.space, one.document, [one], attributes=attributes)


async def found(storage: Storage, text: str, within: Within = DOCUMENTS, limit: int = 10) -> list[str]:
    return [hit.id for hit in await storage.passages.words(within, text, limit)]


async def near(storage: Storage, vector: "Vectors", within: Within = DOCUMENTS, limit: int = 10) -> list[str]:
    return [hit.id for hit in await storage.passages.nearest(within, "e", vector, limit)]


async def test_passages_come_back_as_they_were(storage: Storage) -> None:
    first = passage("One.", document="file_1", heading=("A", "B"), page=3, start=7, created_at=5)
    second = passage("Two. \N{PARTY POPPER} \0", document="file_1", position=1)
    await storage.passages.replace(OWNER, "documents", "file_1", [first, second])
    stored = replace(second, text=second.text.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    assert await storage.passages.get(OWNER, [stored.id, "chunk_none", first.id, first.id]) == [stored, first]
    assert await storage.passages.of(OWNER, "file_1") == [first, stored]
    assert await storage.passages.of(OWNER, "file_1", 1) == [stored]
    assert await storage.passages.of(OWNER, "file_1", 0, 0) == [first]
    assert await storage.passages.of(OWNER, "file_2") == []
    assert await storage.passages.get(OWNER, []) == []


async def test_an_empty_store_finds_nothing(storage: Storage) -> None:
    query = vectors([1, 0])[0]
    assert await found(storage, "anything") == []
    assert await near(storage, query) == []
    assert await storage.passages.cosines(OWNER, "e", query, ["chunk_1"]) == {}
    assert await storage.passages.unembedded("e", 10) == []
    assert await storage.passages.embedders() == {}
    await storage.passages.drop(OWNER, "documents")
    await storage.passages.forget_embedder("e")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The quick brown fox", "quick"),
        ("The quick brown fox", "foxes"),
        ("They were running", "what runs where?"),
        ("Crème brûlée", "CREME zebra unheard"),
        ("Straße", "strasse"),
        ("我想学习编程语言", "编程"),
        ("我想学习编程语言", "言"),
        ("我想学习编程语言", "语"),
        ("GPT模型很大", "模型"),
        ("日本語のテキストです", "テキスト"),
        ("한국어 문장입니다", "문장"),
        ("สวัสดีครับ", "สวัสดี"),
        ("Привет, Мир", "мир"),
        ("snake_case_name", "case"),
        ("version 4821 of it", "4821"),
        ("an emoji \N{PARTY POPPER} party", "\N{PARTY POPPER} party"),
        ('it\'s "quoted" AND * (grouped) NEAR', 'NEAR("quoted" AND *'),
        ("a b c", "b"),
        ("wörter " * 3, "wörter OR NOT"),
        ("x" * 3000, "x" * 3000),
        ("needle", "some other words and then a needle " * 230),
    ],
)
async def test_text_is_found_by_a_word_of_it(storage: Storage, text: str, query: str) -> None:
    one = passage(text)
    await put(storage, one, passage("Nothing of it at all."))
    assert await found(storage, query) == [one.id]


@pytest.mark.parametrize(
    "query", ["", " ", "\0", "\N{PARTY POPPER}", "...", '"', "'; DROP TABLE passages; --", "程编", "*"]
)
async def test_other_text_finds_nothing_and_breaks_nothing(storage: Storage, query: str) -> None:
    await put(storage, passage("The quick brown fox. 编程"))
    assert await found(storage, query) == []


async def test_rare_words_count_more_than_common_ones_and_headings_are_found(storage: Storage) -> None:
    rare = passage("The turbine of the plant")
    titled = passage("It turns.", heading=("Manual", "Generator"))
    await put(storage, *(passage(f"The plant number {n}") for n in range(20)), rare, titled)
    assert (await found(storage, "turbine plant"))[0] == rare.id
    assert await found(storage, "generator") == [titled.id]
    hits = await storage.passages.words(DOCUMENTS, "the turbine of the plant", 5)
    assert len(hits) == 5
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_a_word_that_is_everywhere_still_finds(storage: Storage) -> None:
    many = [passage(f"everywhere n{n}", document="file_1", position=n) for n in range(MOST_PLACES + 10)]
    await storage.passages.replace(OWNER, "documents", "file_1", many)
    assert len(await found(storage, "everywhere")) == 10
    assert await found(storage, "everywhere n77") == [many[77].id]


async def test_spaces_groups_and_times_are_kept_apart(storage: Storage) -> None:
    one = passage("word", group="vs_1", created_at=100)
    two = passage("word", group="vs_2", created_at=200)
    memory = passage("word", id="mem_1", space="memories", group="user", created_at=100)
    await put(storage, one, two, memory, passage("word", owner=STRANGER))
    query = vectors([1, 1])
    await storage.passages.embed("e", [one.id, two.id, memory.id], query.repeat(3, axis=0))
    cases: list[tuple[Within, set[str]]] = [
        (DOCUMENTS, {one.id, two.id}),
        (replace(DOCUMENTS, space="memories"), {memory.id}),
        (replace(DOCUMENTS, space="turns"), set()),
        (replace(DOCUMENTS, groups=["vs_2", "vs_3"]), {two.id}),
        (replace(DOCUMENTS, groups=[]), set()),
        (replace(DOCUMENTS, since=101), {two.id}),
        (replace(DOCUMENTS, since=100, until=200), {one.id}),
        (replace(DOCUMENTS, until=100), set()),
    ]
    for within, ids in cases:
        assert set(await found(storage, "word", within)) == ids
        assert set(await near(storage, query[0], within)) == ids


FILTERS: list[tuple[JsonObject, str]] = [
    ({"type": "eq", "key": "lang", "value": "de"}, "a"),
    ({"type": "ne", "key": "lang", "value": "de"}, "bcd"),
    ({"type": "eq", "key": "year", "value": 2020}, "b"),
    ({"type": "eq", "key": "year", "value": "2020"}, ""),
    ({"type": "gt", "key": "year", "value": 2019}, "bc"),
    ({"type": "gte", "key": "year", "value": 2019.5}, "bc"),
    ({"type": "lt", "key": "year", "value": 2020}, "a"),
    ({"type": "lte", "key": "year", "value": 2020}, "ab"),
    ({"type": "gt", "key": "lang", "value": "Z"}, "abc"),
    ({"type": "eq", "key": "draft", "value": True}, "b"),
    ({"type": "eq", "key": "draft", "value": 1}, ""),
    ({"type": "in", "key": "lang", "value": ["de", "fr", 7]}, "ac"),
    ({"type": "in", "key": "lang", "value": []}, ""),
    ({"type": "nin", "key": "lang", "value": ["de", "fr"]}, "bd"),
    ({"type": "nin", "key": "lang", "value": []}, "abcd"),
    ({"type": "eq", "key": "'; DROP TABLE passages; --", "value": "%:owner"}, ""),
    ({"type": "and", "filters": [{"type": "gt", "key": "year", "value": 2000}] * 2}, "abc"),
    (
        {
            "type": "or",
            "filters": [
                {"type": "eq", "key": "lang", "value": "fr"},
                {
                    "type": "and",
                    "filters": [
                        {"type": "eq", "key": "lang", "value": "en"},
                        {"type": "lt", "key": "year", "value": 2021},
                    ],
                },
            ],
        },
        "bc",
    ),
]


async def test_filters_look_at_the_attributes_of_documents(storage: Storage) -> None:
    attributes: dict[str, JsonObject] = {
        "a": {"lang": "de", "year": 2019},
        "b": {"lang": "en", "year": 2020, "draft": True},
        "c": {"lang": "fr", "year": 2021.5, "draft": False},
        "d": {},
    }
    for name, values in attributes.items():
        await put(storage, passage("word", id=f"chunk_{name}", document=f"file_{name}"), attributes=values)
    query = vectors([1, 0])
    await storage.passages.embed("e", [f"chunk_{name}" for name in attributes], query.repeat(4, axis=0))
    for asked, expected in FILTERS:
        within, ids = replace(DOCUMENTS, filters=asked), {f"chunk_{name}" for name in expected}
        assert set(await found(storage, "word", within)) == ids, asked
        assert set(await near(storage, query[0], within)) == ids, asked
    await storage.passages.describe(OWNER, "file_a", {"year": 1})
    assert await found(storage, "word", replace(DOCUMENTS, filters=FILTERS[0][0])) == []
    await storage.passages.drop(OWNER, "documents", group="vs_1")
    assert await storage.database.fetch("SELECT * FROM passage_attributes") == []


def nested(depth: int) -> JsonObject:
    leaf: JsonObject = {"type": "eq", "key": "k", "value": 1}
    for _ in range(depth):
        leaf = {"type": "and", "filters": [leaf]}
    return leaf


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"type": "like", "key": "k", "value": "v"},
        {"type": "eq", "key": "k"},
        {"type": "eq", "key": 1, "value": 1},
        {"type": "eq", "key": "k", "value": None},
        {"type": "eq", "key": "k", "value": {"a": 1}},
        {"type": "eq", "key": "k", "value": ["v"]},
        {"type": "in", "key": "k", "value": "v"},
        {"type": "eq", "key": "k", "value": float("nan")},
        {"type": "eq", "key": "k", "value": 10**400},
        {"type": "eq", "key": "k", "value": "v" * 513},
        {"type": "and", "filters": []},
        {"type": "and", "filters": ["x"]},
        {"type": "in", "key": "k", "value": ["v"] * 500},
        nested(20),
    ],
)
async def test_a_filter_that_cannot_be_understood_is_refused(storage: Storage, filters: JsonObject) -> None:
    await put(storage, passage("word"))
    await storage.passages.embed("e", [], vectors([1, 0]))
    with pytest.raises(BadRequest):
        await found(storage, "word", replace(DOCUMENTS, filters=filters))


@pytest.mark.parametrize("value", [None, ["x"], {"a": 1}, "x" * 513, float("inf")])
async def test_an_attribute_of_another_kind_is_refused(storage: Storage, value: object) -> None:
    one = passage("word")
    with pytest.raises(BadRequest):
        await storage.passages.replace(OWNER, "documents", one.document, [one], attributes={"name": value})
    with pytest.raises(BadRequest):
        await storage.passages.describe(OWNER, one.document, {"name": value})
    assert await found(storage, "word") == []


async def test_the_nearest_come_first_with_their_cosines(storage: Storage) -> None:
    rows = vectors([1, 0, 0], [1, 0.5, 0], [0, 1, 0], [-1, 0, 0])
    pieces = [passage("x", document="file_1", position=n) for n in range(4)]
    await storage.passages.replace(OWNER, "documents", "file_1", pieces, embedder="e", vectors=rows)
    hits = await storage.passages.nearest(DOCUMENTS, "e", rows[0], 3)
    assert [hit.id for hit in hits] == [one.id for one in pieces[:3]]
    assert [hit.score for hit in hits] == pytest.approx((rows @ rows[0])[:3].tolist(), abs=1e-3)
    cosines = await storage.passages.cosines(OWNER, "e", rows[0], [pieces[3].id, "chunk_none", pieces[1].id])
    assert cosines == {
        pieces[3].id: pytest.approx(-1, abs=1e-3),
        pieces[1].id: pytest.approx(float(rows[1, 0]), abs=1e-3),
    }
    assert await storage.passages.nearest(DOCUMENTS, "other", rows[0], 3) == []


async def test_embedders_stand_side_by_side(storage: Storage) -> None:
    one, two = passage("one", document="file_1"), passage("two", document="file_1", position=1)
    both = vectors([1, 0], [0, 1])
    await storage.passages.replace(OWNER, "documents", "file_1", [one, two], embedder="old", vectors=both)
    assert await storage.passages.unembedded("old", 10) == []
    assert {piece.id for piece in await storage.passages.unembedded("new", 10)} == {one.id, two.id}
    assert len(await storage.passages.unembedded("new", 1)) == 1
    await storage.passages.embed("new", [one.id, "chunk_gone"], vectors([0, 0, 1], [0, 1, 0]))
    assert await storage.passages.embedders() == {"old": 2, "new": 1}
    assert await storage.passages.unembedded("new", 10) == [two]
    assert [hit.id for hit in await storage.passages.nearest(DOCUMENTS, "new", vectors([0, 0, 1])[0], 9)] == [one.id]
    await storage.passages.forget_embedder("old")
    assert await storage.passages.embedders() == {"new": 1}
    assert await storage.passages.nearest(DOCUMENTS, "old", both[0], 9) == []


async def test_a_vector_of_another_size_is_refused(storage: Storage) -> None:
    one = passage("word")
    await storage.passages.replace(OWNER, "documents", one.document, [one], embedder="e", vectors=vectors([1, 0]))
    with pytest.raises(BadRequest):
        await storage.passages.embed("e", [one.id], vectors([1, 0, 0]))
    other = passage("other")
    with pytest.raises(BadRequest):
        await storage.passages.replace(
            OWNER, "documents", other.document, [other], embedder="e", vectors=vectors([1, 0, 0])
        )
    for wrong in (vectors([1, 0], [0, 1]), np.array([[np.nan, 1]], np.float32), np.zeros((1, 0), np.float32)):
        with pytest.raises(BadRequest):
            await storage.passages.embed("e", [one.id], wrong)
    with pytest.raises(BadRequest):
        await near(storage, vectors([1, 0, 0])[0])
    with pytest.raises(BadRequest):
        await storage.passages.cosines(OWNER, "e", vectors([1, 0, 0])[0], [one.id])
    assert await found(storage, "other") == []
    await storage.passages.drop(OWNER, "documents")
    await put(storage, other)
    await storage.passages.embed("e", [other.id], vectors([1, 0, 0]))
    assert await near(storage, vectors([1, 0, 0])[0]) == [other.id]


async def test_a_vector_without_direction_is_far_from_all(storage: Storage) -> None:
    one, empty = passage("one"), passage("")
    await put(storage, one, empty)
    await storage.passages.embed("e", [empty.id, one.id], np.array([[0, 0], [3, 0]], np.float32))
    assert await near(storage, vectors([1, 0])[0]) == [one.id, empty.id]
    assert await storage.passages.unembedded("e", 10) == []


async def test_replacing_leaves_nothing_of_what_was(storage: Storage) -> None:
    old, new = passage("old", document="file_1"), passage("new", document="file_1")
    row = vectors([1, 0])
    await storage.passages.replace(OWNER, "documents", "file_1", [old], embedder="e", vectors=row, attributes={"a": 1})
    await storage.passages.replace(OWNER, "documents", "file_1", [new])
    assert await found(storage, "old new") == [new.id]
    assert await near(storage, row[0]) == []
    within = replace(DOCUMENTS, filters={"type": "eq", "key": "a", "value": 1})
    assert await found(storage, "new", within) == [new.id]
    await storage.passages.replace(OWNER, "documents", "file_1", [])
    assert await found(storage, "old new") == []
    with pytest.raises(Conflict):
        await storage.passages.replace(OWNER, "documents", "file_2", [new, replace(new, position=1)])


@pytest.mark.parametrize("what", [{"document": "file_1"}, {"group": "vs_1"}, {}])
@pytest.mark.parametrize("space", ["documents", "memories", "turns"])
async def test_what_was_dropped_is_gone_and_the_rest_stays(
    storage: Storage, space: Space, what: dict[str, str]
) -> None:
    one = passage("secretive", space=space, document="file_1", group="vs_1")
    kept = [
        passage("secretive", space=space, document="file_2", group="vs_2"),
        passage("secretive", space=space, owner=STRANGER, document="file_3"),
    ]
    await put(storage, one, *kept, attributes={"a": "b"})
    await storage.passages.embed("e", [one.id, *(piece.id for piece in kept)], vectors([1, 0]).repeat(3, axis=0))
    await storage.passages.drop(OWNER, space, **what)
    left = kept if what else kept[1:]
    assert set(await found(storage, "secretive", Within(owner=OWNER, space=space))) == {
        piece.id for piece in left if piece.owner == OWNER
    }
    assert await storage.passages.get(OWNER, [one.id]) == []
    assert await storage.passages.embedders() == {"e": len(left)}
    rows = await storage.database.fetch("SELECT document FROM passage_attributes")
    assert {row["document"] for row in rows} == {piece.document for piece in left}


async def test_its_statements_go_into_the_batch_of_another_store(storage: Storage) -> None:
    one, two = passage("one"), passage("two")
    await put(storage, one)
    statements = [
        *storage.passages.dropping(OWNER, "documents", document=one.document),
        *await storage.passages.replacing(OWNER, "documents", two.document, [two]),
    ]
    with pytest.raises(Conflict):
        await storage.database.batch([*statements, Statement("SELECT 1 AS one", {}, 2)])
    assert await found(storage, "one two") == [one.id]
    await storage.database.batch(statements)
    assert await found(storage, "one two") == [two.id]


async def test_twenty_tasks_at_once_and_a_second_process(settings: Settings, storage: Storage) -> None:
    """On PostgreSQL the second one is a connection of its own, as another process would have; so it is on SQLite."""
    query = vectors([1, 1])

    async def live(passages: Storage, number: int) -> None:
        for turn in range(3):
            pieces = [
                passage(f"common word{number} turn{turn}", document=f"file_{number}", position=n) for n in range(5)
            ]
            await passages.passages.replace(
                OWNER, "documents", f"file_{number}", pieces, embedder="e", vectors=query.repeat(5, axis=0)
            )
            hits = await found(passages, f"word{number}", limit=20)
            assert hits
            assert set(hits) == {piece.id for piece in pieces}
            await near(passages, query[0])
        if number % 2:
            await passages.passages.drop(OWNER, "documents", document=f"file_{number}")

    async with open_storage(settings) as second, asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(live(second if number % 4 > 1 else storage, number))
    kept = await storage.passages.words(DOCUMENTS, "common", 1000)
    assert len(kept) == 50
    assert await storage.passages.embedders() == {"e": 50}
    assert len(await near(storage, query[0], limit=1000)) == 50
