"""One sheet of an Excel file as its XML: cells read and written in their places."""

import datetime
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from portal.errors import ToolError
from portal.tools.office.cells import Known, Value, reaching, read
from portal.tools.office.cellstyles import Styles
from portal.tools.office.markdown import clean

NS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_PLACE = re.compile(r"\$?([A-Z]{1,3})\$?([1-9]\d{0,6})")
_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384
_EPOCH = datetime.datetime(1899, 12, 30)


class SheetXml:
    """The cells of a sheet; `kept` counts formulas written as text, since they would reach beyond the file."""

    def __init__(self, root: Any, styles: Styles, string: Callable[[int], str]) -> None:
        self._root, self._styles, self._string = root, styles, string
        self._data = root.find(f"{{{NS}}}sheetData")
        if self._data is None:
            raise ToolError("This sheet holds no cells.")
        self._rows = {int(one.get("r", at)): one for at, one in enumerate(self._data, 1)}
        self.kept = 0
        self.last = max((number for number, row in self._rows.items() if any(len(one) for one in row)), default=0)
        """The number of the last row that holds something; 0 for none."""

    def texts(self) -> Iterator[tuple[str, str]]:
        """The cells that hold text, by place."""
        for row in self._data:
            for cell in row:
                if cell.get("t") in ("s", "inlineStr", "str") and (text := self._text(cell)):
                    yield cell.get("r", ""), text

    def first_row(self) -> list[str]:
        """What the first row that is there says."""
        for row in self._data:
            if shown := [self._text(cell) for cell in row]:
                return shown
        return []

    def put(self, place: str, value: Value, *, formula: bool = True) -> None:
        """Write a cell; what it looked like stays. Raises ToolError for what is no cell."""
        row, column = located(place)
        self._write(self._cell(row, column), value, formula=formula)
        self.last = max(self.last, row)

    def append(self, values: Sequence[Value]) -> int:
        """Write a row below the last, looking like that one; its number."""
        last = self.last
        number = last + 1
        if number > _LAST_ROW:
            raise ToolError("The sheet is full.")
        above = {located(cell.get("r"))[1]: cell.get("s") for cell in self._rows[last]} if last > 1 else {}
        for at, value in enumerate(values, 1):
            cell = self._cell(number, at)
            if above.get(at):
                cell.set("s", above[at])
            self._write(cell, value)
        self.last = number
        self._resized(number, len(values))
        return number

    def format(self, where: str, form: str) -> None:
        """Give cells a number format: a cell, a range such as B2:B9, or a column such as B. Raises ToolError."""
        for cell in self._in(where):
            cell.set("s", str(self._styles.formatted(int(cell.get("s", "0")), form)))

    def forget_results(self) -> None:
        """Let formulas be computed anew, but for those that look into other files."""
        for row in self._data:
            for cell in row:
                formula, result = cell.find(f"{{{NS}}}f"), cell.find(f"{{{NS}}}v")
                if formula is not None and result is not None and "[" not in (formula.text or ""):
                    cell.remove(result)
                    cell.attrib.pop("t", None)

    def _in(self, where: str) -> Iterator[Any]:
        text = where.strip().upper().replace("$", "")
        if match := re.fullmatch(r"([A-Z]{1,3})(?::([A-Z]{1,3}))?", text):
            columns = _column(match[1]), _column(match[2] or match[1])
            rows = 1, _LAST_ROW
        else:
            first, _, end = text.partition(":")
            (top, left), (bottom, right) = located(first), located(end or first)
            columns, rows = (left, right), (top, bottom)
            if ":" not in text:
                yield self._cell(top, left)
                return
        for number, row in self._rows.items():
            if rows[0] <= number <= rows[1]:
                yield from (one for one in row if columns[0] <= located(one.get("r"))[1] <= columns[1])

    def _cell(self, row: int, column: int) -> Any:
        """The cell, made where it is missing, in its order."""
        held = self._rows.get(row)
        if held is None:
            held = self._data.makeelement(f"{{{NS}}}row", {"r": str(row)})
            after = min((number for number in self._rows if number > row), default=0)
            later = self._rows.get(after)
            if later is None:
                self._data.append(held)
            else:
                later.addprevious(held)
            self._rows[row] = held
        name = f"{_letters(column)}{row}"
        for one in held:
            at = located(one.get("r"))[1]
            if at == column:
                return one
            if at > column:
                made = held.makeelement(f"{{{NS}}}c", {"r": name})
                one.addprevious(made)
                return made
        made = held.makeelement(f"{{{NS}}}c", {"r": name})
        held.append(made)
        return made

    def _write(self, cell: Any, value: Value, *, formula: bool = True) -> None:
        known, asked = read(value)
        for one in list(cell):
            cell.remove(one)
        cell.attrib.pop("t", None)
        style = int(cell.get("s", "0"))
        if asked and self._styles.plain(style):
            cell.set("s", str(self._styles.formatted(style, asked)))
        if formula and isinstance(known, str) and known.startswith("=") and len(known) > 1:
            if not reaching(known):
                _inner(cell, "f", clean(known[1:]))
                return
            self.kept += 1
        _fill(cell, known)

    def _text(self, cell: Any) -> str:
        kind, value = cell.get("t"), cell.find(f"{{{NS}}}v")
        if kind == "inlineStr":
            return text_of(cell)
        if value is None or not value.text:
            return ""
        return self._string(int(value.text)) if kind == "s" and value.text.isdigit() else str(value.text)

    def _resized(self, row: int, columns: int) -> None:
        """Let the sheet say how large it is, and its filter reach its end."""
        size = self._root.find(f"{{{NS}}}dimension")
        if size is not None:
            self._root.remove(size)
        chosen = self._root.find(f"{{{NS}}}autoFilter")
        if chosen is not None and chosen.get("ref", "").endswith(str(row - 1)):
            chosen.set("ref", re.sub(rf"(?<=[A-Z]){row - 1}$", str(row), chosen.get("ref")))


def located(place: str) -> tuple[int, int]:
    """Row and column of a place such as B2, from 1. Raises ToolError."""
    match = _PLACE.fullmatch(place.strip().upper())
    if not match or (column := _column(match[1])) > _LAST_COLUMN or int(match[2]) > _LAST_ROW:
        raise ToolError(f"{place!r} is no cell: write one such as B2, or Sheet2!B2.")
    return int(match[2]), column


def text_of(element: Any) -> str:
    """The text of a string, without what says how it is read aloud."""
    parts = [*element.iterfind(f".//{{{NS}}}t")]
    return "".join(one.text or "" for one in parts if not one.getparent().tag.endswith("}rPh"))


def _fill(cell: Any, known: Known) -> None:
    if known is None:
        return
    if isinstance(known, bool):
        cell.set("t", "b")
        _inner(cell, "v", str(int(known)))
    elif isinstance(known, int | float):
        _inner(cell, "v", repr(known))
    elif isinstance(known, datetime.date):
        when = known if isinstance(known, datetime.datetime) else datetime.datetime(known.year, known.month, known.day)
        _inner(cell, "v", repr((when - _EPOCH) / datetime.timedelta(days=1)))
    else:
        cell.set("t", "inlineStr")
        text = _inner(_inner(cell, "is", None), "t", clean(str(known)))
        text.set(_SPACE, "preserve")


def _inner(parent: Any, name: str, text: str | None) -> Any:
    made = parent.makeelement(f"{{{NS}}}{name}", {})
    made.text = text
    parent.append(made)
    return made


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _letters(column: int) -> str:
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text
