"""Bodies and parameters that came in, checked, and what is wrong with them in OpenAI's words."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from portal.core.items import JsonObject
from portal.errors import BadRequest

M = TypeVar("M", bound=BaseModel)

_TYPES: dict[str, str] = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a decimal",
    "bool_type": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_BOUNDS = {
    "greater_than_equal": ("below minimum", ">=", "ge", "below_min_value"),
    "greater_than": ("below minimum", ">", "gt", "below_min_value"),
    "less_than_equal": ("above maximum", "<=", "le", "above_max_value"),
}


class Checked(BaseModel):
    """Base of what is checked: no conversions, and fields nobody knows are let through."""

    model_config = ConfigDict(strict=True, extra="allow", populate_by_name=True)


def sent_of(checked: Checked) -> JsonObject:
    """The known fields under their own names, those that were left out left out."""
    return checked.model_dump(by_alias=True, exclude_none=True, include=set(type(checked).model_fields))


def parse_json(body: bytes) -> JsonObject:
    """The JSON object of a body.

    Raises:
        BadRequest: it is not UTF-8, not JSON, or not an object.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        reason = "the body is empty" if not body.strip() else str(error)
        raise BadRequest(f"We could not parse the JSON body of your request: {reason}.") from error
    if not isinstance(parsed, dict):
        raise BadRequest(f"The body of the request must be a JSON object, but got {kind_of(parsed)} instead.")
    return parsed


def check(model: type[M], raw: object, at: str = "") -> M:
    """`raw` as `model`; `at` is the path of `raw` in the request.

    Raises:
        BadRequest: the first thing that is wrong, with OpenAI's message, param and code.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise _explain(error.errors(include_url=False)[0], at) from error


def refused(error: RequestValidationError) -> BadRequest:
    """What the framework found wrong with a body or query, in OpenAI's words."""
    first = error.errors()[0]
    place, *loc = first["loc"]
    if first["type"] == "json_invalid":
        return BadRequest(f"We could not parse the JSON body of your request: {first['ctx']['error']}.")
    if place == "body" and not loc and isinstance(first["input"], bytes):  # left unread for its Content-Type
        return BadRequest("The body must be JSON and say so: send the header `Content-Type: application/json`.")
    if place == "body" and not loc:
        got = kind_of(first["input"]) if first["input"] is not None else "nothing"
        return BadRequest(f"The body of the request must be a JSON object, but got {got} instead.")
    if first["type"] == "extra_forbidden":
        param = path("", loc)
        return BadRequest(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    got = first["input"]
    numeric = place == "query" and isinstance(got, str) and re.fullmatch(r"-?[0-9]{1,18}", got)
    within: Any = {**first, "loc": tuple(loc), "input": int(got) if numeric else got}
    return _explain(within, "")


def one_of(values: Sequence[str], got: object, param: str) -> BadRequest:
    """The error for a value that is not among those supported."""
    quoted = [f"'{value}'" for value in values]
    listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
    shown = f"'{got}'" if isinstance(got, str) else kind_of(got)
    return BadRequest(f"Invalid value: {shown}. Supported values are: {listed}.", param=param, code="invalid_value")


def missing(param: str) -> BadRequest:
    """The error for a parameter that has to be there."""
    return BadRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def wrong_type(param: str, wanted: str, got: object) -> BadRequest:
    """The error for a value of another type."""
    return BadRequest(
        f"Invalid type for '{param}': expected {wanted}, but got {kind_of(got)} instead.",
        param=param,
        code="invalid_type",
    )


def empty_array(param: str) -> BadRequest:
    """The error for a list that needs an element."""
    return BadRequest(
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        param=param,
        code="empty_array",
    )


def check_length(param: str, array: Sequence[object], most: int) -> None:
    """Raises BadRequest for an array with nothing in it, or with more than `most` elements."""
    if not array:
        raise empty_array(param)
    if len(array) > most:
        raise _wrong_length("too_long", param, array, {"max_length": most})


def empty_text(param: str) -> BadRequest:
    """The error for a text that needs a character."""
    return BadRequest(f"Invalid '{param}': the text is empty.", param=param, code="empty_string")


def kind_of(value: object) -> str:
    """What a JSON value is, with its article."""
    if value is None:
        return "null"
    names: dict[type, str] = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
    }
    return names.get(type(value), "an object")


def path(at: str, loc: Sequence[str | int]) -> str:
    """A location as OpenAI writes it: `input[0].content[1].type`."""
    made = at
    for part in loc:
        if isinstance(part, int):
            made += f"[{part}]"
        elif part != "[key]":
            made += f".{part}" if made else part
    return made


def _explain(detail: ErrorDetails, at: str) -> BadRequest:
    kind, got, context = detail["type"], detail["input"], detail.get("ctx", {})
    param = path(at, detail["loc"])
    if kind == "missing":
        return missing(param)
    if kind in _TYPES:
        return wrong_type(param, _TYPES[kind], got)
    if kind in _BOUNDS:
        return _out_of_bounds(kind, param, got, context)
    if kind in ("literal_error", "enum"):
        return one_of(re.findall(r"'([^']*)'", context["expected"]), got, param)
    if kind in ("string_too_long", "string_too_short", "too_long", "too_short"):
        return _wrong_length(kind, param, got, context)
    if kind == "string_pattern_mismatch":
        text = f"string does not match pattern. Expected a string that matches the pattern '{context['pattern']}'."
        return BadRequest(f"Invalid '{param}': {text}", param=param, code="invalid_value")
    return BadRequest(f"Invalid '{param}': {detail['msg']}", param=param, code="invalid_value")


def _out_of_bounds(kind: str, param: str, got: object, context: dict[str, Any]) -> BadRequest:
    words, sign, name, code = _BOUNDS[kind]
    number = "integer" if isinstance(got, int) and isinstance(context[name], int) else "decimal"
    limit = f"{context[name]:g}" if isinstance(context[name], float) else context[name]
    return BadRequest(
        f"Invalid '{param}': {number} {words} value. Expected a value {sign} {limit}, but got {got} instead.",
        param=param,
        code=f"{number}_{code}",
    )


def _wrong_length(kind: str, param: str, got: object, context: dict[str, Any]) -> BadRequest:
    if kind == "too_short" and isinstance(got, list) and not got:
        return empty_array(param)
    limit = context.get("max_length", context.get("min_length"))
    word, bound = ("long", "maximum") if kind.endswith("long") else ("short", "minimum")
    what = "string" if isinstance(got, str) else "array" if isinstance(got, list) else "object"
    size = len(got) if isinstance(got, (str, list, dict)) else 0
    side = "above_max" if word == "long" else "below_min"
    if what == "object":
        return BadRequest(
            f"Invalid '{param}': too many properties. Expected an object with at most {limit} properties, "
            f"but got an object with {size} properties instead.",
            param=param,
            code="object_above_max_properties",
        )
    return BadRequest(
        f"Invalid '{param}': {what} too {word}. Expected {_article(what)} with {bound} length {limit}, "
        f"but got {_article(what)} with length {size} instead.",
        param=param,
        code=f"{what}_{side}_length",
    )


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "ao" else f"a {word}"
