"""Every number a client may have seen last, while a turn runs, after it ended, after a restart and after a crash."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.core.events import RECOVERY_GAP, Event
from portal.core.items import text_of
from portal.core.model import Citation, ModelEvent, Progress, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from portal.core.run import Run
from portal.testing.records import OWNER

from .conftest import Rig, Watcher, events_of, one_ending, open_rig, settle, text_in

EXAMPLES = 60
pieces = st.lists(st.one_of(st.text(max_size=5), st.sampled_from(["👩‍💻", "e\u0301", "\u2028", "\0", ""])), max_size=5)


def said(kind: type) -> st.SearchStrategy[list[ModelEvent]]:
    return pieces.map(lambda texts: [kind(text) for text in texts])


def called(arguments: Sequence[str]) -> list[ModelEvent]:
    return [ToolCallDelta(0, "call", "f"), *(ToolCallDelta(0, arguments=text) for text in arguments)]


blocks = st.one_of(
    said(TextDelta),
    said(ReasoningDelta),
    said(RefusalDelta),
    pieces.map(called),
    st.integers(0, 9).map(lambda at: [Citation({"type": "url_citation", "url": f"/{at}"})]),
    st.just([Progress("loading", "…")]),
)


def numbered(made: Sequence[Sequence[ModelEvent]]) -> list[ModelEvent]:
    """One script, its calls counted."""
    script: list[ModelEvent] = []
    for index, block in enumerate(made):
        for event in block:
            if isinstance(event, ToolCallDelta):
                event = ToolCallDelta(index, event.id, event.name, event.arguments)
            script.append(event)
    return script


scripts = st.lists(blocks, max_size=5).map(numbered)


class Desk:
    """An open rig and the loop it lives in, for many examples."""

    def __init__(self, runner: asyncio.Runner, rig: Rig) -> None:
        self.runner = runner
        self.rig = rig


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with asyncio.Runner() as runner:
        opening = open_rig(tmp_path_factory.mktemp("reattach"), flush_interval=0.002)
        yield Desk(runner, runner.run(opening.__aenter__()))
        runner.run(opening.__aexit__(None, None, None))


def deltas(events: Sequence[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            found.setdefault(event["item_id"], []).append(event)
    return found


def skeleton(events: Sequence[Event]) -> list[Event]:
    """What must be repeated to the letter: neither deltas nor what a wait is for."""
    return [event for event in events if not event["type"].endswith(".delta") and event["type"] != "portal:progress"]


def check_rest(live: Sequence[Event], rest: Sequence[Event], after: int) -> None:
    """`rest` is what `live` says with numbers above `after`, missed deltas merged."""
    missed = [event for event in live if event["sequence_number"] > after]
    numbers = [event["sequence_number"] for event in rest]
    assert numbers == sorted(set(numbers))
    assert all(number > after for number in numbers)
    assert skeleton(rest) == skeleton(missed)
    seen, expected = deltas(rest), deltas(missed)
    assert seen.keys() == expected.keys()
    for item_id, parts in seen.items():
        (merged,) = parts
        assert merged["delta"] == "".join(event["delta"] for event in expected[item_id])
        assert merged["sequence_number"] == expected[item_id][-1]["sequence_number"]
        assert merged["type"] == expected[item_id][-1]["type"]


async def attached(rig: Rig, response_id: str, after: int) -> list[Event]:
    return [event async for event in rig.agent.attach(OWNER, response_id, after)]


async def watched_everywhere(rig: Rig, run: Run, count: int) -> list[list[Event]]:
    """What watchers with every starting number see who come while it runs."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(attached(rig, run.id, after)) for after in range(-1, count)]
    return [task.result() for task in tasks]


@settings(max_examples=EXAMPLES, deadline=None)
@given(script=scripts, stop=st.integers(0, 12))
def test_every_event_once_whenever_one_comes(desk: Desk, script: list[ModelEvent], stop: int) -> None:
    async def example() -> None:
        rig, gate = desk.rig, asyncio.Event()
        rig.backend.script(*script[:stop], gate, *script[stop:])
        run = await rig.start()
        async with asyncio.TaskGroup() as group:
            before = group.create_task(watched_everywhere(rig, run, 40))
            gate.set()
        live = await events_of(run)
        assert one_ending(live)["status"] == "completed"
        assert [event["sequence_number"] for event in live] == list(range(len(live)))
        for after, rest in zip(range(-1, 40), before.result(), strict=True):
            assert rest == live[after + 1 :]
        for after in range(-1, len(live) + 1):
            check_rest(live, await attached(rig, run.id, after), after)

    desk.runner.run(example())


def _flushed(rest: Sequence[Event]) -> int:
    """The newest number that the database knew."""
    last: int = rest[-1]["sequence_number"]
    return last - RECOVERY_GAP


class Standing(asyncio.Event):
    """A gate that says when it is reached."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> bool:  # type: ignore[override]
        self.reached.set()
        return bool(await super().wait())


@settings(max_examples=EXAMPLES, deadline=None)
@given(script=scripts, flushed=st.booleans())
def test_every_event_once_after_a_crash(desk: Desk, script: list[ModelEvent], flushed: bool) -> None:
    async def example() -> None:
        rig, stands = desk.rig, Standing()
        if not flushed:
            rig.log.full.add("flush")
        rig.backend.script(*script, stands)
        run = await rig.start()
        async with asyncio.TaskGroup() as group:
            watcher = Watcher(group, run.events())
            await stands.reached.wait()
            if flushed:
                await _all_flushed(rig, run)
            await settle()
            live = list(watcher.events)
            async with open_rig(rig.data_dir, storage=rig.storage) as restarted:
                for after in range(-1, len(live) + 1):
                    check_crashed(live, await attached(restarted, run.id, after), after, whole=flushed)
            rig.log.full.clear()
            run.cancel()

    desk.runner.run(example())


async def _all_flushed(rig: Rig, run: Run) -> None:
    while True:
        count = rig.log.committed.count("flush")
        await settle()
        if run.assembler.unflushed() is None:
            return
        await rig.log.until_committed("flush", count + 1)


def check_crashed(live: Sequence[Event], rest: Sequence[Event], after: int, *, whole: bool) -> None:
    response = one_ending(rest)
    assert response["status"] == "incomplete"
    numbers = [event["sequence_number"] for event in rest]
    assert all(number > after for number in numbers)
    known = rest[-1]["sequence_number"] - RECOVERY_GAP  # the newest that the database knew
    missed = [event for event in live if after < event["sequence_number"] <= known]
    again = [event for event in rest if event["sequence_number"] <= known]
    assert skeleton(again) == skeleton(missed)
    assert by_item(again) == by_item(missed)
    assert not deltas([event for event in rest if event["sequence_number"] > known])
    kept = "".join(text_of(item) for item in response["output"])
    assert text_in(live).startswith(kept)
    if whole:
        assert kept == text_in(live)


def by_item(events: Sequence[Event]) -> dict[str, str]:
    return {item_id: text_in(parts) for item_id, parts in deltas(events).items()}


async def test_a_long_answer_reads_the_same_after_a_restart(tmp_path: Path) -> None:
    script: list[ModelEvent] = []
    for index in range(4):
        script += [ReasoningDelta(f"t{at} ") for at in range(40)]
        script += [TextDelta(f"w{at} ") for at in range(40)]
        script += [Citation({"type": "url_citation", "url": f"/{index}"}), ToolCallDelta(index, f"c{index}", "f")]
        script += [ToolCallDelta(index, arguments=str(at)) for at in range(10)]
    async with open_rig(tmp_path) as rig:
        rig.backend.script(*script)
        run = await rig.start()
        live = await events_of(run)
        assert len(live) > 360
    async with open_rig(tmp_path) as rig:
        for after in range(-1, len(live) + 1):
            check_rest(live, await attached(rig, run.id, after), after)
