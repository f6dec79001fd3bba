"""Placeholders such as {{name}} in files that are templates, and what takes their place."""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, TypeAlias

from portal.tools.office import markdown

Given: TypeAlias = str | int | float | bool | list[dict[str, Any]] | None
"""Text or a number; a list fills a row of a table once for each of its objects."""

MARK = re.compile(r"\{\{\s*([\w. -]{1,100}?)\s*\}\}")


def names(text: str) -> list[str]:
    """The placeholders of a text, each once."""
    return list(dict.fromkeys(MARK.findall(text)))


def filled(text: str, values: Mapping[str, Given], used: set[str]) -> str:
    """The text with what is known put in; `used` is told the names."""

    def put(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if match[1] not in values or isinstance(value, list):
            return match[0]
        used.add(match[1])
        return shown(value)

    return MARK.sub(put, text)


def shown(value: object) -> str:
    """A value as text."""
    if value is None:
        return ""
    return ("yes" if value else "no") if isinstance(value, bool) else markdown.clean(str(value))


def fill(root: Any, space: str, values: Mapping[str, Given], used: set[str]) -> None:
    """Fill the paragraphs below an element of Word (or PowerPoint), whose names are in `space`; a placeholder may be
    spread over several runs, and what it is replaced with looks as its beginning did."""
    for row in list(root.iter(f"{{{space}}}tr")):
        _repeat(row, space, values, used)
    for paragraph in root.iter(f"{{{space}}}p"):
        _fill(list(paragraph.iter(f"{{{space}}}t")), values, used)


def _repeat(row: Any, space: str, values: Mapping[str, Given], used: set[str]) -> None:
    """A row that names `{{list.field}}` stands once for each object of the list."""
    text = "".join(one.text or "" for one in row.iter(f"{{{space}}}t"))
    lists = {name.split(".")[0] for name in names(text) if "." in name}
    name = next((one for one in lists if isinstance(values.get(one), list)), None)
    if name is None or not isinstance(given := values[name], list):
        return
    used.add(name)
    for one in given:
        made = deepcopy(row)
        inner: dict[str, Given] = {f"{name}.{key}": value for key, value in one.items()}
        for paragraph in made.iter(f"{{{space}}}p"):
            _fill(list(paragraph.iter(f"{{{space}}}t")), inner, set())
        row.addprevious(made)
    row.getparent().remove(row)


def _fill(texts: list[Any], values: Mapping[str, Given], used: set[str]) -> None:
    whole = "".join(one.text or "" for one in texts)
    if "{{" not in whole:
        return
    for match in reversed(list(MARK.finditer(whole))):
        value = values.get(match[1])
        if match[1] not in values or isinstance(value, list):
            continue
        used.add(match[1])
        _put(texts, match.start(), match.end(), shown(value))


def _put(texts: Iterable[Any], start: int, end: int, value: str) -> None:
    """Replace what stands from `start` to `end` of the texts taken together."""
    at = 0
    for one in texts:
        held = one.text or ""
        first, last = max(start - at, 0), min(end - at, len(held))
        at += len(held)
        if first >= len(held) or last <= 0:
            continue
        one.text = held[:first] + value + held[last:]
        value = ""
        if one.text != one.text.strip():
            one.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")


def paragraphs(root: Any, space: str) -> Iterator[tuple[Any, str]]:
    """Each paragraph below an element and its text."""
    for paragraph in root.iter(f"{{{space}}}p"):
        yield paragraph, "".join(one.text or "" for one in paragraph.iter(f"{{{space}}}t"))
