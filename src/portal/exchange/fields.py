"""Fields of foreign JSON, whatever is in them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

_LATEST = 253_402_300_799


def mapping(value: Any) -> Mapping[str, Any]:
    """An object; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """An array; an empty one where it is none."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """A text; an empty one where it is none."""
    return value if isinstance(value, str) else ""


def identity(value: Any) -> str:
    """An id, which may be a number; empty where it is none."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def moment(value: Any) -> int | None:
    """Microseconds UTC of Unix seconds, milliseconds or nanoseconds, or of an ISO date."""
    if isinstance(value, str):
        try:
            stamp = datetime.fromisoformat(value)
        except ValueError:
            return None
        known = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
        return max(int((known - _BEGINNING).total_seconds() * 1_000_000), 0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    for unit in (1, 1000, 1_000_000, 1_000_000_000):
        if value / unit <= _LATEST:
            return round(value * 1_000_000 / unit)
    return None


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def as_json(value: Any) -> str:
    """JSON text of a value that was read from some."""
    return orjson.dumps(value).decode("utf-8")


def arguments(value: Any, name: str = "input") -> str:
    """A call's arguments as JSON text of an object; what is none becomes its field `name`."""
    if isinstance(value, str):
        try:
            loaded = orjson.loads(value)
        except orjson.JSONDecodeError:
            return as_json({name: value})
        return value if isinstance(loaded, dict) else as_json({name: value})
    return as_json(value if isinstance(value, dict) else {} if value is None else {name: value})


def parts_text(value: Any) -> str:
    """The texts of a list of parts, or a text as it is; of anything else its JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        found = [one if isinstance(one, str) else text(mapping(one).get("text")) for one in value]
        return "\n".join(one for one in found if one)
    return as_json(value) if value else ""
