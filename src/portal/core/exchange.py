"""Import and export: what of a person's comes in from elsewhere and goes out again, and the stores around it."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from portal.core.items import Item, JsonObject
from portal.core.records import ConversationRecord, ResponseRecord

Source: TypeAlias = Literal["chatgpt", "claude", "openwebui", "librechat", "portal"]
SOURCES: tuple[Source, ...] = ("chatgpt", "claude", "openwebui", "librechat", "portal")
Status: TypeAlias = Literal["reading", "ready", "importing", "done", "failed"]
"""Looked through; looked through, and waiting for a yes; being stored; at its end, one way or the other."""
GOING: frozenset[str] = frozenset({"reading", "importing"})
STEP, STEP_BYTES = 200, 2**21
"""Responses, and bytes of their items, that are stored in one step: running turns wait for it."""
_LATEST = 2**47 * 1000
"""Microseconds that an id can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecord:
    """One file that somebody brings in."""

    id: str
    owner: str
    filename: str
    size: int
    """Bytes."""
    created_at: int
    changed_at: int
    """Microseconds UTC."""
    source: str = ""
    """A Source: what was asked for, then what it was found to be; empty while neither is known."""
    status: Status = "reading"
    dry_run: bool = False
    """Whether it is looked through only."""
    progress: float = 0.0
    """0 to 1: how much of it has been read."""
    report: JsonObject = field(default_factory=dict)
    """What was found in it and what became of that: {found, stored, known, skipped, reasons, whole}."""
    problem: str = ""
    """Why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """A response that comes in, with its items in their order."""

    response: ResponseRecord
    inputs: Sequence[Item]
    outputs: Sequence[Item]
    messages: Sequence[str] = ()
    """The messages of the source that it is made of, by their ids there."""


class Imports(Protocol):
    """The files that people bring in, by owner."""

    async def add(self, record: ImportRecord, *, most: int = 0) -> bool:
        """Whether it is kept: with `most` only while its owner has fewer that are not at their end. Raises Conflict for
        an id that is there."""

    async def save(self, record: ImportRecord, *, was: Status | None = None) -> None:
        """Replace; with `was` only where that is its status. Raises NotFound where it, or its owner, is gone, and
        Conflict where it has another one."""

    async def get(self, owner: str, import_id: str) -> ImportRecord:
        """Raises NotFound."""

    async def list(self, owner: str) -> Sequence[ImportRecord]:
        """The newest 100, newest first."""

    async def delete(self, owner: str, import_id: str) -> None:
        """Raises NotFound."""

    async def open(self) -> Sequence[ImportRecord]:
        """Everybody's that are not at their end, oldest first: for the server, when it starts."""


class Claims(Protocol):
    """What one of several servers works on alone, by name. It goes with its server."""

    async def take(self, name: str) -> bool:
        """Whether this server has it from now on, or had it before."""

    async def drop(self, name: str) -> None:
        """It has it no longer."""


Coming: TypeAlias = tuple[ConversationRecord, Sequence[Arriving]]
"""A conversation, and all of its turns."""


class Arrivals(Protocol):
    """Stores what comes in. A conversation is shown once all of it is there; where storing stops in the middle, the
    next call goes on."""

    async def take(
        self,
        import_id: str,
        conversation: ConversationRecord | None,
        turns: Sequence[Arriving],
        *,
        owner: str,
        more: bool = False,
    ) -> Collection[str]:
        """Store a conversation, or responses that are in none; parents come before those that follow them. The ids of
        the responses that were not there yet. With `more` others of the conversation come with the next call. What a
        person changed since stays; one that they deleted comes back.

        Raises:
            NotFound: the import was deleted, or its owner.
            Conflict: an id is somebody else's; nothing of it was stored.
        """

    async def take_all(self, import_id: str, coming: Sequence[Coming], *, owner: str) -> Collection[str]:
        """The same for several conversations, each in one piece and all of them no more than one step: stored at once.
        Raises as `take`."""


class Departures(Protocol):
    """Reads all that somebody has, in pages."""

    async def conversations(self, owner: str, *, after: str = "", limit: int = 100) -> Sequence[ConversationRecord]:
        """Those that are not deleted, by id."""

    async def order(self, owner: str, conversation_id: str | None) -> Sequence[str]:
        """The ids of the responses of a conversation, every branch, or with None of those in none, oldest first; what
        runs is left out."""

    async def turns(self, owner: str, ids: Sequence[str]) -> Sequence[Arriving]:
        """Those that are there still, in this order."""


def size_of(turns: Sequence[Arriving]) -> int:
    """About how many bytes their items take."""
    return sum(len(json.dumps(item)) for one in turns for item in (*one.inputs, *one.outputs))


def steps(turns: Sequence[Arriving]) -> Iterator[Sequence[Arriving]]:
    """In their order, each no more than one step stores unless it is a single one; nothing is one empty step."""
    start, size = 0, 0
    for at, one in enumerate(turns):
        own = size_of([one])
        if at > start and (at - start == STEP or size + own > STEP_BYTES):
            yield turns[start:at]
            start, size = at, 0
        size += own
    yield turns[start:]


def derived_id(prefix: str, moment: int, *parts: str) -> str:
    """An id that is always the same for the same parts, and sorts by its time as the others do; `moment` is in
    microseconds UTC."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    millis = min(max(moment, 0), _LATEST - 1) // 1000
    return f"{prefix}_{millis:012x}7{digest[:3]}{'89ab'[int(digest[3], 16) % 4]}{digest[4:19]}"
