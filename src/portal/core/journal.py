"""What happened to an installation that is worth knowing later: a bounded list, for those who run it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, get_args

from portal.core.records import Page

NoteKind: TypeAlias = Literal[
    "backend", "backup", "breaker", "channel", "error", "settings", "sign-in", "upgrade", "warning"
]
KINDS: Sequence[str] = get_args(NoteKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One thing that happened."""

    id: str
    at: int
    """Microseconds UTC."""
    kind: str
    level: str
    """As the log has it, in lower case."""
    source: str
    """The logger that told it."""
    text: str
    request: str = ""
    """Of which it came."""


class Notes(Protocol):
    """Keeps the newest."""

    async def add(self, notes: Sequence[Note]) -> None:
        """Keep them, and forget the oldest where there are too many."""

    async def list(self, *, kind: str = "", text: str = "", limit: int = 100, cursor: str | None = None) -> Page[Note]:
        """Newest first; of one kind, and with these characters in their text. Raises BadRequest for a cursor of another
        list."""
