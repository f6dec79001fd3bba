"""`/v1/models`: what is really there, and the names that Portal itself answers to."""

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.core.ask import Ask
from portal.core.items import JsonObject
from portal.core.model import ModelInfo
from portal.core.ports import Models
from portal.core.speech import SpeechModel
from portal.core.terms import current
from portal.core.workspaces import Workspace
from portal.errors import Forbidden, NoModel
from portal.interfaces.late import LateRouter
from portal.interfaces.wire import json_response


def model_object(model: ModelInfo) -> JsonObject:
    """OpenAI's model object, with what else is known of the model beside it."""
    more = {
        "context_window": model.context_window,
        "parameters": model.parameters,
        "quantization": model.quantization,
        "size": model.size,
        "family": model.family,
        "loaded": model.loaded,
        "description": model.description,
    }
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.backend,
        "capabilities": sorted(model.capabilities),
        **{name: value for name, value in more.items() if value is not None},
    }


def speech_object(model: SpeechModel) -> JsonObject:
    """The same for a model that speaks or listens."""
    return {
        "id": model.id,
        "object": "model",
        "created": 0,
        "owned_by": model.engine,
        "capabilities": [model.kind],
    }


class _Door:
    """The endpoints."""

    def __init__(self, *, models: Models, speech: Callable[[], Sequence[SpeechModel]]) -> None:
        self._models = models
        self._speech = speech

    def _workspace(self, workspace: Workspace, owner: str) -> JsonObject:
        """A workspace, and what the model that would answer a plain question there can do."""
        shown = {"id": workspace.name, "object": "model", "created": 0, "owned_by": "portal"}
        if workspace.description:
            shown["description"] = workspace.description
        try:
            route = self._models.route(Ask(model=workspace.name, owner=owner))
        except (NoModel, Forbidden):  # nothing is there that may answer
            return shown
        return {**model_object(route.model), **shown}

    def _sounding(self) -> Sequence[SpeechModel]:
        """Those that the request under way may ask for."""
        standing = current.get()
        return [one for one in self._speech() if standing is None or standing.names_model(one.id)]

    async def list(self, request: Request) -> Response:
        """Every workspace, `auto` first, and every model."""
        owner = request.state.caller.owner
        virtual = [self._workspace(workspace, owner) for workspace in self._models.workspaces(owner)]
        names = {row["id"] for row in virtual}
        known = [model_object(model) for model in self._models.list() if model.id not in names]
        names |= {row["id"] for row in known}
        sounding = [speech_object(model) for model in self._sounding() if model.id not in names]
        return json_response({"object": "list", "data": [*virtual, *known, *sounding]})

    async def get(self, request: Request) -> Response:
        """One model."""
        name = request.path_params["model"]
        owner = request.state.caller.owner
        for workspace in self._models.workspaces(owner):
            if workspace.name == name:
                return json_response(self._workspace(workspace, owner))
        for model in self._sounding():
            if model.id == name and not any(info.id == name for info in self._models.list()):
                return json_response(speech_object(model))
        _, info = self._models.find(name)
        return json_response(model_object(info))


def models_routes(*, models: Models, speech: Callable[[], Sequence[SpeechModel]] = lambda: ()) -> Sequence[BaseRoute]:
    """The routes of the Models API; ids may hold slashes and colons. `speech` are models that speak or listen."""
    door = _Door(models=models, speech=speech)
    router = LateRouter(tags=["models"])
    router.add_api_route("/v1/models", door.list, methods=["GET"], name="list_models")
    router.add_api_route("/v1/models/{model:path}", door.get, methods=["GET"], name="get_model")
    return router.routes
