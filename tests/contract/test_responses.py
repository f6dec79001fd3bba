"""The Responses port: the tree of turns."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from portal.core.records import ResponseRecord
from portal.errors import NotFound
from portal.storage.open import Storage
from portal.testing.records import OWNER, STRANGER, answered, conversation, output, response, said


async def chain(storage: Storage, length: int, **fields: object) -> list[ResponseRecord]:
    """Responses that follow each other."""
    made: list[ResponseRecord] = []
    for number in range(length):
        record = response(previous_id=made[-1].id if made else None, **fields)
        await storage.turn_log.begin(record, [said(f"question {number}")])
        await storage.turn_log.append(record.id, output(record.id, answered(f"answer {number}")))
        made.append(record)
    return made


def ids(records: Sequence[ResponseRecord]) -> list[str]:
    return [record.id for record in records]


async def test_a_window_is_the_path_from_the_root(storage: Storage) -> None:
    main = await chain(storage, 4)
    branch = response(previous_id=main[1].id)
    await storage.turn_log.begin(branch, [said("other")])
    window = await storage.responses.window(OWNER, main[3].id)
    assert [turn.response.id for turn in window] == ids(main)
    assert [len(turn.items) for turn in window] == [2, 2, 2, 2]
    assert all(turn.siblings == () for turn in window)
    window = await storage.responses.window(OWNER, branch.id)
    assert [turn.response.id for turn in window] == [main[0].id, main[1].id, branch.id]


async def test_a_window_is_limited_to_the_newest(storage: Storage) -> None:
    main = await chain(storage, 5)
    window = await storage.responses.window(OWNER, main[4].id, limit=2)
    assert [turn.response.id for turn in window] == ids(main[3:])


async def test_siblings_are_those_of_the_same_parent_in_the_conversation(storage: Storage) -> None:
    talk, other = conversation(), conversation()
    await storage.conversations.create(talk)
    await storage.conversations.create(other)
    (root,) = await chain(storage, 1, conversation_id=talk.id)
    made = []
    for place in (talk, talk, other):
        made.append(response(previous_id=root.id, conversation_id=place.id))
        await storage.turn_log.begin(made[-1], [])
    assert (await storage.responses.get(OWNER, made[1].id)).siblings == (made[0].id, made[1].id)
    assert (await storage.responses.get(OWNER, made[2].id)).siblings == (made[2].id,)
    (second_root,) = await chain(storage, 1, conversation_id=talk.id)
    assert (await storage.responses.get(OWNER, root.id)).siblings == (root.id, second_root.id)


async def test_outside_a_conversation_a_response_is_its_only_sibling(storage: Storage) -> None:
    first, _ = await chain(storage, 1), await chain(storage, 1)
    assert (await storage.responses.get(OWNER, first[0].id)).siblings == (first[0].id,)


async def test_items_are_found_by_id(storage: Storage) -> None:
    (record,) = await chain(storage, 1)
    done = output(record.id, answered("the original", item_id="msg_x"), position=1)
    await storage.turn_log.append(record.id, done)
    await storage.turn_log.begin(response(), [said("sent back", item_id="msg_x")])
    assert await storage.responses.item(OWNER, "msg_x") == done
    for owner, item_id in ((STRANGER, "msg_x"), (OWNER, "msg_none")):
        with pytest.raises(NotFound):
            await storage.responses.item(owner, item_id)


@pytest.mark.parametrize("rating", [-1, 0, 1])
async def test_feedback_is_kept(storage: Storage, rating: int) -> None:
    (record,) = await chain(storage, 1)
    await storage.responses.feedback(OWNER, record.id, rating)
    assert (await storage.responses.get(OWNER, record.id)).response.feedback == rating


async def test_deleting_the_head_goes_back_to_its_parent(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)
    first, second = await chain(storage, 2, conversation_id=talk.id)
    await storage.responses.delete(OWNER, second.id)
    assert (await storage.conversations.get(OWNER, talk.id)).head == first.id
    with pytest.raises(NotFound):
        await storage.responses.get(OWNER, second.id)
    await storage.responses.delete(OWNER, first.id)
    assert (await storage.conversations.get(OWNER, talk.id)).head is None


async def test_those_that_follow_a_deleted_response_keep_what_came_before_it(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)
    main = await chain(storage, 4, conversation_id=talk.id)
    await storage.responses.delete(OWNER, main[1].id)
    window = await storage.responses.window(OWNER, main[3].id)
    assert [turn.response.id for turn in window] == [main[0].id, main[2].id, main[3].id]
    assert (await storage.conversations.get(OWNER, talk.id)).head == main[3].id
    assert (await storage.conversations.list(OWNER, query='"question 1"')).data == []
    assert len((await storage.conversations.list(OWNER, query="question 2")).data) == 1


async def test_an_odd_id_is_simply_not_found(storage: Storage) -> None:
    for odd in ("", "\0", "'; DROP TABLE responses; --", "\ud800", "%s", "x" * 10_000):
        with pytest.raises(NotFound):
            await storage.responses.get(OWNER, odd)
        with pytest.raises(NotFound):
            await storage.responses.window(OWNER, odd)
        with pytest.raises(NotFound):
            await storage.responses.delete(OWNER, odd)
        with pytest.raises(NotFound):
            await storage.responses.feedback(OWNER, odd, 1)


async def test_the_newest_turns_of_an_owner_whatever_their_conversation(storage: Storage) -> None:
    main = await chain(storage, 3)
    talk = conversation()
    await storage.conversations.create(talk)
    (last,) = await chain(storage, 1, conversation_id=talk.id)
    await storage.turn_log.finish(replace(last, status="completed"))
    await storage.conversations.add_items(OWNER, talk.id, [said("no model was asked")])
    found = await storage.responses.recent(OWNER, 3)
    assert [turn.response.id for turn in found] == [last.id, main[2].id, main[1].id]
    assert [len(turn.items) for turn in found] == [2, 2, 2]
    assert await storage.responses.recent(STRANGER, 3) == []
