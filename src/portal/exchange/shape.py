"""What any export is read as, before it becomes Portal's own: conversations as trees of messages, folders, memories,
workspaces, and what could not be read with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from portal.core.exchange import Arriving
from portal.core.items import Item, JsonObject
from portal.core.memories import MemoryRecord

Kind: TypeAlias = Literal[
    "conversations", "messages", "files", "folders", "memories", "workspaces", "collections", "schedules", "keys"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A file of a message or folder."""

    key: str
    """What it is called in the source: equal keys are one file."""
    filename: str
    content_type: str = ""
    member: str = ""
    """Where in the archive it is; empty for one that is not in it."""
    content: bytes | None = None
    """Of one that comes within the message."""
    created: int | None = None
    purpose: str = "user_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message of the source. Its items have no ids yet."""

    id: str
    parent: str | None
    role: Literal["user", "assistant", "system"]
    items: Sequence[Item]
    """None at all for one that says nothing."""
    created: int | None = None
    """Microseconds UTC."""
    model: str = ""
    files: Sequence[Attached] = ()
    skipped: str = ""
    """Why it is left out, where that is not because it says nothing."""
    rating: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A conversation."""

    id: str
    title: str = ""
    created: int | None = None
    updated: int | None = None
    messages: Sequence[Said]
    """Parents may come after those that follow them."""
    current: str | None = None
    """The message at the end of the branch on show; the newest where it is not known."""
    folder: str | None = None
    pinned: bool = False
    instructions: str = ""
    """What its model was told before the first message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A folder of conversations, or a project."""

    id: str
    name: str
    instructions: str = ""
    created: int | None = None
    files: Sequence[Attached] = ()
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something to remember; `record` where it is known as exactly."""

    text: str
    created: int | None = None
    record: MemoryRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """Something to make a workspace of: an entry of another program's export, or the fields of one of Portal's."""

    name: str
    content: str = ""
    fields: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that belongs to nothing else here."""

    file: Attached


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """A conversation of a Portal, or with None responses that were in none: as they were there."""

    id: str | None
    fields: JsonObject = field(default_factory=dict)
    turns: Sequence[Arriving]
    broken: Sequence[tuple[str, int]] = ()
    """What could not be read: (reason, messages)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Something that cannot be taken over."""

    kind: Kind
    name: str
    reason: str
    count: int = 1


Piece: TypeAlias = Talk | Shelf | Fact | Persona | Upload | Threads | Left


STRUCTURE = "-"
"""In place of a reason: a node that only holds others together, and is no message."""
EMPTY = "it says nothing"


def said_text(text: str) -> JsonObject:
    """A part of what somebody asked."""
    return {"type": "input_text", "text": text}


def asked(text: str, parts: Sequence[JsonObject] = (), role: str = "user") -> Item:
    """A message that goes in."""
    texts = [said_text(text)] if text else []
    return {"type": "message", "role": role, "status": "completed", "content": [*texts, *parts]}


def answered(text: str) -> Item:
    """A message of a model."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "role": "assistant", "status": "completed", "content": [part]}


def thought(text: str) -> Item:
    """What a model thought."""
    part = {"type": "reasoning_text", "text": text}
    return {"type": "reasoning", "status": "completed", "summary": [], "content": [part]}


def resulted(output: str, key: str = "", name: str = "") -> Item:
    """What the tool brought that was called last, or by this key; becomes a part of its call."""
    return {"type": RESULT, "output": output, "key": key, "name": name}


RESULT = "result"


def called(source: str, name: str, arguments: str, output: str | None = None, key: str = "") -> Item:
    """A tool that ran there. Whatever it brought was written by others; `key` names the call until its id is known."""
    return {
        "type": "mcp_call",
        "server_label": source,
        "name": name or "tool",
        "arguments": arguments,
        "output": output,
        "error": None,
        "status": "completed",
        "approval_request_id": None,
        "portal:untrusted": True,
        **({"key": key} if key else {}),
    }
