"""PDF files, laid out as content says. Nothing in a text is fetched or read from disk."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from portal.errors import ToolError
from portal.extras import add_command
from portal.tools.office.content import (
    Block,
    Break,
    Chart,
    Code,
    Content,
    Heading,
    Inline,
    Items,
    Notes,
    Paragraph,
    Picture,
    Quote,
    Run,
    Table,
    plain,
)
from portal.tools.office.fonts import PLACES, Fonts
from portal.tools.office.pictures import drawn
from portal.tools.office.press import Line, Press
from portal.tools.office.tables import sides, widths

if TYPE_CHECKING:
    from fpdf import FPDF

_MARGIN = 22.0
_SIZE, _LINE = 10.5, 5.4
_HEADINGS = ((19, 9.0, 10, 3.5), (14.5, 7.2, 7, 2.5), (12, 6.2, 5.5, 2), (11, 5.8, 4.5, 1.5), (10.5, 5.6, 4, 1.5))
"""Size, height of a line, and the room before and after, by level."""
_STEP = 6.5
_ROW, _PAD, _SIDE = 4.8, 1.1, 1.8
_MOST_COLUMNS = 30


def write(content: Content, places: tuple[str, ...] = PLACES) -> bytes:
    """The file. Raises ToolError."""
    try:
        from fpdf.errors import FPDFException
    except ImportError as error:
        raise ToolError(f"Making a PDF needs fpdf2: install it with `{add_command('documents')}`.") from error
    pages = _Pages(content, places)
    try:
        pages.write()
    except (FPDFException, ValueError, TypeError, AttributeError, IndexError) as error:
        raise ToolError(f"This text cannot be laid out: {error}") from error
    return pages.bytes()


class _Pages:
    def __init__(self, content: Content, places: tuple[str, ...]) -> None:
        self._content, self._look = content, content.look
        self._pdf = _paper(content)
        self._fonts = Fonts(self._pdf, places)
        self._press = Press(self._pdf, self._fonts, self._look)
        self._pdf.footer = self._footer  # type: ignore[method-assign]
        self._level = 0

    def bytes(self) -> bytes:
        """What was written."""
        out = io.BytesIO()
        self._pdf.output(out)
        return out.getvalue()

    def write(self) -> None:
        """Lay everything out."""
        pdf, content = self._pdf, self._content
        pdf.add_page()
        first = content.blocks[0] if content.blocks else None
        begun = isinstance(first, Heading) and plain(first.text).strip() == content.title.strip()
        if content.title and not begun:
            self._title()
        for block in content.blocks:
            self._block(block)

    def _title(self) -> None:
        content, pdf = self._content, self._pdf
        self._set((Run(content.title),), 26, 11.5, bold=True)
        if under := " · ".join(filter(None, (content.subtitle, content.author))):
            pdf.ln(1)
            self._set((Run(under),), 12, 6, colour=self._look.quiet)
        pdf.ln(2)

    def _block(self, block: Block) -> None:
        match block:
            case Heading():
                self._heading(block)
            case Paragraph():
                self._set(block.text, _SIZE, _LINE)
                self._pdf.ln(2.6)
            case Items():
                self._items(block)
            case Table():
                self._table(block)
            case Picture():
                self._picture(block)
            case Chart():
                self._picture(drawn(block, self._look))
            case Code():
                self._code(block.text)
            case Quote():
                self._quote(block.texts)
            case Notes():
                self._quote([(Run(block.text),)])
            case Break(page=True):
                self._pdf.add_page()
            case Break():
                self._line()

    def _heading(self, block: Heading) -> None:
        pdf = self._pdf
        size, height, before, after = _HEADINGS[min(block.level, len(_HEADINGS)) - 1]
        text = self._fonts.fitting(plain(block.text))
        if pdf.get_y() > pdf.t_margin + 1:
            pdf.ln(before)
        if pdf.will_page_break(height + after + 3 * _LINE):
            pdf.add_page()
        level = min(block.level - 1, self._level)
        self._level = level + 1
        pdf.start_section(text[:200] or " ", level=level, strict=False)
        colour = self._look.accent if block.level < 3 else self._look.ink
        self._set(block.text, size, height, bold=True, colour=colour)
        pdf.ln(after)

    def _set(
        self, text: Inline, size: float, height: float, *, left: float = 0, colour: str = "", bold: bool = False
    ) -> None:
        """Lines between the margins, the left one moved by `left`."""
        pdf = self._pdf
        for line in self._press.lines(text, pdf.epw - left, size, colour=colour, bold=bold):
            self._room(height)
            self._press.draw(line, pdf.l_margin + left, pdf.get_y(), height)
            pdf.set_xy(pdf.l_margin, pdf.get_y() + height)

    def _room(self, height: float) -> None:
        """A new page where this one has no room for it."""
        if self._pdf.will_page_break(height):
            self._pdf.add_page()

    def _items(self, block: Items) -> None:
        pdf = self._pdf
        for item in block.items:
            indent = _STEP * (item.depth + 1)
            if not item.continued:
                mark = f"{item.number}." if item.number is not None else ("•", "–", "·")[item.depth % 3]
                self._room(_LINE)
                marked = self._press.lines((Run(mark),), 50, _SIZE)[0]
                self._press.draw(marked, pdf.l_margin + indent - _STEP + 2, pdf.get_y(), _LINE)
            self._set(item.text, _SIZE, _LINE, left=indent)
            pdf.ln(0.9)
        pdf.ln(2)

    def _table(self, table: Table) -> None:
        if len(table.head) > _MOST_COLUMNS:
            raise ToolError(f"A table of a PDF has at most {_MOST_COLUMNS} columns; put it into a spreadsheet.")
        pdf, size = self._pdf, 9.5 if len(table.head) < 8 else 7.5
        shares = widths(table, 1000)
        wide = [pdf.epw * share / sum(shares) for share in shares]
        head = self._cells(table.head, wide, size, head=True)
        self._room(3 * (_ROW + 2 * _PAD))
        self._row(head, wide, sides(table), self._look.accent)
        for at, row in enumerate(table.rows):
            cells = self._cells(row, wide, size)
            if pdf.will_page_break(_tall(cells)):
                pdf.add_page()
                self._row(head, wide, sides(table), self._look.accent)
            self._row(cells, wide, sides(table), "F6F8FA" if at % 2 else "")
        pdf.ln(4)

    def _cells(
        self, row: Sequence[Inline], wide: Sequence[float], size: float, *, head: bool = False
    ) -> list[list[Line]]:
        """Each cell in lines, as many as a page has room for."""
        colour, most = ("FFFFFF" if head else ""), int((self._pdf.eph - 20) / _ROW)
        return [self._press.lines(text, width - 2 * _SIDE, size, bold=head, colour=colour)[:most]
                for text, width in zip(row, wide, strict=False)]  # fmt: skip

    def _row(self, cells: Sequence[list[Line]], wide: Sequence[float], where: Sequence[str], fill: str) -> None:
        pdf = self._pdf
        left, top, height = pdf.l_margin, pdf.get_y(), _tall(cells)
        if fill:
            pdf.set_fill_color(f"#{fill}")
            pdf.rect(left, top, pdf.epw, height, style="F")
        for lines, width, side in zip(cells, wide, where, strict=False):
            for at, line in enumerate(lines):
                self._press.draw(line, left + _SIDE, top + _PAD + at * _ROW, _ROW, width=width - 2 * _SIDE, align=side)
            left += width
        pdf.set_draw_color(f"#{self._look.line}")
        pdf.set_line_width(0.2)
        pdf.line(pdf.l_margin, top + height, pdf.l_margin + pdf.epw, top + height)
        pdf.set_xy(pdf.l_margin, top + height)

    def _picture(self, picture: Picture) -> None:
        pdf = self._pdf
        width = min(picture.width * 0.2646, pdf.epw, 145.0 if picture.chart else pdf.epw)
        height = width * picture.height / picture.width
        highest = pdf.eph - 20
        if height > highest:
            width, height = width * highest / height, highest
        if pdf.will_page_break(height + 8):
            pdf.add_page()
        pdf.image(io.BytesIO(picture.data), x=pdf.l_margin + (pdf.epw - width) / 2, w=width, h=height,
                  alt_text=picture.caption or None)  # fmt: skip
        pdf.ln(1.5)
        if picture.caption:
            caption = self._press.lines((Run(picture.caption),), pdf.epw, 9, colour=self._look.quiet)
            for line in caption:
                self._press.draw(line, pdf.l_margin, pdf.get_y(), 4.6, width=pdf.epw, align="center")
                pdf.set_xy(pdf.l_margin, pdf.get_y() + 4.6)
        pdf.ln(3)

    def _code(self, text: str) -> None:
        """In a frame, that goes on over the next page where it must."""
        pdf = self._pdf
        lines = self._press.lines((Run(text.expandtabs(4)),), pdf.epw - 6, 8.8, mono=True)
        self._room(min(len(lines), 3) * 4.5 + 5)
        while lines:
            fits = max(int((pdf.page_break_trigger - pdf.get_y() - 5) / 4.5), 1)
            part, lines = lines[:fits], lines[fits:]
            top = pdf.get_y()
            pdf.set_fill_color("#F6F8FA")
            pdf.set_draw_color(f"#{self._look.line}")
            pdf.rect(pdf.l_margin, top, pdf.epw, len(part) * 4.5 + 5, style="DF")
            for at, line in enumerate(part):
                self._press.draw(line, pdf.l_margin + 3, top + 2.5 + at * 4.5, 4.5)
            pdf.set_xy(pdf.l_margin, top + len(part) * 4.5 + 5)
            if lines:
                pdf.add_page()
        pdf.ln(3.5)

    def _quote(self, texts: Sequence[Inline]) -> None:
        pdf = self._pdf
        pdf.ln(1)
        for text in texts:
            for line in self._press.lines(text, pdf.epw - 6, _SIZE, colour=self._look.quiet):
                self._room(_LINE)
                pdf.set_fill_color(f"#{self._look.accent}")
                pdf.rect(pdf.l_margin + 1, pdf.get_y(), 0.9, _LINE + 0.05, style="F")
                self._press.draw(line, pdf.l_margin + 6, pdf.get_y(), _LINE)
                pdf.set_xy(pdf.l_margin, pdf.get_y() + _LINE)
            pdf.ln(1.5)
        pdf.ln(1.5)

    def _line(self) -> None:
        pdf = self._pdf
        pdf.set_draw_color(f"#{self._look.line}")
        pdf.ln(2)
        pdf.line(pdf.l_margin, pdf.get_y(), pdf.l_margin + pdf.epw, pdf.get_y())
        pdf.ln(4)

    def _footer(self) -> None:
        pdf = self._pdf
        pdf.set_y(-15)
        self._press.use(self._press.face("", 8, self._look.quiet))
        pdf.cell(pdf.epw / 2, 5, self._fonts.fitting(self._content.title[:90]), align="L")
        pdf.cell(pdf.epw / 2, 5, f"{pdf.page_no()} / {{nb}}", align="R")


def _tall(cells: Sequence[list[Line]]) -> float:
    """The height of a row."""
    return max((len(lines) for lines in cells), default=1) * _ROW + 2 * _PAD


def _paper(content: Content) -> "FPDF":
    from fpdf import FPDF

    pdf = FPDF(orientation="landscape" if content.landscape else "portrait", format="A4")
    pdf.set_margins(_MARGIN, 20, _MARGIN)
    pdf.set_auto_page_break(True, 22)
    pdf.set_title(content.title or "Document")
    if content.author:
        pdf.set_author(content.author)
    pdf.set_creator("Portal")
    return pdf
