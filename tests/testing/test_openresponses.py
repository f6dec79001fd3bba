"""The checker itself: it lets a right stream pass, and finds what is wrong with any other."""

import copy
from pathlib import Path

import pytest

from portal.core.events import Events
from portal.core.model import TokenUsage
from portal.core.records import ResponseRecord
from portal.core.responses import resource, usage_object
from portal.testing.openresponses import OpenResponses

MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "f",
    "arguments": "{}",
    "status": "completed",
}


@pytest.fixture(scope="module")
def spec():
    return OpenResponses(Path(__file__).parents[1] / "specs" / "openresponses" / "openapi-2026-04-24.json")


@pytest.fixture
def stream():
    events = Events()
    record = ResponseRecord(id="resp_1", owner="user_1", model="tiny", status="in_progress", created_at=0)
    made = [events.event("response.created", response=resource(record, ()))]
    made += [events.event("portal:route", decision={}), *events.opened(0, MESSAGE), events.delta(0, MESSAGE, "Hel")]
    made += [events.delta(0, MESSAGE, "lo"), *events.closed(0, MESSAGE)]
    made += [*events.opened(1, CALL), events.delta(1, CALL, "{}"), *events.closed(1, CALL)]
    done = ResponseRecord(
        id="resp_1",
        owner="user_1",
        model="tiny",
        status="completed",
        created_at=0,
        completed_at=1,
        usage=usage_object(TokenUsage(1, 1)),
    )
    made.append(events.event("response.completed", response=resource(done, (MESSAGE, CALL))))
    return copy.deepcopy(made)


def place(stream, kind):
    return [event["type"] for event in stream].index(kind)


def renumbered(stream):
    return [{**event, "sequence_number": number} for number, event in enumerate(stream)]


def test_a_right_stream(spec, stream):
    spec.check_stream(stream)


def test_one_without_portals_own_events(spec, stream):
    plain = [event for event in stream if not event["type"].startswith("portal:")]
    spec.check_stream(plain, whole=False)
    with pytest.raises(AssertionError, match="gaps"):
        spec.check_stream(plain)


@pytest.mark.parametrize(
    "kind",
    [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.completed",
    ],
)
def test_a_stream_that_lacks_one_event(spec, stream, kind):
    del stream[place(stream, kind)]
    with pytest.raises((AssertionError, StopIteration)):
        spec.check_stream(renumbered(stream))


def test_an_event_after_the_end(spec, stream):
    with pytest.raises(AssertionError, match="after the terminal one"):
        spec.check_stream(renumbered([*stream, stream[-1]]))


def test_numbers_that_fall(spec, stream):
    stream[3]["sequence_number"] = 0
    with pytest.raises(AssertionError, match="do not rise"):
        spec.check_stream(stream)


def test_deltas_that_do_not_make_the_text(spec, stream):
    stream[place(stream, "response.output_text.delta")]["delta"] = "Jel"
    with pytest.raises(AssertionError):
        spec.check_stream(stream)


def test_an_event_nobody_knows(spec, stream):
    stream[1]["type"] = "response.surprise"
    with pytest.raises(AssertionError, match="unknown event"):
        spec.check_stream(stream)


def test_an_object_that_is_not_as_described(spec, stream):
    del stream[-1]["response"]["tools"]
    with pytest.raises(AssertionError, match="'tools' is a required property"):
        spec.check("ResponseResource", stream[-1]["response"])


RUN = {
    "type": "mcp_call",
    "id": "mcp_1",
    "server_label": "files",
    "name": "read_file",
    "arguments": "{}",
    "output": "text",
    "error": None,
    "status": "completed",
    "approval_request_id": None,
}
QUESTION = {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "files", "name": "f", "arguments": "{}"}


@pytest.fixture
def tools():
    """A stream in which Portal ran two tools beside each other, the second done first, and asked a person."""
    events = Events()
    record = ResponseRecord(id="resp_1", owner="user_1", model="tiny", status="in_progress", created_at=0)
    first, second = RUN, {**RUN, "id": "mcp_2", "status": "failed", "output": None, "error": "no such file"}
    made = [events.event("response.created", response=resource(record, ()))]
    made += [*events.opened(0, first), *events.opened(1, second), *events.closed(1, second), *events.closed(0, first)]
    made += [*events.opened(2, QUESTION), *events.closed(2, QUESTION)]
    details = {"reason": "approval_required"}
    done = ResponseRecord(
        id="resp_1",
        owner="user_1",
        model="tiny",
        status="incomplete",
        incomplete_details=details,
        created_at=0,
        completed_at=1,
    )
    made.append(events.event("response.incomplete", response=resource(done, (first, second, QUESTION))))
    return copy.deepcopy(made)


def test_tools_that_portal_ran(spec, tools):
    spec.check_stream(tools)


@pytest.mark.parametrize(
    ("kind", "field", "wrong"),
    [
        ("response.mcp_call.in_progress", "item_id", None),
        ("response.mcp_call_arguments.done", "arguments", {}),
        ("response.mcp_call.failed", "output_index", "0"),
        ("response.output_item.done", "item", {**RUN, "error": 5}),
        ("response.output_item.added", "item", {**RUN, "server_label": None}),
    ],
)
def test_wrong_events_of_tools(spec, tools, kind, field, wrong):
    tools[place(tools, kind)][field] = wrong
    with pytest.raises(AssertionError):
        spec.check_stream(tools)


def test_a_tool_whose_arguments_are_not_told(spec, tools):
    del tools[place(tools, "response.mcp_call_arguments.done")]
    with pytest.raises(AssertionError):
        spec.check_stream(tools, whole=False)
