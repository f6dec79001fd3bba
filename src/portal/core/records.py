"""Rows as the stores hand them out: frozen, times in microseconds UTC, every one with an owner."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from portal.core.items import Item, JsonObject

T = TypeVar("T")

Role = Literal["owner", "admin", "member", "guest"]
"""What a person is here: the one whose Portal it is, who runs it with them, who uses it, who may only chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRecord:
    """One turn: a node of the tree that `previous_id` makes, without its items."""

    id: str
    owner: str
    model: str
    """The model asked for: a plain id or a workspace."""
    status: str
    created_at: int
    conversation_id: str | None = None
    previous_id: str | None = None
    completed_at: int | None = None
    request: JsonObject = field(default_factory=dict)
    """The request's fields that the response object echoes (temperature, tools, instructions, metadata, ...)."""
    usage: JsonObject | None = None
    error: JsonObject | None = None
    incomplete_details: JsonObject | None = None
    decision: JsonObject | None = None
    """How it was routed; None until it was."""
    background: bool = False
    feedback: int = 0
    """-1, 0 or 1."""
    last_seq: int = -1
    """The sequence number of the last event known to be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredItem:
    """An item in its place. Output items carry what rebuilding their events needs."""

    item: Item
    response_id: str
    side: Literal["input", "output"]
    position: int
    """0-based, within its side."""
    first_seq: int = -1
    """Sequence number of its `response.output_item.added`."""
    last_seq: int = -1
    """Sequence number of its `response.output_item.done`; -1 while it is partial."""
    cuts: Sequence[int] = ()
    """Lengths in characters of its deltas, in order: the n-th delta's sequence number is computable from these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """A response with all its items and its place among its siblings, as a conversation shows it."""

    response: ResponseRecord
    items: Sequence[StoredItem]
    siblings: Sequence[str]
    """Ids of the responses with the same parent in this conversation, oldest first, its own included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRecord:
    """A head in the tree of responses, with a title."""

    id: str
    owner: str
    created_at: int
    updated_at: int
    title: str = ""
    title_source: Literal["none", "model", "user"] = "none"
    head: str | None = None
    """Id of the newest response of the branch on show."""
    folder_id: str | None = None
    model: str | None = None
    pinned: bool = False
    metadata: JsonObject = field(default_factory=dict)
    deleted_at: int | None = None
    snippet: str = ""
    """Where a search found something, in the results of a search only."""
    alike: bool = False
    """Whether a search found it by what it says, not by the words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which conversations are looked at; None is any."""

    folder_id: str | None = None
    model: str | None = None
    """One that answered there."""
    since: int | None = None
    until: int | None = None
    """Bounds of the last change, in microseconds UTC, the second one not included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRecord:
    """A folder of conversations, with instructions, a model and files of its own."""

    id: str
    owner: str
    name: str
    created_at: int
    instructions: str = ""
    model: str | None = None
    file_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """An uploaded file, without its content."""

    id: str
    owner: str
    filename: str
    purpose: str
    size: int
    """Bytes."""
    sha256: str
    content_type: str
    created_at: int
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUsage:
    """What an owner's files take; equal ones are kept once."""

    files: int
    bytes: int
    quota: int
    """Bytes they may take; 0 for any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """A person."""

    id: str
    name: str
    role: Role
    created_at: int
    preferences: JsonObject = field(default_factory=dict)
    """What the page remembers for this person: theme, language, default model, ..."""
    login: str | None = None
    """What they sign in by beside a password: a name or an e-mail address, in lower case; unique."""
    suspended_at: int | None = None
    """Since when they are kept out."""
    terms: JsonObject = field(default_factory=dict)
    """What they may use, and how much of it: see Terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRecord:
    """An API key, a session of the page, or a one-time sign-in link; only the secret's hash is kept."""

    id: str
    owner: str
    kind: Literal["key", "session", "link"]
    name: str
    created_at: int
    hint: str = ""
    """The last four characters of a key, to tell keys apart."""
    expires_at: int | None = None
    last_used_at: int | None = None
    terms: JsonObject = field(default_factory=dict)
    """What it may do, and how often: see Terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRecord:
    """A workspace that a person made; each person has names of their own."""

    owner: str
    name: str
    fields: JsonObject
    """What they wrote: the settings of a workspace."""
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """What one model call cost; written through the batching writer, never awaited by a request."""

    id: str
    owner: str
    door: str
    model: str
    backend: str
    created_at: int
    input_tokens: int
    output_tokens: int
    estimated: bool
    milliseconds: int
    status: str
    decision: JsonObject | None = None
    first_milliseconds: int | None = None
    """Until a streamed answer began."""
    credential: str | None = None
    """The key whose daily budget this counts against."""
    error: str = ""
    """Why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRecord:
    """Where the time of one stored turn went. No text of it."""

    response_id: str
    owner: str
    created_at: int
    milliseconds: int
    """From the request to the end."""
    status: str
    """Its response's."""
    door: str
    model: str
    """The one that answered."""
    workspace: str
    """What was asked for."""
    error: str = ""
    spans: Sequence[JsonObject] = ()
    """See `tracing.listed`; empty in lists."""
    dropped: int = 0
    """How many more there were."""
    person: str = ""
    """The owner's name, in lists over all people."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next` is the cursor of the following page, None at the end."""

    data: Sequence[T]
    next: str | None = None
