"""Cutting a document into passages along its structure: pages, sections, paragraphs, sentences, rows, lines of code."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import combining

from portal.core.documents import Block, Extracted
from portal.core.items import JsonObject
from portal.core.tokens import estimate
from portal.errors import BadRequest

TARGET, LARGEST, SMALL = 600, 720, 200
"""Characters: what a piece aims at, may have if that keeps a paragraph whole, and should have."""
_HEAD = 300
"""Characters of a table's header that are repeated."""
_SENTENCE = re.compile(
    r"[。！？｡．।॥۔။][」』”’）)\]]{0,3}"
    r"|[.!?…։؟।][\"'”’»)\]]{0,3}(?=[ \t\n\xa0]+[^a-zß-öø-ÿ \t\n])"
    r"|\n(?=[ \t]*(?:[-*•–>]|\(?\w{1,3}[.)])[ \t])"
)
_SHORT = re.compile(
    r"(?:\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nr|vs|etc|cf|Fig|Eq|Sec|Vol|pp|Inc|Ltd|Co|bzw|ca|al))\.$"
)
_FAR = 12
"""Characters before a full stop that say whether it ends a sentence."""
_BREAK = re.compile(r"\n|[，、；：,;:]|\s")
_JOINED = frozenset("\u200d\ufe0e\ufe0f")
_TOP_LEVEL = re.compile(r"\n\s*\n(?=\S)")


@dataclass(frozen=True, slots=True)
class Piece:
    """`text` is `whole[start:end]`; rows from within a table have its header above them."""

    text: str
    heading: tuple[str, ...]
    page: int | None
    start: int
    end: int
    written: int | None = None


@dataclass(frozen=True, slots=True)
class _Section:
    path: tuple[str, ...]
    blocks: Sequence[Block]

    @property
    def start(self) -> int:
        return self.blocks[0].start

    @property
    def end(self) -> int:
        return self.blocks[-1].end


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut any further; the paragraph it is of is `text[first:last]`."""

    start: int
    end: int
    first: int
    last: int
    block: Block


@dataclass(frozen=True, slots=True)
class _Sizes:
    target: int
    largest: int
    small: int
    overlap: int = 0
    head: int = _HEAD


def cut(document: Extracted, strategy: JsonObject | None = None) -> list[Piece]:
    """The passages of a document, in order. `strategy` is OpenAI's `chunking_strategy`; its tokens are estimated.

    Raises:
        BadRequest: the strategy cannot be understood.
    """
    sizes = _sizes(strategy, document.text)
    return [
        piece
        for section in _merged(_sections(document), document.text, sizes)
        for piece in _Packer(document.text, section, sizes).pieces()
    ]


def _sizes(strategy: JsonObject | None, text: str) -> _Sizes:
    kind = (strategy or {}).get("type", "auto")
    if kind == "auto":
        return _Sizes(TARGET, LARGEST, SMALL)
    static = (strategy or {}).get("static")
    if kind != "static" or not isinstance(static, dict):
        raise BadRequest("`chunking_strategy` is auto or static.", param="chunking_strategy")
    most, overlap = static.get("max_chunk_size_tokens", 800), static.get("chunk_overlap_tokens", 400)
    if not isinstance(most, int) or not 100 <= most <= 4096:
        raise BadRequest("`max_chunk_size_tokens` is 100 to 4096.", param="chunking_strategy")
    if not isinstance(overlap, int) or not 0 <= overlap * 2 <= most:
        raise BadRequest("`chunk_overlap_tokens` is 0 to half of the size.", param="chunking_strategy")
    sample = text[:100_000]
    each = len(sample) / max(estimate(sample), 1)
    size = max(int(most * each), 40)
    return _Sizes(size, size, size, int(overlap * each), min(_HEAD, size // 3))


def _sections(document: Extracted) -> Iterator[_Section]:
    """What stands under each heading; a heading with nothing under it is a section itself."""
    text = document.text
    path: list[tuple[int, str]] = []
    held: list[Block] = []
    for block in document.blocks:
        if block.kind != "heading":
            held.append(block)
            continue
        deeper = bool(held) and held[-1].kind == "heading" and block.level > held[-1].level
        if held and not deeper:
            yield _section(path, held)
        while path and path[-1][0] >= block.level:
            path.pop()
        path.append((block.level, _words(text, block)))
        held = [*held, block] if deeper else [block]
    if held:
        yield _section(path, held)


def _section(path: Sequence[tuple[int, str]], held: Sequence[Block]) -> _Section:
    names = tuple(words for _, words in path)
    return _Section(names[:-1] if held[-1].kind == "heading" else names, held)


def _merged(sections: Iterator[_Section], text: str, sizes: _Sizes) -> Iterator[_Section]:
    """Short sections beside each other, under the heading above them, become one."""
    held: _Section | None = None
    for section in sections:
        if held and (path := _shared(held, section, sizes)) is not None:
            held = _Section(path, [*held.blocks, *section.blocks])
            continue
        if held:
            yield held
        held = section
    if held:
        yield held


def _shared(one: _Section, other: _Section, sizes: _Sizes) -> tuple[str, ...] | None:
    """The headings above both, if they may be one piece."""
    shorter = min(one.end - one.start, other.end - other.start)
    if other.end - one.start > sizes.target or shorter > sizes.small:
        return None
    if one.blocks[-1].written != other.blocks[-1].written or one.blocks[0].page != other.blocks[-1].page:
        return None
    count = next(
        (at for at, (a, b) in enumerate(zip(one.path, other.path, strict=False)) if a != b),
        min(len(one.path), len(other.path)),
    )
    return one.path[:count] if count else None


def _words(text: str, heading: Block) -> str:
    return text[heading.start : heading.end].lstrip("#").strip()[:200]


def _above(text: str, section: _Section) -> int:
    """How many of its blocks are the headings that its path tells anyway."""
    count = next((at for at, block in enumerate(section.blocks) if block.kind != "heading"), len(section.blocks) - 1)
    names = tuple(_words(text, block) for block in section.blocks[:count])
    return next((most for most in range(count, 0, -1) if section.path[-most:] == names[:most]), 0)


class _Packer:
    """Fills the pieces of one section."""

    def __init__(self, text: str, section: _Section, sizes: _Sizes) -> None:
        self._text = text
        self._sizes = sizes
        self._path = section.path
        self._blocks = section.blocks[_above(text, section) :]

    def pieces(self) -> Iterator[Piece]:
        """In order."""
        before: list[_Unit] = []
        for units in self._packed():
            if before and self._is_tail(before, units):
                before = [*before, *units]
                continue
            if before:
                yield self._piece(before)
            before = units
        if before:
            yield self._piece(before)

    def _is_tail(self, before: Sequence[_Unit], units: Sequence[_Unit]) -> bool:
        """Whether it is too little to stand alone."""
        if before[0].block.page != units[0].block.page:
            return False
        little = units[-1].end - units[0].start < self._sizes.small // 2
        return little and not self._sizes.overlap and units[-1].end - before[0].start <= self._sizes.largest

    def _packed(self) -> Iterator[list[_Unit]]:
        held: list[_Unit] = []
        for block in self._blocks:
            for unit in self._units(block):
                if held and held[0].block.page != block.page:
                    yield held
                    held = []
                elif held and not self._fits(held, unit):
                    yield held
                    held = self._overlap(held, unit)
                held.append(unit)
        if held:
            yield held

    def _fits(self, held: Sequence[_Unit], unit: _Unit) -> bool:
        start, sizes = held[0].start, self._sizes
        room = sizes.largest - len(self._header(held[0]))
        if unit.end - start > room:
            return False
        if held[-1].end - start < sizes.small or unit.last - start <= sizes.target:
            return True
        if unit.start == unit.first and unit.last - unit.first <= sizes.largest:
            return False
        return unit.end - start <= sizes.target

    def _overlap(self, held: Sequence[_Unit], unit: _Unit) -> list[_Unit]:
        """The last units again, as many as the overlap and the next unit leave room for."""
        room = min(self._sizes.overlap, self._sizes.largest - self._sizes.head - (unit.end - unit.start) - 2)
        at = len(held)
        while at > 1 and held[-1].end - held[at - 1].start <= room:
            at -= 1
        return list(held[at:])

    def _header(self, unit: _Unit) -> str:
        """The header of a table that the unit is within."""
        block = unit.block
        if block.kind != "table" or unit.start < block.body or not block.body:
            return ""
        return self._text[block.start : block.body - 1][: self._sizes.head] + "\n"

    def _piece(self, units: Sequence[_Unit]) -> Piece:
        first, last = units[0], units[-1]
        text = self._header(first) + self._text[first.start : last.end]
        return Piece(text, self._path, first.block.page, first.start, last.end, first.block.written)

    def _units(self, block: Block) -> Iterator[_Unit]:
        most = self._sizes.largest
        if block.end - block.start <= most and not self._sizes.overlap:
            yield _Unit(block.start, block.end, block.start, block.end, block)
            return
        most -= self._sizes.head + 1 if block.body else 0
        for first, last in self._groups(block):
            if last - first <= most and not self._sizes.overlap:
                yield _Unit(first, last, first, last, block)
                continue
            spans = _sentences(self._text, first, last) if block.kind == "text" else _lines(self._text, first, last)
            for start, end in spans:
                for one, other in _hard(self._text, start, end, most):
                    yield _Unit(one, other, first, last, block)

    def _groups(self, block: Block) -> Iterator[tuple[int, int]]:
        """A block as it is; code in the parts that begin at its margin."""
        start = block.start
        if block.kind == "code":
            for gap in _TOP_LEVEL.finditer(self._text, block.start, block.end):
                if gap.start() > start:
                    yield start, gap.start()
                start = gap.end()
        yield start, block.end


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for mark in _SENTENCE.finditer(text, start, end):
        if text[mark.start()] == "." and _SHORT.search(text[max(start, mark.start() - _FAR) : mark.start() + 1]):
            continue
        yield from _stripped(text, start, mark.end())
        start = mark.end()
    yield from _stripped(text, start, end)


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        if not text[start:stop].isspace() and stop > start:
            yield start, stop
        start = stop + 1


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end


def _hard(text: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """What is longer than `most` in parts: at a line's end, else between words, else anywhere."""
    while end - start > most:
        stop = _break(text, start + most // 2, start + most)
        yield from _stripped(text, start, stop)
        start = stop
    yield from _stripped(text, start, end)


def _break(text: str, low: int, high: int) -> int:
    line = text.rfind("\n", low, high)
    if line >= 0:
        return line + 1
    last = high
    for found in _BREAK.finditer(text, low, high):
        last = found.end()
    while (
        last > low + 1
        and last < len(text)
        and (combining(text[last]) or text[last] in _JOINED or text[last - 1] == "\u200d")
    ):
        last -= 1
    return last
