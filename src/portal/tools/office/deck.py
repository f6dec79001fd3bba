"""Content cut into slides: what each is titled, says, shows, and what its speaker says."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from portal.tools.office.content import (
    Block,
    Break,
    Chart,
    Code,
    Content,
    Heading,
    Inline,
    Item,
    Items,
    Notes,
    Paragraph,
    Picture,
    Quote,
    Run,
    Table,
    plain,
)

Figure: TypeAlias = Table | Picture | Chart | Code
_SPOKEN = re.compile(r"\s*(?:speaker )?notes?:\s*", re.I)
_ROWS = 11
_LINES = 15.5
_WIDE = 88
"""Characters in a line across the slide."""


@dataclass(kw_only=True)
class Slide:
    """One slide."""

    title: str = ""
    section: bool = False
    """A title alone, between parts."""
    lines: list[Item] = field(default_factory=list)
    """Its text; a paragraph is an item without a mark."""
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing stands under its title."""
        return not self.lines and not self.figures

    def add(self, block: Block) -> None:
        """Put a block on it."""
        match block:
            case Table() | Picture() | Chart() | Code():
                self.figures.append(block)
            case Notes():
                self.notes.append(block.text)
            case Paragraph() if spoken := _SPOKEN.match(plain(block.text)):
                self.notes.append(plain(block.text)[spoken.end() :])
            case Paragraph():
                self.lines.append(Item(block.text, continued=True))
            case Heading():
                self.lines.append(Item(_bold(block.text), continued=True))
            case Items():
                self.lines += block.items
            case Quote():
                self.lines += [Item(tuple(replace(run, italic=True) for run in text), continued=True)
                               for text in block.texts]  # fmt: skip


def slides(content: Content) -> list[Slide]:
    """The slides after the one with the title."""
    made: list[Slide] = []
    for one in _cut(content):
        if made and one.title == "" and (one.empty or not one.figures):
            made[-1].notes += one.notes
            made[-1].lines += one.lines
        elif one.title or not one.empty:
            made.append(one)
    for at, one in enumerate(made):
        one.section = one.empty and bool(one.title) and at + 1 < len(made)
    return [part for one in made for part in _fitting(one)]


def _cut(content: Content) -> Iterator[Slide]:
    """A heading of one of the two highest levels begins a slide, as a break does, and a lower one after a figure."""
    current = Slide()
    for block in content.blocks:
        if isinstance(block, Heading) and (block.level <= 2 or current.figures or current.title == ""):
            yield current
            current = Slide(title=plain(block.text))
        elif isinstance(block, Break):
            yield current
            current = Slide()
        else:
            current.add(block)
    yield current


def _fitting(slide: Slide) -> Iterator[Slide]:
    """The slide, or several with its title where it holds too much for one."""
    tables = [part for one in slide.figures for part in _parts(one)]
    texts = list(_pages(slide.lines, _LINES if not tables else _LINES - 2))
    if not texts:
        texts = [[]]
    notes = slide.notes
    wide = any(isinstance(one, Table | Code) for one in tables)
    count = max(len(texts), len(tables) if wide else -(-len(tables) // 2), 1)
    per = -(-len(tables) // count) if tables else 0
    for at in range(count):
        yield Slide(
            title=slide.title if not at else f"{slide.title} ({at + 1})" if slide.title else "",
            section=slide.section,
            lines=texts[at] if at < len(texts) else [],
            figures=tables[at * per : (at + 1) * per],
            notes=notes if not at else [],
        )


def _parts(figure: Figure) -> Iterator[Figure]:
    """A long table in several."""
    if not isinstance(figure, Table) or len(figure.rows) <= _ROWS:
        yield figure
        return
    for at in range(0, len(figure.rows), _ROWS):
        yield Table(figure.head, figure.rows[at : at + _ROWS], figure.align)


def _pages(lines: Sequence[Item], most: float) -> Iterator[list[Item]]:
    page: list[Item] = []
    used = 0.0
    for line in lines:
        needs = height(line)
        if page and used + needs > most:
            yield page
            page, used = [], 0.0
        page.append(line)
        used += needs
    if page:
        yield page


def height(line: Item, wide: int = _WIDE) -> float:
    """Lines of the slide that it takes, with its room."""
    return 0.3 + sum(-(-(len(part) + 4 * line.depth) // wide) or 1 for part in plain(line.text).split("\n"))


def _bold(text: Inline) -> Inline:
    return tuple(Run(run.text, True, run.italic, run.code, run.strike, run.link) for run in text)
