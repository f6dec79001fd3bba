"""From a model's deltas to Open Responses items: opens, grows and closes one item at a time. Items of tool calls that
Portal runs stand beside them: several may be open at once."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from portal.core.citations import Citations
from portal.core.events import Event, Events
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.model import Citation, ModelEvent, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from portal.core.records import StoredItem

_OPENS: dict[type, str] = {TextDelta: "text", RefusalDelta: "refusal", ReasoningDelta: "reasoning"}


@dataclass(slots=True)
class _Open:
    """The item under way; `pieces` joined are its text, `flushed` of them (and `told` of its logprobs) are stored."""

    kind: str
    item: Item
    position: int
    first_seq: int
    last_seq: int = -1
    call_index: int = -1
    pieces: list[str] = field(default_factory=list)
    logprobs: list[JsonObject] = field(default_factory=list)
    citations: list[JsonObject] = field(default_factory=list)
    flushed: int = 0
    told: int = 0

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Assembler:
    """The output of one response as it grows."""

    def __init__(self, *, response_id: str, events: Events) -> None:
        self._response_id = response_id
        self._events = events
        self._done: dict[int, Item] = {}
        self._running: dict[int, StoredItem] = {}
        self._open: _Open | None = None
        self._early: list[JsonObject] = []
        self.citations = Citations(())
        """What the model was told that its text may cite."""

    @property
    def is_open(self) -> bool:
        """Whether an item is under way."""
        return self._open is not None

    def needs_close(self, event: ModelEvent) -> bool:
        """Whether the open item ends where this event begins another one."""
        current = self._open
        if current is None:
            return False
        if isinstance(event, ToolCallDelta):
            return current.kind != "call" or event.index != current.call_index
        return type(event) in _OPENS and _OPENS[type(event)] != current.kind

    def feed(self, event: ModelEvent) -> Iterator[Event]:
        """The events that a delta makes. Close the open item first where `needs_close` says so."""
        if isinstance(event, Citation):
            self._cite(event.annotation)
            return
        if not isinstance(event, TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta):
            return
        text = event.arguments if isinstance(event, ToolCallDelta) else event.text
        if self._open is None:
            if not text and not isinstance(event, ToolCallDelta):
                return
            self._open = current = self._start(event)
            yield from self._events.opened(current.position, current.item)
        current = self._open
        if text:
            logprobs = event.logprobs if isinstance(event, TextDelta) else None
            current.pieces.append(text)
            current.logprobs.extend(logprobs or ())
            made = self._events.delta(current.position, current.item, text, logprobs)
            current.last_seq = made["sequence_number"]
            yield made

    def _cite(self, annotation: JsonObject) -> None:
        """A citation belongs to answer text: to that under way, else to the next."""
        if self._open is not None and self._open.kind == "text":
            self._open.citations.append(annotation)
        else:
            self._early.append(annotation)

    def _cited(self, current: _Open) -> bool:
        """Add what its text cites of what the model was told; whether it cites anything."""
        found = self.citations.of(current.text)
        current.citations.extend(found)
        return bool(found)

    def _start(self, event: TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta) -> _Open:
        seq, position = self._events.next_seq, self.length
        if isinstance(event, ToolCallDelta):
            item = _call(event)
            return _Open("call", item, position, seq, call_index=event.index)
        if isinstance(event, ReasoningDelta):
            item = {
                "type": "reasoning",
                "id": new_id("rs"),
                "summary": [],
                "content": [{"type": "reasoning_text", "text": ""}],
                "status": "in_progress",
            }
            return _Open("reasoning", item, position, seq)
        if isinstance(event, RefusalDelta):
            return _Open("refusal", _message(refusal=True), position, seq)
        early, self._early = self._early, []
        return _Open("text", _message(refusal=False), position, seq, citations=early)

    def unflushed(self) -> StoredItem | None:
        """What of the open item is not stored yet, in the shape TurnLog.flush takes; None if nothing."""
        current = self._open
        if current is None or current.flushed == len(current.pieces):
            return None
        new = current.pieces[current.flushed :]
        item = _filled(current, "".join(new), "in_progress", current.told)
        return self._stored(current, item, [len(piece) for piece in new])

    def mark_flushed(self, partial: StoredItem) -> None:
        """`partial` of `unflushed` is stored now."""
        if self._open is not None and self._open.item["id"] == partial.item["id"]:
            self._open.flushed += len(partial.cuts)
            parts = partial.item.get("content") or [{}]
            self._open.told += len(parts[0].get("logprobs", ()))

    def close(self, status: str = "completed") -> tuple[StoredItem, list[Event]] | None:
        """End the open item: what to store, and the events that announce it once it is stored."""
        current, self._open = self._open, None
        if current is None:
            return None
        uncited = current.kind == "text" and len(self.citations) > 0 and not self._cited(current)
        item = _filled(current, current.text, status) | ({"portal:uncited": True} if uncited else {})
        announced: list[Event] = []
        for index, annotation in enumerate(current.citations):
            announced.append(self._events.annotation(current.position, item, index, annotation))
        announced.extend(self._events.closed(current.position, item))
        current.last_seq = announced[-1]["sequence_number"]
        stored = self._stored(current, item, [len(piece) for piece in current.pieces])
        self._done[current.position] = item
        return stored, announced

    def begin(self, item: Item) -> tuple[StoredItem, list[Event]]:
        """A whole item that goes on for a while, such as a tool call; no other may be growing. What to store, and the
        events that announce it."""
        seq, position = self._events.next_seq, self.length
        announced = list(self._events.opened(position, item))
        stored = self._placed(item, position, seq, announced[-1]["sequence_number"])
        self._running[position] = stored
        return stored, announced

    def end(self, position: int, item: Item) -> tuple[StoredItem, list[Event]]:
        """The item begun at this position is now as it stays."""
        begun = self._running.pop(position)
        announced = list(self._events.closed(position, item))
        self._done[position] = item
        return self._placed(item, position, begun.first_seq, announced[-1]["sequence_number"]), announced

    def forget(self, position: int) -> None:
        """The newest item was not begun after all, and nobody was told: its number and place are free again."""
        self._events.next_seq = self._running.pop(position).first_seq

    def running(self) -> list[StoredItem]:
        """What was begun and has not ended."""
        return list(self._running.values())

    @property
    def length(self) -> int:
        """How many items there are, the next one's position."""
        return len(self._done) + len(self._running) + (self._open is not None)

    def snapshot(self) -> list[Item]:
        """All items so far, the open one as far as it has come."""
        items = self._done | {position: stored.item for position, stored in self._running.items()}
        if self._open is not None:
            items[self._open.position] = _filled(self._open, self._open.text, "in_progress")
        return [items[position] for position in sorted(items)]

    def _placed(self, item: Item, position: int, first_seq: int, last_seq: int) -> StoredItem:
        return StoredItem(
            item=item,
            response_id=self._response_id,
            side="output",
            position=position,
            first_seq=first_seq,
            last_seq=last_seq,
        )

    def _stored(self, current: _Open, item: Item, cuts: list[int]) -> StoredItem:
        return StoredItem(
            item=item,
            response_id=self._response_id,
            side="output",
            position=current.position,
            first_seq=current.first_seq,
            last_seq=current.last_seq,
            cuts=cuts,
        )


def _call(event: ToolCallDelta) -> Item:
    return {
        "type": "function_call",
        "id": new_id("fc"),
        "call_id": event.id or new_id("call"),
        "name": event.name or "",
        "arguments": "",
        "status": "in_progress",
    }


def _message(*, refusal: bool) -> Item:
    part: JsonObject = {"type": "output_text", "text": "", "annotations": []}
    if refusal:
        part = {"type": "refusal", "refusal": ""}
    return {"type": "message", "id": new_id("msg"), "status": "in_progress", "role": "assistant", "content": [part]}


def _filled(current: _Open, text: str, status: str, told: int = 0) -> Item:
    """The item with this text in its place, and its logprobs but the first `told`."""
    item = {**current.item, "status": status}
    if current.kind == "call":
        return {**item, "arguments": text}
    part = {**item["content"][0], ("refusal" if current.kind == "refusal" else "text"): text}
    if current.kind == "text":
        part["annotations"] = list(current.citations)
        if current.logprobs:
            part["logprobs"] = current.logprobs[told:]
    return {**item, "content": [part]}
