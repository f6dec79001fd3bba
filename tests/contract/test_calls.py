"""The CallLog port: a call is recorded before it begins, under an approval that is used once."""

import asyncio
from dataclasses import replace

import pytest

from portal.core.events import RECOVERY_GAP, Event, Events, replay
from portal.core.items import Item
from portal.core.records import ResponseRecord, StoredItem, TurnRecord
from portal.core.responses import rebuilt
from portal.errors import Conflict, NotFound
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.open import Storage, open_storage
from portal.storage.partials import NOT_BEGUN, OUTCOME_UNKNOWN
from portal.testing.records import (
    OWNER,
    answered,
    approval,
    call_item,
    decision,
    output,
    request_item,
    response,
    said,
)


async def running(storage: Storage) -> ResponseRecord:
    record = response()
    await storage.turn_log.begin(record, [])
    return record


def call(record: ResponseRecord, position: int = 0, first_seq: int = 3, **fields: object) -> StoredItem:
    item = call_item(**fields)
    return output(record.id, item, position=position, first_seq=first_seq, last_seq=-1, cuts=())


async def get(storage: Storage, record: ResponseRecord) -> TurnRecord:
    return await storage.responses.get(OWNER, record.id)


async def allowed(storage: Storage, **fields: object) -> tuple[str, str]:
    """The id and the hash of an approved question."""
    asking = await running(storage)
    question = approval(response_id=asking.id, **fields)
    await storage.call_log.ask([output(asking.id, request_item(question), cuts=())], [question])
    await storage.turn_log.finish(replace(asking, status="incomplete"))
    await storage.approvals.decide(OWNER, {question.id: decision()})
    return question.id, question.arguments_hash


async def test_a_call_is_there_while_it_runs_and_replaced_at_its_end(storage: Storage) -> None:
    record = await running(storage)
    begun = call(record)
    await storage.call_log.begin(begun)
    turn = await get(storage, record)
    assert turn.items == (begun,)
    assert turn.response.last_seq == 5
    assert [event["type"] for event in replay(turn.items[0], -1)] == [
        "response.output_item.added",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.done",
    ]
    done = replace(begun, item={**begun.item, "status": "completed", "output": "written"}, last_seq=9)
    await storage.turn_log.append(record.id, done)
    assert (await get(storage, record)).items == (done,)


@pytest.mark.parametrize("wrong", ["resp_none", "finished"])
async def test_a_call_begins_in_a_running_turn_only(storage: Storage, wrong: str) -> None:
    finished = response(id="finished")
    await storage.turn_log.begin(finished, [])
    await storage.turn_log.finish(replace(finished, status="completed"))
    approval_id, hashed = await allowed(storage)
    with pytest.raises(NotFound):
        await storage.call_log.begin(call(response(id=wrong)), approval_id=approval_id, arguments_hash=hashed)
    assert (await storage.approvals.get(OWNER, approval_id)).status == "approved"


async def test_an_approval_is_used_once(storage: Storage) -> None:
    record, (approval_id, hashed) = await running(storage), await allowed(storage)
    await storage.call_log.begin(call(record), approval_id=approval_id, arguments_hash=hashed)
    assert (await storage.approvals.get(OWNER, approval_id)).status == "used"
    await refused(storage, record, approval_id, hashed)


async def refused(storage: Storage, record: ResponseRecord, approval_id: str, hashed: str) -> None:
    before = await get(storage, record)
    with pytest.raises(Conflict) as unusable:
        await storage.call_log.begin(call(record, position=1), approval_id=approval_id, arguments_hash=hashed)
    assert unusable.value.code == "approval_unusable"
    assert await get(storage, record) == before


async def test_of_twenty_racing_uses_one_begins(storage: Storage) -> None:
    record, (approval_id, hashed) = await running(storage), await allowed(storage)

    async def begin(position: int) -> bool:
        try:
            await storage.call_log.begin(call(record, position), approval_id=approval_id, arguments_hash=hashed)
        except Conflict:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(begin(position)) for position in range(20)]
    assert sum(task.result() for task in tasks) == 1
    assert len((await get(storage, record)).items) == 1


async def test_changed_arguments_are_not_what_was_approved(storage: Storage) -> None:
    record, (approval_id, _) = await running(storage), await allowed(storage)
    other = approval(arguments={"path": "notes/a.txt", "text": "goodbye"}).arguments_hash
    await refused(storage, record, approval_id, other)


async def test_what_nobody_approved_does_not_begin(storage: Storage) -> None:
    record = await running(storage)
    pending, denied = (approval(response_id=record.id) for _ in range(2))
    items = [output(record.id, request_item(one), position=5 + at) for at, one in enumerate((pending, denied))]
    await storage.call_log.ask(items, [pending, denied])
    await storage.approvals.decide(OWNER, {denied.id: decision(approve=False)})
    for question in (pending, denied):
        await refused(storage, record, question.id, question.arguments_hash)
    await refused(storage, record, "mcpr_none", pending.arguments_hash)


async def test_an_approval_that_is_too_old_is_not_used(storage: Storage) -> None:
    record, (approval_id, hashed) = await running(storage), await allowed(storage)
    expire = "UPDATE approvals SET expires_at = created_at WHERE id = :approval_id"
    await storage.database.batch([Statement(expire, {"approval_id": approval_id}, 1)])
    await refused(storage, record, approval_id, hashed)


async def test_questions_of_a_missing_response_are_not_stored(storage: Storage) -> None:
    question = approval(response_id="resp_none")
    with pytest.raises(NotFound):
        await storage.call_log.ask([output("resp_none", request_item(question))], [question])
    with pytest.raises(NotFound):
        await storage.approvals.get(OWNER, question.id)


def live_calls(record: ResponseRecord, *, count: int) -> tuple[list[StoredItem], list[Event], Events]:
    """Calls that begin beside each other after one message, with the events that said so."""
    numbers = Events(start=3)
    items = [call_item() for _ in range(count)]
    stored, told = [], []
    for position, item in enumerate(items, start=1):
        first = numbers.next_seq
        told += numbers.opened(position, item)
        stored.append(output(record.id, item, position=position, first_seq=first, last_seq=-1, cuts=()))
    numbers.event("portal:tool_progress", item_id=items[0]["id"], detail="half")
    return stored, told, numbers


async def test_calls_beside_each_other_are_told_again_in_order(storage: Storage) -> None:
    record = await running(storage)
    stored, told, numbers = live_calls(record, count=3)
    for begun in stored:
        await storage.call_log.begin(begun)
    for begun, ending in ((stored[1], "completed"), (stored[2], "failed"), (stored[0], "completed")):
        item: Item = {**begun.item, "status": ending, "output": "fine", "portal:milliseconds": 12}
        told += numbers.closed(begun.position, item)
        await storage.turn_log.append(record.id, replace(begun, item=item, last_seq=told[-1]["sequence_number"]))
    turn = await get(storage, record)
    again = [event for event in rebuilt(turn, -1) if event["sequence_number"] > 1]
    assert again == told
    assert turn.response.last_seq == told[-1]["sequence_number"]
    for after in range(-1, told[-1]["sequence_number"]):
        rest = [event for event in rebuilt(turn, after) if event["sequence_number"] > 1]
        assert rest == [event for event in told if event["sequence_number"] > after]


async def test_what_is_stored_out_of_order_takes_no_number_back(storage: Storage) -> None:
    record = await running(storage)
    later, sooner = (output(record.id, answered("x"), position=at, last_seq=seq) for at, seq in ((1, 20), (0, 18)))
    await storage.turn_log.append(record.id, later)
    await storage.turn_log.append(record.id, sooner)
    assert (await get(storage, record)).response.last_seq == 20


async def test_a_crash_leaves_calls_whose_outcome_nobody_knows(settings: Settings) -> None:
    async with open_storage(settings) as storage:
        record = await running(storage)
        stored, told, numbers = live_calls(record, count=3)
        for begun in stored:
            await storage.call_log.begin(begun)
        item: Item = {**stored[1].item, "status": "completed", "output": "fine"}
        told += numbers.closed(2, item)
        await storage.turn_log.append(record.id, replace(stored[1], item=item, last_seq=told[-1]["sequence_number"]))
    async with open_storage(settings) as storage:
        await storage.turn_log.recover()
        turn = await get(storage, record)
        unknown, done, other = (kept.item for kept in turn.items)
        assert done == item
        for left, begun in ((unknown, stored[0]), (other, stored[2])):
            assert left == {**begun.item, "status": "incomplete", "error": OUTCOME_UNKNOWN}
        again = rebuilt(turn, 1)
        numbers_again = [event["sequence_number"] for event in again]
        assert numbers_again == sorted(set(numbers_again))
        assert again[: len(told)] == told
        endings = [event["type"] for event in again[len(told) :]]
        assert endings == [*(["response.mcp_call.failed", "response.output_item.done"] * 2), "response.incomplete"]
        assert numbers_again[-1] == turn.response.last_seq == told[-1]["sequence_number"] + RECOVERY_GAP


async def test_calls_that_were_allowed_and_never_began_say_so(settings: Settings) -> None:
    async with open_storage(settings) as storage:
        asking = await running(storage)
        questions = [approval(response_id=asking.id, question=number == 3) for number in range(4)]
        items = [output(asking.id, request_item(one), position=at, cuts=()) for at, one in enumerate(questions)]
        await storage.call_log.ask(items, questions)
        await storage.approvals.decide(OWNER, {one.id: decision(approve=one is not questions[1]) for one in questions})
        record = response(previous_id=asking.id)
        answers = [
            {"type": "mcp_approval_response", "id": f"a{one.id}", "approval_request_id": one.id, "approve": True}
            for one in questions
        ]
        await storage.turn_log.begin(record, answers)
        begun = call(record)
        hashed = questions[0].arguments_hash
        await storage.call_log.begin(begun, approval_id=questions[0].id, arguments_hash=hashed)
        other = response(previous_id=asking.id)
        with pytest.raises(Conflict):
            await storage.turn_log.begin(other, answers)
        await storage.turn_log.begin(other, [said("Something else.")])
    async with open_storage(settings) as storage:
        assert len(await storage.turn_log.recover()) == 3
        asked, turn, beside = [await get(storage, one) for one in (asking, record, other)]
        assert asked.response.incomplete_details == {"reason": "approval_required"}
        assert turn.response.incomplete_details == {"reason": "interrupted"}
        unknown, left = (kept.item for kept in turn.items if kept.side == "output")
        assert unknown["error"] == OUTCOME_UNKNOWN
        assert (left["status"], left["error"]) == ("failed", NOT_BEGUN)
        assert left["approval_request_id"] == questions[2].id
        assert [kept for kept in beside.items if kept.side == "output"] == []
        again = [event["sequence_number"] for event in rebuilt(turn, -1)]
        assert again == sorted(set(again))
        assert again[-1] == turn.response.last_seq
        assert await storage.turn_log.recover() == []


async def test_a_question_is_told_again_as_it_was(storage: Storage) -> None:
    record = await running(storage)
    question = approval(response_id=record.id)
    item, numbers = request_item(question), Events(start=3)
    told = [*numbers.opened(0, item), *numbers.closed(0, item)]
    stored = output(record.id, item, first_seq=3, last_seq=told[-1]["sequence_number"], cuts=())
    await storage.call_log.ask([stored], [question])
    assert list(replay((await get(storage, record)).items[0], -1)) == told
    assert [event["type"] for event in told] == ["response.output_item.added", "response.output_item.done"]
