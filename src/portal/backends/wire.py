"""Values as a server sent them, checked before they are used: what is not of its type is not there. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from portal.core.items import JsonObject

_LARGEST = 2**53
"""Whole numbers up to here are the same in every program; no count of anything is larger."""
_LONGEST_NAME = 500
_FLOAT32 = 3.4028235e38


def mapping(value: object) -> Mapping[str, Any]:
    """An object, else an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> Sequence[JsonObject]:
    """The objects of a list; none where it is no list."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def texts(value: object) -> Sequence[str]:
    """The strings of a list; none where it is no list."""
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def text(value: object) -> str | None:
    """A string with something in it."""
    return value if isinstance(value, str) and value else None


def whole(value: object) -> int | None:
    """A count above zero, also where it was written as 8.0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 1 <= value <= _LARGEST else None


def count(value: object) -> int | None:
    """A count, which may be zero."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None


def logprobs(value: object) -> list[JsonObject] | None:
    """Chat Completions' entries, those that name a token and how likely it was; None where there are none."""
    return ([entry for entry in rows(value) if _is_logprob(entry)] or None) if value else None


def _is_logprob(entry: JsonObject) -> bool:
    others = entry.get("top_logprobs")
    likely = entry.get("logprob")
    return (
        isinstance(entry.get("token"), str)
        and (likely is None or isinstance(likely, int | float))
        and (others is None or (isinstance(others, list) and all(map(_is_alternative, others))))
    )


def _is_alternative(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("token"), str) and "logprob" in entry


def json_text(value: object) -> str:
    """JSON that was read, as text again; of what is nested too deep for that, an empty object."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return "{}"


def model_name(value: object) -> str | None:
    """A name that a person can read and a client can ask for."""
    usable = isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable() and value.strip()
    return str(value) if usable else None


def vectors(values: object, count: int) -> list[list[float]] | None:
    """So many vectors: lists of numbers that fit 32 bits each, all of one length. Else None."""
    if not isinstance(values, list) or len(values) != count or not all(map(_is_vector, values)):
        return None
    return values if len(set(map(len, values))) <= 1 else None


def _is_vector(value: object) -> bool:
    if not isinstance(value, list) or not value or not set(map(type, value)) <= {int, float}:
        return False
    return bool(min(value) >= -_FLOAT32 and max(value) <= _FLOAT32)
