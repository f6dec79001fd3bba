"""Data as text: tables, JSON and XML, each record together and each value beside its name."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from portal.knowledge.extract_draft import Draft
from portal.knowledge.extract_text import read_code, read_markdown, read_plain

Json: TypeAlias = Any
"""Whatever a file holds: the wire."""
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d.,:/ -]*%?\)?")
_BINARY = re.compile(r"[A-Za-z0-9+/]{2000}")
"""A picture or the like, written as text."""
_BRACKET = re.compile(r"[\[\]{}]")
_DEEPEST = 200


def read_table(text: str, draft: Draft) -> None:
    """Comma, semicolon or tab separated values; what cannot be read as such is read as text."""
    csv.field_size_limit(2**30)
    try:
        rows = list(csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(text)))
    except csv.Error:
        read_plain(text, draft)
        return
    add_rows(rows, draft)


def add_rows(rows: Iterable[Sequence[str]], draft: Draft) -> None:
    """The tables of a sheet: blank rows part them, and a first row without numbers names the columns."""
    held: list[Sequence[str]] = []
    for row in rows:
        if any(cell and not cell.isspace() for cell in row):
            held.append(row)
        elif held:
            draft.table(held, headed=_is_header(held))
            held = []
    draft.table(held, headed=_is_header(held))


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    named = [cell for cell in rows[0] if cell.strip()] if rows else []
    return len(named) > 1 and not any(_NUMBER.fullmatch(cell.strip()) for cell in named if len(cell) < 40)


def _delimiter(text: str) -> str:
    """The one that the first lines have most alike."""
    lines = text[:20_000].split("\n", 20)[:20]
    counts = {mark: [line.count(mark) for line in lines if line] for mark in ",;\t|"}
    return max(counts, key=lambda mark: (min(counts[mark], default=0), sum(counts[mark])))


def read_json(text: str, draft: Draft) -> None:
    """Values beside their names, `address.town: Rome`; what is no JSON is read as code."""
    import orjson

    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if value is None or _depth(text) > _DEEPEST:
        read_code(text, draft)
    elif isinstance(value, dict) and "nbformat" in value and isinstance(value.get("cells"), list):
        _notebook(value["cells"], draft)
    else:
        _Records(draft).add(value, ())


def _notebook(cells: Sequence[Json], draft: Draft) -> None:
    """The cells of a Jupyter notebook, without what they put out."""
    for cell in cells:
        if isinstance(cell, dict):
            lines = cell.get("source", "")
            text = "".join(map(str, lines)) if isinstance(lines, list) else str(lines)
            (read_markdown if cell.get("cell_type") == "markdown" else read_code)(text, draft)


def _depth(text: str) -> int:
    depth = deepest = 0
    for found in _BRACKET.finditer(text):
        depth += 1 if found[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def read_json_lines(text: str, draft: Draft) -> None:
    """A record a line; lines that are no JSON stay as they are."""
    import orjson

    records = _Records(draft)
    for line in text.splitlines():
        try:
            value = orjson.loads(line) if _depth(line) <= _DEEPEST else line
        except orjson.JSONDecodeError:
            value = line
        records.add(value, ())


class _Records:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def add(self, value: Json, path: Sequence[str]) -> None:
        """An object as one paragraph, except for the lists of objects in it, which follow under its name."""
        if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
            for each in value:
                self.add(each, path)
            return
        lists: list[tuple[list[str], Json]] = []
        lines = [f"{'.'.join(names)}: {words}" if names else words for names, words in _leaves(value, [], lists)]
        self._draft.text("\n".join(lines))
        for names, held in lists:
            inner = [*path, *names]
            self._draft.heading(len(path) + 1, ".".join(inner))
            self.add(held, inner)


def _leaves(value: Json, path: list[str], lists: list[tuple[list[str], Json]]) -> Iterator[tuple[list[str], str]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, [*path, str(name)], lists)
    elif isinstance(value, list):
        if any(isinstance(each, dict | list) for each in value):
            lists.append((path, value))
        elif value:
            yield path, ", ".join(filter(None, map(_scalar, value)))
    else:
        yield path, _scalar(value)


def _scalar(value: Json) -> str:
    if isinstance(value, str):
        return "" if _BINARY.match(value) else value
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
