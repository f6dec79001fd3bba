"""Documents as they are read: one text, what its parts are, and the ports that tell of pictures and recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

BlockKind: TypeAlias = Literal["heading", "text", "list", "table", "code"]


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a document's text, `text[start:end]`. Blocks are in order and only blank lines lie between them."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    """Of a heading, from 1; a smaller one stands above a greater one."""
    body: int = 0
    """Of a table with a header: where its rows begin. Every row, also every item of a list, is one line."""
    page: int | None = None
    """1-based; the slide of a presentation."""
    written: int | None = None
    """Microseconds UTC, where it was written at another time than the whole, as one mail of many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What was read of a file. The files within an archive or a mail are sections of it, headed by their names."""

    text: str
    blocks: Sequence[Block]
    title: str = ""
    written: int | None = None
    """Microseconds UTC: when it was last changed or sent, by its own word."""
    pages: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What it says of itself: author, subject, from, to, ..."""
    warnings: Sequence[str] = ()
    """What could not be read of it, for people."""


class Describer(Protocol):
    """Says what a picture shows, by a model that sees."""

    async def describe(self, picture: Path, content_type: str) -> str:
        """In a few sentences; empty where no such model is there. Raises BackendError."""
