"""PDF files, laid out as content says. Nothing in a text is fetched or read from disk."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
from portal.tools.office.tables import sides, widths

if TYPE_CHECKING:
    from fpdf import FPDF

_MARGIN = 22.0
_SIZE, _LINE = 10.5, 5.4
_HEADINGS = ((19, 9.0, 10, 3.5), (14.5, 7.2, 7, 2.5), (12, 6.2, 5.5, 2), (11, 5.8, 4.5, 1.5), (10.5, 5.6, 4, 1.5))
"""Size, height of a line, and the room before and after, by level."""
_STEP = 6.5
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
        self._font("B", 26, self._look.ink)
        self._pdf.multi_cell(
            0, 11.5, self._fonts.fitting(self._content.title), align="L", new_x="LMARGIN", new_y="NEXT"
        )
        if under := " · ".join(filter(None, (self._content.subtitle, self._content.author))):
            self._pdf.ln(1)
            self._font("", 12, self._look.quiet)
            self._pdf.multi_cell(0, 6, self._fonts.fitting(under), align="L", new_x="LMARGIN", new_y="NEXT")
        self._pdf.ln(2)

    def _block(self, block: Block) -> None:
        match block:
            case Heading():
                self._heading(block)
            case Paragraph():
                self._text(block.text)
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
        self._font("B", size, self._look.accent if block.level < 3 else self._look.ink)
        pdf.multi_cell(0, height, text, align="L", new_x="LMARGIN", new_y="NEXT")
        pdf.ln(after)

    def _text(self, text: Inline, colour: str = "", size: float = _SIZE) -> None:
        """Runs one after the other, wrapped at the margins."""
        height = _LINE * size / _SIZE
        for run in text:
            look = ("B" if run.bold else "") + ("I" if run.italic else "") + ("S" if run.strike else "")
            if run.code:
                self._font("S" if run.strike else "", size * 0.92, colour or self._look.ink, mono=True)
            else:
                self._font(look + ("U" if run.link else ""), size, self._look.accent if run.link else
                           colour or self._look.ink)  # fmt: skip
            link = "" if run.link.startswith("#") else run.link
            self._pdf.write(height, self._fonts.fitting(run.text), link)
        self._pdf.ln(height)

    def _items(self, block: Items) -> None:
        pdf, left = self._pdf, self._pdf.l_margin
        for item in block.items:
            indent = left + _STEP * (item.depth + 1)
            if not item.continued:
                mark = f"{item.number}." if item.number is not None else ("•", "–", "·")[item.depth % 3]
                if pdf.will_page_break(_LINE):
                    pdf.add_page()
                self._font("", _SIZE, self._look.ink)
                pdf.set_x(indent - _STEP + 1)
                pdf.cell(_STEP - 1, _LINE, self._fonts.fitting(mark))
            pdf.set_left_margin(indent)
            pdf.set_x(indent)
            self._text(item.text)
            pdf.set_left_margin(left)
            pdf.set_x(left)
            pdf.ln(0.9)
        pdf.ln(2)

    def _table(self, table: Table) -> None:
        from fpdf import FontFace
        from fpdf.enums import TableBordersLayout

        if len(table.head) > _MOST_COLUMNS:
            raise ToolError(f"A table of a PDF has at most {_MOST_COLUMNS} columns; put it into a spreadsheet.")
        pdf, look = self._pdf, self._look
        self._font("", 9.5 if len(table.head) < 8 else 7.5, look.ink)
        pdf.set_draw_color(f"#{look.line}")
        pdf.set_line_width(0.2)
        head = FontFace(emphasis="BOLD", color=_rgb("FFFFFF"), fill_color=_rgb(look.accent))
        bands = [FontFace(fill_color=_rgb(one)) for one in ("FFFFFF", "F6F8FA")]
        align = tuple({"left": "L", "right": "R", "center": "C"}[one] for one in sides(table))
        shares = widths(table, 1000)
        with pdf.table(
            headings_style=head,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            col_widths=tuple(shares),
            text_align=align,
            line_height=4.8,
            padding=(1.1, 1.8),
            width=pdf.epw,
        ) as made:
            made.row([self._fonts.fitting(plain(cell)) for cell in table.head])
            for at, row in enumerate(table.rows):
                made.row([self._fonts.fitting(plain(cell)) for cell in row], style=bands[at % 2])
        pdf.ln(4)

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
            self._font("", 9, self._look.quiet)
            caption = self._fonts.fitting(picture.caption)
            pdf.multi_cell(0, 4.6, caption, align="C", new_x="LMARGIN", new_y="NEXT")
        pdf.ln(3)

    def _code(self, text: str) -> None:
        from fpdf.util import Padding

        pdf = self._pdf
        self._font("", 8.8, self._look.ink, mono=True)
        pdf.set_fill_color("#F6F8FA")
        pdf.set_draw_color(f"#{self._look.line}")
        room, text = Padding(2.5, 2.5, 2.5, 2.5), self._fonts.fitting(text.expandtabs(4))
        pdf.multi_cell(0, 4.5, text, align="L", fill=True, border=1, padding=room, new_x="LMARGIN", new_y="NEXT")
        pdf.ln(3.5)

    def _quote(self, texts: Sequence[Inline]) -> None:
        pdf, left = self._pdf, self._pdf.l_margin
        pdf.ln(1)
        for text in texts:
            page, top = pdf.page, pdf.get_y()
            pdf.set_left_margin(left + 6)
            pdf.set_x(left + 6)
            self._text(text, self._look.quiet)
            pdf.set_left_margin(left)
            pdf.set_x(left)
            pdf.set_fill_color(f"#{self._look.accent}")
            top = top if pdf.page == page else pdf.t_margin
            pdf.rect(left + 1, top + 0.3, 0.9, pdf.get_y() - top - 0.6, style="F")
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
        self._font("", 8, self._look.quiet)
        pdf.cell(pdf.epw / 2, 5, self._fonts.fitting(self._content.title[:90]), align="L")
        pdf.cell(pdf.epw / 2, 5, f"{pdf.page_no()} / {{nb}}", align="R")

    def _font(self, style: str, size: float, colour: str, *, mono: bool = False) -> None:
        self._pdf.set_font(self._fonts.mono if mono else self._fonts.text, style, size)
        self._pdf.set_text_color(f"#{colour}")


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


def _rgb(colour: str) -> Any:
    return tuple(int(colour[at : at + 2], 16) for at in (0, 2, 4))
