"""The scheduler sees times come, begins each run once, follows it to its end, and brings the answer to people."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.tool_desk import able, calls
from tests.schedules.conftest import BOUNDS, Table, answer, opened, runner

from portal.core.agent import Turn
from portal.core.model import Finished, TextDelta
from portal.core.schedules import RunRecord, ScheduleRecord, Wanted
from portal.errors import BackendUnavailable, BadRequest, NotFound, RateLimited, StorageError
from portal.storage.database import Statement
from portal.testing.records import conversation, decision, said

WRITE = ("write_note", '{"path": "a"}')
SECOND = 1_000_000


async def said_in(table: Table, run: RunRecord) -> list[str]:
    """Every text of a run's conversation."""
    page = await table.portal.portal.storage.conversations.turns(table.owner, run.conversation_id)
    found = [stored.item for turn in page.data for stored in turn.items if stored.item["type"] == "message"]
    return [item["content"][0]["text"] for item in found]


async def decided(table: Table, run: RunRecord, *, approve: bool = True) -> None:
    """A person decides what a run's response asks, and the turn that follows ends."""
    opened = table.portal.portal
    (asked,) = await opened.storage.approvals.of_response(table.owner, run.last_id)
    went_on = await opened.agent.decide(table.owner, {asked.id: decision(approve=approve, by=table.owner)})
    assert went_on is not None
    await went_on.ended()


async def grants(table: Table) -> list[tuple[str, str]]:
    return [(one.tool, one.extent) for one in await table.portal.portal.storage.grants.list(table.owner)]


async def test_a_time_that_comes_is_one_ordinary_turn_and_its_answer_goes_out(table: Table) -> None:
    made = await table.make(targets=["page", "telegram"], name="Morning")
    assert await table.tick() == 30.0
    assert await table.runs(made) == []
    table.clock.pass_(hours=1, seconds=2)
    await table.tick()
    (run,) = await table.runs(made)
    assert (run.status, run.cause, run.due_at) == ("completed", "time", made.next_at)
    assert await said_in(table, run) == ["Say it", "As asked."]
    conversation = await table.portal.portal.storage.conversations.get(table.owner, run.conversation_id)
    assert conversation.title == "Morning · 2026-03-02"
    await table.tick()
    ((target, content),) = table.post.sent
    assert (target, content.text, content.key) == ("telegram", "**Morning**\n\nAs asked.", f"{run.id}:telegram")
    (run,) = await table.runs(made)
    assert [(one.target, one.status, one.attempts) for one in run.deliveries] == [
        ("page", "sent", 0),
        ("telegram", "sent", 1),
    ]
    (made,) = await table.keeper.list(table.owner)
    assert made.next_at == run.due_at + 86_400 * SECOND


async def test_it_says_when_there_is_more_to_do(table: Table) -> None:
    await table.make("every 61 s")
    table.clock.pass_(seconds=41)
    assert await table.tick() == 20.0


async def test_two_schedulers_on_one_database_run_nothing_twice(table: Table) -> None:
    made, other = await table.make(), table.scheduling()
    table.clock.pass_(hours=1)
    async with asyncio.TaskGroup() as tasks:
        for one in (table.scheduler, other, table.scheduler, other):
            tasks.create_task(one.once(tasks))
    assert len(await table.runs(made)) == 1
    assert len(table.backend.requests) == 1


async def test_one_moment_comes_once(table: Table) -> None:
    made = await table.make("2026-03-02 08:00")
    table.clock.pass_(hours=1)
    await table.tick()
    table.clock.pass_(days=1)
    await table.tick()
    assert [run.status for run in await table.runs(made)] == ["completed"]
    (made,) = await table.keeper.list(table.owner)
    assert made.next_at is None


@pytest.mark.parametrize(
    ("catch_up", "told"),
    [
        ("skip", [("missed", "time", "5 times passed while Portal was off.")]),
        ("once", [("missed", "time", "4 times passed while Portal was off."), ("completed", "late", "")]),
        ("all", [("missed", "time", "2 times passed while Portal was off."), *[("completed", "late", "")] * 3]),
    ],
)
async def test_times_that_passed_while_portal_was_off(table: Table, catch_up: Any, told: object) -> None:
    made = await table.make(catch_up=catch_up, parallel=3)
    table.clock.pass_(days=4, hours=5)
    await table.tick()
    runs = await table.runs(made)
    assert [(run.status, run.cause, run.error) for run in runs] == told
    late = [run.due_at for run in runs if run.cause == "late"]
    assert late == [(made.next_at or 0) + day * 86_400 * SECOND for day in range(5)][5 - len(late) :]


async def test_a_time_that_has_just_come_is_no_late_one(table: Table) -> None:
    made = await table.make(catch_up="skip")
    table.clock.pass_(days=1, hours=1, seconds=119)
    await table.tick()
    runs = await table.runs(made)
    assert [(run.status, run.cause) for run in runs] == [("missed", "time"), ("completed", "time")]


async def test_jitter(table: Table) -> None:
    made = await table.make(jitter=60)
    late = table.scheduling(chance=lambda below: below - 1)
    table.clock.pass_(hours=1)
    async with asyncio.TaskGroup() as tasks:
        assert await late.once(tasks) == 30.0
    (run,) = await table.runs(made)
    assert (run.status, run.ready_at - run.due_at) == ("queued", 60 * SECOND)
    table.clock.pass_(seconds=60)
    await table.tick()
    assert [run.status for run in await table.runs(made)] == ["completed"]


async def test_bounds_on_what_runs_at_once(table: Table) -> None:
    gate = asyncio.Event()
    for _ in range(4):
        table.backend.script(gate, TextDelta("Done."))
    slow = await table.make(prompt="Slow", name="slow", catch_up="all")
    free = await table.make(prompt="Free", name="free", parallel=3)
    for one in (slow, slow, free, free, free, free):
        await table.keeper.run_now(table.owner, one.id)
    narrow = table.scheduling(replace(BOUNDS, parallel=3))

    async def under_way() -> list[str]:
        found = await table.portal.portal.storage.runs.among(["starting", "running"])
        return sorted(run.schedule_id for run in found)

    async with asyncio.TaskGroup() as tasks:
        await narrow.once(tasks)
        assert await under_way() == sorted([slow.id, free.id, free.id])
        await table.scheduler.once(tasks)
        assert await under_way() == sorted([slow.id, free.id, free.id, free.id])
        gate.set()
    await table.tick()
    assert {run.status for one in (slow, free) for run in await table.runs(one)} == {"completed"}


async def test_a_run_that_waits_for_its_turn_is_not_joined_by_more(table: Table) -> None:
    gate = asyncio.Event()
    table.backend.script(gate, TextDelta("Done."))
    made = await table.make("every minute")
    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            table.clock.pass_(minutes=1)
            await table.scheduler.once(tasks)
        gate.set()
    runs = await table.runs(made)
    assert [run.status for run in runs] == ["completed", "queued", "missed", "missed"]
    assert runs[-1].error == "The run before it had not begun yet."


async def test_pausing_and_resuming(table: Table) -> None:
    made = await table.make()
    paused = await table.keeper.change(table.owner, made.id, Wanted(paused=True))
    assert paused.next_at is None
    table.clock.pass_(days=3)
    await table.tick()
    assert await table.runs(made) == []
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    assert [run.cause for run in await table.runs(made)] == ["person"]
    resumed = await table.keeper.change(table.owner, made.id, Wanted(paused=False))
    assert resumed.next_at == (made.next_at or 0) + 3 * 86_400 * SECOND


async def test_all_runs_in_one_conversation(table: Table) -> None:
    made = await table.make(continued=True, name="Diary")
    for _ in range(2):
        table.clock.pass_(days=1)
        await table.tick()
    first, second = await table.runs(made)
    assert first.conversation_id == second.conversation_id
    assert await said_in(table, first) == ["Say it", "As asked."] * 2
    conversations = table.portal.portal.storage.conversations
    assert (await conversations.get(table.owner, first.conversation_id)).title == "Diary"
    await conversations.delete(table.owner, [first.conversation_id])
    for _ in range(2):
        table.clock.pass_(days=1)
        await table.tick()
    third, fourth = (await table.runs(made))[-2:]
    assert first.conversation_id != third.conversation_id == fourth.conversation_id


async def test_a_conversation_that_is_busy_is_waited_for(table: Table) -> None:
    made = await table.make(continued=True)
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    gate = asyncio.Event()
    table.backend.script(gate, TextDelta("To the person."))
    (first,) = await table.runs(made)
    agent = table.portal.portal.agent
    mine = await agent.start(_turn(table, first.conversation_id))
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    assert [run.status for run in await table.runs(made)] == ["completed", "queued"]
    gate.set()
    await mine.ended()
    await table.tick()
    assert [run.status for run in await table.runs(made)] == ["completed", "queued"]
    table.clock.pass_(seconds=30)
    await table.tick()
    assert [run.status for run in await table.runs(made)] == ["completed", "completed"]


def _turn(table: Table, conversation_id: str) -> Any:
    return Turn(owner=table.owner, model="auto", input=[said("Mine")], conversation_id=conversation_id)


async def test_a_tool_that_was_permitted_runs_and_only_for_its_run(table: Table) -> None:
    made = await table.make(tools=["write_note"])
    table.backend.script(*calls(WRITE))
    table.backend.script(TextDelta("Written."))
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    (run,) = await table.runs(made)
    assert run.status == "completed"
    assert table.desk.done == [("a", "", 1, False)]
    assert await grants(table) == []


async def test_anything_else_waits_for_a_person(table: Table) -> None:
    """Who is asked there, too; what follows is shown there by itself."""
    made = await table.make(targets=["page", "slack"])
    table.backend.script(*calls(WRITE))
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    (run,) = await table.runs(made)
    assert (run.status, table.desk.done, table.post.asked) == ("waiting", [], [])
    assert await table.tick() == 3.0
    assert table.post.asked == [("slack", run.response_id)]
    table.backend.script(*calls(("write_note", '{"path": "b"}')))
    await decided(table, run)
    await table.tick()
    (run,) = await table.runs(made)
    assert run.status == "waiting"
    table.backend.script(TextDelta("Both are written."))
    await decided(table, run)
    await table.tick()
    (run,) = await table.runs(made)
    assert run.status == "completed"
    assert [path for path, *_ in table.desk.done] == ["a", "b"]
    await table.tick()
    assert [(one.target, one.status) for one in run.deliveries] == [("page", "sent"), ("slack", "sent")]
    assert (len(table.post.asked), table.post.sent) == (1, [])


async def test_a_question_that_could_not_be_shown_gives_way_to_the_answer(table: Table) -> None:
    made = await table.make(targets=["slack"])
    table.backend.script(*calls(WRITE))
    table.post.failures = [BadRequest("Away.")]
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    await table.tick()
    (run,) = await table.runs(made)
    assert [(one.status, one.error) for one in run.deliveries] == [("pending", "Away.")]
    table.backend.script(TextDelta("It is written."))
    await decided(table, run)
    table.clock.pass_(seconds=30)
    await table.tick()
    await table.tick()
    assert [content.text for _, content in table.post.sent] == ["**Say it**\n\nIt is written."]


async def test_a_permit_lasts_while_its_run_waits_and_is_withdrawn_with_the_schedule_s(table: Table) -> None:
    made = await table.make(tools=["write_note", "read_note"])
    table.backend.script(*calls(("ask_user", '{"question": "Which one?"}')))
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    assert sorted(await grants(table)) == [("read_note", "conversation"), ("write_note", "conversation")]
    made = await table.keeper.change(table.owner, made.id, Wanted(name="Other"))
    assert len(await grants(table)) == 2
    await table.keeper.change(table.owner, made.id, Wanted(tools=["read_note"]))
    assert await grants(table) == []


async def test_a_permit_does_not_hold_once_strangers_words_were_read(table: Table) -> None:
    made = await table.make(tools=["write_note"])
    table.backend.script(*calls(("draw_chart", "{}")))
    table.backend.script(*calls(WRITE))
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    assert [run.status for run in await table.runs(made)] == ["waiting"]
    assert table.desk.done == []


async def test_what_nobody_answers(table: Table) -> None:
    made, storage = await table.make(), table.portal.portal.storage
    table.backend.script(*calls(WRITE))
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    await storage.approvals.expire(2**62)
    await table.tick()
    (run,) = await table.runs(made)
    assert (run.status, run.error) == ("unanswered", "Nobody answered in time.")


async def test_a_conversation_that_goes_on_without_an_answer(table: Table) -> None:
    made = await table.make()
    table.backend.script(*calls(WRITE))
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    (run,) = await table.runs(made)
    mine = await table.portal.portal.agent.start(_turn(table, run.conversation_id))
    await mine.ended()
    await table.tick()
    (run,) = await table.runs(made)
    assert (run.status, run.error) == ("unanswered", "The conversation went on without an answer.")


async def test_a_turn_that_fails_says_so_to_its_targets(table: Table) -> None:
    made = await table.make(targets=["slack"], name="News")
    table.backend.script(BackendUnavailable("The model server is away."))
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    await table.tick()
    (run,) = await table.runs(made)
    assert (run.status, run.error) == ("failed", "The model server is away.")
    assert [content.text for _, content in table.post.sent] == ["**News**: The model server is away."]


async def test_an_answer_that_is_deleted_while_it_is_made(table: Table) -> None:
    gate = asyncio.Event()
    table.backend.script(gate)
    made = await table.make()
    run = await table.keeper.run_now(table.owner, made.id)
    async with asyncio.TaskGroup() as tasks:
        await table.scheduler.once(tasks)
        while table.portal.portal.agent.running(run.response_id) is None:
            await asyncio.sleep(0)
        await table.portal.portal.agent.delete(table.owner, run.response_id)
    (run,) = await table.runs(made)
    assert run.status == "cancelled"


async def test_an_answer_that_is_cut_off_is_one(table: Table) -> None:
    table.backend.script(TextDelta("So far"), Finished("length"))
    made = await table.make(targets=["slack"])
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    await table.tick()
    (run,) = await table.runs(made)
    assert (run.status, run.error) == ("completed", "The answer was cut off (max_output_tokens).")
    assert [content.text for _, content in table.post.sent] == ["**Say it**\n\nSo far"]


async def test_files_of_an_answer_go_with_it(table: Table) -> None:
    table.backend.script(*calls(("draw_chart", "{}")))
    made = await table.make(targets=["slack"])
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    await table.tick()
    ((_, content),) = table.post.sent
    names = [(await table.portal.portal.storage.files.get(table.owner, one)).filename for one in content.files]
    assert names == ["chart.png", "weather.csv"]


async def test_a_run_that_another_has_begun(table: Table) -> None:
    made, storage = await table.make(), table.portal.portal.storage
    run = await table.keeper.run_now(table.owner, made.id)
    await storage.conversations.create(_conversation(run))
    await (await table.portal.portal.agent.start(_started(made, run))).ended()
    await table.tick()
    (run,) = await table.runs(made)
    assert run.status == "completed"
    assert len(table.backend.requests) == 1


async def test_a_run_whose_storage_fails_is_picked_up(table: Table) -> None:
    """Before its turn: it runs later, once. A turn that was going on meanwhile is followed to its end."""
    storage, gate = table.portal.portal.storage, asyncio.Event()
    failures: list[str] = []

    class Failing:
        def __getattr__(self, name: str) -> Any:
            if name in failures:
                failures.remove(name)
                raise StorageError("The disk is full.")
            return getattr(storage.runs, name)

    failing = Failing()
    scheduler = table.scheduling(queue=failing, runner=runner(table.portal, table.clock, queue=failing))
    made = await table.make()
    await table.keeper.run_now(table.owner, made.id)
    failures += ["permit", "change"]
    async with asyncio.TaskGroup() as tasks:
        await scheduler.once(tasks)
    assert [run.status for run in await table.runs(made)] == ["starting"]
    table.backend.script(gate, TextDelta("Done."))
    failures += ["nothing"]
    async with asyncio.TaskGroup() as tasks:
        await scheduler.once(tasks)  # picks it up, and claims it again
        while not table.backend.running:
            await asyncio.sleep(0)
        gate.set()
    async with asyncio.TaskGroup() as tasks:
        await scheduler.once(tasks)
    assert [run.status for run in await table.runs(made)] == ["completed"]
    assert len(table.backend.requests) == 1


async def test_a_turn_that_is_stopped(table: Table) -> None:
    gate = asyncio.Event()
    table.backend.script(TextDelta("Half"), gate)
    made = await table.make()
    run = await table.keeper.run_now(table.owner, made.id)
    async with asyncio.TaskGroup() as tasks:
        await table.scheduler.once(tasks)
        while table.portal.portal.agent.running(run.response_id) is None:
            await asyncio.sleep(0)
        await table.portal.portal.agent.cancel(table.owner, run.response_id)
    (run,) = await table.runs(made)
    assert (run.status, run.error) == ("cancelled", "It was stopped.")


async def test_no_model_yet(tmp_path: Path) -> None:
    """By itself a run waits for one, an hour at most; a person is told at once."""
    backend = able()
    backend.default = answer
    backend.failure = BackendUnavailable("It is away.")
    async with opened(tmp_path, backend=backend) as table:
        plain, any_model = [await table.make(workspace=name, name=name) for name in ("tiny", "auto")]
        await table.keeper.run_now(table.owner, plain.id)
        await table.tick()
        assert [run.status for run in await table.runs(plain)] == ["failed"]
        table.clock.pass_(hours=1)
        await table.tick()
        assert [run.status for run in await table.runs(plain)] == ["failed", "queued"]
        assert [run.status for run in await table.runs(any_model)] == ["queued"]
        backend.failure = None
        await table.portal.portal.models.refresh()
        table.clock.pass_(seconds=30)
        await table.tick()
        assert [(await table.runs(one))[-1].status for one in (plain, any_model)] == ["completed", "completed"]
        backend.failure = BackendUnavailable("It is gone.")
        gone = await table.make("every 2 hours", workspace="huge", name="gone")
        table.clock.pass_(hours=2)
        await table.tick()
        assert [run.status for run in await table.runs(gone)] == ["queued"]
        table.clock.pass_(hours=1, seconds=1)
        await table.tick()
        (run,) = await table.runs(gone)
        assert run.status == "failed"
        assert "huge" in run.error


async def test_deliveries_are_tried_again_in_bounds(table: Table) -> None:
    made = await table.make(targets=["telegram", "slack"])
    table.post.failures = [RateLimited("Slow down.", retry_after=100), BadRequest("Blocked.")]
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    await table.tick()
    (run,) = await table.runs(made)
    assert [(one.target, one.status, one.attempts) for one in run.deliveries] == [
        ("slack", "pending", 1),
        ("telegram", "pending", 1),
    ]
    assert {one.error for one in run.deliveries} == {"Slow down.", "Blocked."}
    waits = sorted((one.ready_at - table.clock()) // SECOND for one in run.deliveries)
    assert waits == [30, 100]
    assert table.post.sent == []
    table.post.failures = [BadRequest("Blocked."), BadRequest("Still blocked.")]
    table.clock.pass_(seconds=30)
    await table.tick()
    table.clock.pass_(seconds=60)
    await table.tick()
    table.clock.pass_(seconds=100)
    await table.tick()
    (run,) = await table.runs(made)
    assert sorted((one.status, one.attempts) for one in run.deliveries) == [("failed", 3), ("sent", 2)]


async def test_a_delivery_that_fails_unexpectedly_is_tried_again(table: Table) -> None:
    made = await table.make(targets=["telegram"])
    table.post.failures = [RuntimeError("a fault of somebody else's")]
    await table.keeper.run_now(table.owner, made.id)
    await table.tick()
    await table.tick()
    (run,) = await table.runs(made)
    assert [(one.status, one.error) for one in run.deliveries] == [("pending", "It failed unexpectedly: RuntimeError.")]


async def test_history_is_bounded(table: Table) -> None:
    made = await table.make("every hour")
    for _ in range(8):
        table.clock.pass_(hours=1)
        await table.tick()
    assert len(await table.runs(made)) == 5


async def test_what_a_portal_that_is_gone_was_at(tmp_path: Path) -> None:
    """Killed before a turn began, in the middle of one, behind one, and while an answer was sent."""
    async with opened(tmp_path) as table:
        made = await table.make(parallel=9, targets=["telegram"])
        storage = table.portal.portal.storage
        for _ in range(4):
            await table.keeper.run_now(table.owner, made.id)
        claimed = [await storage.runs.claim(table.clock(), 9) for _ in range(4)]
        _, begun, ended, sending = (run for one in claimed if one is not None for run in one[1:])
        await storage.conversations.create(_conversation(begun))
        gate = asyncio.Event()
        table.backend.script(TextDelta("Half"), gate)
        await table.portal.portal.agent.start(_started(made, begun))
        for run in (ended, sending):
            await storage.conversations.create(_conversation(run))
            await (await table.portal.portal.agent.start(_started(made, run))).ended()
        await storage.runs.change(replace(ended, status="running"), "starting")
        await _settled(table, made, sending)
        assert await storage.runs.take(table.clock()) is not None
    async with opened(tmp_path, table.clock) as table:
        await table.scheduler.recover()
        before = {run.id: run.status for run in await table.runs(made)}
        assert [*before.values()] == ["queued", "unknown", "completed", "completed"]
        await table.tick()
        await table.tick()
        runs = await table.runs(made)
        assert [run.status for run in runs] == ["completed", "unknown", "completed", "completed"]
        assert "Portal was stopped in the middle" in runs[1].error
        assert [one.status for run in runs for one in run.deliveries] == ["sent"] * 4
        assert len({content.key for _, content in table.post.sent}) == len(table.post.sent) == 4


async def test_a_run_that_is_under_way_while_the_duty_goes_over_is_seen_through(table: Table) -> None:
    """Another scheduler, on this server or another one, follows the turn, which goes on where it is."""
    made = await table.make(parallel=1, targets=["telegram"])
    table.backend.script(TextDelta("Half"), gate := asyncio.Event(), TextDelta(" and whole."))
    await table.keeper.run_now(table.owner, made.id)
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(table.scheduler.run())
        while (await table.runs(made))[0].status != "running":
            await asyncio.sleep(0.01)
        working.cancel()
    next_one = table.scheduling()
    await next_one.recover()
    gate.set()
    await table.portal.portal.agent.ended(table.owner, (await table.runs(made))[0].last_id)
    for _ in range(2):
        async with asyncio.TaskGroup() as tasks:
            await next_one.once(tasks)
    (run,) = await table.runs(made)
    assert (run.status, [one.status for one in run.deliveries]) == ("completed", ["sent"])
    assert "Half and whole." in table.post.sent[0][1].text


async def test_a_run_that_was_claimed_as_portal_is_told_to_stop_waits_for_the_next(table: Table) -> None:
    made = await table.make()
    await table.keeper.run_now(table.owner, made.id)
    claimed = await table.portal.portal.storage.runs.claim(table.clock(), 1)
    assert claimed is not None
    table.portal.portal.drain()
    await runner(table.portal, table.clock).work(*claimed)
    (run,) = await table.runs(made)
    assert (run.status, run.error) == ("queued", "")
    table.portal.portal.health.draining = False
    table.clock.pass_(minutes=1)
    await table.tick()
    assert [run.status for run in await table.runs(made)] == ["completed"]


async def test_a_run_that_another_has_claimed_anew_is_not_put_back(table: Table) -> None:
    """By who had it before, and hears late that Portal stops."""
    made, queue = await table.make(), table.portal.portal.storage.runs
    await table.keeper.run_now(table.owner, made.id)
    before = await queue.claim(table.clock(), 1)
    table.clock.pass_(seconds=1)
    await table.scheduling().recover()
    now = await queue.claim(table.clock(), 1)
    assert before is not None
    assert now is not None
    table.portal.portal.drain()
    await runner(table.portal, table.clock).work(*before)
    assert [run.status for run in await table.runs(made)] == ["starting"]
    table.portal.portal.health.draining = False
    await runner(table.portal, table.clock).work(*now)
    assert [run.status for run in await table.runs(made)] == ["completed"]


async def _settled(table: Table, schedule: ScheduleRecord, run: RunRecord) -> None:
    await runner(table.portal, table.clock).settle(schedule, run, "starting")


def _conversation(run: RunRecord) -> Any:
    return conversation(id=run.conversation_id, owner=run.owner)


def _started(schedule: ScheduleRecord, run: RunRecord) -> Any:
    return Turn(
        owner=run.owner,
        model=schedule.workspace,
        input=[said("x")],
        response_id=run.response_id,
        conversation_id=run.conversation_id,
        background=True,
    )


async def test_it_works_by_itself_until_it_is_stopped(table: Table) -> None:
    made = await table.make()
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(table.scheduler.run())
        await table.keeper.run_now(table.owner, made.id)
        while not [run for run in await table.runs(made) if run.status == "completed"]:
            await asyncio.sleep(0.01)
        working.cancel()


async def test_a_database_that_fails_for_a_moment_does_not_end_it(table: Table) -> None:
    made = await table.make()
    queue, failures = table.portal.portal.storage.runs, [StorageError("The disk is full.")]

    class Failing:
        def __getattr__(self, name: str) -> Any:
            if failures and name == "due":
                raise failures.pop()
            return getattr(queue, name)

    failing = table.scheduling(queue=Failing())
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(failing.run())
        while failures:
            await asyncio.sleep(0.01)
        await table.keeper.run_now(table.owner, made.id)
        failing.hurry()
        while not [run for run in await table.runs(made) if run.status == "completed"]:
            await asyncio.sleep(0.01)
        working.cancel()


async def test_a_schedule_that_is_deleted_while_its_run_is_looked_at(table: Table) -> None:
    made, queue = await table.make(), table.portal.portal.storage.runs
    await table.keeper.run_now(table.owner, made.id)
    table.backend.script(*calls(WRITE))
    await table.tick()
    waiting = await queue.among(["waiting"])
    await table.keeper.delete(table.owner, made.id)

    class Late:
        async def among(self, statuses: Any) -> Any:
            return waiting

        def __getattr__(self, name: str) -> Any:
            return getattr(queue, name)

    async with asyncio.TaskGroup() as tasks:
        assert await table.scheduling(queue=Late()).once(tasks) == 3.0


async def test_a_schedule_that_is_deleted_in_the_middle(table: Table) -> None:
    gate = asyncio.Event()
    table.backend.script(gate, TextDelta("Done."))
    made = await table.make(tools=["write_note"])
    run = await table.keeper.run_now(table.owner, made.id)
    async with asyncio.TaskGroup() as tasks:
        await table.scheduler.once(tasks)
        while table.portal.portal.agent.running(run.response_id) is None:
            await asyncio.sleep(0)
        await table.keeper.delete(table.owner, made.id)
        gate.set()
    assert await grants(table) == []
    with pytest.raises(NotFound):
        await table.runs(made)


class Faulty:
    """A queue or its like whose named methods fail once, before or after their work."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.before: list[str] = []
        self.after: list[str] = []

    def __getattr__(self, name: str) -> Any:
        async def work(*args: Any) -> Any:
            if name in self.before:
                self.before.remove(name)
                raise StorageError("The disk is full.")
            done = await getattr(self.real, name)(*args)
            if name in self.after and done is not None:
                self.after.remove(name)
                raise StorageError("The connection is gone.")
            return done

        return work


async def passes(table: Table, scheduler: Any) -> None:
    """The scheduler's own loop, until every run is done and told of."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(scheduler.run())
        while True:
            scheduler.hurry()
            await asyncio.sleep(0.005)
            runs = [run for one in await table.keeper.list(table.owner) for run in await table.runs(one)]
            sent = {one.status for run in runs for one in run.deliveries}
            if {run.status for run in runs} == {"completed"} and sent == {"sent"}:
                break
        assert task.cancel()


@pytest.mark.parametrize("before", [["due"], ["among"], ["claim"], ["take"], ["settle"], []])
@pytest.mark.parametrize("after", [["claim"], ["take"], []])
async def test_what_fails_half_done_is_done_all_the_same(table: Table, before: list[str], after: list[str]) -> None:
    faulty = Faulty(table.portal.portal.storage.runs)
    faulty.before, faulty.after = [*before], [*after]
    scheduler = table.scheduling(queue=faulty, deliveries=faulty)
    made = await table.make(targets=["telegram"])
    await table.keeper.run_now(table.owner, made.id)
    await passes(table, scheduler)
    (run,) = await table.runs(made)
    assert (run.status, [one.status for one in run.deliveries]) == ("completed", ["sent"])
    assert len(table.backend.requests) == 1
    assert len({content.key for _, content in table.post.sent}) == 1
    assert (faulty.before, faulty.after) == ([], [])


async def test_what_is_wrong_with_the_queue_does_not_end_the_scheduler(table: Table) -> None:
    class Odd(Faulty):
        async def due(self, now: int) -> Any:
            if self.before:
                raise KeyError(self.before.pop())
            return await self.real.due(now)

    odd = Odd(table.portal.portal.storage.runs)
    odd.before = ["what"]
    made = await table.make()
    await table.keeper.run_now(table.owner, made.id)
    await passes(table, table.scheduling(queue=odd))
    assert [run.status for run in await table.runs(made)] == ["completed"]


async def test_a_schedule_whose_zone_is_not_known_any_more_rests_and_stops_no_other(table: Table) -> None:
    odd, good = await table.make(name="odd"), await table.make(name="good")
    moved = [Statement("UPDATE schedules SET zone = 'Mars/Olympus' WHERE id = :id", {"id": odd.id})]
    await table.portal.portal.storage.database.batch(moved)
    table.clock.pass_(hours=1)
    await table.tick()
    (run,) = await table.runs(odd)
    assert (run.status, "Mars/Olympus" in run.error) == ("missed", True)
    assert [run.status for run in await table.runs(good)] == ["completed"]
    assert {one.name: one.next_at is None for one in await table.keeper.list(table.owner)} == {
        "odd": True,
        "good": False,
    }


async def test_more_schedules_than_are_looked_at_once(table: Table) -> None:
    made = await table.make()
    copies = [replace(made, id=f"sched_{n}", name=f"n{n}") for n in range(60)]
    for one in copies:
        await table.portal.portal.storage.schedules.save(one)
    table.clock.pass_(hours=1)
    async with asyncio.TaskGroup() as tasks:
        await table.scheduler.once(tasks)
    assert len([one for one in copies if await table.runs(one)]) == 60


class Ending:
    """A queue whose scheduler is ended right after a delivery was taken, before its task has begun."""

    def __init__(self, real: Any) -> None:
        self.real, self.taken, self.ends = real, 0, True

    async def take(self, now: int) -> Any:
        if self.taken and self.ends:
            raise asyncio.CancelledError
        self.taken += 1
        return await self.real.take(now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


async def test_a_delivery_that_was_ended_before_it_began_holds_no_place(table: Table) -> None:
    ending = Ending(table.portal.portal.storage.runs)
    scheduler, made = table.scheduling(deliveries=ending), await table.make(targets=["telegram"])
    for _ in range(8):
        await table.keeper.run_now(table.owner, made.id)
        await table.tick()
        ending.taken = 0
        with pytest.raises(asyncio.CancelledError):
            await _ended_in_the_middle(scheduler)
    assert table.post.sent == []
    ending.ends = False
    await passes(table, scheduler)
    assert len({content.key for _, content in table.post.sent}) == len(table.post.sent) == 8


async def _ended_in_the_middle(scheduler: Any) -> None:
    async with asyncio.TaskGroup() as tasks:
        await scheduler.once(tasks)
