"""Where a search looks, as SQL: a condition on `passages p` and its arguments. Nothing of a filter becomes SQL but its
shape; names and values are arguments."""

import math
from collections.abc import Iterator, Mapping, Sequence

from portal.core.clock import micros
from portal.core.items import JsonObject
from portal.core.passages import Within
from portal.errors import BadRequest
from portal.storage.rows import to_json

DEEPEST = 16
MOST = 200
"""Comparisons of one filter."""
LONGEST_TEXT = 512

ELEMENTS = {
    "sqlite": "SELECT value FROM json_each(:{})",
    "postgres": "SELECT value FROM json_array_elements_text(CAST(:{} AS json))",
}
"""The texts of an argument that is a JSON array."""

BY_ID = {
    dialect: f"p.owner || '' = :owner AND p.id IN ({elements.format('ids')})" for dialect, elements in ELEMENTS.items()
}
"""Passages named by :ids. The owner is no part of an index, or SQLite would rather look through all that one has."""
SPACE = "p.space || '' = :space"
"""No part of an index, joined to nothing."""
_AMONG = {
    "sqlite": f"p.in_group IN ({ELEMENTS['sqlite'].format('groups')})",
    "postgres": "p.in_group = ANY(CAST(:groups AS text[]))",  # of which it can tell how many fit
}
SHOWN = """NOT EXISTS (
    SELECT 1 FROM hidden_passages h WHERE h.document = p.document AND p.key BETWEEN h.first_key AND h.last_key)"""
"""Of passages `p`: that they are not to be deleted, and their document is whole."""
STAYING = "p.in_group NOT IN (SELECT id FROM collections WHERE leaving > 0)"
_CURRENT = """p.in_group NOT IN (
    SELECT id FROM collections WHERE owner = :owner
        AND (leaving > 0 OR last_active_at + expires_days * 86400000000 <= :now))"""
_FITTING = """p.document IN (SELECT a.document FROM passage_attributes a
    WHERE a.owner = :owner AND a.name = :{name} AND ({fits}))"""
_OPERATORS = {"eq": "=", "ne": "=", "in": "=", "nin": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NEGATED = ("ne", "nin")
_JOINED = {"and": " AND ", "or": " OR "}


def condition(within: Within, dialect: str) -> tuple[str, Mapping[str, object]]:
    """SQL that a passage fits, and its arguments; a document without the attribute fits `ne` and `nin`.

    Raises:
        BadRequest: a filter that cannot be understood.
    """
    args: dict[str, object] = {"owner": within.owner, "space": within.space}
    parts = ["p.owner = :owner", SPACE if _by_document(within, dialect) else "p.space = :space"]
    if within.space == "documents":
        args["now"] = micros()
        parts += [SHOWN, _CURRENT]
    if within.groups is not None:
        groups = list(within.groups)
        args["groups"] = groups if dialect == "postgres" else to_json(groups)
        parts.append(_AMONG[dialect])
    for name, bound, operator in (("since", within.since, ">="), ("until", within.until, "<")):
        if bound is not None:
            args[name] = bound
            parts.append(f"p.created_at {operator} :{name}")
    if within.filters is not None:
        parts.append(_Compiler(args).filter(within.filters))
    return " AND ".join(parts), args


def _by_document(within: Within, dialect: str) -> bool:
    """Whether SQLite is to begin with the documents that have the attributes: it would look through a whole space."""
    bounds = (within.groups, within.since, within.until)
    return dialect == "sqlite" and within.filters is not None and all(bound is None for bound in bounds)


def columns(value: object) -> dict[str, object]:
    """An attribute's value in the column of its kind: `text`, `number` or `truth`. Raises BadRequest."""
    if isinstance(value, bool):
        return {"truth": int(value)}
    if isinstance(value, int | float):
        return {"number": _number(value)}
    if isinstance(value, str) and len(value) <= LONGEST_TEXT:
        return {"text": value}
    raise BadRequest(f"An attribute is a text of up to {LONGEST_TEXT} characters, a number or a boolean.")


def _number(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadRequest("An attribute's number must be finite, and fit 64 bits.")
    return number


class _Compiler:
    def __init__(self, args: dict[str, object]) -> None:
        self._args = args
        self._compared = 0

    def filter(self, asked: object, depth: int = 0) -> str:
        if not isinstance(asked, dict) or depth > DEEPEST:
            raise BadRequest(f"A filter is an object, nested at most {DEEPEST} deep.", param="filters")
        kind = asked.get("type")
        if kind in ("and", "or") and isinstance(asked.get("filters"), list) and asked["filters"]:
            return f"({_JOINED[kind].join(self.filter(one, depth + 1) for one in asked['filters'])})"
        if kind in _OPERATORS and isinstance(asked.get("key"), str) and "value" in asked:
            return self._comparison(str(kind), asked)
        raise BadRequest(
            f"A filter is {{type: {'|'.join(_OPERATORS)}, key, value}} or {{type: and|or, filters: [...]}}.",
            param="filters",
        )

    def _comparison(self, kind: str, asked: JsonObject) -> str:
        many = kind in ("in", "nin")
        value = asked["value"]
        if many != isinstance(value, list):
            raise BadRequest(f"The filter {kind!r} compares with {'a list' if many else 'one value'}.", param="filters")
        values: Sequence[object] = value if many else [value]
        fits = " OR ".join(self._fits(_OPERATORS[kind], one) for one in values) or "FALSE"
        fitting = _FITTING.format(name=self._bound(asked["key"]), fits=fits)
        return f"NOT {fitting}" if kind in _NEGATED else fitting

    def _fits(self, operator: str, value: object) -> str:
        ((column, stored),) = columns(value).items()
        return f"a.{column} {operator} :{self._bound(stored)}"

    def _bound(self, value: object) -> str:
        self._compared += 1
        if self._compared > 2 * MOST:
            raise BadRequest(f"A filter may have at most {MOST} comparisons.", param="filters")
        name = f"filter_{self._compared}"
        self._args[name] = value
        return name


def attribute_rows(attributes: JsonObject) -> Iterator[dict[str, object]]:
    """The attributes of a document, one row each. Raises BadRequest."""
    for name, value in attributes.items():
        yield {"name": name, "text": None, "number": None, "truth": None, **columns(value)}
