"""Memories: what a person wants kept about them and their projects, and the ports around them."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from portal.core.records import Page

if TYPE_CHECKING:
    from portal.core.passages import Vectors

Kind: TypeAlias = Literal["fact", "preference", "episode"]
Status: TypeAlias = Literal["active", "proposed", "superseded"]
LONGEST = 2000
"""Characters of one memory."""
SCOPE = re.compile(r"user|workspace:[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?|conversation:\w{1,80}")
"""Where a memory may hold."""


def folded(text: str) -> str:
    """The same for texts that say the same but for case, width, spaces and punctuation."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(sign if sign.isalnum() else " " for sign in plain).split()) or plain


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecord:
    """One memory, or an earlier wording of one."""

    id: str
    owner: str
    kind: Kind = "fact"
    text: str
    scope: str = "user"
    """Where it holds: `user` everywhere, `workspace:NAME` or `conversation:ID` there alone."""
    source: str = ""
    """Id of the response in which it was said; empty where it was written by hand or brought in."""
    created_at: int
    changed_at: int
    """Microseconds UTC; of a superseded one, when it was superseded."""
    happened_at: int | None = None
    """When what it tells of was, where that is known."""
    confidence: float = 1.0
    """0 to 1: how sure whoever took it down was."""
    status: Status = "active"
    superseded_by: str | None = None
    """The memory that took its place."""

    @property
    def when(self) -> int:
        """What bounds of time compare with."""
        return self.created_at if self.happened_at is None else self.happened_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which memories are asked for; None is any."""

    kind: Kind | None = None
    scope: str | None = None
    status: Status | None = "active"
    since: int | None = None
    until: int | None = None
    """Bounds of `when`, in microseconds UTC, the second one not included."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vector of a memory's text."""

    embedder: str
    vectors: "Vectors"
    """One row."""


class Memories(Protocol):
    """Memories by owner. Awaited means committed: a memory, its words and its vector come and go together."""

    async def save(
        self,
        memory: MemoryRecord,
        *,
        before: MemoryRecord | None = None,
        supersedes: Sequence[str] = (),
        embedded: Embedded | None = None,
    ) -> None:
        """Keep it: new, or in place of `before`, whose wording, if another, becomes history. Active memories that it
        supersedes become history as well.

        Raises:
            Conflict: `before` or one to supersede is not as it was, or an active one of this scope says the very same
                (code `memory_exists`); nothing was changed.
        """

    async def get(self, owner: str, ids: Sequence[str]) -> Sequence[MemoryRecord]:
        """Those that are there, in the order asked for."""

    async def history(self, owner: str, memory_id: str) -> Sequence[MemoryRecord]:
        """It, then all that it superseded, newest first. Raises NotFound."""

    async def list(
        self, owner: str, wanted: Wanted, *, limit: int = 50, cursor: str | None = None
    ) -> Page[MemoryRecord]:
        """Newest `when` first. Raises BadRequest for a cursor of another list."""

    async def forget(self, owner: str, ids: Sequence[str] | None) -> Sequence[str]:
        """Delete them, or with None all, with their history, words and vectors: nothing of their text is left in the
        file. The ids that were there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something to be remembered."""

    owner: str
    text: str
    kind: Kind | None = None
    """None lets its words decide."""
    scope: str = "user"
    source: str = ""
    created_at: int | None = None
    """None for now."""
    happened_at: int | None = None
    confidence: float = 1.0
    status: Literal["active", "proposed"] = "active"


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of it."""

    memory: MemoryRecord
    new: bool
    """False where it was known already."""
    superseded: Sequence[MemoryRecord] = field(default=())
    """What it took the place of, as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What a person lets memory do."""

    enabled: bool = True
    """Off means off: nothing is remembered, recalled or proposed."""
    conversations: bool = True
    """Whether past conversations are looked into, too."""
    propose: bool = False
    """Whether a model may propose memories after a turn."""


class Memory(Protocol):
    """What tools and pages do with memories."""

    async def switches(self, owner: str) -> Switches:
        """As this person has set them, within what the settings allow."""

    async def remember(self, said: Said) -> Kept:
        """Keep it, unless it is known; what it contradicts becomes its history.

        Raises:
            BadRequest: it is empty or too long.
            Conflict: memory is off (code `memory_off`).
        """

    async def search(self, owner: str, text: str, wanted: Wanted, *, limit: int = 10) -> Sequence[MemoryRecord]:
        """The best by words and meaning; with an empty text the newest."""

    async def past(
        self, owner: str, text: str, *, since: int | None = None, until: int | None = None, limit: int = 5
    ) -> Sequence["PastTurn"]:
        """Turns of past conversations that fit, best first."""

    async def forget(self, owner: str, ids: Sequence[str] | None) -> Sequence[str]:
        """See Memories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTurn:
    """A turn of a past conversation that answers a query."""

    conversation_id: str
    response_id: str
    title: str
    """Of its conversation."""
    text: str
    created_at: int
    untrusted: bool
    """Whether what strangers wrote had been read there by then."""
