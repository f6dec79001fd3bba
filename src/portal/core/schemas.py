"""The JSON Schemas of tools, as far as Portal checks arguments by them. Patterns, formats and what else can be costly
or odd a tool checks itself."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from portal.core.items import JsonObject
from portal.errors import ToolError

_KINDS = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_DEEPEST = 64


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _kinds(value: object) -> bool:
    return _names(named := value if isinstance(value, list) else [value]) and _KINDS.issuperset(named)


_BOUNDS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
)
_VALUES: Mapping[str, Callable[[object], bool]] = {
    "type": _kinds,
    "required": _names,
    "enum": lambda value: isinstance(value, list),
    "const": lambda value: True,
    "$ref": lambda value: isinstance(value, str),
    **dict.fromkeys(_BOUNDS, _number),
}
_ONE = ("items", "additionalProperties")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "$defs", "definitions")


def checkable(schema: object) -> JsonObject:
    """The part of a tool's schema that its arguments are checked by.

    Raises:
        ToolError: why it is none that can be used.
    """
    made = _part(schema, 0)
    if not isinstance(made, dict):
        raise ToolError("it is no object")
    _follow(made, made)
    return made


def _part(schema: object, depth: int) -> JsonObject | bool:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict) or depth > _DEEPEST:
        raise ToolError("a part of it is no schema, or nested too deeply")
    made: JsonObject = {}
    for name, value in schema.items():
        if name in _VALUES and _VALUES[name](value):
            made[name] = value
        elif name in _ONE:
            made[name] = _part(value, depth + 1)
        elif name in _LISTED and isinstance(value, list):
            made[name] = [_part(one, depth + 1) for one in value]
        elif name in _NAMED and isinstance(value, dict):
            made[name] = {key: _part(one, depth + 1) for key, one in value.items()}
        elif name in _VALUES or name in _LISTED or name in _NAMED:
            raise ToolError(f"its {name} is {str(value)[:100]}")
    if "oneOf" in made:  # without their patterns several may fit
        made.setdefault("anyOf", made.pop("oneOf"))
    if "patternProperties" in schema:
        made.pop("additionalProperties", None)
    return made


def _follow(part: Any, root: JsonObject) -> None:
    """Every reference leads to a part of the schema itself."""
    if isinstance(part, list):
        for one in part:
            _follow(one, root)
    elif isinstance(part, dict):
        if isinstance(reference := part.get("$ref"), str) and not isinstance(_found(reference, root), dict | bool):
            raise ToolError(f"its $ref {reference[:100]} leads nowhere")
        for name, one in part.items():
            if name not in ("enum", "const"):
                _follow(one, root)


def _found(reference: str, root: JsonObject) -> object:
    if reference != "#" and not reference.startswith("#/"):
        return None
    at: Any = root
    for step in unquote(reference[1:]).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(at, list):
            at = at[int(name)] if name.isdecimal() and int(name) < len(at) else None
        else:
            at = at.get(name) if isinstance(at, dict) else None
    return at
