"""Where the time of a turn goes: what is kept of it, and what somebody collects."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from portal.core import tracing
from portal.core.approvals import Decision
from portal.core.items import JsonObject
from portal.core.model import TextDelta, TokenUsage, ToolCallDelta
from portal.core.recall import Recalled, Seeking
from portal.core.trace_context import arrived, leaving, within
from portal.core.tracing import MOST, NOTHING, Span, Tracer, here, listed, span
from portal.errors import BackendUnavailable, NotFound
from portal.testing.records import OWNER, STRANGER
from portal.tools.function import Functions, tool

from .conftest import Rig, one_ending, open_rig


@tool(risk="read")
async def look(what: str) -> str:
    """Look at something."""
    await asyncio.sleep(0.01)
    return f"saw {what}"


@tool(risk="read")
async def fail() -> str:
    """Fail."""
    raise RuntimeError("broken")


@tool(risk="write")
async def write() -> str:
    """Write something."""
    return "written"


class Remembers:
    """Finds nothing."""

    looks = "memory"

    async def recall(self, seeking: Seeking) -> Recalled:
        return Recalled()


async def trace_of(rig: Rig, ending: JsonObject) -> list[JsonObject]:
    return list((await rig.storage.traces.get(OWNER, ending["id"])).spans)


def shape(spans: Sequence[JsonObject]) -> list[tuple[Any, ...]]:
    """Kind, name, the parent's kind."""
    return [
        (one["kind"], one["name"], None if one["parent"] is None else spans[one["parent"]]["kind"]) for one in spans
    ]


async def test_a_turn_with_tools_keeps_where_its_time_went(tmp_path: Path) -> None:
    toolsets = [Functions("desk", (look, fail))]
    async with open_rig(tmp_path, toolsets=toolsets, recalls=[Remembers()]) as rig:
        calls = (ToolCallDelta(0, "c1", "look", '{"what": "it"}'), ToolCallDelta(1, "c2", "fail", "{}"))
        rig.backend.script(*calls, TokenUsage(7, 3))
        rig.backend.script(TextDelta("done"), TokenUsage(11, 2))
        ending = one_ending(await rig.ask(model="auto"))
        record = await rig.storage.traces.get(OWNER, ending["id"])
        spans = list(record.spans)
    assert [one for one in shape(spans) if one[0] != "store"] == [
        ("turn", "auto", None),
        ("prepare", "responses", "turn"),
        ("route", "auto", "prepare"),
        ("recall", "memory", "turn"),
        ("model", "tiny", "turn"),
        ("tool", "look", "turn"),
        ("tool", "fail", "turn"),
        ("model", "tiny", "turn"),
    ]
    assert (record.status, record.model, record.workspace, record.dropped) == ("completed", "tiny", "auto", 0)
    steps = [one for one in spans if one["kind"] != "store"]
    root, looked, failed, answer = steps[0], *steps[-3:]
    assert root["attributes"]["door"] == "responses"
    assert looked["ms"] >= 10
    assert failed["error"] == "tool_error"
    assert looked["attributes"]["toolset"] == "desk"
    assert (answer["attributes"]["input_tokens"], answer["attributes"]["output_tokens"]) == (11, 2)
    assert answer["attributes"]["first_ms"] >= answer["attributes"].get("waited_ms", 0)
    assert all(one["start"] + one["ms"] <= root["ms"] + 1 for one in spans)
    assert "it" not in str(spans).split()  # names and figures, not what was said


async def test_waiting_for_a_person_is_told_in_both_turns(tmp_path: Path) -> None:
    async with open_rig(tmp_path, toolsets=[Functions("desk", (write,))]) as rig:
        rig.backend.script(ToolCallDelta(0, "c1", "write", "{}"))
        asked = one_ending(await rig.ask(model="auto"))
        (question,) = [item for item in asked["output"] if item["type"] == "mcp_approval_request"]
        rig.backend.answer("done")
        run = await rig.agent.decide(OWNER, {question["id"]: Decision(approve=True, by=OWNER, door="web")})
        assert run is not None
        went_on = await run.ended()
        before, after = await trace_of(rig, asked), await trace_of(rig, went_on)
    (waits,) = [one for one in before if one["kind"] == "approval"]
    (waited,) = [one for one in after if one["kind"] == "approval"]
    assert (waits["name"], waits["attributes"]["decision"]) == ("write", "asked")
    assert (waited["name"], waited["attributes"]["decision"]) == ("write", "approved")
    assert waited["attributes"]["person_ms"] >= 0
    assert [one["name"] for one in after if one["kind"] == "tool"] == ["write"]


async def test_each_model_that_was_tried_is_there(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        rig.backend.script(BackendUnavailable("It is down."))
        ending = one_ending(await rig.ask(model="tiny"))
        record = await rig.storage.traces.get(OWNER, ending["id"])
    assert (record.status, record.error) == ("failed", "It is down.")
    (tried,) = [one for one in record.spans if one["kind"] == "model"]
    assert tried["error"] == "It is down."


async def test_what_is_not_stored_keeps_nothing(rig: Rig) -> None:
    rig.backend.answer("hi")
    ending = one_ending(await rig.ask(store=False))
    with pytest.raises(NotFound):
        await rig.storage.traces.of_anybody(ending["id"])


async def test_it_is_its_owners(rig: Rig) -> None:
    rig.backend.answer("hi")
    ending = one_ending(await rig.ask())
    assert await trace_of(rig, ending)
    with pytest.raises(NotFound):
        await rig.storage.traces.get(STRANGER, ending["id"])


# ------------------------------------------------------------------ spans themselves


class Basket:
    """Takes every span of the traces it samples."""

    content = False

    def __init__(self, *, samples: bool = True) -> None:
        self.taken: list[Span] = []
        self._samples = samples

    def samples(self, trace: int, parent: bool | None) -> bool:
        return self._samples

    def take(self, ended: Span) -> None:
        self.taken.append(ended)


def test_without_anybody_who_keeps_them_none_is_made() -> None:
    assert span("model", "tiny") is NOTHING
    assert here() is NOTHING
    assert Tracer().turn("auto", stored=False) is NOTHING
    with NOTHING as one, NOTHING.around():
        one.note(a=1)
        one.lap("first")
        one.spent(TokenUsage(1, 1))
        one.spent(None)
        one.fail("x")
        one.failed(ValueError())
        one.end()
        assert tracing.current.get() is None
    assert NOTHING.attributes == {}
    assert listed(NOTHING) == []


def test_what_is_collected_leaves_once_as_it_ends() -> None:
    basket = Basket()
    root = Tracer(basket).turn("auto", stored=False, door="chat")
    one = NOTHING

    def use() -> None:
        nonlocal one
        with span("tool", "look") as one:
            assert here() is one
            raise ValueError("x")

    with root.around(), pytest.raises(ValueError, match="x"):
        use()
    root.end()
    root.end()
    assert [(each.kind, each.error) for each in basket.taken] == [("tool", "ValueError"), ("turn", "")]
    assert one.parent is root
    assert one.trace is root.trace
    assert one.id not in (0, root.id)


TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("parent", "state", "told"),
    [
        (f"00-{TRACE}-{CALLER}-01", "a=b", "a=b"),
        (f"00-{TRACE}-{CALLER}-01", "a=\x7fb", ""),
        (f"cc-{TRACE}-{CALLER}-01-more", "x" * 513, ""),
    ],
)
def test_a_callers_context_goes_on(parent: str, state: str, told: str) -> None:
    one = arrived(Basket(), parent, state)
    assert leaving(one) == {"traceparent": f"00-{TRACE}-{CALLER}-01", **({"tracestate": told} if told else {})}


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "nonsense",
        f"00-{TRACE}-{CALLER}",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{CALLER}-01",
    ],
)
def test_what_is_no_context_is_left_aside(parent: str) -> None:
    one = arrived(Basket(), parent, "a=b")
    assert one.trace is not None
    assert one.trace.id.hex() != TRACE
    assert leaving(one) == {}  # nobody called, and nothing has begun
    assert leaving(None) == {}


def test_a_message_may_bring_a_context_of_its_own() -> None:
    basket = Basket()
    with within({"traceparent": f"00-{TRACE}-{CALLER}-01"}):
        assert here() is NOTHING  # nobody collects
    with arrived(basket).around():
        outer = here()
        with within({"traceparent": 7}), within({}):
            assert here() is outer
        with within({"traceparent": f"00-{TRACE}-{CALLER}-00", "tracestate": 7}):
            assert leaving(here()) == {"traceparent": f"00-{TRACE}-{CALLER}-01"}  # this basket samples all
        with pytest.raises(NotFound), within({"traceparent": f"00-{TRACE}-{CALLER}-01"}):
            raise NotFound("There is nothing.")
        assert here() is outer
    assert basket.taken == []  # they are spans of others


def test_a_trace_that_is_not_sampled_still_has_its_ids() -> None:
    basket = Basket(samples=False)
    root = Tracer(basket).turn("auto", stored=False)
    with root:
        pass
    assert basket.taken == []
    assert root.id
    assert root.trace is not None


def test_a_turn_that_never_begins_ends_with_its_failure() -> None:
    basket = Basket()
    root = Tracer(basket).turn("auto", stored=False)
    with pytest.raises(NotFound), root.beginning():
        raise NotFound("There is nothing.")
    assert [(one.error, one.attributes["error_type"]) for one in basket.taken] == [("There is nothing.", "not_found")]


def test_a_turn_within_another_is_a_part_of_it() -> None:
    outer = Tracer().turn("auto", stored=True)
    with outer.around(), span("tool", "ask_workspace") as call:
        inner = Tracer().turn("auto-coding", stored=False)
        assert inner.parent is call
        inner.end()
    outer.end()
    assert shape(listed(outer)) == [
        ("turn", "auto", None),
        ("tool", "ask_workspace", "turn"),
        ("turn", "auto-coding", "tool"),
    ]


def test_tokens_are_noted_as_they_were_counted() -> None:
    root = Tracer().turn("auto", stored=True)
    root.spent(None)
    assert root.attributes == {}
    root.spent(TokenUsage(5, 3, cached_tokens=2, reasoning_tokens=1, estimated=True))
    assert root.attributes == {
        "input_tokens": 5,
        "output_tokens": 3,
        "cached_tokens": 2,
        "reasoning_tokens": 1,
        "estimated": True,
    }


def test_of_very_many_only_the_number_is_kept() -> None:
    root = Tracer().turn("auto", stored=True)
    with root.around():
        for _ in range(MOST + 5):
            span("tool", "look").end()
    assert root.kept is not None
    assert (len(listed(root)), root.kept.dropped) == (MOST, 6)


def test_what_is_stored_at_once_is_not_worth_a_line() -> None:
    root = Tracer().turn("auto", stored=True)
    with root.around():
        span("store", "quick").end()
        slow = span("store", "slow")
        slow.began -= 5_000_000
        slow.end()
    assert [one["name"] for one in listed(root)] == ["auto", "slow"]


def test_long_errors_are_cut_and_empty_ones_named() -> None:
    root = Tracer().turn("auto", stored=True)
    root.fail("x" * 500)
    assert root.error == "x" * 200
    root.fail("")
    assert root.error == "failed"
    root.failed(asyncio.CancelledError())
    assert root.error == "cancelled"
