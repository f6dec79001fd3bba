"""The event stream of one response: Open Responses streaming events, numbered, in the specification's order.

`Events` builds them while a turn runs; `replay` rebuilds them from stored items, with the very sequence numbers
they had, so that a client that re-attaches sees every event once.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from portal.core.items import Item, JsonObject
from portal.core.records import StoredItem

Event: TypeAlias = JsonObject
"""A streaming event: `type`, `sequence_number` and the type's own fields."""

RECOVERY_GAP = 10_000
"""How far the numbers jump after a crash: more than one lost second can have used."""


_OPENING = 3
"""Events that begin a response: created, in_progress, and how it was routed."""
_KNOWN_AT_THE_END = frozenset(
    {"portal:files", "portal:file_id", "portal:untrusted", "portal:milliseconds", "portal:found"}
)
_HOSTED = {"file_search_call": "searching", "image_generation_call": "generating"}
"""Items of OpenAI's hosted tools, with what they are at in the middle."""


class Events:
    """Numbers the events of one response and builds those of its items."""

    def __init__(self, *, start: int = 0) -> None:
        self.next_seq = start

    def event(self, kind: str, **fields: object) -> Event:
        """One event with the next sequence number."""
        made = {"type": kind, "sequence_number": self.next_seq, **fields}
        self.next_seq += 1
        return made

    def opened(self, position: int, item: Item) -> Iterator[Event]:
        """The events that begin an item: added, and its first content part where it has parts."""
        part = _part(item)
        yield self.event("response.output_item.added", output_index=position, item=_skeleton(item))
        if item["type"] == "mcp_call":
            place = {"item_id": item["id"], "output_index": position}
            yield self.event("response.mcp_call.in_progress", **place)
            yield self.event("response.mcp_call_arguments.done", **place, arguments=item["arguments"])
        elif item["type"] in _HOSTED:
            for state in ("in_progress", _HOSTED[item["type"]]):
                yield self.event(f"response.{item['type']}.{state}", item_id=item["id"], output_index=position)
        if part is not None:
            empty = {**part, "text": ""} if "text" in part else {**part, "refusal": ""}
            if "annotations" in empty:
                empty["annotations"] = []
            empty.pop("logprobs", None)
            yield self.event(
                "response.content_part.added", item_id=item["id"], output_index=position, content_index=0, part=empty
            )

    def delta(self, position: int, item: Item, text: str, logprobs: Sequence[JsonObject] | None = None) -> Event:
        """More of an item's text, reasoning, refusal or arguments."""
        place: JsonObject = {"item_id": item["id"], "output_index": position}
        part = _part(item)
        if part is None:
            return self.event("response.function_call_arguments.delta", **place, delta=text)
        place["content_index"] = 0
        if part["type"] == "output_text":
            return self.event("response.output_text.delta", **place, delta=text, logprobs=list(logprobs or ()))
        kind = "response.refusal.delta" if part["type"] == "refusal" else "response.reasoning.delta"
        return self.event(kind, **place, delta=text)

    def annotation(self, position: int, item: Item, index: int, annotation: JsonObject) -> Event:
        """A citation of the text so far."""
        return self.event(
            "response.output_text.annotation.added",
            item_id=item["id"],
            output_index=position,
            content_index=0,
            annotation_index=index,
            annotation=annotation,
        )

    def closed(self, position: int, item: Item) -> Iterator[Event]:
        """The events that end an item: its text done, its part done, the item done."""
        place: JsonObject = {"item_id": item["id"], "output_index": position}
        part = _part(item)
        if part is not None:
            inside = {**place, "content_index": 0}
            if part["type"] == "output_text":
                done = {"text": part["text"], "logprobs": part.get("logprobs", [])}
                yield self.event("response.output_text.done", **inside, **done)
            elif part["type"] == "refusal":
                yield self.event("response.refusal.done", **inside, refusal=part["refusal"])
            else:
                yield self.event("response.reasoning.done", **inside, text=part["text"])
            yield self.event("response.content_part.done", **inside, part=part)
        elif item["type"] == "function_call":
            yield self.event("response.function_call_arguments.done", **place, arguments=item["arguments"])
        elif item["type"] == "mcp_call":
            ending = "completed" if item["status"] == "completed" else "failed"
            yield self.event(f"response.mcp_call.{ending}", **place)
        elif item["type"] in _HOSTED and item.get("status") != "failed":
            yield self.event(f"response.{item['type']}.completed", **place)
        yield self.event("response.output_item.done", output_index=position, item=item)


def _skeleton(item: Item) -> Item:
    """An item as it is announced, before anything of it is known that only its end brings."""
    skeleton = {**item, "status": "in_progress"} if "status" in item else dict(item)
    if _part(item) is not None:
        skeleton["content"] = []
    elif item["type"] == "function_call":
        skeleton["arguments"] = ""
    elif item["type"] == "mcp_call":
        skeleton |= {"arguments": "", "output": None, "error": None}
    elif item["type"] == "file_search_call":
        skeleton["results"] = None
    elif item["type"] == "image_generation_call":
        skeleton["result"] = None
    if item["type"] in ("mcp_call", *_HOSTED):
        skeleton = {name: value for name, value in skeleton.items() if name not in _KNOWN_AT_THE_END}
    return skeleton


def _part(item: Item) -> JsonObject | None:
    content = item.get("content")
    return content[0] if isinstance(content, list) and content else None


def _text(item: Item) -> str:
    part = _part(item)
    if part is None:
        return str(item["arguments"]) if item["type"] == "function_call" else ""
    return str(part["refusal"] if part["type"] == "refusal" else part["text"])


def opened_until(stored: StoredItem) -> int:
    """The number of the last event before an item's closing ones, where no other item is open beside it."""
    annotations = (_part(stored.item) or {}).get("annotations", [])
    opening = sum(1 for _ in Events().opened(0, stored.item))
    return stored.first_seq + opening + len(stored.cuts) + len(annotations) - 1


def closing_length(item: Item) -> int:
    """How many events end an item."""
    return sum(1 for _ in Events().closed(0, item))


def numbered(response_id: str, outputs: Sequence[Item]) -> tuple[list[StoredItem], int]:
    """Output items in their places, numbered as if each had come in one piece, and the number of the last event."""
    events, placed = Events(start=_OPENING), []
    for position, item in enumerate(outputs):
        first, text = events.next_seq, _text(item)
        annotations = (_part(item) or {}).get("annotations", [])
        events.next_seq += sum(1 for _ in Events().opened(position, item)) + bool(text) + len(annotations)
        events.next_seq += closing_length(item)
        placed.append(
            StoredItem(
                item=item,
                response_id=response_id,
                side="output",
                position=position,
                first_seq=first,
                last_seq=events.next_seq - 1,
                cuts=(len(text),) if text else (),
            )
        )
    return placed, events.next_seq


def replay(stored: StoredItem, starting_after: int) -> Iterator[Event]:
    """The events of a stored output item with numbers above `starting_after`; its missed deltas merged into one.

    The merged delta carries the number of the last delta it stands for. An item whose `last_seq` is -1 is partial:
    its closing events are not there yet. They are numbered from `last_seq` back: calls are open beside others.
    """
    item, position = stored.item, stored.position
    events = Events(start=stored.first_seq)
    opening = list(events.opened(position, item))
    yield from (event for event in opening if event["sequence_number"] > starting_after)

    first_delta = events.next_seq
    seen = min(max(starting_after - first_delta + 1, 0), len(stored.cuts))
    missed = _text(item)[sum(stored.cuts[:seen]) :]
    annotations = (_part(item) or {}).get("annotations", [])
    if missed:
        events.next_seq = first_delta + len(stored.cuts) - 1
        yield events.delta(position, item, missed)
    events.next_seq = first_delta + len(stored.cuts)
    for index, annotation in enumerate(annotations):
        event = events.annotation(position, item, index, annotation)
        if event["sequence_number"] > starting_after:
            yield event
    if stored.last_seq >= 0:
        events.next_seq = stored.last_seq + 1 - closing_length(item)
        yield from (event for event in events.closed(position, item) if event["sequence_number"] > starting_after)
