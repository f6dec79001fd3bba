"""Excel files: sheets with formulas, number formats, totals and charts that stay charts; CSV of the first."""

import csv
import datetime
import io
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from portal.errors import ToolError
from portal.extras import add_command
from portal.tools.office.cells import Known, Value, harmless, number_format, reaching, read
from portal.tools.office.content import Chart, ChartKind, Content, Heading, Look, Table, plain
from portal.tools.office.markdown import clean

MOST_CELLS = 2_000_000
_MOST_SHEETS = 100
_WIDEST = 60
_MEASURED = 500
"""Rows whose text decides how wide a column is."""


def _named(given: Any) -> Any:
    """Rows as objects become rows with a head, as a model may write them."""
    if isinstance(given, list) and given and all(isinstance(one, dict) for one in given):
        head = list(dict.fromkeys(str(name) for one in given for name in one))
        return [head, *[[one.get(name) for name in head] for one in given]]
    return given


class SheetChart(BaseModel):
    """A chart of columns of the sheet."""

    model_config = ConfigDict(extra="forbid")

    kind: ChartKind = "bar"
    title: str = ""
    labels: str = Field(description="Column with the names")
    values: list[str] = Field(description="Columns with the numbers", min_length=1)


class Sheet(BaseModel):
    """One sheet."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    rows: Annotated[list[list[Value]], BeforeValidator(_named)] = Field(
        description="Rows of cells, the first with the columns' names; a cell that begins with = is a formula"
    )
    formats: dict[str, str] = Field(
        {}, description="Column: integer, number, percent, date, euro, dollar or a code of Excel's"
    )
    totals: list[str] = Field([], description="Columns to add up in a last row")
    charts: list[SheetChart] = Field([])


def from_content(content: Content) -> list[Sheet]:
    """A sheet for each table, named after the heading above it, and for each chart. Raises ToolError."""
    made: list[Sheet] = []
    name = ""
    for block in content.blocks:
        if isinstance(block, Heading):
            name = plain(block.text)
        elif isinstance(block, Table):
            rows: list[list[Value]] = [[plain(cell) for cell in row] for row in (block.head, *block.rows)]
            made.append(Sheet(name=name, rows=rows))
        elif isinstance(block, Chart):
            head: list[Value] = ["", *(series or "Values" for series in block.series)]
            values = zip(*block.series.values(), strict=True)
            rows = [head, *[[label, *each] for label, each in zip(block.names, values, strict=True)]]
            columns = [str(one) for one in head[1:]]
            drawn = SheetChart(kind=block.kind, title=block.title, labels="", values=columns)
            made.append(Sheet(name=block.title or "Chart", rows=rows, charts=[drawn]))
    if not made:
        raise ToolError("There is no table to make sheets of: write tables, or use make_spreadsheet with `rows`.")
    return made


def write(content: Content) -> bytes:
    """The tables and charts of a text as a file. Raises ToolError."""
    return Book(content.look).write(from_content(content), title=content.title, author=content.author)


class Book:
    """Writes one file; `kept` counts formulas that were written as text, since they would reach beyond it."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._formats: dict[tuple[object, ...], Any] = {}
        self._book: Any = None
        self.kept = 0

    def write(self, sheets: Sequence[Sheet], *, title: str = "", author: str = "") -> bytes:
        """The bytes. Raises ToolError."""
        try:
            import xlsxwriter
            from xlsxwriter.exceptions import XlsxWriterException
        except ImportError as error:
            raise ToolError(f"Excel files need XlsxWriter: `{add_command('documents')}`.") from error
        if not sheets or sum(len(row) for one in sheets for row in one.rows) > MOST_CELLS or len(sheets) > _MOST_SHEETS:
            raise ToolError(f"A file has 1 to {_MOST_SHEETS} sheets with at most {MOST_CELLS:,} cells.")
        out = io.BytesIO()
        options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True}
        self._book = xlsxwriter.Workbook(out, options)
        try:
            self._book.set_properties({"title": title, "author": author})
            taken: set[str] = set()
            for one in sheets:
                self._sheet(one, sheet_name(one.name, taken))
            self._book.close()
        except (XlsxWriterException, ValueError, TypeError, OverflowError) as error:
            raise ToolError(f"This spreadsheet cannot be written: {error}") from error
        return out.getvalue()

    def _sheet(self, sheet: Sheet, name: str) -> None:
        page: Any = self._book.add_worksheet(name)
        rows = [[read(value) for value in row] for row in sheet.rows]
        if not rows:
            return
        head = [str(value if value is not None else "") for value, _ in rows[0]]
        wanted = {_column(head, one, name): number_format(form) for one, form in sheet.formats.items()}
        page.set_row(0, 21)
        for at, text in enumerate(head):
            numbers = len(rows) > 1 and at < len(rows[1]) and not isinstance(rows[1][at][0], str | None)
            side = "right" if numbers else "left"
            heading = self._format(
                bold=True, font_color="#FFFFFF", bg_color=f"#{self._look.accent}", valign="vcenter", align=side
            )
            page.write_string(0, at, text, heading)
        for number, row in enumerate(rows[1:], 1):
            for at, (value, form) in enumerate(row):
                if value is not None:
                    self._cell(page, number, at, value, wanted.get(at, form))
        page.freeze_panes(1, 0)
        if len(rows) > 2 and all(head):
            page.autofilter(0, 0, len(rows) - 1, len(head) - 1)
        last = self._totals(page, sheet, head, rows, wanted, name)
        for at, width in enumerate(_wide(rows, wanted)):
            page.set_column(at, at, width)
        self._printed(page, last)
        for at, chart in enumerate(sheet.charts):
            self._chart(page, chart, head, len(rows) - 1, name, at)

    def _cell(self, page: Any, row: int, column: int, value: Known, form: str) -> None:
        look = self._format(num_format=form) if form else None
        if isinstance(value, str) and value.startswith("=") and len(value) > 1:
            if not reaching(value):
                page.write_formula(row, column, value, look, "")
                return
            self.kept += 1
        if isinstance(value, bool):
            page.write_boolean(row, column, value, look)
        elif isinstance(value, int | float):
            page.write_number(row, column, value, look)
        elif isinstance(value, datetime.date):
            page.write_datetime(row, column, value, look)
        else:
            page.write_string(row, column, str(value), look)

    def _totals(self, page: Any, sheet: Sheet, head: Sequence[str], rows: Sequence[Any], wanted: Mapping[int, str],
                name: str) -> int:  # fmt: skip
        """A row of sums; the number of the last row."""
        from xlsxwriter.utility import xl_col_to_name

        if not sheet.totals:
            return len(rows) - 1
        columns = [_column(head, one, name) for one in sheet.totals]
        edge = {"bold": True, "top": 1, "border_color": f"#{self._look.ink}"}
        for at in range(len(head)):
            if at in columns:
                letter, form = (
                    xl_col_to_name(at),
                    wanted.get(at) or next((r[at][1] for r in rows[1:] if at < len(r)), ""),
                )
                look = self._format(**edge, **({"num_format": form} if form else {}))
                page.write_formula(len(rows), at, f"=SUM({letter}2:{letter}{len(rows)})", look, "")
            else:
                page.write_string(len(rows), at, "Total" if not at else "", self._format(**edge))
        return len(rows)

    def _printed(self, page: Any, last: int) -> None:
        """On paper: as wide as a page, its head on each, and numbers below."""
        page.repeat_rows(0)
        page.fit_to_pages(1, 0)
        page.set_paper(9)
        if last > 0:
            page.set_footer("&L&A&R&P / &N")

    def _chart(self, page: Any, chart: SheetChart, head: Sequence[str], last: int, name: str, at: int) -> None:
        kinds = {"bar": "column", "line": "line", "pie": "pie", "scatter": "scatter"}
        made: Any = self._book.add_chart({"type": kinds[chart.kind]})
        labels = _column(head, chart.labels, name) if chart.labels or "" in head else 0
        for number, column in enumerate(chart.values):
            where = _column(head, column, name)
            colour = f"#{self._look.series[number % len(self._look.series)]}"
            series: dict[str, Any] = {
                "name": [name, 0, where],
                "categories": [name, 1, labels, last, labels],
                "values": [name, 1, where, last, where],
            }
            if chart.kind == "pie":
                points = [{"fill": {"color": f"#{self._look.series[one % len(self._look.series)]}"}}
                          for one in range(min(last, 100))]  # fmt: skip
                series |= {"points": points, "data_labels": {"percentage": True, "font": {"color": "white"}}}
            elif chart.kind == "bar":
                series |= {"fill": {"color": colour}, "gap": 60}
            elif chart.kind == "line":
                series |= {"line": {"color": colour, "width": 2.25}}
            else:
                series |= {"marker": {"type": "circle", "fill": {"color": colour}, "border": {"color": colour}}}
            made.add_series(series)
        made.set_title({"name": chart.title, "name_font": {"size": 13}} if chart.title else {"none": True})
        made.set_legend({"none": len(chart.values) == 1 and chart.kind != "pie", "position": "bottom"})
        made.set_y_axis({"major_gridlines": {"visible": True, "line": {"color": f"#{self._look.line}"}},
                         "line": {"none": True}})  # fmt: skip
        made.set_size({"width": 620, "height": 340})
        page.insert_chart(1 + at * 18, len(head) + 1, made)

    def _format(self, **look: object) -> Any:
        key = tuple(sorted(look.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(look)
        return self._formats[key]


def as_csv(sheet: Sheet) -> bytes:
    """The first sheet as CSV, for Excel too; what would be taken for a formula is marked as text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in sheet.rows:
        writer.writerow([harmless("" if value is None else value) for value in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def sheet_name(wanted: str, taken: set[str]) -> str:
    """A name that Excel takes and that no other sheet has."""
    plain_name = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", clean(wanted)).strip(" '")[:31] or f"Sheet{len(taken) + 1}"
    name, number = plain_name, 2
    while name.lower() in taken or name.lower() == "history":
        suffix = f" {number}"
        name, number = plain_name[: 31 - len(suffix)] + suffix, number + 1
    taken.add(name.lower())
    return name


def _column(head: Sequence[str], wanted: str, sheet: str) -> int:
    """The number of a column by its name or letter. Raises ToolError."""
    names = [one.strip().lower() for one in head]
    plain_name = wanted.strip().lower()
    if plain_name in names:
        return names.index(plain_name)
    if re.fullmatch(r"[a-z]", plain_name) and ord(plain_name) - 97 < len(head):
        return ord(plain_name) - 97
    raise ToolError(f"The sheet {sheet!r} has no column {wanted!r}; its columns are {', '.join(head)}.")


def _wide(rows: Sequence[Sequence[tuple[Known, str]]], wanted: Mapping[int, str]) -> list[float]:
    """In characters, after the longest of the first rows."""
    made = [0] * max(len(row) for row in rows[:_MEASURED])
    for row in rows[:_MEASURED]:
        for at, (value, _) in enumerate(row):
            text = "" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)
            length = 10 if text.startswith("=") else max(map(len, text.split("\n")), default=0)
            made[at] = max(made[at], length)
    return [min(one + 4, _WIDEST) if one else 6 for one in made]
