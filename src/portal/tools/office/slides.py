"""PowerPoint files: slides with text, pictures, tables, charts that stay charts, and speaker notes."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from portal.errors import ToolError
from portal.extras import add_command
from portal.tools.office import theme
from portal.tools.office.content import Chart, Code, Content, Inline, Item, Look, Picture, Table
from portal.tools.office.deck import Slide, height, slides
from portal.tools.office.tables import sides, widths

if TYPE_CHECKING:
    from pptx.presentation import Presentation

_EMU = 9525
_GAP = int(0.35 * theme.INCH)


class Deck:
    """Writes slides into one presentation."""

    def __init__(self, deck: "Presentation", look: Look, *, own: bool) -> None:
        """`own`: the presentation has Portal's design, else its layouts say where things stand."""
        self.deck, self._look, self._own = deck, look, own

    def cover(self, title: str, under: str) -> None:
        """The first slide."""
        slide = self.deck.slides.add_slide(self._layout("TITLE"))
        _titled(slide, title)
        others = [one for one in slide.placeholders if one.placeholder_format.idx != 0 and one.has_text_frame]
        for at, one in enumerate(others):
            if under and not at:
                one.text_frame.text = under
            else:
                _gone(one)

    def add(self, wanted: Slide) -> Any:
        """One slide more."""
        if wanted.section:
            slide = self.deck.slides.add_slide(self._layout("SECTION"))
            _titled(slide, wanted.title)
            for one in [one for one in slide.placeholders if one.placeholder_format.idx != 0]:
                _gone(one)
            self._notes(slide, wanted)
            return slide
        both = bool(wanted.lines)
        slide = self.deck.slides.add_slide(self._layout("CONTENT" if both else "ALONE"))
        self.fill(slide, wanted)
        return slide

    def fill(self, slide: Any, wanted: Slide) -> None:
        """Put what is wanted on a slide whose placeholders are empty."""
        _titled(slide, wanted.title)
        body = next((one for one in slide.placeholders if one.placeholder_format.idx != 0 and one.has_text_frame
                     and one.placeholder_format.type.name in ("BODY", "OBJECT")), None)  # fmt: skip
        area = self._area(body)
        left, top, width, tall = area
        if wanted.lines:
            box = body if body is not None else slide.shapes.add_textbox(*area)
            if wanted.figures:
                share = 0.42 if max(height(one) for one in wanted.lines) > 1.5 or len(wanted.lines) > 3 else 0.36
                box.left, box.top, box.width, box.height = left, top, int(width * share), tall
                left, width = left + int(width * share) + _GAP, width - int(width * share) - _GAP
            self._lines(box, wanted.lines, narrow=bool(wanted.figures))
        elif body is not None:
            _gone(body)
        each = (width - _GAP * (len(wanted.figures) - 1)) // max(len(wanted.figures), 1)
        for at, figure in enumerate(wanted.figures):
            self._figure(slide, figure, (left + at * (each + _GAP), top, each, tall))
        self._notes(slide, wanted)
        self._number(slide)

    def _layout(self, name: str) -> Any:
        """The layout for a slide of this kind, by the places that it has."""
        layouts = list(self.deck.slide_layouts)
        if self._own:
            return layouts[("TITLE", "CONTENT", "SECTION", "ALONE").index(name)]
        kinds = [[one.placeholder_format.type.name for one in layout.placeholders] for layout in layouts]
        if name == "SECTION" and (named := [one for one in layouts if "section" in one.name.lower()]):
            return named[0]
        for layout, held in zip(layouts, kinds, strict=True):
            bodies = sum(kind in ("BODY", "OBJECT") for kind in held)
            cover, titled = "CENTER_TITLE" in held, "TITLE" in held
            if {"TITLE": cover, "CONTENT": titled and bodies == 1, "ALONE": titled and not bodies}.get(name):
                return layout
        return layouts[0 if name in ("TITLE", "SECTION") else min(1, len(layouts) - 1)]

    def _area(self, body: Any) -> tuple[int, int, int, int]:
        if self._own:
            return theme.LEFT, theme.TOP, theme.ACROSS, theme.DOWN
        if body is not None and body.width:
            return body.left, body.top, body.width, body.height
        wide, tall = int(self.deck.slide_width or theme.WIDTH), int(self.deck.slide_height or theme.HEIGHT)
        return int(wide * 0.06), int(tall * 0.24), int(wide * 0.88), int(tall * 0.66)

    def _lines(self, box: Any, lines: Sequence[Item], *, narrow: bool) -> None:
        from pptx.util import Pt

        frame = box.text_frame
        frame.word_wrap = True
        wide = 38 if narrow else 88
        needs = sum(height(one, wide) for one in lines)
        size = next((one for one, most in ((20, 11), (18, 13), (16, 15), (14, 19)) if needs <= most), 12)
        for at, item in enumerate(lines):
            paragraph = frame.paragraphs[0] if not at else frame.add_paragraph()
            paragraph.level = min(item.depth, 4)
            properties = paragraph._p.get_or_add_pPr()
            step = 285_750 * (item.depth + 1)
            if item.continued:
                properties.set("marL", str(step if item.depth else 0))
                properties.set("indent", "0")
                properties.append(properties.makeelement(_a("buNone"), {}))
            elif item.number is not None:
                properties.set("marL", str(step + 57_150))
                properties.set("indent", "-342900")
                number = {"type": "arabicPeriod", "startAt": str(max(item.number, 1))}
                properties.append(properties.makeelement(_a("buAutoNum"), number))
            self.runs(paragraph, item.text, Pt(size - 2 * min(item.depth, 2) if size > 14 else size))

    def runs(self, paragraph: Any, text: Inline, size: Any = None, *, bold: bool = False, colour: str = "") -> None:
        """Text with its looks."""
        from pptx.dml.color import RGBColor

        for run in text:
            for at, part in enumerate(run.text.split("\n")):
                if at:
                    paragraph.add_line_break()
                made = paragraph.add_run()
                made.text = part
                font = made.font
                if size is not None:
                    font.size = size
                if run.bold or bold:
                    font.bold = True
                if run.italic:
                    font.italic = True
                if run.code:
                    font.name = self._look.mono
                if run.strike:
                    made._r.get_or_add_rPr().set("strike", "sngStrike")
                if colour:
                    font.color.rgb = RGBColor.from_string(colour)
                if run.link and not run.link.startswith("#"):
                    made.hyperlink.address = run.link

    def _figure(self, slide: Any, figure: Table | Picture | Chart | Code, area: tuple[int, int, int, int]) -> None:
        match figure:
            case Table():
                self._table(slide, figure, area)
            case Picture():
                self._picture(slide, figure, area)
            case Chart():
                self._chart(slide, figure, area)
            case Code():
                self._code(slide, figure, area)

    def _table(self, slide: Any, table: Table, area: tuple[int, int, int, int]) -> None:
        from pptx.dml.color import RGBColor
        from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
        from pptx.util import Pt

        left, top, width, tall = area
        rows = (table.head, *table.rows)
        row = min(int(0.45 * theme.INCH), tall // len(rows))
        frame = slide.shapes.add_table(len(rows), len(table.head), left, top, width, row * len(rows))
        made = frame.table
        for column, share in zip(made.columns, widths(table, width), strict=True):
            column.width = share
        where = [{"left": PP_ALIGN.LEFT, "right": PP_ALIGN.RIGHT, "center": PP_ALIGN.CENTER}[one]
                 for one in sides(table)]  # fmt: skip
        size = Pt(14 if len(rows) < 9 and len(table.head) < 6 else 12 if len(table.head) < 9 else 10)
        for number, cells in enumerate(rows):
            fill = self._look.accent if not number else "FFFFFF" if number % 2 else "F3F5F8"
            for at, text in enumerate(cells[: len(table.head)]):
                cell = made.cell(number, at)
                cell.fill.solid()
                cell.fill.fore_color.rgb = RGBColor.from_string(fill)
                cell.vertical_anchor = MSO_ANCHOR.MIDDLE
                cell.margin_top = cell.margin_bottom = 30_000
                paragraph = cell.text_frame.paragraphs[0]
                paragraph.alignment = where[at]
                self.runs(paragraph, text, size, bold=not number, colour="" if number else "FFFFFF")

    def _picture(self, slide: Any, picture: Picture, area: tuple[int, int, int, int]) -> None:
        left, top, width, tall = area
        under = int(0.4 * theme.INCH) if picture.caption else 0
        scale = min(width / picture.width, (tall - under) / picture.height, 2 * _EMU)
        wide, high = int(picture.width * scale), int(picture.height * scale)
        at = left + (width - wide) // 2, top + (tall - under - high) // 2
        shape = slide.shapes.add_picture(io.BytesIO(picture.data), *at, wide, high)
        shape._element.nvPicPr.cNvPr.set("descr", picture.caption)
        if picture.caption:
            self._caption(slide, picture.caption, (left, at[1] + high, width, under))

    def _caption(self, slide: Any, text: str, area: tuple[int, int, int, int]) -> None:
        from pptx.dml.color import RGBColor
        from pptx.enum.text import PP_ALIGN
        from pptx.util import Pt

        frame = slide.shapes.add_textbox(*area).text_frame
        frame.word_wrap = True
        frame.text = text
        frame.paragraphs[0].alignment = PP_ALIGN.CENTER
        frame.paragraphs[0].font.size = Pt(12)
        frame.paragraphs[0].font.color.rgb = RGBColor.from_string(self._look.quiet)

    def _chart(self, slide: Any, chart: Chart, area: tuple[int, int, int, int]) -> None:
        from pptx.dml.color import RGBColor
        from pptx.util import Pt

        kind, data = _data(chart)
        made = slide.shapes.add_chart(kind, *area, data).chart
        made.font.size, made.font.name = Pt(13), self._look.font
        made.font.color.rgb = RGBColor.from_string(self._look.ink)
        made.has_title = bool(chart.title)
        if chart.title:
            made.chart_title.text_frame.text = chart.title
            made.chart_title.text_frame.paragraphs[0].font.size = Pt(15)
            made.chart_title.text_frame.paragraphs[0].font.bold = True
        plot = made.plots[0]
        made.has_legend = len(chart.series) > 1 or chart.kind == "pie"
        if made.has_legend:
            from pptx.enum.chart import XL_LEGEND_POSITION

            made.legend.position = XL_LEGEND_POSITION.RIGHT if chart.kind == "pie" else XL_LEGEND_POSITION.BOTTOM
            made.legend.include_in_layout = False
        if chart.kind == "pie":
            self._slices(plot, len(chart.names))
            return
        if chart.kind == "bar":
            plot.gap_width, plot.overlap = 60, -5
        for series, colour in zip(plot.series, self._look.series * 9, strict=False):
            _coloured(series, chart.kind, colour)
        made.value_axis.major_gridlines.format.line.color.rgb = RGBColor.from_string(self._look.line)
        made.value_axis.format.line.fill.background()
        made.category_axis.format.line.color.rgb = RGBColor.from_string(self._look.line)

    def _slices(self, plot: Any, count: int) -> None:
        from pptx.dml.color import RGBColor
        from pptx.util import Pt

        for at in range(count):
            fill = plot.series[0].points[at].format.fill
            fill.solid()
            fill.fore_color.rgb = RGBColor.from_string(self._look.series[at % len(self._look.series)])
        plot.has_data_labels = True
        labels = plot.data_labels
        labels.show_percentage, labels.show_value, labels.number_format = True, False, "0%"
        labels.number_format_is_linked = False
        labels.font.size, labels.font.color.rgb = Pt(13), RGBColor.from_string("FFFFFF")

    def _code(self, slide: Any, code: Code, area: tuple[int, int, int, int]) -> None:
        from pptx.dml.color import RGBColor
        from pptx.util import Pt

        lines = code.text.count("\n") + 1
        left, top, width, tall = area
        size = next((one for one in (16, 14, 12, 10, 9) if lines * one * 1.25 * 12_700 < tall * 0.92), 8)
        high = min(tall, int(lines * size * 1.3 * 12_700) + 250_000)
        box = slide.shapes.add_textbox(left, top, width, high)
        box.fill.solid()
        box.fill.fore_color.rgb = RGBColor.from_string("F3F5F8")
        frame = box.text_frame
        frame.word_wrap = True
        frame.margin_left = frame.margin_top = 120_000
        frame.text = code.text
        for paragraph in frame.paragraphs:
            paragraph.font.size, paragraph.font.name = Pt(size), self._look.mono

    def _notes(self, slide: Any, wanted: Slide) -> None:
        if wanted.notes:
            slide.notes_slide.notes_text_frame.text = "\n\n".join(wanted.notes)

    def _number(self, slide: Any) -> None:
        """Slides show their number where the layout has a place for it."""
        from copy import deepcopy

        held = next((one for one in slide.slide_layout.placeholders
                     if one.placeholder_format.type.name == "SLIDE_NUMBER"), None)  # fmt: skip
        there = any("SLIDE_NUMBER" in one.placeholder_format.type.name for one in slide.placeholders)
        if held is not None and not there:
            slide.shapes._spTree.append(deepcopy(held._element))


def _data(chart: Chart) -> tuple[Any, Any]:
    from pptx.chart.data import CategoryChartData, XyChartData
    from pptx.enum.chart import XL_CHART_TYPE as TYPES

    if chart.kind == "scatter":
        points = XyChartData()
        for name, values in chart.series.items():
            series = points.add_series(name or "Values")
            for at, value in enumerate(values):
                series.add_data_point(_number(chart.names[at], at + 1), value)
        return TYPES.XY_SCATTER, points
    data = CategoryChartData()
    data.categories = list(chart.names)
    for name, values in chart.series.items():
        data.add_series(name or chart.title or "Values", values)
    return {"bar": TYPES.COLUMN_CLUSTERED, "line": TYPES.LINE_MARKERS, "pie": TYPES.PIE}[chart.kind], data


def _coloured(series: Any, kind: str, colour: str) -> None:
    from pptx.dml.color import RGBColor
    from pptx.util import Pt

    rgb = RGBColor.from_string(colour)
    if kind == "bar":
        series.format.fill.solid()
        series.format.fill.fore_color.rgb = rgb
        return
    if kind == "scatter":
        series.format.line.fill.background()
    else:
        series.format.line.color.rgb, series.format.line.width, series.smooth = rgb, Pt(2.5), False
    series.marker.format.fill.solid()
    series.marker.format.fill.fore_color.rgb = rgb
    series.marker.format.line.color.rgb = rgb


def _number(name: str, otherwise: int) -> float:
    try:
        return float(name)
    except ValueError:
        return float(otherwise)


def _titled(slide: Any, title: str) -> None:
    if slide.shapes.title is None:
        return
    if title:
        slide.shapes.title.text_frame.text = title
    else:
        _gone(slide.shapes.title)


def _gone(shape: Any) -> None:
    shape._element.getparent().remove(shape._element)


def _a(name: str) -> str:
    return f"{{http://schemas.openxmlformats.org/drawingml/2006/main}}{name}"


def write(content: Content, template: bytes | None = None) -> bytes:
    """The file; `template` lends its design. Raises ToolError."""
    deck = opened(template)
    if template is None:
        theme.design(deck, content.look)
    else:
        for one in list(deck.slides._sldIdLst):
            deck.part.drop_rel(one.rId)
            deck.slides._sldIdLst.remove(one)
    writer, wanted = Deck(deck, content.look, own=template is None), slides(content)
    title = content.title
    if wanted and wanted[0].section and (not title or title == wanted[0].title):
        title = wanted.pop(0).title
    if title:
        writer.cover(title, "\n".join(filter(None, (content.subtitle, content.author))))
    for one in wanted:
        writer.add(one)
    if not len(deck.slides):
        raise ToolError("There is nothing to put on slides: begin each with a heading, such as `## Title`.")
    about = deck.core_properties
    about.title, about.author = title, content.author
    return saved(deck)


def opened(data: bytes | None) -> "Presentation":
    """A file, or an empty one. Raises ToolError."""
    try:
        import pptx
    except ImportError as error:
        raise ToolError(f"PowerPoint files need python-pptx: `{add_command('documents')}`.") from error
    try:
        return pptx.Presentation(io.BytesIO(data) if data else None)
    except (KeyError, ValueError, AttributeError, SyntaxError, OSError) as error:
        raise ToolError(f"This PowerPoint file cannot be opened: it is damaged ({type(error).__name__}).") from error


def saved(deck: "Presentation") -> bytes:
    """The bytes of a PowerPoint file."""
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def text_of(shape: Any) -> str:
    """What a shape says."""
    return shape.text_frame.text if shape.has_text_frame else ""
