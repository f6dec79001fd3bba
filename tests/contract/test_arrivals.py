"""What comes in from elsewhere: whole or hidden, never twice, never over what a person did since."""

from dataclasses import replace

import pytest

from portal.core.exchange import STEP, Arriving, ImportRecord, derived_id
from portal.core.memories import Wanted
from portal.core.passages import Within
from portal.core.records import ConversationRecord
from portal.errors import Conflict, NotFound
from portal.storage.open import Storage
from portal.testing.records import OWNER, STRANGER, answered, conversation, imported, memory, response, said

LONG = 3 * STEP + 7


@pytest.fixture
async def coming(storage: Storage) -> ImportRecord:
    await storage.imports.add(record := imported(status="importing"))
    return record


def chain(talk: ConversationRecord, count: int, *, start: int = 0) -> list[Arriving]:
    """Turns that follow each other, of the year 2020."""
    turns: list[Arriving] = []
    for number in range(count):
        at = 1_577_836_800_000_000 + number * 60_000_000
        one = response(
            id=derived_id("resp", at, talk.id, str(number)),
            status="completed",
            created_at=at,
            completed_at=at + 5_000_000,
            conversation_id=talk.id,
            previous_id=turns[-1].response.id if turns else None,
            model="gpt-4o",
        )
        asked = said(f"question {number} about marmalade", item_id=f"msg_q{number}")
        told = answered(f"answer {number}", item_id=f"msg_a{number}")
        turns.append(Arriving(response=one, inputs=[asked], outputs=[told], messages=(str(number),)))
    return turns[start:]


def headed(talk: ConversationRecord, turns: list[Arriving]) -> ConversationRecord:
    return replace(talk, head=turns[-1].response.id, title="From elsewhere", updated_at=turns[-1].response.created_at)


async def test_it_is_there_with_its_own_times_and_found_by_its_words(storage: Storage, coming: ImportRecord) -> None:
    talk = conversation()
    turns = chain(talk, LONG)
    talk = headed(talk, turns)
    new = await storage.arrivals.take(coming.id, talk, turns, owner=OWNER)
    assert len(new) == LONG
    kept = await storage.conversations.get(OWNER, talk.id)
    assert (kept.head, kept.updated_at, kept.title) == (talk.head, talk.updated_at, "From elsewhere")
    page = await storage.conversations.turns(OWNER, talk.id, limit=2)
    assert [one.item["id"] for one in page.data[-1].items] == [f"msg_q{LONG - 1}", f"msg_a{LONG - 1}"]
    assert page.data[-1].response.created_at == turns[-1].response.created_at
    for query in ("marmalade", "elsewhere"):
        assert [one.id for one in (await storage.conversations.list(OWNER, query=query)).data] == [talk.id]
    (passage, *_) = await storage.passages.of(OWNER, turns[1].response.id)
    assert "question 1" in passage.text
    assert "answer 0" in passage.text


async def test_once_more_changes_nothing(storage: Storage, coming: ImportRecord) -> None:
    talk = conversation()
    turns = chain(talk, 3)
    talk = headed(talk, turns)
    await storage.arrivals.take(coming.id, talk, turns, owner=OWNER)
    renamed = await storage.conversations.update(OWNER, talk.id, {"title": "Mine", "pinned": True})
    assert not await storage.arrivals.take(coming.id, talk, turns, owner=OWNER)
    assert await storage.conversations.get(OWNER, talk.id) == renamed
    assert len(await storage.departures.order(OWNER, talk.id)) == 3


async def test_what_broke_off_is_hidden_and_goes_on(storage: Storage, coming: ImportRecord) -> None:
    talk = conversation()
    turns = chain(talk, LONG)
    talk = headed(talk, turns)
    await storage.arrivals.take(coming.id, talk, turns[:STEP], owner=OWNER, more=True)
    with pytest.raises(NotFound):
        await storage.conversations.get(OWNER, talk.id)
    assert not (await storage.conversations.list(OWNER)).data
    assert len(await storage.arrivals.take(coming.id, talk, turns, owner=OWNER)) == LONG - STEP
    assert len(await storage.departures.order(OWNER, talk.id)) == LONG
    assert (await storage.conversations.get(OWNER, talk.id)).head == talk.head


async def test_a_newer_export_adds_what_is_new(storage: Storage, coming: ImportRecord) -> None:
    talk = conversation()
    turns = chain(talk, 5)
    await storage.arrivals.take(coming.id, headed(talk, turns[:3]), turns[:3], owner=OWNER)
    assert len(await storage.arrivals.take(coming.id, headed(talk, turns), turns, owner=OWNER)) == 2
    assert (await storage.conversations.get(OWNER, talk.id)).head == turns[-1].response.id


async def test_the_branch_that_a_person_went_on_with_stays_on_show(storage: Storage, coming: ImportRecord) -> None:
    talk = conversation()
    turns = chain(talk, 4)
    await storage.arrivals.take(coming.id, headed(talk, turns[:2]), turns[:2], owner=OWNER)
    mine = response(conversation_id=talk.id, previous_id=turns[1].response.id)
    await storage.turn_log.begin(mine, [said("and now?")])
    await storage.arrivals.take(coming.id, headed(talk, turns), turns, owner=OWNER)
    assert (await storage.conversations.get(OWNER, talk.id)).head == mine.id


async def test_one_that_was_deleted_comes_back(storage: Storage, coming: ImportRecord) -> None:
    talk = conversation()
    turns = chain(talk, 2)
    talk = headed(talk, turns)
    await storage.arrivals.take(coming.id, talk, turns, owner=OWNER)
    await storage.conversations.delete(OWNER, [talk.id])
    await storage.arrivals.take(coming.id, talk, turns, owner=OWNER)
    assert (await storage.conversations.get(OWNER, talk.id)).head == talk.head


async def test_nothing_comes_in_for_an_import_that_is_gone(storage: Storage, coming: ImportRecord) -> None:
    talk = conversation()
    turns = chain(talk, 2)
    await storage.imports.delete(OWNER, coming.id)
    with pytest.raises(NotFound):
        await storage.arrivals.take(coming.id, headed(talk, turns), turns, owner=OWNER)
    assert not await storage.departures.order(OWNER, talk.id)


async def test_ids_of_others_are_refused_whole(storage: Storage, coming: ImportRecord) -> None:
    theirs = conversation(owner=STRANGER)
    await storage.conversations.create(theirs)
    taken = response(owner=STRANGER, conversation_id=theirs.id)
    await storage.turn_log.begin(taken, [])
    talk = conversation()
    (turn,) = chain(talk, 1)
    with pytest.raises(Conflict):
        await storage.arrivals.take(coming.id, replace(talk, id=theirs.id), [turn], owner=OWNER)
    forged = replace(turn, response=replace(turn.response, id=taken.id))
    with pytest.raises(Conflict):
        await storage.arrivals.take(coming.id, headed(talk, [forged]), [forged], owner=OWNER)
    assert not (await storage.conversations.list(OWNER)).data
    stolen = replace(turn, response=replace(turn.response, previous_id=taken.id))
    await storage.arrivals.take(coming.id, headed(talk, [stolen]), [stolen], owner=OWNER)
    assert (await storage.responses.get(OWNER, stolen.response.id)).response.previous_id is None


async def test_responses_in_no_conversation(storage: Storage, coming: ImportRecord) -> None:
    turns = [
        replace(one, response=replace(one.response, conversation_id=None)) for one in chain(conversation(), STEP + 1)
    ]
    assert len(await storage.arrivals.take(coming.id, None, turns, owner=OWNER)) == STEP + 1
    assert not await storage.arrivals.take(coming.id, None, turns, owner=OWNER)
    assert list(await storage.departures.order(OWNER, None)) == [one.response.id for one in turns]


async def test_all_that_leaves_is_what_came(storage: Storage, coming: ImportRecord) -> None:
    talk = conversation()
    turns = chain(talk, 3)
    talk = headed(talk, turns)
    await storage.arrivals.take(coming.id, talk, turns, owner=OWNER)
    (kept,) = await storage.departures.conversations(OWNER)
    assert replace(kept, deleted_at=None) == talk
    assert not await storage.departures.conversations(OWNER, after=kept.id)
    back = await storage.departures.turns(OWNER, await storage.departures.order(OWNER, talk.id))
    assert [(list(one.inputs), list(one.outputs)) for one in back] == [
        (list(one.inputs), list(one.outputs)) for one in turns
    ]
    running = response(conversation_id=talk.id)
    await storage.turn_log.begin(running, [])
    assert running.id not in await storage.departures.order(OWNER, talk.id)


async def test_imports_are_kept_by_owner(storage: Storage, coming: ImportRecord) -> None:
    done = replace(coming, status="done", report={"found": {"messages": 1}}, progress=1.0)
    await storage.imports.save(done)
    assert await storage.imports.get(OWNER, coming.id) == done
    assert await storage.imports.list(OWNER) == [done]
    assert not await storage.imports.open()
    await storage.imports.add(other := imported(status="reading", dry_run=True))
    assert [one.id for one in await storage.imports.open()] == [other.id]
    with pytest.raises(Conflict):
        await storage.imports.add(other)
    begun = replace(other, status="importing")
    await storage.imports.save(begun, was="reading")
    with pytest.raises(Conflict):
        await storage.imports.save(other, was="reading")
    assert await storage.imports.get(OWNER, other.id) == begun


async def test_an_earlier_wording_is_kept_but_never_found(storage: Storage) -> None:
    newer = memory(text="I live in Paris")
    older = memory(text="I live in Berlin", status="superseded", superseded_by=newer.id)
    await storage.memories.save(newer)
    await storage.memories.save(older)
    assert [one.id for one in await storage.memories.history(OWNER, newer.id)] == [newer.id, older.id]
    assert [one.id for one in (await storage.memories.list(OWNER, Wanted())).data] == [newer.id]
    assert not await storage.passages.of(OWNER, older.id)


async def test_several_come_in_at_once(storage: Storage, coming: ImportRecord) -> None:
    talks = []
    for title in ("one", "two", "three"):
        talk = conversation(title=title)
        turns = chain(talk, 3)
        talks.append((headed(talk, turns), turns))
    assert len(await storage.arrivals.take_all(coming.id, talks[:2], owner=OWNER)) == 6
    renamed = await storage.conversations.update(OWNER, talks[0][0].id, {"title": "Mine"})
    await storage.conversations.delete(OWNER, [talks[1][0].id])
    assert len(await storage.arrivals.take_all(coming.id, talks, owner=OWNER)) == 3
    assert not await storage.arrivals.take_all(coming.id, talks, owner=OWNER)
    assert await storage.conversations.get(OWNER, talks[0][0].id) == renamed
    for talk, turns in talks:
        assert (await storage.conversations.get(OWNER, talk.id)).head == talk.head
        assert len(await storage.departures.order(OWNER, talk.id)) == len(turns)


async def test_one_that_is_not_ours_keeps_all_out(storage: Storage, coming: ImportRecord) -> None:
    theirs = conversation(owner=STRANGER)
    await storage.conversations.create(theirs)
    talk, other = conversation(), replace(conversation(), id=theirs.id)
    turns, foreign = chain(talk, 1), chain(other, 1)
    with pytest.raises(Conflict):
        await storage.arrivals.take_all(coming.id, [(headed(talk, turns), turns), (other, foreign)], owner=OWNER)
    assert not (await storage.conversations.list(OWNER)).data
    await storage.imports.delete(OWNER, coming.id)
    with pytest.raises(NotFound):
        await storage.arrivals.take_all(coming.id, [(headed(talk, turns), turns)], owner=OWNER)


async def test_each_of_several_is_found_by_its_own_words_alone(storage: Storage, coming: ImportRecord) -> None:
    talks = []
    for number, word in enumerate(("anchovy", "béchamel", "味噌", "dill")):
        talk = conversation(title=f"Title {word}x" if number != 1 else "")
        turns = chain(talk, 3)
        odd = [said("\0 \ud800", item_id="msg_odd"), {"type": "reasoning", "id": "rs_1", "content": [], "summary": []}]
        told = answered(f"it is {word}", item_id="msg_told")
        turns[1] = replace(turns[1], inputs=[*odd, *turns[1].inputs], outputs=[told])
        talks.append((replace(talk, head=turns[-1].response.id), turns))
    before = conversation(title="Before", owner=OWNER)
    await storage.conversations.create(before)
    await storage.arrivals.take_all(coming.id, talks, owner=OWNER)
    for (talk, turns), word in zip(talks, ("anchovy", "bechamel", "味噌", "DILL"), strict=True):
        (found,) = (await storage.conversations.list(OWNER, query=word)).data
        assert (found.id, "it is" in found.snippet) == (talk.id, True)
        hits = await storage.passages.words(Within(owner=OWNER, space="turns"), word, 10)
        assert {hit.id.split("_")[1] for hit in hits} <= {one.response.id.split("_")[1] for one in turns}
        assert hits
    assert [one.id for one in (await storage.conversations.list(OWNER, query="before")).data] == [before.id]
    await storage.conversations.update(OWNER, talks[0][0].id, {"title": "Capers"})
    assert [one.id for one in (await storage.conversations.list(OWNER, query="capers")).data] == [talks[0][0].id]
    assert not (await storage.conversations.list(OWNER, query="anchovyx")).data
