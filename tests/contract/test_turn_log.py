"""The TurnLog port: what a running turn writes, and what is left of it after a crash."""

import asyncio
from dataclasses import replace

import pytest

from portal.core.assembler import Assembler
from portal.core.events import RECOVERY_GAP, Events, replay
from portal.core.items import Item, text_of
from portal.core.model import ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from portal.core.records import ResponseRecord, StoredItem, TurnRecord
from portal.errors import Conflict, NotFound
from portal.settings import Settings
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER, STRANGER, answered, conversation, output, response, said


async def get(storage: Storage, response_id: str) -> TurnRecord:
    return await storage.responses.get(OWNER, response_id)


async def begun(storage: Storage, *inputs: Item, **fields: object) -> ResponseRecord:
    record = response(**fields)
    await storage.turn_log.begin(record, inputs)
    return record


async def test_begin_stores_everything_it_was_given(storage: Storage) -> None:
    record = response(
        request={"temperature": 0.5, "big": 2**80, "tools": [{"name": "f"}]},
        usage={"input_tokens": 1},
        error={"code": "x"},
        incomplete_details={"reason": "y"},
        decision={"model": "m"},
        background=True,
        completed_at=5,
        last_seq=3,
    )
    first, second = said("hello"), said("again")
    await storage.turn_log.begin(record, [first, second])
    turn = await get(storage, record.id)
    assert turn.response == replace(record, request={**record.request, "big": float(2**80)})
    assert [stored.item for stored in turn.items] == [first, second]
    assert [(stored.side, stored.position) for stored in turn.items] == [("input", 0), ("input", 1)]
    assert turn.siblings == (record.id,)


async def test_begin_moves_the_conversation(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)
    record = await begun(storage, said("hi"), conversation_id=talk.id, created_at=talk.updated_at + 7)
    moved = await storage.conversations.get(OWNER, talk.id)
    assert (moved.head, moved.updated_at) == (record.id, talk.updated_at + 7)


async def test_begin_refuses_what_is_not_this_owners(storage: Storage) -> None:
    talk = conversation(owner=STRANGER)
    await storage.conversations.create(talk)
    theirs = response(owner=STRANGER, conversation_id=talk.id)
    await storage.turn_log.begin(theirs, [])
    for wrong in (
        response(conversation_id=talk.id),
        response(conversation_id="conv_none"),
        response(previous_id=theirs.id),
        response(previous_id="resp_none"),
    ):
        with pytest.raises(NotFound):
            await storage.turn_log.begin(wrong, [said("hi")])
        with pytest.raises(NotFound):
            await get(storage, wrong.id)
    assert (await storage.conversations.get(STRANGER, talk.id)).head == theirs.id


async def test_begin_may_expect_the_head_to_be_where_it_was(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)
    begin = storage.turn_log.begin
    first, second = response(conversation_id=talk.id), response(conversation_id=talk.id)
    await begin(first, [], expect_head=True)
    follower, late = (response(conversation_id=talk.id, previous_id=first.id) for _ in range(2))
    await begin(follower, [], expect_head=True)
    for overtaken in (second, late):
        with pytest.raises(Conflict) as refused:
            await begin(overtaken, [said("hi")], expect_head=True)
        assert refused.value.code == "conversation_locked"
        with pytest.raises(NotFound):
            await get(storage, overtaken.id)
    assert (await storage.conversations.get(OWNER, talk.id)).head == follower.id
    await begin(late, [])
    assert (await storage.conversations.get(OWNER, talk.id)).head == late.id
    with pytest.raises(NotFound):
        await begin(response(conversation_id="conv_none"), [], expect_head=True)


async def test_of_turns_that_begin_at_once_after_one_head_one_is_stored(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)

    async def begin() -> str | None:
        record = response(conversation_id=talk.id)
        try:
            await storage.turn_log.begin(record, [said("hi")], expect_head=True)
        except Conflict:
            return None
        return record.id

    async with asyncio.TaskGroup() as group:
        racing = [group.create_task(begin()) for _ in range(8)]
    (winner,) = [task.result() for task in racing if task.result()]
    assert (await storage.conversations.get(OWNER, talk.id)).head == winner


async def test_begin_refuses_a_deleted_conversation(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)
    await storage.conversations.delete(OWNER, [talk.id])
    with pytest.raises(NotFound):
        await begun(storage, said("hi"), conversation_id=talk.id)


async def test_an_id_is_used_once(storage: Storage) -> None:
    record = await begun(storage, said("hi"))
    with pytest.raises(Conflict):
        await storage.turn_log.begin(record, [said("other")])


async def test_flushed_pieces_are_read_as_one_item(storage: Storage) -> None:
    record = await begun(storage, said("hi"))
    note = {"type": "url_citation", "url": "/manual/x"}
    part: Item = {"type": "output_text", "text": "Once ", "annotations": [], "logprobs": [{"token": "Once"}]}
    skeleton = answered("", item_id="msg_1", status="in_progress")
    first: Item = {**skeleton, "content": [part]}
    second: Item = {
        **skeleton,
        "content": [{**part, "text": "upon", "annotations": [note], "logprobs": [{"token": "upon"}]}],
    }
    await storage.turn_log.flush(record.id, output(record.id, first, first_seq=2, last_seq=4, cuts=(4, 1)))
    await storage.turn_log.flush(record.id, output(record.id, second, first_seq=2, last_seq=5, cuts=(4,)))
    turn = await get(storage, record.id)
    partial = turn.items[-1]
    assert partial.item["content"] == [
        {**part, "text": "Once upon", "annotations": [note], "logprobs": [{"token": "Once"}, {"token": "upon"}]}
    ]
    assert (partial.side, partial.position, partial.first_seq, partial.last_seq) == ("output", 0, 2, -1)
    assert partial.cuts == (4, 1, 4)
    assert turn.response.last_seq == 5
    assert turn.response.status == "in_progress"


@pytest.mark.parametrize(
    "deltas",
    [
        [TextDelta(word, logprobs=[{"token": word}]) for word in ("One ", "two ", "three")],
        [ReasoningDelta("Hm, "), ReasoningDelta("so "), ReasoningDelta("be it")],
        [RefusalDelta("I "), RefusalDelta("will "), RefusalDelta("not")],
        [ToolCallDelta(0, "call_1", "f", "{"), ToolCallDelta(0, arguments='"a":'), ToolCallDelta(0, arguments="1}")],
    ],
)
async def test_what_the_agent_flushes_is_what_is_read(
    storage: Storage, deltas: list[TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta]
) -> None:
    record = await begun(storage)
    assembler = Assembler(response_id=record.id, events=Events(start=2))
    for number, delta in enumerate(deltas):
        list(assembler.feed(delta))
        if number != 1:  # two deltas in the second piece
            partial = assembler.unflushed()
            assert partial is not None
            await storage.turn_log.flush(record.id, partial)
            assembler.mark_flushed(partial)
    turn = await get(storage, record.id)
    assert [stored.item for stored in turn.items] == assembler.snapshot()
    assert len(turn.items[0].cuts) == 3


async def test_arguments_and_refusals_grow_too(storage: Storage) -> None:
    record = await begun(storage)
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "status": "in_progress"}
    refusal = answered("", item_id="msg_2", status="in_progress")
    for arguments, words in (('{"a":', "I "), ("1}", "cannot.")):
        await storage.turn_log.flush(record.id, output(record.id, {**call, "arguments": arguments}, position=0))
        part = {"type": "refusal", "refusal": words}
        await storage.turn_log.flush(record.id, output(record.id, {**refusal, "content": [part]}, position=1))
    items = [stored.item for stored in (await get(storage, record.id)).items]
    assert items[0]["arguments"] == '{"a":1}'
    assert items[1]["content"] == [{"type": "refusal", "refusal": "I cannot."}]


async def test_a_piece_before_any_text_is_an_empty_item(storage: Storage) -> None:
    record = await begun(storage)
    empty = {**answered("", item_id="msg_1", status="in_progress"), "content": []}
    await storage.turn_log.flush(record.id, output(record.id, empty, cuts=(), last_seq=2))
    await storage.turn_log.flush(record.id, output(record.id, answered("now", item_id="msg_1"), cuts=(3,), last_seq=4))
    (stored,) = (await get(storage, record.id)).items
    assert text_of(stored.item) == "now"


async def test_a_completed_item_replaces_its_pieces(storage: Storage) -> None:
    record = await begun(storage)
    piece = answered("Hel", item_id="msg_1", status="in_progress")
    await storage.turn_log.flush(record.id, output(record.id, piece, last_seq=4))
    done = output(record.id, answered("Hello", item_id="msg_1"), first_seq=2, last_seq=9, cuts=(3, 2))
    await storage.turn_log.append(record.id, done)
    turn = await get(storage, record.id)
    assert turn.items == (done,)
    assert turn.response.last_seq == 9


async def test_pieces_of_other_items_stay(storage: Storage) -> None:
    record = await begun(storage)
    await storage.turn_log.flush(record.id, output(record.id, answered("one", item_id="a"), position=0))
    await storage.turn_log.flush(record.id, output(record.id, answered("two", item_id="b"), position=1))
    await storage.turn_log.append(record.id, output(record.id, answered("one!", item_id="a"), position=0))
    assert [text_of(stored.item) for stored in (await get(storage, record.id)).items] == ["one!", "two"]


async def test_storing_an_item_again_changes_nothing(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)
    record = await begun(storage, conversation_id=talk.id)
    done = output(record.id, answered("uncommonword"))
    await storage.turn_log.append(record.id, done)
    await storage.turn_log.finish(replace(record, status="completed"), [done])
    assert (await get(storage, record.id)).items == (done,)
    assert len((await storage.conversations.list(OWNER, query="uncommonword")).data) == 1


async def test_finish_stores_the_end_and_drops_pieces(storage: Storage) -> None:
    record = await begun(storage, said("hi"))
    await storage.turn_log.flush(record.id, output(record.id, answered("par", item_id="x"), position=0))
    last = output(record.id, answered("partial", item_id="x"), first_seq=2, last_seq=8)
    end = replace(
        record,
        status="failed",
        completed_at=99,
        usage={"total_tokens": 3},
        error={"code": "backend_error"},
        incomplete_details={"reason": "max_output_tokens"},
        decision={"model": "m"},
        last_seq=12,
    )
    await storage.turn_log.finish(end, [last])
    turn = await get(storage, record.id)
    assert turn.response == end
    assert turn.items[1:] == (last,)


@pytest.mark.parametrize("wrong", ["resp_none", "finished"])
async def test_flushing_into_what_does_not_run_is_refused(storage: Storage, wrong: str) -> None:
    record = await begun(storage, id="finished")
    await storage.turn_log.finish(replace(record, status="completed"))
    with pytest.raises(NotFound):
        await storage.turn_log.flush(wrong, output(wrong, answered("late")))
    assert (await get(storage, record.id)).items == ()


async def test_writing_to_a_missing_response_is_refused(storage: Storage) -> None:
    with pytest.raises(NotFound):
        await storage.turn_log.append("resp_none", output("resp_none", answered("x")))
    with pytest.raises(NotFound):
        await storage.turn_log.finish(response(status="completed"))
    theirs = response(owner=STRANGER)
    await storage.turn_log.begin(theirs, [])
    with pytest.raises(NotFound):
        await storage.turn_log.finish(replace(theirs, owner=OWNER, status="failed"))


async def test_nothing_to_recover(storage: Storage) -> None:
    record = await begun(storage)
    await storage.turn_log.finish(replace(record, status="completed"))
    assert await storage.turn_log.recover() == []


async def test_recovery_makes_interrupted_turns_incomplete(settings: Settings) -> None:
    async with open_storage(settings) as storage:
        talk = conversation()
        await storage.conversations.create(talk)
        running = await begun(storage, said("tell me"), conversation_id=talk.id)
        waiting = await begun(storage, status="queued")
        done = output(running.id, answered("first", item_id="a"), position=0, first_seq=2, last_seq=9)
        await storage.turn_log.append(running.id, done)
        piece = answered("halfwaythere", item_id="b", status="in_progress")
        await storage.turn_log.flush(
            running.id, output(running.id, piece, position=1, first_seq=10, last_seq=12, cuts=(7, 5))
        )
    async with open_storage(settings) as storage:
        assert sorted(await storage.turn_log.recover()) == sorted([running.id, waiting.id])
        assert await storage.turn_log.recover() == []
        turn = await get(storage, running.id)
        assert turn.response.status == "incomplete"
        assert turn.response.incomplete_details == {"reason": "interrupted"}
        assert turn.response.last_seq == 12 + RECOVERY_GAP
        assert turn.response.completed_at
        assert turn.items[1] == done
        rescued = turn.items[2]
        assert text_of(rescued.item) == "halfwaythere"
        assert rescued.item["status"] == "incomplete"
        assert (await get(storage, waiting.id)).response.last_seq == RECOVERY_GAP - 1
        assert [found.id for found in (await storage.conversations.list(OWNER, query="halfway")).data] == [talk.id]


async def test_a_recovered_item_replays_with_the_numbers_it_had(storage: Storage) -> None:
    record = await begun(storage)
    live = Events(start=2)
    item = answered("Hello there", item_id="m", status="in_progress")
    told = [*live.opened(0, item), live.delta(0, item, "Hello"), live.delta(0, item, " there")]
    newest = told[-1]["sequence_number"]
    await storage.turn_log.flush(record.id, output(record.id, item, first_seq=2, last_seq=newest, cuts=(5, 6)))
    await storage.turn_log.recover()
    (stored,) = (await get(storage, record.id)).items
    again = list(replay(stored, -1))
    assert [event["type"] for event in again[:3]] == [event["type"] for event in told[:3]]
    assert again[2]["sequence_number"] == newest
    assert again[-1]["type"] == "response.output_item.done"
    assert again[-1]["sequence_number"] == stored.last_seq > newest
    assert stored.last_seq < (await get(storage, record.id)).response.last_seq


async def test_recovered_reasoning_gets_no_status_it_did_not_have(storage: Storage) -> None:
    record = await begun(storage)
    thought: Item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hm"}],
    }
    await storage.turn_log.flush(record.id, output(record.id, thought))
    await storage.turn_log.recover()
    (stored,) = (await get(storage, record.id)).items
    assert stored.item == thought


async def test_two_hundred_turns_begin_at_once_in_one_conversation(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(begun(storage, said(f"number {number}"), conversation_id=talk.id))
            for number in range(200)
        ]
    ids = {task.result().id for task in tasks}
    head = (await storage.conversations.get(OWNER, talk.id)).head
    assert head in ids
    assert set((await storage.responses.get(OWNER, head)).siblings) == ids


async def test_turns_run_side_by_side(storage: Storage) -> None:
    async def turn(number: int) -> StoredItem:
        record = await begun(storage, said(f"question {number}"))
        for piece in range(3):
            item = answered(f"{number}.{piece} ", item_id=f"m{number}", status="in_progress")
            await storage.turn_log.flush(record.id, output(record.id, item, last_seq=piece))
        done = output(record.id, answered(f"answer {number}", item_id=f"m{number}"))
        await storage.turn_log.append(record.id, done)
        await storage.turn_log.finish(replace(record, status="completed", last_seq=10))
        return done

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(turn(number)) for number in range(30)]
    for task in tasks:
        found = await get(storage, task.result().response_id)
        assert found.items[1] == task.result()
        assert found.response.status == "completed"
