"""Searching conversations: any text finds, and no text breaks it."""

import pytest

from portal.core.items import Item
from portal.storage.open import Storage
from portal.storage.search import NEWEST
from portal.testing.records import OWNER, STRANGER, answered, conversation, output, response, said


async def told(storage: Storage, *items: Item, **fields: object) -> str:
    talk = conversation(**fields)
    await storage.conversations.create(talk, items)
    return talk.id


async def found(storage: Storage, query: str, **arguments: object) -> list[str]:
    page = await storage.conversations.list(OWNER, query=query, **arguments)  # type: ignore[arg-type]
    return [record.id for record in page.data]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The Quick Brown Fox", "quick"),
        ("The Quick Brown Fox", "QUICK BROWN"),
        ("The Quick Brown Fox", "fox quick"),
        ("The Quick Brown Fox", "qui"),
        ("The Quick Brown Fox", "quick bro"),
        ("Crème brûlée à la carte", "creme brulee"),
        ("creme brulee", "Crème Brûl"),
        ("Straße", "strasse"),
        ("Ｆｕｌｌ width", "full"),
        ("我想学习编程语言", "编程"),
        ("我想学习编程语言", "语"),
        ("日本語のテキストです", "テキスト"),
        ("한국어 문장입니다", "문장"),
        ("สวัสดีครับ", "ดีค"),
        ("Привет, Мир", "мир"),
        ("𞤀𞤣𞤤𞤢𞤥 𞤆𞤵𞤤𞤢𞤪", "𞤆𞤵𞤤"),
        ("snake_case_name and path/to/file.py", "case_name"),
        ("snake_case_name and path/to/file.py", "path/to/fi"),
        ("C++ and C# and .NET 8.0", "c++"),
        ("mail me at someone@example.org", "someone@example"),
        ("an emoji 🎉 party", "🎉 party"),
        ("x = 1", "x"),
        ('it\'s "quoted" AND * (grouped)', '"quoted" and * (grouped'),
    ],
)
async def test_text_is_found(storage: Storage, text: str, query: str) -> None:
    talk = await told(storage, said(text))
    await told(storage, said("nothing of the kind"))
    assert await found(storage, query) == [talk]


@pytest.mark.parametrize("query", ["quack", "quick fax", "rown", "quick zebra", "brownquick", "🎉", "...", "编程", "f"])
async def test_other_text_is_not_found(storage: Storage, query: str) -> None:
    await told(storage, said("The quick brown fox"))
    assert await found(storage, query) == []


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "' OR 1=1 --",
        "NEAR(a b, 2)",
        "words:hello",
        "-hello",
        "^hello*",
        "hello AND",
        "OR",
        "NOT",
        "{a b} : c",
        "a:*",
        "a & b | !c <-> (d",
        "\\",
        "hello\0world",
        "\ud800",
        "%s %(x)s :name",
        "x" * 50_000,
        "word " * 5_000,
        "é" * 2_000,
        "(((((((((",
    ],
)
async def test_any_query_is_safe(storage: Storage, query: str) -> None:
    await told(storage, said("hello"))
    assert isinstance(await found(storage, query), list)


@pytest.mark.parametrize("query", ["", "   ", None])
async def test_no_query_lists_all(storage: Storage, query: str | None) -> None:
    talk = await told(storage, said("hello"))
    assert [record.id for record in (await storage.conversations.list(OWNER, query=query)).data] == [talk]


@pytest.mark.parametrize(
    "text",
    ["nul \0 inside", "lone \ud800 surrogate", "x" * 300_000, "long" * 400 + " end", "'quoted' \\ :1", "é" * 3000],
)
async def test_any_text_can_be_kept(storage: Storage, text: str) -> None:
    talk = await told(storage, said(text + " needle"[: 0 if len(text) > 200_000 else None]), title=text)
    assert len((await storage.conversations.get(OWNER, talk)).title) == len(text)
    if len(text) < 200_000:
        assert await found(storage, "needle") == [talk]


async def test_titles_are_found_and_follow_changes(storage: Storage) -> None:
    talk = await told(storage, title="Garden plans")
    assert await found(storage, "garden") == [talk]
    await storage.conversations.update(OWNER, talk, {"title": "Kitchen"})
    assert await found(storage, "garden") == []
    assert await found(storage, "kitch") == [talk]
    await storage.conversations.update(OWNER, talk, {"title": ""})
    assert await found(storage, "kitchen") == []


async def test_answers_are_found_once_complete(storage: Storage) -> None:
    talk = await told(storage)
    record = response(conversation_id=talk)
    await storage.turn_log.begin(record, [said("question")])
    await storage.turn_log.append(record.id, output(record.id, answered("marmalade")))
    assert await found(storage, "marmal") == [talk]


async def test_only_what_people_read_is_searched(storage: Storage) -> None:
    thought = {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "secret"}]}
    order = {**said("secret"), "role": "developer"}
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "secret", "arguments": "secret"}
    picture = {**said(""), "content": [{"type": "input_image", "image_url": "data:secret"}]}
    await told(storage, thought, order, call, picture)
    assert await found(storage, "secret") == []


async def test_responses_outside_conversations_are_not_searched(storage: Storage) -> None:
    await storage.turn_log.begin(response(), [said("loose")])
    assert await found(storage, "loose") == []


async def test_others_conversations_are_not_found(storage: Storage) -> None:
    await told(storage, said("private"), owner=STRANGER, title="private")
    assert await found(storage, "private") == []


async def test_results_are_ordered_and_paged_as_the_list_is(storage: Storage) -> None:
    ids = [await told(storage, said("same word"), updated_at=at, pinned=at == 2) for at in range(7)]
    expected = [ids[at] for at in (2, 6, 5, 4, 3, 1, 0)]
    pages: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        page = await storage.conversations.list(OWNER, query="word", limit=2, cursor=cursor)
        pages += [record.id for record in page.data]
        cursor = page.next
    assert cursor is None
    assert pages == expected


async def test_a_snippet_shows_the_place(storage: Storage) -> None:
    long = "Lorem ipsum dolor sit amet. " * 20 + "Here is the\nÉclair recipe. " + "More text follows here. " * 20
    await told(storage, said(long))
    await told(storage, title="Eclair")
    first, second = (await storage.conversations.list(OWNER, query="eclair")).data
    assert first.snippet == ""
    assert "Here is the Éclair recipe." in second.snippet
    assert second.snippet.startswith("…")
    assert second.snippet.endswith("…")
    assert len(second.snippet) < 200
    (only,) = (await storage.conversations.list(OWNER, query="recipe")).data
    assert "Éclair recipe" in only.snippet
    assert (await storage.conversations.list(OWNER)).data[0].snippet == ""


async def test_a_conversation_is_found_once_with_its_newest_passage(storage: Storage) -> None:
    talk = await told(storage, said("apple one"), answered("apple two"), title="apple")
    (record,) = (await storage.conversations.list(OWNER, query="apple")).data
    assert (record.id, record.snippet) == (talk, "apple two")


async def test_a_word_that_is_everywhere_finds_the_newest(storage: Storage) -> None:
    old = await told(storage, said("everywhere and rare"))
    many = await told(storage, *(said("everywhere") for _ in range(NEWEST)))
    assert await found(storage, "everywhere") == [many]
    assert await found(storage, "everywhere rare") == [old]
