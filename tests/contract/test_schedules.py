"""Schedules, their runs and their deliveries: over SQLite and PostgreSQL alike."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from portal.core.schedules import Delivery, Permit, RunStatus, ScheduleRecord
from portal.errors import BadRequest, Conflict, NotFound, RateLimited
from portal.storage.open import Storage
from portal.testing.records import OWNER, conversation, response, schedule, schedule_run, user


async def kept(storage: Storage, **fields: object) -> ScheduleRecord:
    made = schedule(**fields)
    await storage.schedules.save(made)
    return made


async def test_a_schedule_is_kept_as_it_is(storage: Storage) -> None:
    made = schedule(
        kind="hook",
        timing="",
        continued=True,
        conversation_id="conv_1",
        catch_up="all",
        jitter=5,
        parallel=3,
        targets=["page", "telegram"],
        permits=[Permit(toolset="notes", tool="write_note")],
        permitted_at=7,
        signature="stripe",
        paused=True,
        next_at=2**50,
    )
    await storage.schedules.save(made, token_hash="hash")
    assert await storage.schedules.get(OWNER, made.id) == made
    assert await storage.schedules.by_token("hash") == made
    assert await storage.schedules.by_token("other") is None
    other = await kept(storage, created_at=made.created_at + 1)
    assert await storage.schedules.list(OWNER) == [made, other]
    changed = replace(made, name="Other", next_at=None, changed_at=made.changed_at + 1)
    await storage.schedules.save(changed, before=made)
    assert await storage.schedules.by_token("hash") == changed
    await storage.schedules.save(replace(changed, changed_at=changed.changed_at + 1), before=changed, token_hash="new")
    assert await storage.schedules.by_token("hash") is None
    with pytest.raises(Conflict):
        await storage.schedules.save(changed, before=made)
    with pytest.raises(Conflict, match="already"):
        await kept(storage, name="Other")
    await storage.schedules.delete(OWNER, made.id)
    with pytest.raises(NotFound):
        await storage.schedules.get(OWNER, made.id)
    with pytest.raises(NotFound):
        await storage.schedules.delete(OWNER, made.id)


async def test_of_several_that_see_a_time_come_one_gets_it(storage: Storage) -> None:
    made = await kept(storage, next_at=100)
    await kept(storage, next_at=200)
    await kept(storage, next_at=None)
    assert [one.id for one in await storage.runs.due(100)] == [made.id]

    async def fire() -> bool:
        return await storage.runs.add([schedule_run(made, cause="time", due_at=100)], made, 300)

    async with asyncio.TaskGroup() as tasks:
        fired = [tasks.create_task(fire()) for _ in range(6)]
    assert sorted(one.result() for one in fired) == [False] * 5 + [True]
    assert len((await storage.runs.list(OWNER, made.id)).data) == 1
    (moved,) = [one for one in await storage.schedules.list(OWNER) if one.id == made.id]
    assert moved.next_at == 300
    again = replace(moved, next_at=100, changed_at=moved.changed_at + 1)
    await storage.schedules.save(again, before=moved)  # whatever becomes of a schedule, a time runs once
    assert await storage.runs.add([schedule_run(made, cause="late", due_at=100)], again, 300)
    assert len((await storage.runs.list(OWNER, made.id)).data) == 1


async def test_a_delivery_begins_one_run(storage: Storage) -> None:
    made = await kept(storage)
    first = schedule_run(made, cause="hook", delivery_id="d", payload="p")
    await storage.runs.add_hooked(first, 5)
    with pytest.raises(Conflict):
        await storage.runs.add_hooked(schedule_run(made, cause="hook", delivery_id="d"), 5)
    assert await storage.runs.sent(made.id, "d") == first
    assert await storage.runs.sent(made.id, "e") is None


async def test_runs_are_claimed_once_in_order_and_within_bounds(storage: Storage) -> None:
    one, other = await kept(storage), await kept(storage, parallel=2)
    later = schedule_run(one, ready_at=50)
    first = schedule_run(one, ready_at=10)
    theirs = [schedule_run(other, ready_at=20 + at) for at in range(3)]
    await storage.runs.add([later, first, *theirs])
    assert await storage.runs.claim(9, 9) is None
    claimed = [await storage.runs.claim(60, 9) for _ in range(5)]
    assert [found[1].id for found in claimed if found] == [first.id, theirs[0].id, theirs[1].id]
    assert {found[1].status for found in claimed if found} == {"starting"}
    assert claimed[0] is not None
    assert claimed[0][0].id == one.id
    running = replace(claimed[0][1], status="running", conversation_id="conv_2")
    assert await storage.runs.change(running, "starting")
    assert not await storage.runs.change(running, "starting")
    assert await storage.runs.claim(60, 9) is None
    assert await storage.runs.change(replace(running, status="completed", ended_at=70), "running")
    assert await storage.runs.claim(60, 2) is None
    found = await storage.runs.claim(60, 3)
    assert found is not None
    assert found[1].id == later.id


async def test_several_claim_at_once(storage: Storage) -> None:
    made = await kept(storage, parallel=20)
    await storage.runs.add([schedule_run(made) for _ in range(8)])

    async def claim() -> str | None:
        found = await storage.runs.claim(1, 20)
        return found[1].id if found else None

    async with asyncio.TaskGroup() as tasks:
        claims = [tasks.create_task(claim()) for _ in range(8)]
    ids = [one.result() for one in claims if one.result()]
    assert len(ids) == len(set(ids))
    while (more := await claim()) is not None:
        ids.append(more)
    assert len(ids) == len(set(ids)) == 8


async def test_a_paused_schedule_runs_when_a_person_says_so(storage: Storage) -> None:
    made = await kept(storage, paused=True)
    mine = schedule_run(made)
    await storage.runs.add([schedule_run(made, cause="hook"), mine])
    found = await storage.runs.claim(1, 9)
    assert found is not None
    assert found[1].id == mine.id


async def test_what_is_next(storage: Storage) -> None:
    assert await storage.runs.next_after(0) is None
    made = await kept(storage, next_at=300)
    assert await storage.runs.next_after(0) == 300
    await storage.runs.add([run := schedule_run(made, ready_at=200)])
    assert await storage.runs.next_after(0) == 200
    assert await storage.runs.next_after(200) == 300
    assert await storage.runs.next_after(300) is None
    ended = replace(run, status="failed", deliveries=[Delivery(target="slack", ready_at=400)])
    await storage.runs.change(ended, "queued")
    assert await storage.runs.next_after(300) == 400


async def test_permits_last_as_long_as_their_run(storage: Storage) -> None:
    permits = [Permit(toolset="notes", tool=name) for name in ("read_note", "write_note")]
    made = await kept(storage, permits=permits, permitted_at=5)
    run, other = schedule_run(made), schedule_run(made)
    await storage.runs.add([run, other])
    for one in (run, other):
        await storage.conversations.create(conversation(id=one.conversation_id))
        await storage.runs.change(replace(one, status="starting"), "queued")
        await storage.runs.permit(made, one)
    granted = await storage.grants.list(OWNER)
    assert {(one.tool, one.extent, one.value, one.created_at) for one in granted} == {
        (tool, "conversation", one.conversation_id, 5) for tool in ("read_note", "write_note") for one in (run, other)
    }
    await storage.runs.change(replace(run, status="waiting"), "starting")
    assert len(await storage.grants.list(OWNER)) == 4
    await storage.runs.change(replace(run, status="completed"), "waiting")
    assert {one.value for one in await storage.grants.list(OWNER)} == {other.conversation_id}
    await storage.schedules.save(replace(made, permits=permits[:1], changed_at=made.changed_at + 1), before=made)
    assert await storage.grants.list(OWNER) == []


async def test_nothing_is_permitted_that_nobody_would_take_away(storage: Storage) -> None:
    """The schedule is deleted, or permits something else, just before its run begins; or the run has ended."""
    permits = [Permit(toolset="notes", tool="write_note")]
    gone, changed, ended = [await kept(storage, permits=permits, permitted_at=5) for _ in range(3)]
    runs = [schedule_run(one) for one in (gone, changed, ended)]
    await storage.runs.add(runs)
    for run in runs:
        await storage.conversations.create(conversation(id=run.conversation_id))
        await storage.runs.change(replace(run, status="starting"), "queued")
    await storage.schedules.delete(OWNER, gone.id)
    later = replace(changed, permits=[], permitted_at=6, changed_at=changed.changed_at + 1)
    await storage.schedules.save(later, before=changed)
    await storage.runs.change(replace(runs[2], status="failed"), "starting")
    for one, run in zip((gone, changed, ended), runs, strict=True):
        await storage.runs.permit(one, run)
    assert await storage.grants.list(OWNER) == []


async def test_a_permit_is_older_than_what_its_conversation_has_read(storage: Storage) -> None:
    made = await kept(storage, permits=[Permit(toolset="notes", tool="write_note")], permitted_at=2**50)
    await storage.runs.add([run := schedule_run(made)])
    await storage.conversations.create(conversation(id=run.conversation_id, created_at=500_000))
    await storage.runs.change(replace(run, status="starting"), "queued")
    await storage.runs.permit(made, run)
    (granted,) = await storage.grants.list(OWNER)
    assert granted.created_at == 499_000


async def test_a_webhook_has_so_many_runs_that_have_not_ended(storage: Storage) -> None:
    made, other = await kept(storage), await kept(storage)
    statuses: list[RunStatus] = ["queued", "starting", "running", "waiting", "completed", "missed"]
    await storage.runs.add([schedule_run(made, status=one) for one in statuses])
    await storage.runs.add_hooked(schedule_run(other, cause="hook"), 1)

    async def hooked() -> bool:
        with suppress(RateLimited):
            await storage.runs.add_hooked(schedule_run(made, cause="hook"), 6)
            return True
        return False

    async with asyncio.TaskGroup() as tasks:
        tries = [tasks.create_task(hooked()) for _ in range(8)]
    assert sum(one.result() for one in tries) == 2


async def test_somebody_has_so_many_schedules(storage: Storage) -> None:
    await storage.people.add(user(id=OWNER))
    await kept(storage)

    async def made() -> bool:
        with suppress(BadRequest):
            await storage.schedules.save(schedule(), most=3)
            return True
        return False

    async with asyncio.TaskGroup() as tasks:
        tries = [tasks.create_task(made()) for _ in range(8)]
    assert sum(one.result() for one in tries) == 2
    assert len(await storage.schedules.list(OWNER)) == 3


async def test_a_continued_conversation_is_named_by_its_first_run(storage: Storage) -> None:
    made, other = await kept(storage, continued=True), await kept(storage)
    for one in (made, other):
        await storage.runs.add([run := schedule_run(one)])
        await storage.runs.change(replace(run, status="running", conversation_id="conv_9"), "queued")
    assert (await storage.schedules.get(OWNER, made.id)).conversation_id == "conv_9"
    assert (await storage.schedules.get(OWNER, other.id)).conversation_id is None


async def test_history_is_paged_and_pruned(storage: Storage) -> None:
    made = await kept(storage)
    ended: RunStatus = "completed"
    open_run = schedule_run(made, due_at=0)
    runs = [schedule_run(made, due_at=at, status=ended) for at in range(6)]
    await storage.runs.add([open_run, *runs])
    first = await storage.runs.list(OWNER, made.id, limit=4)
    assert [run.due_at for run in first.data] == [5, 4, 3, 2]
    second = await storage.runs.list(OWNER, made.id, limit=4, cursor=first.next)
    assert [run.id for run in second.data] == [runs[1].id, runs[0].id, open_run.id]
    assert second.next is None
    with pytest.raises(BadRequest):
        await storage.runs.list(OWNER, (await kept(storage)).id, cursor=first.next)
    newest = await storage.runs.newest(OWNER)
    assert {name: run.id for name, run in newest.items()} == {made.id: runs[5].id}
    await storage.runs.prune(made.id, 2, 3)
    left = await storage.runs.list(OWNER, made.id)
    assert [run.due_at for run in left.data] == [5, 4, 3, 0]
    assert left.data[-1].id == open_run.id
    assert [run.id for run in await storage.runs.among(["queued"])] == [open_run.id]


async def test_deliveries(storage: Storage) -> None:
    made = await kept(storage)
    await storage.runs.add([run := schedule_run(made)])
    told = [
        Delivery(target="slack", ready_at=10),
        Delivery(target="page", status="sent"),
        Delivery(target="x", ready_at=99),
    ]
    await storage.runs.change(replace(run, status="completed", deliveries=told), "queued")
    assert await storage.runs.take(9) is None
    taken = await storage.runs.take(10)
    assert taken is not None
    schedule_taken, run_taken, delivery = taken
    assert (schedule_taken.id, run_taken.id) == (made.id, run.id)
    assert delivery == Delivery(target="slack", status="sending", attempts=1, ready_at=10)
    assert await storage.runs.take(10) is None
    await storage.runs.interrupted()
    again = await storage.runs.take(10)
    assert again is not None
    assert again[2].attempts == 2
    await storage.runs.settle(run.id, replace(delivery, status="sent"))  # by somebody who was taken for gone
    assert (await storage.runs.list(OWNER, made.id)).data[0].deliveries[1].status == "sending"
    await storage.runs.settle(run.id, replace(again[2], status="failed", error="Blocked."))
    (listed,) = (await storage.runs.list(OWNER, made.id)).data
    assert {one.target: (one.status, one.error) for one in listed.deliveries} == {
        "slack": ("failed", "Blocked."),
        "page": ("sent", ""),
        "x": ("pending", ""),
    }


async def test_what_follows_a_run(storage: Storage) -> None:
    made = await kept(storage)
    await storage.runs.add([run := schedule_run(made)])
    assert await storage.runs.followed(run) is None
    await storage.turn_log.begin(response(id=run.response_id), [])
    for name in ("resp_b1", "resp_b2"):
        await storage.turn_log.begin(response(id=name, previous_id=run.response_id), [])
    assert await storage.runs.followed(run) == "resp_b2"
    assert await storage.runs.followed(replace(run, owner="somebody else")) is None
