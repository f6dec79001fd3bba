"""A tree of messages as a tree of responses: what was asked and all that answered it is one response, and what follows
names it as its previous one. Two answers to a question are two responses beside each other, as are two wordings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from portal.core.exchange import Arriving, derived_id
from portal.core.items import Item, JsonObject
from portal.core.records import ResponseRecord
from portal.exchange.shape import EMPTY, RESULT, STRUCTURE, Attached, Said, Talk, answered, asked

_MOST_WORDINGS = 20
"""Messages that share one question, or questions in a row, until they are kept apart: otherwise copies of the question
could make more of an export than is in it."""
_PREFIX = {"message": "msg", "reasoning": "rs", "mcp_call": "mcp"}
_LOOP = "it follows itself"
_TWICE = "its id is there twice"


@dataclass(frozen=True, slots=True)
class Kept:
    """A file as it is stored; `id` is empty for one that is not there, and why is said."""

    id: str
    filename: str
    content_type: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Grown:
    """A conversation's responses, parents first."""

    turns: Sequence[Arriving]
    head: str | None
    left: Mapping[str, int]
    """Messages that are left out, by reason."""

    @property
    def messages(self) -> int:
        """How many messages the responses are made of."""
        return len({each for turn in self.turns for each in turn.messages})


@dataclass(slots=True)
class _Segment:
    """A response as it grows."""

    previous: str | None
    inputs: list[Said] = field(default_factory=list)
    outputs: list[Said] = field(default_factory=list)
    time: int = 0
    """Of what it follows."""

    def with_input(self, said: Said) -> "_Segment":
        return _Segment(self.previous, [*self.inputs, said], [], self.time)


def grow(talk: Talk, *, owner: str, source: str, conversation_id: str, files: Mapping[str, Kept]) -> Grown:
    """The responses of a conversation; `files` are those of its messages, by their keys."""
    return _Growing(talk, (owner, source, talk.id), conversation_id, files).grown()


class _Growing:
    def __init__(self, talk: Talk, scope: tuple[str, ...], conversation_id: str, files: Mapping[str, Kept]) -> None:
        self._talk, self._scope, self._conversation, self._files = talk, scope, conversation_id, files
        self._left: Counter[str] = Counter()
        self._turns: list[Arriving] = []
        self._of: dict[str, str] = {}
        """The response that a message is at the end of, or at last in."""
        self._children: dict[str | None, list[Said]] = {}

    def grown(self) -> Grown:
        self._link()
        waiting = [
            (one, _Segment(None, time=self._talk.created or 0)) for one in reversed(self._children.get(None, []))
        ]
        while waiting:
            said, segment = waiting.pop()
            waiting += reversed(list(self._follow(said, segment)))
        return Grown(self._turns, self._head(), self._left)

    def _link(self) -> None:
        """Every message that is kept, below the one that is kept above it."""
        nodes: dict[str, Said] = {}
        for one in self._talk.messages:
            if one.id in nodes:
                self._left[_TWICE] += 1
            else:
                nodes[one.id] = one
        above = self._above(nodes)
        for one in nodes.values():
            why = _LOOP if one.id not in above else one.skipped or ("" if one.items or one.files else EMPTY)
            if why and why != STRUCTURE:
                self._left[why] += 1
            if not why:
                self._children.setdefault(above[one.id], []).append(one)

    @staticmethod
    def _above(nodes: Mapping[str, Said]) -> dict[str, str | None]:
        """The nearest kept message above each, None at the top; those in a loop, or below one, are not in it."""
        above: dict[str, str | None] = {}
        looped: set[str] = set()
        for start in nodes:
            path: dict[str, None] = {}
            at: str | None = start
            while at is not None and at in nodes and at not in above and at not in looped and at not in path:
                path[at] = None
                at = nodes[at].parent
            if at in looped or at in path:
                looped.update(path)
                continue
            for one in reversed(path):
                parent = nodes[one].parent
                if parent is None or parent not in nodes:
                    above[one] = None
                elif parent in above:
                    holder = nodes[parent]
                    there = (holder.items or holder.files) and not holder.skipped
                    above[one] = parent if there else above[parent]
        return above

    def _follow(self, said: Said, segment: _Segment) -> Iterator[tuple[Said, _Segment]]:
        """What comes next, and in which response."""
        children = self._children.get(said.id, [])
        if said.role == "assistant":
            segment.outputs.append(said)
            ends = len(children) != 1 or children[0].role != "assistant"
        else:
            segment = segment.with_input(said)
            many = len(children) > _MOST_WORDINGS or len(segment.inputs) > _MOST_WORDINGS
            ends = not children or many
        if ends:
            made = self._emit(said, segment)
            for child in children:
                yield child, _Segment(made, time=segment.time)
            return
        for child in children:
            alone = len(children) == 1
            yield child, segment if alone else _Segment(segment.previous, list(segment.inputs), [], segment.time)

    def _emit(self, last: Said, segment: _Segment) -> str:
        said = [*segment.inputs, *segment.outputs]
        times = [one.created for one in said if one.created is not None]
        began = min(times, default=segment.time)
        segment.time = began
        ended = max([one.created for one in segment.outputs if one.created is not None] or [began])
        response_id = derived_id("resp", began, *self._scope, last.id)
        inputs = [item for one in segment.inputs for item in self._asked(one)]
        if segment.previous is None and self._talk.instructions:
            inputs.insert(0, asked(self._talk.instructions, role="developer"))
        outputs = _joined([item for one in segment.outputs for item in self._answered(one)])
        said_by = next((one.model for one in reversed(segment.outputs) if one.model), "")
        record = ResponseRecord(
            id=response_id,
            owner=self._scope[0],
            model=said_by or (self._scope[1] if outputs else ""),
            status="completed",
            created_at=began if times or not began else began + len(self._turns),
            completed_at=max(began, ended),
            conversation_id=self._conversation,
            previous_id=segment.previous,
            feedback=next((one.rating for one in segment.outputs if one.rating), 0),
        )
        self._turns.append(
            Arriving(
                response=record,
                inputs=named(response_id, "in", inputs),
                outputs=named(response_id, "out", outputs),
                messages=tuple(one.id for one in said),
            )
        )
        for one in said:
            self._of[one.id] = response_id
        return response_id

    def _head(self) -> str | None:
        """The response at the end of the branch on show."""
        current = self._talk.current
        if current and current in self._of:
            return self._of[current]
        followed = {turn.response.previous_id for turn in self._turns}
        ends = [turn.response for turn in reversed(self._turns) if turn.response.id not in followed]
        newest = max(ends, key=lambda response: response.created_at, default=None)
        return newest.id if newest else None

    def _asked(self, said: Said) -> Iterator[Item]:
        parts = [self._part(one) for one in said.files]
        items = [dict(item) for item in said.items]
        if parts and items:
            items[-1] = {**items[-1], "content": [*items[-1]["content"], *parts]}
        elif parts:
            items = [asked("", parts)]
        yield from items

    def _answered(self, said: Said) -> Iterator[Item]:
        yield from (dict(item) for item in said.items)
        if said.files:
            yield answered("\n\n".join(_shown(self._files[one.key], one) for one in said.files))

    def _part(self, one: Attached) -> JsonObject:
        kept = self._files[one.key]
        if not kept.id:
            return {"type": "input_text", "text": _missing(kept, one)}
        if kept.content_type.startswith("image/"):
            return {"type": "input_image", "file_id": kept.id, "detail": "auto"}
        return {"type": "input_file", "file_id": kept.id, "filename": kept.filename}


def _shown(kept: Kept, one: Attached) -> str:
    """A file in an answer, as Markdown."""
    if not kept.id:
        return _missing(kept, one)
    name = kept.filename.translate({ord(sign): " " for sign in "[]()\n\r\\"})
    if kept.content_type.startswith("image/") and kept.content_type != "image/svg+xml":
        return f"![{name}](/v1/files/{kept.id}/content?inline=1)"
    return f"[{name}](/v1/files/{kept.id}/content)"


def _missing(kept: Kept, one: Attached) -> str:
    return f"(The file {one.filename or 'of this message'} was not taken over: {kept.reason}.)"


def _joined(items: Sequence[Item]) -> list[Item]:
    """Calls with what they brought. Calls between which nothing was said or brought were made at once."""
    made: list[Item] = []
    open_calls: dict[str, Item] = {}
    last: Item | None = None
    number, calling = 0, False
    for item in items:
        if item["type"] == RESULT:
            call = open_calls.pop(item["key"], None) if item["key"] else last
            if call is None or call["output"] is not None:
                number += 1
                call = _uncalled(item, number)
                made.append(call)
            call["output"] = item["output"]
        elif item["type"] == "mcp_call":
            number += not calling
            last = {**item, "portal:round": number}
            open_calls[last.pop("key", "")] = last
            made.append(last)
        else:
            made.append(item)
        calling = item["type"] == "mcp_call" and item["output"] is None
    for item in made:
        if item["type"] == "mcp_call" and item["output"] is None:
            item["output"] = ""
    return made


def _uncalled(item: Item, number: int) -> Item:
    """A call of which only the result is known."""
    return {
        "type": "mcp_call",
        "server_label": "import",
        "name": item["name"] or "tool",
        "arguments": "{}",
        "output": None,
        "error": None,
        "status": "completed",
        "approval_request_id": None,
        "portal:untrusted": True,
        "portal:round": number,
    }


def named(response_id: str, side: str, items: Sequence[Item]) -> list[Item]:
    """Items with ids that are always the same."""
    digits = response_id.partition("_")[2]
    return [
        {**item, "id": f"{_PREFIX.get(item['type'], 'item')}_{digits}{side[0]}{place}"}
        for place, item in enumerate(items)
    ]
