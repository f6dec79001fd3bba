"""The arguments of a tool call, as models write them: read, near misses put right, and checked against the schema."""

import ast
import json
import math
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from portal.core.items import JsonObject
from portal.core.schemas import checkable
from portal.core.writable import writable
from portal.errors import ToolError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

LONGEST = 2**18
"""Characters of one call; more are refused unread."""
_LONGEST_PYTHON = 2**14
_DEEPEST = 64
_REFERENCES = 5000
"""Followed for one call."""
_FROM, _TO = -(2**63), 2**64
_OWN_SCHEMA = "This tool's own schema cannot be used, so that it cannot be called"
_WRAPPERS = ("arguments", "parameters", "args", "input", "kwargs")


def read_arguments(text: str, schema: JsonObject) -> JsonObject:
    """Arguments that fit the schema.

    Raises:
        ToolError: what is wrong, in words that a model can act on.
    """
    if len(text) > LONGEST:
        raise ToolError(f"The arguments are longer than {LONGEST // 1024} kB: pass less, or write a file first.")
    try:
        known = checkable(schema)
    except ToolError as fault:
        raise ToolError(f"{_OWN_SCHEMA} ({fault.message}).") from fault
    arguments: JsonObject = _plain(_aligned(_unwrapped(_parsed(text), known), known))
    _check(arguments, known)
    return arguments


def _parsed(text: str) -> Any:
    stripped = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    if not stripped:
        return {}
    try:
        return _plain(json.loads(stripped))
    except (ValueError, RecursionError) as error:
        problem = error
    try:
        if len(stripped) <= _LONGEST_PYTHON:
            return _plain(ast.literal_eval(stripped))  # a Python dict: single quotes, True, None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    raise ToolError(f"The arguments are not valid JSON ({problem}). Call the tool again with a JSON object.")


def _plain(value: Any, depth: int = 0) -> Any:
    """What every JSON reader and store takes as it is: no half characters, no numbers too wide, not too deep."""
    if depth > _DEEPEST:
        raise ToolError("The arguments are nested too deeply.")
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise ToolError("The names in the arguments must be text: pass a JSON object.")
        return {writable(name): _plain(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, depth + 1) for one in value]
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, int) and not _FROM <= value < _TO:
        raise ToolError("A number in the arguments has more than 64 bits: pass it as text, or a smaller one.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ToolError("A number in the arguments is not finite.")
    if value is None or isinstance(value, int | float):
        return value
    raise ToolError(f"JSON has no {type(value).__name__}, which the arguments hold: pass a JSON object.")


def _unwrapped(value: Any, schema: JsonObject) -> JsonObject:
    """Text that holds JSON, and an object around the arguments, are taken off."""
    known = schema.get("properties", {})
    for _ in range(3):
        if isinstance(value, str):
            value = _parsed(value)
        elif isinstance(value, dict) and len(value) == 1 and not value.keys() & known.keys():
            ((name, inner),) = value.items()
            if name not in _WRAPPERS or not isinstance(inner, dict | str):
                break
            value = inner
        else:
            break
    if not isinstance(value, dict):
        raise ToolError("The arguments must be a JSON object such as " + json.dumps(_example(schema)) + ".")
    return value


def _aligned(arguments: JsonObject, schema: JsonObject) -> JsonObject:
    """Names in another case or spelling, numbers as text, single values for lists, empty values for optional ones."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    by_fold = {_fold(name): name for name in properties}
    required = schema.get("required", ())
    made: JsonObject = {}
    for name, value in arguments.items():
        known = name if name in properties else by_fold.get(_fold(name), name)
        if value is None and known not in required and not _takes(properties.get(known), "null"):
            continue
        made.setdefault(known, _coerced(value, properties.get(known)))
    return made


def _fold(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def _takes(schema: Any, kind: str) -> bool:
    if not isinstance(schema, Mapping):
        return False
    named = schema.get("type")
    inner = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
    return named == kind or (isinstance(named, list) and kind in named) or any(_takes(one, kind) for one in inner)


def _coerced(value: Any, schema: Any) -> Any:
    """The value as the schema wants it, where there is one way to read it so; else as it is."""
    if isinstance(value, str) and not _takes(schema, "string"):
        return _from_text(value, schema)
    if isinstance(value, int | float) and not isinstance(value, bool) and _takes(schema, "string"):
        return value if _takes(schema, "number") or _takes(schema, "integer") else str(value)
    if isinstance(value, float) and value.is_integer() and _takes(schema, "integer"):
        return int(value)
    if not isinstance(value, list) and _takes(schema, "array") and not _takes(schema, _kind(value)):
        return [value]
    return value


def _from_text(text: str, schema: Any) -> Any:
    wanted = [kind for kind in ("integer", "number", "boolean", "object", "array") if _takes(schema, kind)]
    if not wanted:
        return text
    lowered = text.strip().lower()
    try:
        read = json.loads(lowered if lowered in ("true", "false") else text)
    except (ValueError, RecursionError):
        return [text] if "array" in wanted else text
    if isinstance(read, float) and read.is_integer() and "integer" in wanted:
        read = int(read)
    if _kind(read) in wanted or (_kind(read) == "integer" and "number" in wanted):
        return read
    return [read if isinstance(read, str) else text] if "array" in wanted else text


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _validator(schema: JsonObject) -> "Validator":
    """One that fetches nothing for a reference, and gives up where references multiply each other."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry

    kind, followed = Draft202012Validator, count()
    if '"$ref"' in json.dumps(schema):
        follow = Draft202012Validator.VALIDATORS["$ref"]

        def bounded(validator: Any, reference: Any, instance: Any, whole: Any) -> Any:
            if next(followed) >= _REFERENCES:
                raise RecursionError
            return follow(validator, reference, instance, whole)

        kind = extend(Draft202012Validator, {"$ref": bounded})  # type: ignore[no-untyped-call]
    return kind(schema, registry=Registry())


def _check(arguments: JsonObject, schema: JsonObject) -> None:
    from jsonschema.exceptions import UnknownType, best_match
    from referencing.exceptions import Unresolvable

    try:
        error = best_match(_validator(schema).iter_errors(arguments))
    except (Unresolvable, RecursionError, UnknownType, AttributeError, LookupError, TypeError, ValueError) as fault:
        raise ToolError(f"{_OWN_SCHEMA}.") from fault
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "arguments"
        raise ToolError(f"{where}: {error.message[:300]}. Expected: {json.dumps(_example(schema))[:600]}")


def _example(schema: JsonObject) -> JsonObject:
    """Names and kinds of what is expected."""
    required = schema.get("required", ())
    return {
        name: f"{_named(one)}{'' if name in required else ', optional'}"
        for name, one in schema.get("properties", {}).items()
    }


def _named(schema: Any) -> str:
    kinds = [kind for kind in ("string", "integer", "number", "boolean", "array", "object") if _takes(schema, kind)]
    return " or ".join(kinds) or "any"
