"""`/v1/models` for clients that say which version of Anthropic's API they speak; for all others it is OpenAI's."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from portal.core.items import JsonObject
from portal.core.model import ModelInfo
from portal.core.ports import Models
from portal.errors import BadRequest, PortalError
from portal.interfaces.anthropic.aliases import resolved
from portal.interfaces.anthropic.errors import dialect
from portal.interfaces.openai.errors import error_response
from portal.interfaces.wire import json_response

_MOST = 1000


def speaks_anthropic(scope: Scope) -> bool:
    """Whether the client sent the header that every client of Anthropic's sends."""
    return any(name == b"anthropic-version" for name, _ in scope["headers"])


class _Route(Route):
    """Not there for other clients."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any route, for clients of Anthropic's."""
        if scope["type"] != "http" or not speaks_anthropic(scope):
            return Match.NONE, {}
        return super().matches(scope)


def _object(name: str, title: str, created: int = 0) -> JsonObject:
    moment = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": name, "display_name": title, "created_at": moment, "lifecycle": "active"}


def _model(info: ModelInfo) -> JsonObject:
    made = _object(info.id, info.id, info.created)
    return {**made, "max_input_tokens": info.context_window} if info.context_window else made


class _Door:
    """The endpoints."""

    def __init__(self, *, models: Models, aliases: Mapping[str, str]) -> None:
        self._models = models
        self._aliases = aliases

    def _all(self, owner: str) -> dict[str, JsonObject]:
        """Every model by its id, and every workspace before them."""
        workspaces = {one.name: _object(one.name, one.title or one.name) for one in self._models.workspaces(owner)}
        return {**workspaces, **{info.id: _model(info) for info in self._models.list() if info.id not in workspaces}}

    async def list(self, request: Request) -> Response:
        """A page of them, all where no limit is given."""
        return _answer(request, lambda: _page(self._all(request.state.caller.owner), request.query_params))

    async def get(self, request: Request) -> Response:
        """One, also by an alias."""
        name = resolved(request.path_params["model"], self._aliases)
        known = self._all(request.state.caller.owner).get(name)
        return _answer(request, lambda: known or _model(self._models.find(name)[1]))


def _answer(request: Request, made: Callable[[], JsonObject]) -> Response:
    try:
        return json_response(made())
    except PortalError as error:
        return error_response(error, dialect=dialect(request.state.request_id))


def _page(known: Mapping[str, JsonObject], query: Mapping[str, str]) -> JsonObject:
    first, last = _bounds(list(known), query)
    page = list(known.values())[first:last]
    more = first > 0 if "before_id" in query else last < len(known)
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return {"data": page, "has_more": more, **ends}


def _bounds(ids: Sequence[str], query: Mapping[str, str]) -> tuple[int, int]:
    """From and to where the page goes.

    Raises:
        BadRequest: a limit that is none, or a cursor that is not in the list.
    """
    asked = query.get("limit", str(_MOST))
    if not (asked.isascii() and asked.isdigit() and 1 <= int(asked) <= _MOST):
        raise BadRequest(f"limit: Input should be a whole number from 1 to {_MOST}")
    limit = int(asked)
    for name in ("after_id", "before_id"):
        if name in query and query[name] not in ids:
            raise BadRequest(f"{name}: There is no model {query[name]!r} in the list")
    if "before_id" in query:
        end = ids.index(query["before_id"])
        return max(end - limit, 0), end
    start = ids.index(query["after_id"]) + 1 if "after_id" in query else 0
    return start, min(start + limit, len(ids))


def models_routes(*, models: Models, aliases: Mapping[str, str]) -> Sequence[BaseRoute]:
    """The routes of the Models API; ids may hold slashes and colons."""
    door = _Door(models=models, aliases=aliases)
    return [
        _Route("/v1/models", door.list, methods=["GET"], name="list_anthropic_models"),
        _Route("/v1/models/{model:path}", door.get, methods=["GET"], name="get_anthropic_model"),
    ]
