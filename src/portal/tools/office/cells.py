"""Cells of spreadsheets: what is written is read as a number, a date, a formula or text."""

import datetime
import re
from typing import TypeAlias

from portal.errors import ToolError
from portal.tools.office.markdown import clean

Value: TypeAlias = str | int | float | bool | None
Known: TypeAlias = str | int | float | bool | datetime.date | datetime.datetime | None

FORMATS = {
    "text": "@", "integer": "#,##0", "number": "#,##0.00", "percent": "0.0%", "date": "yyyy-mm-dd",
    "datetime": "yyyy-mm-dd hh:mm", "euro": '#,##0.00 "€"', "dollar": '"$"#,##0.00', "pound": '"£"#,##0.00',
    "currency": "#,##0.00", "money": "#,##0.00", "scientific": "0.00E+00",
}  # fmt: skip
_PLAIN = re.compile(r"[-+−]?(?:0|[1-9]\d{0,14})(?:\.\d{1,12})?")
_GROUPED = re.compile(r"[-+−]?[1-9]\d{0,2}(?:,\d{3}){1,4}(?:\.\d{1,6})?")
_PERCENT = re.compile(r"([-+−]?\d{1,9}(?:\.\d{1,6})?) ?%")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?")
_ACTIVE = re.compile(
    r"\b(WEBSERVICE|FILTERXML|HYPERLINK|IMPORT\w*|RTD|DDE|CALL|EXEC|REGISTER(?:\.ID)?|CUBE\w+|STOCKHISTORY|IMAGE)\s*\("
    r"|\||\[[^\]]*\]|!\s*['\"]?\s*[A-Za-z]+://|\\\\",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_CODE = re.compile(
    r"General|[-0#?.,%@ymdhsYMDHSAPEe+/:;$€£¥()_* ]*[0#?@ymdhsYMDHS][-0#?.,%@ymdhsYMDHSAPEe+/:;$€£¥()_* ]*"
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
LONGEST = 32_767
"""Characters of a cell."""


def read(value: Value) -> tuple[Known, str]:
    """The value, and the number format that its writing asks for, if any; a formula stays text that begins with =."""
    if not isinstance(value, str):
        return value, ""
    text = value.strip()
    if _DATE.fullmatch(text):
        return _date(text, value)
    if _PLAIN.fullmatch(text) and not text.startswith("+"):
        number = float(text.replace("−", "-"))
        digits = len(text.partition(".")[2])
        return (number, "0." + "0" * digits) if digits else (int(number), "")
    if _GROUPED.fullmatch(text):
        number = float(text.replace(",", "").replace("−", "-"))
        return number, "#,##0" if "." not in text else "#,##0.00"
    if match := _PERCENT.fullmatch(text):
        digits = len(match[1].partition(".")[2])
        number = round(float(match[1].replace("−", "-")) / 100, digits + 2)
        return number, "0%" if not digits else "0." + "0" * digits + "%"
    return clean(value)[:LONGEST], ""


def reaching(formula: str) -> bool:
    """Whether a formula would start a program or reach beyond its file."""
    return bool(_ACTIVE.search(formula))


def number_format(wanted: str) -> str:
    """The format code that a name stands for. Raises ToolError."""
    plain = wanted.strip()
    if found := FORMATS.get(plain.lower()):
        return found
    if len(plain) > 80 or not _CODE.fullmatch(_QUOTED.sub("", plain)):
        raise ToolError(
            f"{wanted!r} is no number format: use {', '.join(FORMATS)}, or a code of Excel's such as 0.00 or #,##0."
        )
    return plain


def harmless(value: Known) -> Known:
    """For CSV, where programs take text that begins like a formula for one: an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _date(text: str, otherwise: str) -> tuple[Known, str]:
    try:
        if len(text) == 10:
            return datetime.date.fromisoformat(text), FORMATS["date"]
        return datetime.datetime.fromisoformat(text), FORMATS["datetime"]
    except ValueError:
        return otherwise, ""
