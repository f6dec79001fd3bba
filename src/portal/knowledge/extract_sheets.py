"""Excel files: a section a sheet, its tables parted by blank rows, dates as people write them."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from portal.errors import BadRequest, TooLarge
from portal.knowledge.extract_data import add_rows
from portal.knowledge.extract_draft import Draft
from portal.knowledge.extract_office import properties
from portal.knowledge.extract_slides import Order, relations
from portal.knowledge.extract_xml import Attributes, Silent, walk
from portal.knowledge.extract_zip import Archive

_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_NO_DATE = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_WIDEST = 200
"""Columns between which gaps are kept."""

_MOST = 5_000_000
"""Cells of a sheet, with the gaps."""


def read_xlsx(archive: Archive, draft: Draft) -> None:
    """The values that formulas had when the file was saved."""
    properties(archive, draft)
    main = "xl/workbook.xml"
    book, strings, formats = Order(), _Strings(), _Formats()
    walk(archive.read(main), book)
    for name, events in (("xl/sharedStrings.xml", strings), ("xl/styles.xml", formats)):
        if archive.has(name):
            walk(archive.read(name), events)
    targets = relations(archive, main)
    for key, title in book.ids.items():
        sheet = _Sheet(strings.texts, formats.dates, from_1904=book.from_1904)
        try:
            walk(archive.read(targets.get(key, "")), sheet)
        except BadRequest as error:
            draft.warn(f"Sheet {title!r}: {error.message}")
        draft.heading(1, title)
        add_rows(sheet.rows, draft)


class _Strings(Silent):
    """The texts that cells refer to by number; how they are pronounced is left out."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._words: list[str] = []
        self._tag = ""

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "si":
            self._words = []
        self._tag = name if name != "t" or self._tag != "rPh" else "rPh"

    def end(self, name: str) -> None:
        if name == "si":
            self.texts.append("".join(self._words))
        self._tag = self._tag if name == "t" and self._tag == "rPh" else ""

    def text(self, text: str) -> None:
        if self._tag == "t":
            self._words.append(text)


class _Formats(Silent):
    """Which styles of cells show dates."""

    def __init__(self) -> None:
        self.dates: list[bool] = []
        self._own: set[int] = set()
        self._in_cells = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "numFmt" and re.search("(?i)[ymdhs]", _NO_DATE.sub("", attributes.get("formatCode", ""))):
            self._own.add(_number(attributes.get("numFmtId", "")))
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            number = _number(attributes.get("numFmtId", ""))
            self.dates.append(number in _DATES or number in self._own)

    def end(self, name: str) -> None:
        self._in_cells = self._in_cells and name != "cellXfs"


class _Sheet(Silent):
    def __init__(self, texts: Sequence[str], dates: Sequence[bool], *, from_1904: bool) -> None:
        self.rows: list[list[str]] = []
        self._texts = texts
        self._dates = dates
        self._epoch = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30)
        self._row: list[str] = []
        self._words: list[str] = []
        self._kind = self._style = ""
        self._reading = False
        self._cells = 0

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "c":
            self._kind, self._style, self._words = attributes.get("t", "n"), attributes.get("s", ""), []
            column = _column(attributes.get("r", ""))
            self._row += [""] * (min(column, _WIDEST) - len(self._row))
        elif name in ("v", "t"):
            self._reading = True

    def text(self, text: str) -> None:
        if self._reading:
            self._words.append(text)

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._reading = False
        elif name == "c":
            self._row.append(self._value("".join(self._words)))
        elif name == "row":
            self.rows.append(self._row)
            self._cells += len(self._row)
            self._row = []
            if self._cells > _MOST:
                raise TooLarge(f"A sheet has more than {_MOST:,} cells: split it.", code="invalid_file")

    def _value(self, text: str) -> str:
        if self._kind == "s":
            number = _number(text)
            return self._texts[number] if 0 <= number < len(self._texts) else ""
        if self._kind == "b":
            return "TRUE" if text == "1" else "FALSE"
        if self._kind != "n" or not text:
            return text
        style = _number(self._style)
        try:
            value = float(text)
            return self._date(value) if 0 <= style < len(self._dates) and self._dates[style] else f"{value:.15g}"
        except (ValueError, OverflowError):
            return text

    def _date(self, value: float) -> str:
        moment = self._epoch + timedelta(days=value)
        moment = (moment + timedelta(milliseconds=500)).replace(microsecond=0)
        if value < 1:
            return f"{moment:%H:%M:%S}"
        return f"{moment:%Y-%m-%d}" if value == int(value) else f"{moment:%Y-%m-%d %H:%M:%S}"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 12 else -1


def _column(reference: str) -> int:
    """0 of `A5`, 27 of `AB5`."""
    column = 0
    for letter in reference[:4]:
        if not "A" <= letter <= "Z":
            break
        column = column * 26 + ord(letter) - 64
    return column - 1
