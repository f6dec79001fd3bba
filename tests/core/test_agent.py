import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from portal.backends.scripted import CUT, ScriptedBackend, Step
from portal.core.items import Item
from portal.core.model import (
    Citation,
    Finished,
    ModelEvent,
    ModelRequest,
    Progress,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.core.run import Run
from portal.errors import (
    BackendTimeout,
    BackendUnavailable,
    Conflict,
    ModelNotFound,
    NotFound,
    PortalError,
    StorageFull,
)
from portal.storage.backups.data_files import DATABASE_NAME
from portal.testing.records import OWNER, STRANGER, conversation, used

from .conftest import MODELS, Rig, Watcher, events_of, one_ending, open_rig, settle, text_in, until


def outputs(response: dict[str, list[Item]]) -> list[tuple[str, str]]:
    return [(item["type"], item["status"]) for item in response["output"]]


# ------------------------------------------------------------------ what is stored when


async def test_the_input_is_committed_before_the_model_is_called(rig: Rig) -> None:
    seen: list[list[str]] = []

    def answer(request: ModelRequest) -> Sequence[Step]:
        seen.append(list(rig.log.committed))
        return [TextDelta("hi")]

    rig.backend.default = answer
    assert one_ending(await rig.ask())["status"] == "completed"
    assert seen == [["recover", "begin"]]


async def test_what_is_announced_is_found_by_another_connection(rig: Rig) -> None:
    rig.backend.script(
        ReasoningDelta("hm"), TextDelta("so"), ToolCallDelta(0, "c1", "f", "{}"), ToolCallDelta(1, "c2", "g", "{}")
    )
    run = await rig.start()
    other = apsw.Connection(str(rig.data_dir / DATABASE_NAME), flags=apsw.SQLITE_OPEN_READONLY)
    done = 0
    async for event in run.events():
        if event["type"] == "response.output_item.done":
            done += 1
            found = other.execute("SELECT last_seq FROM items WHERE id = ?", [event["item"]["id"]])
            assert found.get == event["sequence_number"]
        if event["type"] == "response.completed":
            assert other.execute("SELECT status FROM responses WHERE id = ?", [run.id]).get == "completed"
    other.close()
    assert done == 4


@pytest.mark.parametrize("write", ["append", "finish"])
async def test_nothing_is_announced_as_done_while_its_commit_is_under_way(rig: Rig, write: str) -> None:
    gate = rig.log.gates[write] = asyncio.Event()
    rig.backend.script(*([ReasoningDelta("hm")] if write == "append" else []), TextDelta("ab"))
    run = await rig.start()
    async with asyncio.TaskGroup() as group:
        watcher = Watcher(group, run.events())
        await rig.log.until_begun(write)
        await settle()
        assert watcher.kinds[-1].endswith(".delta")
        assert not [kind for kind in watcher.kinds if kind.endswith(".done") or kind == "response.completed"]
        gate.set()
    assert watcher.kinds[-2:] == ["response.output_item.done", "response.completed"]


async def test_the_last_item_and_the_end_are_one_commit(rig: Rig) -> None:
    rig.backend.script(ReasoningDelta("hm"), TextDelta("so"))
    assert one_ending(await rig.ask())["status"] == "completed"
    besides = [name for name in rig.log.committed if name != "flush"]  # of unfinished text, where it took its time
    assert besides == ["recover", "begin", "append", "finish"]


async def test_text_is_flushed_while_the_model_stalls(rig: Rig) -> None:
    gate = asyncio.Event()
    rig.backend.script(TextDelta("Hel"), gate, TextDelta("lo"))
    run = await rig.start()
    await rig.log.until_committed("flush")
    (partial,) = [item for item in (await rig.storage.responses.get(OWNER, run.id)).items if item.side == "output"]
    assert partial.item["content"][0]["text"] == "Hel"
    gate.set()
    assert text_in(await events_of(run)) == "Hello"
    assert rig.log.committed.count("flush") <= 2  # a quiet turn writes nothing


async def test_an_unstored_turn_writes_nothing(rig: Rig) -> None:
    rig.backend.answer("hi")
    response = one_ending(await rig.ask(store=False))
    assert (response["status"], response["store"]) == ("completed", False)
    assert rig.log.committed == ["recover"]
    with pytest.raises(NotFound):
        await rig.storage.responses.get(OWNER, response["id"])


# ------------------------------------------------------------------ failing backends

FAILURES: list[tuple[list[Step], str]] = [
    ([CUT], "backend_interrupted"),
    ([TextDelta("Hel"), CUT], "backend_interrupted"),
    ([ToolCallDelta(0, "c", "f", '{"a'), CUT], "backend_interrupted"),
    ([BackendTimeout("slow")], "backend_timeout"),
    ([ReasoningDelta("hm"), BackendUnavailable("gone")], "backend_unavailable"),
]


@pytest.mark.parametrize(("steps", "code"), FAILURES)
async def test_a_failing_model_server_fails_the_response(rig: Rig, steps: list[Step], code: str) -> None:
    rig.backend.script(*steps)
    run = await rig.start()
    events = await events_of(run)
    response = one_ending(events)
    assert events[-1]["type"] == "response.failed"
    assert (response["status"], response["error"]["code"]) == ("failed", code)
    assert {status for _, status in outputs(response)} <= {"incomplete"}
    assert await rig.stored(run) == ("failed", outputs(response))
    assert run.failure is not None
    if response["output"]:
        assert await run.result() == response
    else:
        with pytest.raises(type(run.failure)):
            await run.result()


class Odd(ScriptedBackend):
    """A backend that breaks its contract."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__(models=MODELS)
        self._error = error

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        yield TextDelta("Hel")
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(
    ("error", "code"), [(None, "backend_interrupted"), (ValueError("a fault of ours"), "internal_error")]
)
async def test_a_backend_that_breaks_its_contract_ends_one_turn_alone(
    tmp_path: Path, error: Exception | None, code: str
) -> None:
    async with open_rig(tmp_path, backend=Odd(error)) as rig:
        for _ in range(2):
            response = one_ending(await rig.ask())
            assert (response["status"], response["error"]["code"]) == ("failed", code)
            assert "a fault of ours" not in response["error"]["message"]


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [("length", "incomplete", "max_output_tokens"), ("content_filter", "incomplete", "content_filter")],
)
async def test_an_answer_that_was_cut_short_is_incomplete(rig: Rig, finish: str, status: str, reason: str) -> None:
    rig.backend.script(TextDelta("Hel"), Finished(finish))  # type: ignore[arg-type]
    response = one_ending(await rig.ask())
    assert (response["status"], response["incomplete_details"]) == (status, {"reason": reason})
    assert outputs(response) == [("message", "incomplete")]


async def test_usage_is_the_backends_or_marked_as_an_estimate(rig: Rig) -> None:
    rig.backend.script(TextDelta("a"), TokenUsage(7, 11, cached_tokens=3, reasoning_tokens=2))
    usage = one_ending(await rig.ask())["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (7, 11, 18)
    assert usage["input_tokens_details"]["cached_tokens"] == 3
    assert usage["output_tokens_details"]["reasoning_tokens"] == 2
    assert "portal:estimated" not in usage
    rig.backend.script(TextDelta("some words"), CUT)
    assert one_ending(await rig.ask())["usage"]["portal:estimated"] is True
    rig.backend.script(CUT)
    assert one_ending(await rig.ask())["usage"] is None
    (row,) = await used(rig.storage, OWNER)
    assert row["calls"] == 3


# ------------------------------------------------------------------ cancelling

MOMENTS: list[tuple[list[Step], str, list[tuple[str, str]], str]] = [
    ([], "response.created", [], ""),
    ([Progress("loading", "tiny")], "portal:progress", [], ""),
    ([TextDelta("Hel"), TextDelta("lo")], "response.output_text.delta", [("message", "incomplete")], "Hello"),
    ([ReasoningDelta("hm")], "response.reasoning.delta", [("reasoning", "incomplete")], "hm"),
    ([RefusalDelta("No")], "response.refusal.delta", [("message", "incomplete")], "No"),
    (
        [TextDelta("so"), ToolCallDelta(0, "c", "f", '{"a')],
        "response.function_call_arguments.delta",
        [("message", "completed"), ("function_call", "incomplete")],
        'so{"a',
    ),
]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("steps", "moment", "kept", "text"), MOMENTS)
async def test_cancelling_keeps_what_there_is(
    rig: Rig, steps: list[Step], moment: str, kept: list[tuple[str, str]], text: str, times: int
) -> None:
    rig.backend.script(*steps, asyncio.Event())
    run = await rig.start()
    if steps:
        await until(run, moment)
        await rig.backend.wait_running(1)
    for _ in range(times):
        run.cancel()
    events = await events_of(run)
    response = one_ending(events)
    assert response["status"] == "cancelled"
    assert response["incomplete_details"] == {"reason": "cancelled"}
    assert (outputs(response), text_in(events)) == (kept, text)
    assert await rig.stored(run) == ("cancelled", kept)
    await rig.backend.wait_running(0)


@pytest.mark.parametrize(("write", "status"), [("append", "cancelled"), ("finish", "completed")])
async def test_cancelling_while_something_is_written_loses_neither_item_nor_end(
    rig: Rig, write: str, status: str
) -> None:
    gate = rig.log.gates[write] = asyncio.Event()
    rig.backend.script(ReasoningDelta("hm"), TextDelta("so"), *([] if write == "finish" else [asyncio.Event()]))
    run = await rig.start()
    async with asyncio.TaskGroup() as group:
        watcher = Watcher(group, run.events())
        await rig.log.until_begun(write)
        run.cancel()
        run.cancel()
        await settle()
        gate.set()
    response = one_ending(watcher.events)
    assert response["status"] == status
    assert outputs(response)[0] == ("reasoning", "completed")
    done = [event["item"] for event in watcher.events if event["type"] == "response.output_item.done"]
    assert done == response["output"]
    assert await rig.stored(run) == (status, outputs(response))


async def test_cancel_by_id_waits_for_the_end_and_may_be_repeated(rig: Rig) -> None:
    rig.backend.script(TextDelta("Hel"), asyncio.Event())
    run = await rig.start()
    await until(run, "response.output_text.delta")
    with pytest.raises(NotFound):
        await rig.agent.cancel(STRANGER, run.id)
    assert rig.agent.running(run.id) is run
    for _ in range(2):
        assert (await rig.agent.cancel(OWNER, run.id))["status"] == "cancelled"
    assert rig.agent.running(run.id) is None
    run.cancel()
    assert (await rig.stored(run))[0] == "cancelled"


async def test_deleting_a_running_response_stops_it(rig: Rig) -> None:
    rig.backend.script(TextDelta("Hel"), asyncio.Event())
    run = await rig.start()
    with pytest.raises(NotFound):
        await rig.agent.delete(STRANGER, run.id)
    await rig.agent.delete(OWNER, run.id)
    await rig.backend.wait_running(0)
    with pytest.raises(NotFound):
        await rig.storage.responses.get(OWNER, run.id)
    with pytest.raises(NotFound):
        await rig.agent.delete(OWNER, run.id)


async def test_what_runs_in_a_conversation_is_stopped_with_it(rig: Rig) -> None:
    ours, other = conversation(title="kept"), conversation(title="kept")
    for record in (ours, other):
        await rig.storage.conversations.create(record)
    rig.backend.default = lambda request: [TextDelta("Hel"), asyncio.Event()]
    goes_on = await rig.start(conversation_id=other.id)
    runs = [await rig.start(conversation_id=ours.id, branch=True) for _ in range(2)]
    kept = rig.log.kept["begin"] = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        beginning = group.create_task(rig.start(conversation_id=ours.id, branch=True))
        await rig.log.until_committed("begin", 4)
        await rig.agent.cancel_in(STRANGER, [ours.id])
        assert not any(run.finished for run in runs)
        await rig.agent.cancel_in(OWNER, [ours.id])
        assert all(run.finished for run in runs)
        kept.set()
    for run in (*runs, beginning.result()):
        assert one_ending(await events_of(run))["status"] == "cancelled"
    await rig.backend.wait_running(1)
    assert not goes_on.finished


async def test_who_comes_while_the_end_is_being_stored_still_sees_it(rig: Rig) -> None:
    gate = rig.log.gates["finish"] = asyncio.Event()
    rig.backend.answer("done")
    run = await rig.start()
    await rig.log.until_begun("finish")
    async with asyncio.TaskGroup() as group:
        stopped = group.create_task(rig.agent.cancel(OWNER, run.id))
        watcher = Watcher(group, run.events(run.last_seq))
        await settle()
        gate.set()
    assert stopped.result()["status"] == "completed"
    assert watcher.kinds[-2:] == ["response.output_item.done", "response.completed"]


# ------------------------------------------------------------------ the server's end


async def test_leaving_the_agent_keeps_running_turns_as_incomplete(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=MODELS)
    async with open_rig(tmp_path, backend=backend) as rig:
        backend.script(TextDelta("Hel"), asyncio.Event())
        backend.script(asyncio.Event())
        runs = [await rig.start(), await rig.start()]
        await until(runs[0], "response.output_text.delta")
    for run, kept in zip(runs, [[("message", "incomplete")], []], strict=True):
        response = one_ending(await events_of(run))
        assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "interrupted"})
        assert outputs(response) == kept
    async with open_rig(tmp_path) as rig:
        assert await rig.stored(runs[0]) == ("incomplete", [("message", "incomplete")])
        assert "recover" in rig.log.committed
        assert not await rig.log.recover()


async def test_an_error_in_the_agents_block_still_stores_the_turns_end(tmp_path: Path) -> None:
    class Fault(Exception):
        pass

    async def fail() -> None:
        async with open_rig(tmp_path) as rig:
            rig.backend.script(TextDelta("Hel"), asyncio.Event())
            runs.append(await rig.start())
            await until(runs[0], "response.output_text.delta")
            raise Fault

    runs: list[Run] = []
    with pytest.raises(Fault):
        await fail()
    assert one_ending(await events_of(runs[0]))["status"] == "incomplete"


async def test_a_turn_that_begins_while_the_server_stops_ends_at_once(rig: Rig) -> None:
    gate = rig.log.gates["begin"] = asyncio.Event()
    rig.backend.default = lambda request: [asyncio.Event()]
    async with asyncio.TaskGroup() as group:
        starting = group.create_task(rig.start())
        await rig.log.until_begun("begin")
        rig.agent.stop()
        gate.set()
    assert one_ending(await events_of(starting.result()))["status"] == "incomplete"
    assert one_ending(await rig.ask())["status"] == "incomplete"
    assert rig.backend.requests == []


@pytest.mark.parametrize(("background", "status"), [(False, "cancelled"), (True, "completed")])
async def test_a_start_that_is_given_up_leaves_nothing_in_progress(rig: Rig, background: bool, status: str) -> None:
    gate = rig.log.gates["begin"] = asyncio.Event()
    rig.backend.default = lambda request: [TextDelta("hi")]
    async with asyncio.TaskGroup() as group:
        starting = group.create_task(rig.start(response_id="resp_mine", background=background))
        await rig.log.until_begun("begin")
        starting.cancel()
        await settle()
        gate.set()
    await rig.log.until_committed("finish")
    assert (await rig.storage.responses.get(OWNER, "resp_mine")).response.status == status
    assert not await rig.log.recover()


# ------------------------------------------------------------------ a full disk


async def test_a_turn_whose_input_cannot_be_stored_is_refused(rig: Rig) -> None:
    rig.log.full.add("begin")
    with pytest.raises(StorageFull):
        await rig.start(response_id="resp_mine")
    assert rig.backend.requests == []
    assert rig.agent.running("resp_mine") is None


async def test_an_item_that_cannot_be_stored_is_never_announced_as_done(rig: Rig) -> None:
    rig.log.full.update({"flush", "append", "finish"})
    rig.backend.script(ReasoningDelta("hm"), TextDelta("so"))
    run = await rig.start()
    events = await events_of(run)
    response = one_ending(events)
    assert (response["status"], response["error"]["code"]) == ("failed", "storage_full")
    assert response["output"] == []
    assert not [event for event in events if event["type"].endswith(".done")]
    with pytest.raises(StorageFull):
        await run.result()
    assert (await rig.stored(run))[0] == "in_progress"
    rig.log.full.clear()  # there is room again
    await rig.log.until_committed("finish")
    assert await rig.stored(run) == ("failed", [("reasoning", "completed")])
    rest = [event async for event in rig.agent.attach(OWNER, run.id, events[-2]["sequence_number"])]
    assert one_ending(rest)["status"] == "failed"
    assert rest[-1]["sequence_number"] == events[-1]["sequence_number"]


async def test_an_end_that_fits_after_all_announces_the_item_too(rig: Rig) -> None:
    rig.log.full.add("append")
    rig.backend.script(ReasoningDelta("hm"), TextDelta("so"))
    run = await rig.start()
    events = await events_of(run)
    response = one_ending(events)
    assert (response["error"]["code"], outputs(response)) == ("storage_full", [("reasoning", "completed")])
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == response["output"]
    assert await rig.stored(run) == ("failed", outputs(response))


async def test_a_cancelled_turn_whose_end_finds_no_room_has_failed(rig: Rig) -> None:
    rig.log.full.add("finish")
    rig.backend.script(TextDelta("Hel"), asyncio.Event())
    run = await rig.start()
    await until(run, "response.output_text.delta")
    run.cancel()
    response = one_ending(await events_of(run))
    assert (response["status"], response["incomplete_details"]) == ("failed", None)
    assert outputs(response) == []
    rig.log.full.clear()
    await rig.log.until_committed("finish")
    assert await rig.stored(run) == ("failed", [("message", "incomplete")])


async def test_an_end_of_a_deleted_response_is_not_owed_for_ever(rig: Rig) -> None:
    rig.log.full.add("finish")
    rig.backend.answer("a")
    run = await rig.start()
    assert one_ending(await events_of(run))["status"] == "failed"
    await rig.storage.responses.delete(OWNER, run.id)
    before = len(rig.log.begun)
    rig.log.full.clear()
    await rig.log.until_begun("finish", rig.log.begun.count("finish") + 1)
    rig.backend.answer("b")
    await rig.ask()
    assert rig.log.begun[before:].count("finish") == 2
    with pytest.raises(NotFound):
        await rig.storage.responses.get(OWNER, run.id)


async def test_a_flush_that_fails_does_not_fail_the_turn(rig: Rig) -> None:
    rig.log.full.add("flush")
    gate = asyncio.Event()
    rig.backend.script(TextDelta("Hel"), gate, TextDelta("lo"))
    run = await rig.start()
    await rig.log.until_begun("flush", 2)
    gate.set()
    assert text_in(await events_of(run)) == "Hello"
    assert (await rig.stored(run))[0] == "completed"


# ------------------------------------------------------------------ chains and watchers


async def test_a_turn_waits_for_nobody_but_refuses_to_overtake(rig: Rig) -> None:
    rig.backend.script(asyncio.Event())
    first = await rig.start()
    with pytest.raises(Conflict) as refused:
        await rig.start(previous_response_id=first.id)
    assert refused.value.code == "conversation_locked"
    with pytest.raises(NotFound):
        await rig.start(previous_response_id=first.id, owner=STRANGER)
    with pytest.raises(NotFound):
        await rig.start(previous_response_id="resp_nowhere")
    with pytest.raises(ModelNotFound) as unknown:
        await rig.start(model="tinny")
    assert unknown.value.nearest == ("tiny",)


async def test_of_turns_that_begin_at_once_one_goes_on_and_branches_do_not_mind(rig: Rig) -> None:
    record = conversation(title="kept")
    await rig.storage.conversations.create(record)
    rig.backend.default = lambda request: [TextDelta("yes")]
    gate = rig.log.gates["begin"] = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        racing = [group.create_task(_refusal(rig, conversation_id=record.id)) for _ in range(5)]
        racing.append(group.create_task(_refusal(rig, conversation_id=record.id, branch=True)))
        await rig.log.until_begun("begin", 6)
        gate.set()
    refused = [task.result() for task in racing]
    assert refused[:5].count(None) == 1
    assert refused.count("conversation_locked") == 4
    assert refused[5] is None
    first = (await rig.storage.conversations.turns(OWNER, record.id)).data[0]
    assert len(first.siblings) == 2
    assert rig.agent.running(first.response.id) is None


async def _refusal(rig: Rig, **fields: Any) -> str | None:
    try:
        await events_of(await rig.start(**fields))
    except Conflict as error:
        return error.code
    return None


async def test_a_turn_whose_beginning_is_just_stored_is_not_overtaken(rig: Rig) -> None:
    record = conversation(title="kept")
    await rig.storage.conversations.create(record)
    kept = rig.log.kept["begin"] = asyncio.Event()
    rig.backend.default = lambda request: [TextDelta("yes")]
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        first = group.create_task(rig.start(conversation_id=record.id))
        await rig.log.until_committed("begin")
        with pytest.raises(Conflict) as refused:
            await rig.start(conversation_id=record.id)
        assert refused.value.code == "conversation_locked"
        kept.set()
    await events_of(first.result())
    assert (await rig.ask(conversation_id=record.id))[-1]["type"] == "response.completed"


async def test_a_conversation_follows_its_head_unless_told_otherwise(rig: Rig) -> None:
    record = conversation(title="kept")
    await rig.storage.conversations.create(record)
    rig.backend.default = lambda request: [TextDelta("yes")]
    first = one_ending(await rig.ask("one", conversation_id=record.id))
    second = one_ending(await rig.ask("two", conversation_id=record.id))
    branch = one_ending(await rig.ask("three", conversation_id=record.id, previous_response_id=first["id"]))
    root = one_ending(await rig.ask("four", conversation_id=record.id, branch=True))
    previous = [response["previous_response_id"] for response in (first, second, branch, root)]
    assert previous == [None, first["id"], first["id"], None]
    asked = [[message["content"] for message in request.messages] for request in rig.backend.requests]
    assert asked == [["one"], ["one", "yes", "two"], ["one", "yes", "three"], ["four"]]
    assert second["conversation"] == {"id": record.id}


async def test_watchers_are_the_owners_alone(rig: Rig) -> None:
    gate = asyncio.Event()
    rig.backend.script(TextDelta("a"), gate)
    run = await rig.start()
    for _ in range(2):
        with pytest.raises(NotFound):
            await anext(rig.agent.attach(STRANGER, run.id))
        gate.set()
        await events_of(run)


async def test_watchers_of_one_owner_hear_of_changes(rig: Rig) -> None:
    record = conversation(title="kept")
    await rig.storage.conversations.create(record)
    rig.backend.answer("hi")
    with rig.bus.subscribe(OWNER) as mine, rig.bus.subscribe(STRANGER) as others:
        response = one_ending(await rig.ask(conversation_id=record.id))
        heard = [mine.get_nowait() for _ in range(mine.qsize())]
        assert others.empty()
    assert [event["status"] for event in heard if event] == ["in_progress", "completed"]
    assert {(event["id"], event["response_id"]) for event in heard if event} == {(record.id, response["id"])}


async def test_progress_and_route_are_numbered_with_the_rest(rig: Rig) -> None:
    rig.backend.script(Progress("loading", "tiny"), TextDelta("a"), Progress("thinking"), TextDelta("b"))
    events = await rig.ask()
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "portal:route", "portal:progress"]
    assert kinds.count("portal:progress") == 1  # the numbers of an item's deltas follow each other
    assert events[2]["decision"]["resolved_model"] == "tiny"


async def test_citations_belong_to_answer_text(rig: Rig) -> None:
    early, late = {"type": "url_citation", "url": "/a"}, {"type": "url_citation", "url": "/b"}
    rig.backend.script(Citation(early), ReasoningDelta("hm"), Citation(late), RefusalDelta("n"), TextDelta("so"))
    events = await rig.ask()
    response = one_ending(events)
    assert response["output"][-1]["content"][0]["annotations"] == [early, late]
    added = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation"] for event in added] == [early, late]
    assert {event["item_id"] for event in added} == {response["output"][-1]["id"]}


async def test_log_probabilities_stay_with_their_text(rig: Rig) -> None:
    entries = [{"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": []} for token in "ab"]
    rig.backend.script(TextDelta("a", logprobs=entries[:1]), TextDelta("b", logprobs=entries[1:]))
    response = one_ending(await rig.ask())
    assert response["output"][0]["content"][0]["logprobs"] == entries


async def test_a_tool_call_without_an_id_gets_one(rig: Rig) -> None:
    rig.backend.script(ToolCallDelta(0, None, "f"), ToolCallDelta(0, arguments="{}"))
    (call,) = one_ending(await rig.ask())["output"]
    assert (call["name"], call["arguments"], call["call_id"][:5]) == ("f", "{}", "call_")


async def test_a_failure_of_portal_itself_is_a_portal_error(rig: Rig) -> None:
    with pytest.raises(PortalError):
        await rig.start(input=[{"type": "computer_call", "id": "x"}])
