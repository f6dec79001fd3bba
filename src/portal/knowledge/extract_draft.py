"""A document in the making: text is added block by block, and each block's place is kept."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from portal.core.clock import micros
from portal.core.documents import Block, BlockKind, Extracted
from portal.errors import TooLarge

LONGEST = 20_000_000
"""Characters of one document."""
_BAD = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127, 65279, *range(55296, 57344)))
"""What is no text: control characters, lone surrogates."""


class Draft:
    """`page`, `written` and `depth` (levels added to headings) hold for what is added next."""

    def __init__(self, longest: int = LONGEST) -> None:
        self.title = ""
        self.written: int | None = None
        self.pages: int | None = None
        self.metadata: dict[str, str] = {}
        self.warnings: list[str] = []
        self.page: int | None = None
        self.dated: int | None = None
        self.depth = 0
        self._longest = longest
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._size = 0

    def heading(self, level: int, text: str) -> None:
        """One line, whatever `text` has; it is shown as Markdown shows it."""
        words = flat(text)
        if words:
            level = max(level, 1) + self.depth
            self._add("heading", f"{'#' * min(level, 6)} {words}", level=level)

    def text(self, text: str) -> None:
        """A paragraph, its lines as they are."""
        self._add("text", clean(text).strip())

    def flowing(self, text: str) -> None:
        """A paragraph whose line ends mean nothing."""
        self._add("text", flat(text))

    def code(self, text: str) -> None:
        """Lines whose indentation matters."""
        self._add("code", clean(text).strip("\r\n").rstrip())

    def items(self, items: Iterable[str]) -> None:
        """A list, one line an item; what numbers or marks it is part of the item."""
        self._add("list", "\n".join(filter(None, map(_line, items))))

    def table(self, rows: Iterable[Sequence[str]], *, headed: bool = True) -> None:
        """One line a row; the first one names the columns if `headed`. Empty rows are left out."""
        lines = [line for line in (" | ".join(map(flat, row)).rstrip(" |") for row in rows) if line]
        body = len(lines[0]) + 1 if headed and len(lines) > 1 else 0
        self._add("table", "\n".join(lines), body=body)

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return len(self._blocks)

    def take_back(self, count: int) -> None:
        """Leave only so many of the blocks."""
        del self._blocks[count:], self._parts[count:]
        self._size = self._blocks[-1].end if self._blocks else 0

    def warn(self, message: str) -> None:
        """Keep what could not be read; a hundred such lines say enough."""
        if len(self.warnings) < 100:
            self.warnings.append(message[:500])

    def done(self) -> Extracted:
        """The document."""
        return Extracted(
            text="\n\n".join(self._parts),
            blocks=self._blocks,
            title=flat(self.title)[:300],
            written=self.written,
            pages=self.pages,
            metadata={name: flat(value)[:1000] for name, value in self.metadata.items() if value.strip()},
            warnings=self.warnings,
        )

    def _add(self, kind: BlockKind, text: str, *, level: int = 0, body: int = 0) -> None:
        if not text:
            return
        start = self._size + 2 if self._parts else 0
        end = start + len(text)
        if end > self._longest:
            raise TooLarge(
                f"It holds more than {self._longest:,} characters of text: split it into smaller files.",
                code="invalid_file",
            )
        self._parts.append(text)
        self._size = end
        self._blocks.append(Block(kind, start, end, level, start + body if body else 0, self.page, self.dated))


def clean(text: str) -> str:
    """Without characters that are no text."""
    return text if text.isascii() and text.isprintable() else text.translate(_BAD)


def flat(text: str) -> str:
    """On one line, single blanks."""
    return " ".join(clean(text).split())


def _line(text: str) -> str:
    """On one line, its indentation kept."""
    words = flat(text)
    return " " * min(len(text) - len(text.lstrip(" \t")), 12) + words if words else ""


def moment(text: str) -> int | None:
    """Microseconds of a date as documents write it, if it is one."""
    try:
        return micros(read if (read := datetime.fromisoformat(text.strip())).tzinfo else read.replace(tzinfo=UTC))
    except (ValueError, OverflowError, OSError):
        return None
