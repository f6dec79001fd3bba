"""Text on the pages of a PDF: broken into lines by words whose widths are remembered, and drawn line by line."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from portal.tools.office.content import Inline, Look, Run
from portal.tools.office.fonts import Fonts

if TYPE_CHECKING:
    from fpdf import FPDF

_WORDS = re.compile(r"[ \t]+|[⺀-鿿가-힯豈-﫿＀-￯]|[^ \t⺀-鿿가-힯豈-﫿＀-￯]+")
_RIGHT_TO_LEFT = re.compile(r"[֐-ࣿיִ-﻿]")


_BELOW = 0.12
"""From the middle of a line down to what its letters stand on, in millimetres for each point of their size."""


_MEASURED = 400
"""Letters of a word that are measured at once: more than a line holds."""


class Face(NamedTuple):
    """How a piece of text looks."""

    family: str
    style: str
    size: float
    colour: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one face, in one line."""

    text: str
    face: Face
    width: float


Line = list[Piece]


class Press:
    """Sets text on one PDF."""

    def __init__(self, pdf: "FPDF", fonts: Fonts, look: Look) -> None:
        self._pdf, self._fonts, self._look = pdf, fonts, look
        self._widths: dict[tuple[str, str, float, str], float] = {}

    def lines(
        self, text: Inline, width: float, size: float, *, colour: str = "", bold: bool = False, mono: bool = False
    ) -> list[Line]:
        """The text in lines of at most this width."""
        made: list[Line] = [[]]
        used = 0.0
        for run in text:
            face = self._face(run, size, colour, bold=bold, mono=mono)
            for at, part in enumerate(self._fonts.fitting(run.text).split("\n")):
                if at:
                    made.append([])
                    used = 0.0
                for word in self._words(part, face, width):
                    if used + word.width > width and not word.text.isspace():
                        made.append(_moved(made[-1]))
                        used = sum(one.width for one in made[-1])
                    if made[-1] or len(made) == 1 or not word.text.isspace() or mono:
                        made[-1].append(word)
                        used += word.width
        return made

    def draw(
        self, line: Line, left: float, top: float, height: float, *, width: float = 0, align: str = "left"
    ) -> None:
        """One line in a box of this height; `width` is for other places than the left."""
        if align != "left":
            rest = width - sum(piece.width for piece in line)
            left += rest if align == "right" else rest / 2
        base = top + height / 2 + max((piece.face.size for piece in line), default=0) * _BELOW
        for piece in _joined(line):
            self.use(piece.face)
            if self._simple(piece.text):
                self._pdf.text(left, base, piece.text)
                if piece.face.link:
                    self._pdf.link(left, top, piece.width, height, piece.face.link)
            else:
                self._pdf.set_xy(left - self._pdf.c_margin, top)
                self._pdf.cell(piece.width + 2 * self._pdf.c_margin, height, piece.text, link=piece.face.link)
            left += piece.width

    def use(self, face: Face) -> None:
        """Let what is written next look so."""
        self._pdf.set_font(face.family, face.style, face.size)
        self._pdf.set_text_color(f"#{face.colour}")

    def face(self, style: str, size: float, colour: str) -> Face:
        """A face of the text's family."""
        return Face(self._fonts.text, style, size, colour)

    def _face(self, run: Run, size: float, colour: str, *, bold: bool, mono: bool) -> Face:
        strike = "S" if run.strike else ""
        if run.code or mono:
            smaller = size if mono else size * 0.92
            return Face(self._fonts.mono, strike, smaller, colour or self._look.ink)
        style = ("B" if run.bold or bold else "") + ("I" if run.italic else "") + ("U" if run.link else "") + strike
        link = "" if run.link.startswith("#") else run.link
        shown = colour or (self._look.accent if run.link else self._look.ink)
        return Face(self._fonts.text, style, size, shown, link)

    def _words(self, text: str, face: Face, most: float) -> Iterator[Piece]:
        """The words; one that is wider than a line in parts."""
        for word in _WORDS.findall(text):
            at = 0
            while at < len(word):
                part = word[at : at + _MEASURED]
                wide = self._width(part, face)
                if wide > most and len(part) > 1:
                    part = part[: max(int(len(part) * most / wide) - 1, 1)]
                    wide = self._width(part, face)
                yield Piece(part, face, wide)
                at += len(part)

    def _width(self, word: str, face: Face) -> float:
        key = face.family, face.style, face.size, word
        if key not in self._widths:
            self._pdf.set_font(face.family, face.style, face.size)
            self._widths[key] = self._pdf.get_string_width(word)
        return self._widths[key]

    def _simple(self, text: str) -> bool:
        """Whether the chosen font has all of it, and it reads from left to right."""
        font: Any = self._pdf.current_font
        if _RIGHT_TO_LEFT.search(text):
            return False
        return self._fonts.plain or not hasattr(font, "cmap") or all(ord(char) in font.cmap for char in set(text))


def _moved(line: Line) -> Line:
    """What has to go to the next line together with a word that follows without a blank."""
    at = len(line)
    while at and not line[at - 1].text.isspace():
        at -= 1
    glued = line[at:]
    if not at or len(line) - at > 3 or (glued and line[-1].text[-1] >= "⺀"):
        return []
    del line[at:]
    return glued


def _joined(line: Sequence[Piece]) -> Iterator[Piece]:
    """Neighbours of one face together."""
    held: list[Piece] = []
    for piece in line:
        if held and held[0].face != piece.face:
            yield _one(held)
            held = []
        held.append(piece)
    if held:
        yield _one(held)


def _one(pieces: Sequence[Piece]) -> Piece:
    return Piece("".join(one.text for one in pieces), pieces[0].face, sum(one.width for one in pieces))
