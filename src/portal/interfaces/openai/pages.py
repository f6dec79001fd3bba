"""OpenAI's lists: `limit`, `after` and `order` in, `first_id`, `last_id` and `has_more` out."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from portal.core.items import JsonObject
from portal.errors import BadRequest
from portal.interfaces.openai.validation import one_of

_DEFAULT = 20
_MOST = 100


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What part of a list is wanted."""

    limit: int
    after: str | None
    ascending: bool
    before: str | None = None
    """Read where `after` is not given, by the lists that can go backwards."""


def whole_number(text: str, param: str) -> int:
    """An integer of a query. Raises BadRequest."""
    try:
        return int(text)
    except ValueError as error:
        raise BadRequest(
            f"Invalid type for '{param}': expected an integer, but got a string instead.",
            param=param,
            code="invalid_type",
        ) from error


def page_query(query: QueryParams, *, default: int = _DEFAULT, most: int = _MOST) -> PageQuery:
    """The page a query asks for. Raises BadRequest."""
    limit = whole_number(query.get("limit", str(default)), "limit")
    if not 1 <= limit <= most:
        bound, code = ("above maximum", "above_max") if limit > most else ("below minimum", "below_min")
        sign = f"<= {most}" if limit > most else ">= 1"
        raise BadRequest(
            f"Invalid 'limit': integer {bound} value. Expected a value {sign}, but got {limit} instead.",
            param="limit",
            code=f"integer_{code}_value",
        )
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise one_of(("asc", "desc"), order, "order")
    return PageQuery(limit, query.get("after"), order == "asc", query.get("before"))


def page_of(objects: Sequence[JsonObject], query: PageQuery) -> JsonObject:
    """The page of a whole list that is in ascending order. Raises BadRequest for an `after` that is not in it."""
    ordered = list(objects) if query.ascending else list(reversed(objects))
    if query.after is not None:
        ids = [entry["id"] for entry in ordered]
        if query.after not in ids:
            raise unknown_after(query.after)
        ordered = ordered[ids.index(query.after) + 1 :]
    return listed(ordered[: query.limit], more=len(ordered) > query.limit)


def unknown_after(after: str) -> BadRequest:
    """The error for a cursor that belongs to another list."""
    return BadRequest(f"Invalid 'after': there is no {after!r} in this list.", param="after", code="invalid_value")


def listed(data: Sequence[JsonObject], *, more: bool) -> JsonObject:
    """OpenAI's list object."""
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }
