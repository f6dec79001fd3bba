"""Data formats as plain values: JSON, YAML, TOML, XML and CSV, read and written within bounds."""

import csv
import datetime
import io
import json
import re
import tomllib
from collections.abc import Callable
from typing import Any, Literal, TypeAlias
from xml.etree import ElementTree

import yaml

from portal.errors import ToolError

Format: TypeAlias = Literal["json", "yaml", "toml", "xml", "csv"]
Value: TypeAlias = Any
"""What JSON can say: the wire."""
MOST = 500_000
"""Values in one document; YAML's aliases can stand for billions."""


def parse(text: str, kind: Format) -> Value:
    """Raises ToolError, which says what is wrong and where."""
    readers: dict[str, Callable[[str], Value]] = {
        "json": _json,
        "yaml": yaml.safe_load,
        "toml": tomllib.loads,
        "xml": _xml,
        "csv": _csv,
    }
    try:
        value = readers[kind](text)
    except (ValueError, yaml.YAMLError, ElementTree.ParseError, csv.Error) as error:
        raise ToolError(f"This is not valid {kind.upper()}: {error}") from error
    except RecursionError as error:
        raise ToolError(f"This {kind.upper()} is nested too deeply.") from error
    bounded(value)
    return value


def dump(value: Value, kind: Format) -> str:
    """Raises ToolError where the format cannot say it."""
    writers: dict[str, Callable[[Value], str]] = {
        "json": as_json,
        "yaml": lambda one: yaml.safe_dump(one, allow_unicode=True, sort_keys=False),
        "toml": _as_toml,
        "xml": _as_xml,
        "csv": _as_csv,
    }
    try:
        return writers[kind](value)
    except (TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise ToolError(f"This cannot be written as {kind.upper()}: {error}") from error
    except RecursionError as error:
        raise ToolError(f"This is nested too deeply for {kind.upper()}.") from error


def guess(text: str, name: str = "") -> Format:
    """The format, by the file's name or by what the text looks like."""
    ending = name.rsplit(".", 1)[-1].lower()
    endings: dict[str, Format] = {"json": "json", "yaml": "yaml", "yml": "yaml", "toml": "toml", "xml": "xml"}
    endings |= {"csv": "csv", "tsv": "csv", "svg": "xml"}
    if "." in name and ending in endings:
        return endings[ending]
    start = text.lstrip()[:2000]
    if start[:1] in ("{", '"') or re.match(r"\[\s*[\[{\"\d\]-]", start):
        return "json"
    if start.startswith("<"):
        return "xml"
    if re.search(r"(?m)^\s*(\[+[\w.\"-]+\]+|[\w.\"-]+\s*=\s*\S)", start):
        return "toml"
    if re.search(r"(?m)^\s*(- |[\w\"' -]+:(\s|$))", start):
        return "yaml"
    return "csv"


def as_json(value: Value) -> str:
    """Readable JSON; dates become text."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=_plain)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)


def _json(text: str) -> Value:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def bounded(value: Value) -> None:
    """Refuse what is too much, or contains itself. Raises ToolError."""
    seen, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        seen += 1
        if seen > MOST:
            raise ToolError(f"This holds more than {MOST:,} values.")
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _csv(text: str) -> Value:
    """Rows by column, each value text."""
    try:
        dialect: type[csv.Dialect] | str = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        dialect = "excel"
    rows = csv.reader(io.StringIO(text), dialect)
    head = next(rows, [])
    return [dict(zip(head, row, strict=False)) for row in rows if row]


def _as_csv(value: Value) -> str:
    rows = value if isinstance(value, list) else [value]
    if not all(isinstance(row, dict) for row in rows):
        raise TypeError("CSV needs a list of objects")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: as_json(cell) if isinstance(cell, dict | list) else cell for name, cell in row.items()})
    return out.getvalue()


def _as_toml(value: Value) -> str:
    import tomli_w

    return tomli_w.dumps(_without_null(value if isinstance(value, dict) else {"items": value}))


def _without_null(value: Value) -> Value:
    """TOML has no null: what is null is left out."""
    if isinstance(value, dict):
        return {str(name): _without_null(one) for name, one in value.items() if one is not None}
    return [_without_null(one) for one in value if one is not None] if isinstance(value, list) else value


def _xml(text: str) -> Value:
    """Attributes are `@name`, text beside them `#text`, repeated elements a list."""
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise ValueError("document types and entities are not read")
    root = ElementTree.fromstring(text)  # noqa: S314 - without entities there is nothing to expand or fetch
    return {root.tag: _element(root)}


def _element(element: ElementTree.Element) -> Value:
    held: dict[str, Value] = {f"@{name}": value for name, value in element.attrib.items()}
    for child in element:
        value = _element(child)
        if child.tag in held:
            before = held[child.tag]
            held[child.tag] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            held[child.tag] = value
    text = (element.text or "").strip()
    if not held:
        return text or None
    return held | {"#text": text} if text else held


def _as_xml(value: Value) -> str:
    name, held = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else ("root", value)
    if isinstance(held, list):
        name, held = "root", {name if name != "root" else "item": held}
    root = _built(str(name), held)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _built(name: str, value: Value) -> ElementTree.Element:
    if not re.fullmatch(r"[A-Za-z_][\w.-]*", name):
        raise ValueError(f"{name!r} cannot be the name of an element")
    element = ElementTree.Element(name)
    if not isinstance(value, dict):
        element.text = _scalar(value)
        return element
    for key, one in value.items():
        if str(key).startswith("@"):
            element.set(str(key)[1:], _scalar(one))
        elif key == "#text":
            element.text = _scalar(one)
        else:
            element.extend(_built(str(key), each) for each in (one if isinstance(one, list) else [one]))
    return element


def _scalar(value: Value) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else _plain(value) if not isinstance(value, str) else value
