"""Word files, written as content says; the same blocks go into files that are there already."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

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
    Look,
    Notes,
    Paragraph,
    Picture,
    Quote,
    Run,
    Table,
    plain,
)
from portal.tools.office.numbering import Numbering
from portal.tools.office.pictures import drawn
from portal.tools.office.tables import sides, widths

if TYPE_CHECKING:
    from docx.document import Document

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_EMU = 9525
"""Of a pixel at 96 to an inch."""


class Body:
    """Blocks as elements of one Word file, whose styles, pictures and links it uses."""

    def __init__(self, document: "Document", look: Look) -> None:
        self._document = document
        self._look = look
        self._styles = {style.name: style.style_id for style in document.styles if style.name}
        section = document.sections[-1]
        width = (section.page_width or 7772400) - (section.left_margin or 0) - (section.right_margin or 0)
        self._width = max(int(width), 1_000_000)
        self._numbering = Numbering(document)

    def elements(self, blocks: Sequence[Block]) -> list[Any]:
        """What stands in the body, in order. Raises ToolError."""
        from docx.oxml import parse_xml

        texts = [text for at, block in enumerate(blocks) for text in self._block(block, _breaks(blocks, at))]
        root = parse_xml(
            f'<w:body xmlns:w="{_W}" xmlns:r="{_R}" '
            'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
            'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
            f'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture">{"".join(texts)}</w:body>'
        )
        return list(root)

    def title(self, content: Content) -> str:
        """The lines above everything else, as XML."""
        made = self._paragraph((Run(content.title),), "Title")
        under = " · ".join(filter(None, (content.subtitle, content.author)))
        return made + (self._paragraph((Run(under),), "Subtitle") if under else "")

    def _block(self, block: Block, broken: bool) -> Iterator[str]:
        """`broken`: it begins a page."""
        before = "<w:pageBreakBefore/>" if broken else ""
        if before and not isinstance(block, Heading | Paragraph):
            yield _empty(before, after=0, line=20)
        match block:
            case Heading():
                yield self._paragraph(block.text, f"Heading {min(block.level, 6)}", before)
            case Paragraph():
                yield self._paragraph(block.text, "", before)
            case Items():
                yield from self._items(block)
            case Table():
                yield self._table(block)
                yield _empty("", after=120, line=120)
            case Picture():
                yield from self._picture(block)
            case Chart():
                yield from self._picture(drawn(block, self._look))
            case Code():
                yield self._code(block.text)
            case Quote():
                yield from (self._quoted(text) for text in block.texts)
            case Break(page=False):
                yield self._rule()
            case Notes():
                yield self._quoted((Run(block.text),))

    def _paragraph(self, text: Inline, style: str = "", more: str = "") -> str:
        named = self._styles.get(style)
        if style.startswith("Heading") and not named:  # a file without such styles
            text = tuple(replace(run, bold=True) for run in text)
        properties = (f"<w:pStyle w:val={quoteattr(named)}/>" if named else "") + more
        return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{self.runs(text)}</w:p>"

    def runs(self, text: Inline, bold: bool = False, colour: str = "") -> str:
        """Runs of one paragraph, as XML."""
        return "".join(self._run(run, bold, colour) for run in text)

    def _run(self, run: Run, bold: bool, colour: str) -> str:
        look = ""
        if run.code:
            look += f'<w:rFonts w:ascii="{self._look.mono}" w:hAnsi="{self._look.mono}" w:cs="{self._look.mono}"/>'
        look += "<w:b/>" if run.bold or bold else ""
        look += "<w:i/>" if run.italic else ""
        look += "<w:strike/>" if run.strike else ""
        if colour or run.link:
            look += f'<w:color w:val="{colour or self._look.accent}"/>'
        look += '<w:sz w:val="20"/>' if run.code else ""
        look += '<w:u w:val="single"/>' if run.link else ""
        look += '<w:shd w:val="clear" w:color="auto" w:fill="EFF2F5"/>' if run.code and not colour else ""
        text = "<w:br/>".join(f'<w:t xml:space="preserve">{escape(line)}</w:t>' for line in run.text.split("\n"))
        made = f"<w:r>{f'<w:rPr>{look}</w:rPr>' if look else ''}{text}</w:r>"
        if not run.link or run.link.startswith("#"):
            return made
        from docx.opc.constants import RELATIONSHIP_TYPE

        link = self._document.part.relate_to(run.link, RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
        return f'<w:hyperlink r:id="{link}">{made}</w:hyperlink>'

    def _items(self, block: Items) -> Iterator[str]:
        counted: dict[int, int] = {}
        for at, item in enumerate(block.items):
            step = f'<w:ind w:left="{425 * (item.depth + 1)}"/>'
            if not item.continued:
                number = self._numbering.bullets if item.number is None else 0
                if item.number is not None:
                    for deeper in [depth for depth in counted if depth > item.depth]:
                        del counted[deeper]
                    number = counted.setdefault(item.depth, 0) or self._numbering.counted(item.depth, item.number)
                    counted[item.depth] = number
                step = f'<w:numPr><w:ilvl w:val="{item.depth}"/><w:numId w:val="{number}"/></w:numPr>'
            after = 120 if at + 1 == len(block.items) else 40
            yield self._paragraph(item.text, "List Paragraph", f'{step}'.replace(
                "<w:ind", f'<w:spacing w:after="{after}"/><w:ind') if item.continued
                else f'{step}<w:spacing w:after="{after}"/>')  # fmt: skip

    def _table(self, table: Table) -> str:
        wide, where = widths(table, self._width // 635), sides(table)
        grid = "".join(f'<w:gridCol w:w="{one}"/>' for one in wide)
        head = self._row(table.head, wide, where, self._look.accent, head=True)
        rows = "".join(
            self._row(row, wide, where, "F6F8FA" if at % 2 else "", head=False) for at, row in enumerate(table.rows)
        )
        line = f'w:val="single" w:sz="4" w:space="0" w:color="{self._look.line}"'
        edges = "".join(f"<w:{edge} {line}/>" for edge in ("top", "bottom", "insideH"))
        room = (("top", 50), ("left", 110), ("bottom", 50), ("right", 110))
        padding = "".join(f'<w:{edge} w:w="{size}" w:type="dxa"/>' for edge, size in room)
        return (
            f'<w:tbl><w:tblPr><w:tblW w:w="{sum(wide)}" w:type="dxa"/><w:tblInd w:w="110" w:type="dxa"/>'
            f'<w:tblBorders>{edges}</w:tblBorders><w:tblLayout w:type="fixed"/><w:tblCellMar>{padding}</w:tblCellMar>'
            f"</w:tblPr><w:tblGrid>{grid}</w:tblGrid>{head}{rows}</w:tbl>"
        )

    def _row(self, cells: Sequence[Inline], wide: Sequence[int], where: Sequence[str], fill: str, *, head: bool) -> str:
        made = ""
        for text, width, side in zip(cells, wide, where, strict=False):
            shade = f'<w:shd w:val="clear" w:color="auto" w:fill="{fill}"/>' if fill else ""
            made += (
                f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/>{shade}</w:tcPr><w:p><w:pPr>'
                f'<w:spacing w:before="0" w:after="0" w:line="240" w:lineRule="auto"/><w:jc w:val="{side}"/></w:pPr>'
                f"{self.runs(text, bold=head, colour='FFFFFF' if head else '')}</w:p></w:tc>"
            )
        kept = "<w:cantSplit/>" + ("<w:tblHeader/>" if head else "")
        return f"<w:tr><w:trPr>{kept}</w:trPr>{made}</w:tr>"

    def _picture(self, picture: Picture) -> Iterator[str]:
        from lxml import etree

        width = min(picture.width * _EMU, self._width, 5_400_000 if picture.chart else self._width)
        height = int(width * picture.height / picture.width)
        if height > 6_800_000:
            width, height = int(width * 6_800_000 / height), 6_800_000
        shape = self._document.part.new_pic_inline(io.BytesIO(picture.data), width, height)
        shape.docPr.set("descr", picture.caption)
        after = "<w:keepNext/>" if picture.caption else ""
        yield (
            f'<w:p><w:pPr>{after}<w:spacing w:before="120" w:after="120"/><w:jc w:val="center"/></w:pPr><w:r>'
            f"<w:drawing>{etree.tostring(shape, encoding='unicode')}</w:drawing></w:r></w:p>"
        )
        if picture.caption:
            yield self._paragraph((Run(picture.caption),), "Caption", '<w:jc w:val="center"/>')

    def _code(self, text: str) -> str:
        line = f'w:val="single" w:sz="4" w:space="6" w:color="{self._look.line}"'
        frame = "".join(f"<w:{side} {line}/>" for side in ("top", "left", "bottom", "right"))
        more = f'<w:pBdr>{frame}</w:pBdr><w:shd w:val="clear" w:color="auto" w:fill="F6F8FA"/>'
        more += '<w:spacing w:before="120" w:after="160" w:line="252" w:lineRule="auto"/>'
        more += '<w:ind w:left="120" w:right="120"/>'
        lines = "<w:br/>".join(f'<w:t xml:space="preserve">{escape(one)}</w:t>' for one in text.split("\n"))
        mono = self._look.mono
        look = f'<w:rFonts w:ascii="{mono}" w:hAnsi="{mono}" w:cs="{mono}"/><w:sz w:val="18"/>'
        return f"<w:p><w:pPr>{more}</w:pPr><w:r><w:rPr>{look}</w:rPr>{lines}</w:r></w:p>"

    def _quoted(self, text: Inline) -> str:
        edge = f'<w:pBdr><w:left w:val="single" w:sz="18" w:space="10" w:color="{self._look.accent}"/></w:pBdr>'
        indent = '<w:spacing w:before="60" w:after="120"/><w:ind w:left="284" w:right="284"/>'
        return f"<w:p><w:pPr>{edge}{indent}</w:pPr>{self.runs(text, colour=self._look.quiet)}</w:p>"

    def _rule(self) -> str:
        line = f'<w:bottom w:val="single" w:sz="6" w:space="1" w:color="{self._look.line}"/>'
        return f'<w:p><w:pPr><w:pBdr>{line}</w:pBdr><w:spacing w:before="60" w:after="200"/></w:pPr></w:p>'


def _empty(properties: str, *, after: int, line: int) -> str:
    spacing = f'<w:spacing w:before="0" w:after="{after}" w:line="{line}" w:lineRule="exact"/>'
    return f"<w:p><w:pPr>{properties}{spacing}</w:pPr></w:p>"


def _breaks(blocks: Sequence[Block], at: int) -> bool:
    return at > 0 and isinstance(before := blocks[at - 1], Break) and before.page


def write(content: Content, template: bytes | None = None) -> bytes:
    """The file; `template` lends its styles, header and footer. Raises ToolError."""
    document = _opened(template)
    if template is None:
        _styled(document, content)
    body = document.element.body
    end = body.sectPr
    for one in list(body):
        if one is not end:
            body.remove(one)
    writer = Body(document, content.look)
    blocks = list(content.blocks)
    made = writer.elements(blocks)
    if content.title and not _begins_with(content):
        for one in parsed(writer.title(content)):
            end.addprevious(one)
    for one in made:
        end.addprevious(one)
    about = document.core_properties
    about.title, about.author, about.comments = content.title, content.author, ""
    return saved(document)


def _begins_with(content: Content) -> bool:
    """Whether the text's own first heading is the title already."""
    first = content.blocks[0] if content.blocks else None
    return isinstance(first, Heading) and plain(first.text).strip() == content.title.strip()


def parsed(text: str) -> list[Any]:
    """Elements of XML."""
    from docx.oxml import parse_xml

    return list(parse_xml(f'<w:body xmlns:w="{_W}" xmlns:r="{_R}">{text}</w:body>'))


def saved(document: "Document") -> bytes:
    """The bytes of a Word file."""
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


@cache
def _library() -> Any:
    try:
        import docx
    except ImportError as error:
        raise ToolError(f"Word files need python-docx: `{add_command('documents')}`.") from error
    return docx


def _opened(data: bytes | None) -> "Document":
    """A file, or an empty one. Raises ToolError."""
    docx = _library()
    return docx.Document(io.BytesIO(data)) if data else docx.Document()


def opened(data: bytes) -> "Document":
    """A file that is there. Raises ToolError."""
    docx = _library()
    try:
        return docx.Document(io.BytesIO(data))
    except (KeyError, ValueError, AttributeError, SyntaxError, OSError) as error:
        raise ToolError(f"This Word file cannot be opened: it is damaged ({type(error).__name__}).") from error


def _styled(document: "Document", content: Content) -> None:
    """Page, fonts and colours of a new file."""
    from docx.enum.section import WD_ORIENT
    from docx.shared import Cm

    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    if content.landscape:
        section.orientation = WD_ORIENT.LANDSCAPE
        section.page_width, section.page_height = Cm(29.7), Cm(21)
    section.left_margin = section.right_margin = Cm(2.4)
    section.top_margin, section.bottom_margin = Cm(2.2), Cm(2.2)
    look = content.look
    _font(document, "Normal", look.font, 11, look.ink, after=7, line=1.15)
    _font(document, "Title", look.font, 28, look.ink, after=4, bold=True)
    _font(document, "Subtitle", look.font, 13, look.quiet, after=20)
    for level, (size, before) in enumerate(((20, 22), (15, 16), (12.5, 12), (11.5, 10), (11, 8), (11, 8)), 1):
        colour = look.accent if level < 3 else look.ink
        _font(document, f"Heading {level}", look.font, size, colour, before=before, after=5, bold=True)
    _font(document, "Caption", look.font, 9.5, look.quiet, after=12)
    _font(document, "List Paragraph", look.font, 11, look.ink, after=2, line=1.15)
    _footer(document, content)


def _font(document: "Document", name: str, font: str, size: float, colour: str, *, before: float = 0, after: float = 0,
          line: float = 0, bold: bool = False) -> None:  # fmt: skip
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    style: Any = document.styles[name]
    look = style.font
    look.name, look.size, look.bold, look.italic = font, Pt(size), bold, False
    look.color.rgb = RGBColor.from_string(colour)
    fonts = style.element.rPr.rFonts
    for kind in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{kind}"), None)
    for kind in ("ascii", "hAnsi", "cs", "eastAsia"):
        fonts.set(qn(f"w:{kind}"), font)
    for edge in style.element.findall(f".//{qn('w:pBdr')}"):
        edge.getparent().remove(edge)
    form = style.paragraph_format
    form.space_before, form.space_after = Pt(before), Pt(after)
    if line:
        form.line_spacing = line
    for tight in style.element.findall(f".//{qn('w:contextualSpacing')}"):
        tight.getparent().remove(tight)


def _footer(document: "Document", content: Content) -> None:
    """The title at the left, page and pages at the right."""
    from docx.oxml import parse_xml

    section: Any = document.sections[0]
    whole = int((section.page_width - section.left_margin - section.right_margin) / 635)
    look = f'<w:rPr><w:color w:val="{content.look.quiet}"/><w:sz w:val="17"/></w:rPr>'
    fields = "".join(
        f'<w:fldSimple w:instr=" {name} "><w:r>{look}<w:t>1</w:t></w:r></w:fldSimple>{between}'
        for name, between in (("PAGE", f'<w:r>{look}<w:t xml:space="preserve"> / </w:t></w:r>'), ("NUMPAGES", ""))
    )
    line = f'<w:pBdr><w:top w:val="single" w:sz="4" w:space="6" w:color="{content.look.line}"/></w:pBdr>'
    made = parse_xml(
        f'<w:p xmlns:w="{_W}"><w:pPr>{line}<w:tabs><w:tab w:val="right" w:pos="{whole}"/></w:tabs></w:pPr>'
        f"<w:r>{look}<w:t>{escape(content.title)}</w:t></w:r><w:r>{look}<w:tab/></w:r>{fields}</w:p>"
    )
    footer: Any = section.footer
    footer.is_linked_to_previous = False
    held = footer.paragraphs[0]._p
    held.addprevious(made)
    held.getparent().remove(held)
