"""Turns are found by what was said in them and just before; they go with their conversation, item by item."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from portal.core.clock import micros
from portal.core.items import Item
from portal.core.passages import Passage, Within
from portal.core.records import ResponseRecord
from portal.settings import Settings
from portal.storage.conversations import StoredConversations
from portal.storage.database import Database, Row, Statement
from portal.storage.open import Storage, open_storage
from portal.storage.search_postgres import PostgresSearch
from portal.storage.search_sqlite import SqliteSearch
from portal.storage.turn_passages import TurnPassages
from portal.testing.records import OWNER, answered, conversation, memory, output, response, said

TURNS = Within(owner=OWNER, space="turns")


async def talk(storage: Storage) -> str:
    made = conversation()
    await storage.conversations.create(made)
    return made.id


async def turn(
    storage: Storage, talk_id: str | None, asked: str | Sequence[Item], answer: str, previous: str | None = None
) -> ResponseRecord:
    """A whole turn, its last item stored with its end."""
    record = response(conversation_id=talk_id, previous_id=previous)
    await storage.turn_log.begin(record, [said(asked)] if isinstance(asked, str) else asked)
    done = replace(record, status="completed", completed_at=micros())
    await storage.turn_log.finish(done, [output(record.id, answered(answer))])
    return record


async def found(storage: Storage, text: str) -> list[str]:
    return [hit.id for hit in await storage.passages.words(TURNS, text, 20)]


async def passages(storage: Storage, record: ResponseRecord) -> Sequence[Passage]:
    return await storage.passages.of(OWNER, record.id)


async def test_a_turn_is_found_with_what_was_said_before_it(storage: Storage) -> None:
    where = await talk(storage)
    first = await turn(storage, where, "Which harbour has the best ferries?", "Piraeus, by far.")
    second = await turn(storage, where, "And in winter?", "Fewer of them sail.", first.id)
    assert await found(storage, "ferries winter") == [second.id, first.id]
    assert set(await found(storage, "piraeus")) == {first.id, second.id}
    (one,) = await passages(storage, second)
    assert one.text == "And in winter?\nFewer of them sail.\n\nWhich harbour has the best ferries?\nPiraeus, by far."
    assert (one.group, one.document, one.created_at) == (where, second.id, second.created_at)
    assert one.text[: one.end] == "And in winter?\nFewer of them sail."


async def test_a_long_answer_is_several_passages(storage: Storage) -> None:
    where = await talk(storage)
    paragraphs = [f"Paragraph {n} tells of the needle{n}. " + "Filler words go on here. " * 20 for n in range(8)]
    whole = "\n\n".join(paragraphs) + "x" * 5000
    one = await turn(storage, where, "Tell me everything", whole)
    pieces = await passages(storage, one)
    assert len(pieces) > 5
    assert [piece.position for piece in pieces] == list(range(len(pieces)))
    assert {piece.id for piece in pieces} >= {one.id, f"{one.id}_1"}
    assert all(len(piece.text) < 1500 and "Tell me everything" in piece.text for piece in pieces)
    (hit, *_) = await found(storage, "needle7")
    assert hit.startswith(f"{one.id}_")


async def test_turns_outside_conversations_and_empty_ones_are_not_indexed(storage: Storage) -> None:
    await turn(storage, None, "A secret errand", "Done.")
    where = await talk(storage)
    silent = response(conversation_id=where)
    await storage.turn_log.begin(silent, [])
    await storage.turn_log.finish(replace(silent, status="failed", completed_at=micros()))
    assert await found(storage, "secret errand done") == []
    assert await passages(storage, silent) == []


async def test_items_added_without_a_model_are_indexed(storage: Storage) -> None:
    made = conversation()
    await storage.conversations.create(made, [said("We chose the blue tiles")])
    added = await storage.conversations.add_items(OWNER, made.id, [answered("They arrive on Friday")])
    assert len(await found(storage, "tiles")) == 2
    (one,) = await storage.passages.of(OWNER, added)
    assert one.text == "They arrive on Friday\n\nWe chose the blue tiles"


async def test_a_crash_leaves_what_was_said_indexed(storage: Storage) -> None:
    where = await talk(storage)
    record = response(conversation_id=where)
    await storage.turn_log.begin(record, [said("The kettle is broken")])
    await storage.turn_log.flush(record.id, output(record.id, answered("Then buy a samovar"), last_seq=3))
    assert await found(storage, "kettle") == []
    await storage.turn_log.recover()
    assert await found(storage, "kettle samovar") == [record.id]


async def test_a_deleted_response_is_gone_also_from_the_turn_behind_it(storage: Storage) -> None:
    where = await talk(storage)
    first = await turn(storage, where, "The password is zanzibar", "Noted.")
    second = await turn(storage, where, "What else?", "Nothing.", first.id)
    await storage.responses.delete(OWNER, first.id)
    assert await found(storage, "zanzibar") == []
    assert await found(storage, "else") == [second.id]


async def test_a_deleted_item_is_gone_also_from_the_turn_behind_it(storage: Storage) -> None:
    where = await talk(storage)
    first = await turn(storage, where, [said("zanzibar is secret", item_id="msg_1"), said("Hello")], "Hi.")
    second = await turn(storage, where, "What else?", "Nothing.", first.id)
    await storage.conversations.delete_item(OWNER, where, "msg_1")
    assert await found(storage, "zanzibar") == []
    assert set(await found(storage, "hello")) == {first.id, second.id}


async def test_a_purged_conversation_takes_its_turns_along(storage: Storage) -> None:
    where, other = await talk(storage), await talk(storage)
    await turn(storage, where, "Buy the lanterns", "Yes.")
    kept = await turn(storage, other, "Sell the lanterns", "No.")
    await storage.conversations.delete(OWNER, [where])
    here = [memory("Only here", scope=f"conversation:{one}") for one in (where, other)]
    for one in here:
        await storage.memories.save(one)
    assert len(await found(storage, "lanterns")) == 2
    assert await storage.conversations.purge(micros() + 1) == 1
    assert await found(storage, "lanterns") == [kept.id]
    assert await storage.memories.get(OWNER, [one.id for one in here]) == [here[1]]


class Meddled:
    """A database on which something happens just before the next batch."""

    def __init__(self, database: Database) -> None:
        self._database, self.dialect = database, database.dialect
        self.before: list[Callable[[], Awaitable[object]]] = []

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        if self.before:
            await self.before.pop()()
        return await self._database.batch(statements)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


async def test_what_is_restored_while_it_is_purged_stays_whole(storage: Storage) -> None:
    where, other = await talk(storage), await talk(storage)
    kept = await turn(storage, where, "Buy the lanterns", "Yes.")
    await turn(storage, other, "Sell the lanterns", "No.")
    await storage.conversations.delete(OWNER, [where, other])
    here = memory("Only here", scope=f"conversation:{where}")
    await storage.memories.save(here)
    database: Any = Meddled(storage.database)
    database.before = [lambda: storage.conversations.restore(OWNER, [where])]
    search = SqliteSearch() if database.dialect == "sqlite" else PostgresSearch()
    store = StoredConversations(database=database, search=search, turns=storage.turns)
    assert await store.purge(micros() + 1) == 1
    assert await found(storage, "lanterns") == [kept.id]
    assert await storage.memories.get(OWNER, [here.id]) == [here]
    assert len((await storage.conversations.list(OWNER, query="lanterns")).data) == 1


@pytest.mark.parametrize("which", [0, 1])
async def test_what_is_deleted_while_it_is_indexed_stays_away(storage: Storage, which: int) -> None:
    where = await talk(storage)
    first = await turn(storage, where, "The password is zanzibar", "Noted.")
    second = await turn(storage, where, "What else?", "Nothing.", first.id)
    database: Any = Meddled(storage.database)
    database.before = [lambda: storage.responses.delete(OWNER, first.id)]
    await TurnPassages(database=database, index=storage.passages).renew([(first, second)[which].id])
    assert await found(storage, "zanzibar") == []
    assert await found(storage, "else") == [second.id]


@pytest.mark.parametrize("count", [0, 1, 45])
async def test_turns_of_before_the_index_are_caught_up_with(settings: Settings, count: int) -> None:
    async with open_storage(settings) as storage:
        where = await talk(storage)
        previous = None
        for n in range(count):
            previous = (await turn(storage, where, f"Question{n}", f"Answer{n}", previous)).id
        await storage.database.batch(
            [*storage.passages.dropping(OWNER, "turns"), Statement("DELETE FROM key_values WHERE name LIKE 'turns%'")]
        )
        assert await found(storage, "question0") == []
    async with open_storage(settings) as storage:
        await storage.turns.catch_up()
        rows = await storage.database.fetch("SELECT COUNT(*) AS count FROM passages")
        assert rows[0]["count"] == count
        late = await turn(storage, where, "Late", "Later", previous)
        await storage.turns.catch_up()
        assert await found(storage, "late") == [late.id]


async def test_conversations_are_narrowed(storage: Storage) -> None:
    old, new = conversation(updated_at=10, created_at=10), conversation(updated_at=20, created_at=20, model="mine")
    for one in (old, new):
        await storage.conversations.create(one, [said("lanterns")])
    answered_by = response(conversation_id=old.id, model="theirs")
    await storage.turn_log.begin(answered_by, [])

    async def ids(**narrow: object) -> set[str]:
        return {one.id for one in (await storage.conversations.list(OWNER, **narrow)).data}  # type: ignore[arg-type]

    assert await ids(model="mine") == {new.id}
    assert await ids(model="theirs", query="lanterns") == {old.id}
    assert await ids(until=20) == set()  # the turn has just changed it
    assert await ids(since=20, until=21) == {new.id}
    assert await ids(since=21) == {old.id}
    assert await ids(among=[new.id, "conv_none"]) == {new.id}
    assert await ids(among=[], query="lanterns") == set()
