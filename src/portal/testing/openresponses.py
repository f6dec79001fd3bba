"""Checks requests, responses and event streams against the OpenAPI file of the Open Responses specification.

spec = OpenResponses(Path("openapi-2026-04-24.json"))
spec.check("ResponseResource", body)
spec.check_stream(events)                # every event, and the order the specification's prose gives them
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

_A_URL = {"type": "url_citation", "url": "", "start_index": 0, "end_index": 0, "title": ""}
_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
_TOOL_EVENTS = ("response.mcp_call", "response.file_search_call")
_STREAMED = ("output_text", "refusal", "reasoning")
_TOOL_FIELDS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "mcp_call": {
        "id": (str,),
        "server_label": (str,),
        "name": (str,),
        "arguments": (str,),
        "output": (str, type(None)),
        "error": (str, type(None)),
        "status": (str,),
        "approval_request_id": (str, type(None)),
    },
    "mcp_approval_request": {"id": (str,), "server_label": (str,), "name": (str,), "arguments": (str,)},
    "file_search_call": {"id": (str,), "queries": (list,), "status": (str,), "results": (list, type(None))},
}
_CITATION: Mapping[str, tuple[type, ...]] = {"index": (int,), "file_id": (str,), "filename": (str,)}
_TOOL_ORDER: Mapping[str, Sequence[str]] = {
    "mcp_call": ["output_item.added", "mcp_call.in_progress", "mcp_call_arguments.done", "output_item.done"],
    "mcp_approval_request": ["output_item.added", "output_item.done"],
    "file_search_call": [
        "output_item.added",
        "file_search_call.in_progress",
        "file_search_call.searching",
        "file_search_call.completed",
        "output_item.done",
    ],
}


class OpenResponses:
    """The specification's schemas. Checks raise AssertionError that says what and where; validators are made once."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        self._components: Mapping[str, Any] = document["components"]
        self._validators: dict[str, Any] = {}

    @cached_property
    def events(self) -> Mapping[str, str]:
        """The schema of each event type."""
        schemas = self._components["schemas"]
        return {
            schema["properties"]["type"]["enum"][0]: name
            for name, schema in schemas.items()
            if name.endswith("StreamingEvent")
        }

    def check(self, name: str, value: object) -> None:
        """`value` is what the schema `name` describes; items of tools that Portal runs are checked apart."""
        value = _without_tools(_without_citations(value))
        errors = sorted(self._validator(name).iter_errors(value), key=lambda error: len(error.absolute_path))
        told = [f"{'/'.join(map(str, error.absolute_path)) or '.'}: {error.message[:300]}" for error in errors]
        assert not told, f"not a {name}:\n" + "\n".join(told)

    def _validator(self, name: str) -> Any:
        if name not in self._validators:
            from jsonschema import Draft202012Validator

            root = {"$ref": f"#/components/schemas/{name}", "components": self._components}
            self._validators[name] = Draft202012Validator(root)
        return self._validators[name]

    def check_event(self, event: Mapping[str, Any]) -> None:
        """An event of the specification, or of a tool that Portal runs (OpenAI's shapes), or one with Portal's prefix
        that has the fields every extension needs."""
        if event["type"].startswith("portal:"):
            assert isinstance(event["sequence_number"], int)
        elif event["type"].startswith(_TOOL_EVENTS) or _is_tool_item(event.get("item")):
            _check_tool_event(event)
        else:
            assert event["type"] in self.events, f"unknown event {event['type']}"
            self.check(self.events[event["type"]], event)

    def check_stream(self, events: Sequence[Mapping[str, Any]], *, whole: bool = True) -> None:
        """All events and their order; `whole` if nothing was filtered out or missed."""
        for event in events:
            self.check_event(event)
        numbers = [event["sequence_number"] for event in events]
        assert numbers == sorted(set(numbers)), f"numbers do not rise: {numbers}"
        if whole:
            assert numbers == list(range(len(numbers))), f"numbers have gaps: {numbers}"
        _check_ends([event for event in events if not event["type"].startswith("portal:")])
        for position in {event["output_index"] for event in events if "output_index" in event}:
            _check_item([event for event in events if event.get("output_index") == position])


def _without_citations(value: Any) -> Any:
    """The same without citations of files, which are checked apart: the specification knows those of addresses only."""
    if isinstance(value, list):
        kept = [one for one in value if not (isinstance(one, Mapping) and one.get("type") == "file_citation")]
        for one in value:
            if one not in kept:
                _check_fields(one, _CITATION)
        return [_without_citations(one) for one in kept]
    if not isinstance(value, Mapping):
        return value
    if value.get("type") == "response.output_text.annotation.added":
        (annotation,) = _without_citations([value["annotation"]]) or [_A_URL]
        return {**value, "annotation": annotation}
    return {name: _without_citations(inner) for name, inner in value.items()}


def _check_fields(thing: Mapping[str, Any], fields: Mapping[str, tuple[type, ...]]) -> None:
    for name, kinds in fields.items():
        assert isinstance(thing.get(name, ...), kinds), f"{thing['type']}: {name} is {thing.get(name, 'missing')!r}"


def _is_tool_item(item: object) -> bool:
    return isinstance(item, Mapping) and item.get("type") in _TOOL_FIELDS


def _without_tools(value: object) -> object:
    """A response, or an event that holds one, with only the items that the specification has."""
    if not isinstance(value, Mapping):
        return value
    if isinstance(value.get("response"), Mapping):
        return {**value, "response": _without_tools(value["response"])}
    if isinstance(value.get("tools"), list):
        value = {**value, "tools": [tool for tool in value["tools"] if tool.get("type") != "file_search"]}
    if not isinstance(value.get("output"), list):
        return value
    for item in value["output"]:
        if _is_tool_item(item):
            _check_tool_item(item)
    return {**value, "output": [item for item in value["output"] if not _is_tool_item(item)]}


def _check_tool_item(item: Mapping[str, Any]) -> None:
    _check_fields(item, _TOOL_FIELDS[item["type"]])


def _check_tool_event(event: Mapping[str, Any]) -> None:
    assert isinstance(event["sequence_number"], int)
    assert isinstance(event["output_index"], int)
    if "item" in event:
        _check_tool_item(event["item"])
    else:
        assert isinstance(event["item_id"], str)
    if event["type"] == "response.mcp_call_arguments.done":
        assert isinstance(event["arguments"], str)


def _check_ends(events: Sequence[Mapping[str, Any]]) -> None:
    kinds = [event["type"] for event in events]
    assert kinds[0] == "response.created", kinds[0]
    assert kinds[-1] in _TERMINAL, kinds[-1]
    assert not _TERMINAL & set(kinds[:-1]), "an event after the terminal one"
    ended = [event for event in events if event["type"] == "response.output_item.done"]
    done = [event["item"] for event in sorted(ended, key=lambda event: int(event["output_index"]))]
    assert events[-1]["response"]["output"] == done, "the response does not hold the items that were announced"


def _check_item(events: Sequence[Mapping[str, Any]]) -> None:
    """added, part added, deltas, text done, part done, item done; and the deltas make the text."""
    kinds = [event["type"].removeprefix("response.") for event in events]
    item = events[-1]["item"]
    written = "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
    extras = {"output_text.annotation.added"}
    order = [kind for kind in dict.fromkeys(kinds) if kind not in extras]
    if _is_tool_item(item):
        expected = _TOOL_ORDER[item["type"]]
        assert [kind for kind in order if kind not in ("mcp_call.completed", "mcp_call.failed")] == expected, order
        return
    if item["type"] == "function_call":
        streamed = ["function_call_arguments.delta"] if written else []
        assert order == ["output_item.added", *streamed, "function_call_arguments.done", "output_item.done"], order
        assert written == item["arguments"]
        return
    kind = next(name for name in _STREAMED if f"{name}.done" in kinds)
    deltas = [f"{kind}.delta"] if written else []
    expected = ["output_item.added", "content_part.added", *deltas, f"{kind}.done", "content_part.done"]
    assert order == [*expected, "output_item.done"], order
    part = item["content"][0]
    assert written == part["refusal" if kind == "refusal" else "text"]
