"""`/api/tags`, `/api/show`, `/api/ps` and `/api/version`: what is there, whoever has it, and the workspaces."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from portal.core.items import JsonObject
from portal.core.model import ModelInfo, RawRequest
from portal.core.ports import Forwarding, Models
from portal.core.workspaces import Workspace
from portal.errors import BackendError, Forbidden, ModelNotFound, NoModel
from portal.interfaces.ollama.relay import MOST_WHOLE, parsed, read, refusal
from portal.interfaces.ollama.requests import read_model
from portal.interfaces.ollama.servers import OllamaServers, Place
from portal.interfaces.wire import json_response

API_VERSION = "0.13.0"
"""The version of Ollama whose API this door speaks, where no Ollama server tells its own."""
_CAPABILITIES = {"chat": "completion", "completion": "completion", "embeddings": "embedding"}
_IN_TIME = 5.0
"""Seconds that a server has to say what it has in memory: one that hangs does not hide the others."""
_NEVER = "9999-12-31T23:59:59Z"


def tagged(name: str) -> str:
    """The name with the tag that Ollama's clients expect."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _human(parameters: int | None) -> str:
    """A number of weights as Ollama writes it."""
    for unit, size in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if parameters and parameters >= size:
            return f"{parameters / size:.1f}{unit}".replace(".0", "")
    return ""


def _details(info: ModelInfo) -> JsonObject:
    return {
        "parent_model": "",
        "format": "gguf" if info.quantization else "",
        "family": info.family or "",
        "families": [info.family] if info.family else [],
        "parameter_size": _human(info.parameters),
        "quantization_level": info.quantization or "",
    }


def _entry(name: str, info: ModelInfo) -> JsonObject:
    """One row of `/api/tags`. The digest is of the name where the server tells none: clients cut it to show it."""
    return {
        "name": tagged(name),
        "model": tagged(name),
        "modified_at": _moment(info.created),
        "size": info.size or 0,
        "digest": info.digest or hashlib.sha256(f"{info.backend} {name}".encode()).hexdigest(),
        "details": _details(info),
    }


def _running(info: ModelInfo) -> JsonObject:
    entry = _entry(info.id, info)
    del entry["modified_at"]
    return {**entry, "expires_at": _NEVER, "size_vram": 0, "context_length": info.context_window or 0}


_TEMPLATES = ("{{ .Prompt }}", "{{ .Tools }}{{ .Prompt }}")
"""Without tools and with them: some clients look there for whether a model can call any."""


def _shown(info: ModelInfo, about: str) -> JsonObject:
    """`/api/show` of what no Ollama server has."""
    family = info.family or "unknown"
    known: JsonObject = {"general.architecture": family}
    if info.parameters:
        known["general.parameter_count"] = info.parameters
    if info.context_window:
        known[f"{family}.context_length"] = info.context_window
    return {
        "modelfile": f"# {about}\n",
        "parameters": "",
        "template": _TEMPLATES["tools" in info.capabilities],
        "details": _details(info),
        "model_info": known,
        "capabilities": sorted({_CAPABILITIES.get(name, name) for name in info.capabilities}),
        "modified_at": _moment(info.created),
    }


class _Door:
    """The endpoints."""

    def __init__(self, *, models: Models, servers: OllamaServers) -> None:
        self._models = models
        self._servers = servers

    async def tags(self, request: Request) -> Response:
        """Every workspace, `auto` first, and every model; a model has its name before a workspace."""
        owner = request.state.caller.owner
        rows = {tagged(one.name): self._workspace(one, owner) for one in self._models.workspaces(owner)}
        rows |= {tagged(info.id): _entry(info.id, info) for info in self._models.list()}
        return json_response({"models": list(rows.values())})

    def _workspace(self, workspace: Workspace, owner: str) -> JsonObject:
        """With the details of the model that would answer a plain question there."""
        try:
            info = self._servers.route(workspace.name, owner).model
        except (NoModel, Forbidden):  # nothing is there that may answer
            info = ModelInfo(id=workspace.name, backend="portal")
        shown = _entry(workspace.name, ModelInfo(id=workspace.name, backend="portal"))
        return {**shown, "details": _details(info)}

    async def show(self, request: Request) -> Response:
        """One model, as its Ollama server describes it, or as Portal knows it."""
        body = await request.body()
        payload = read_model(body)
        name = payload.get("model") or payload["name"]
        try:
            route = self._servers.route(name, request.state.caller.owner)
        except ModelNotFound:
            if not self._servers.all():
                raise
            return await self._described(self._servers.meant(name), payload)
        place = self._servers.at(route)
        if route.workspace is not None:
            about = f"The workspace {route.workspace.name}. {route.workspace.description} {route.reason}".strip()
            return json_response(_shown(route.model, about))
        if place is None:
            return json_response(_shown(route.model, f"Served by {route.model.backend}, not by Ollama."))
        return await self._described(place, payload)

    async def _described(self, place: Place, payload: JsonObject) -> Response:
        name = payload.get("model") or payload["name"]
        body = orjson.dumps({**payload, "model": place.model})
        reply = await place.server.forward(RawRequest(method="POST", path="/api/show", body=body))
        try:
            if reply.status == 404:
                raise ModelNotFound(name, self._servers.nearest(name))
            if reply.status >= 400:
                raise await refusal(reply, place.name)
            return Response(await read(reply, MOST_WHOLE, place.name), media_type="application/json")
        finally:
            await reply.aclose()

    async def ps(self, request: Request) -> Response:
        """What every server has in memory; of others than Ollama's what was last seen."""
        servers = self._servers.all()
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(_ask(server, name, "/api/ps")) for name, server in servers.items()]
        rows = [row for task in asked for row in task.result().get("models") or ()]
        others = (info for info in self._models.list() if info.loaded and info.backend not in servers)
        return json_response({"models": [*rows, *map(_running, others)]})

    async def version(self, request: Request) -> Response:
        """That of the first Ollama server."""
        for name, server in self._servers.all().items():
            if version := (await _ask(server, name, "/api/version")).get("version"):
                return json_response({"version": version})
        return json_response({"version": API_VERSION})


async def _ask(server: Forwarding, name: str, path: str) -> JsonObject:
    """A server's answer; empty where it has none, or none in time."""
    try:
        async with asyncio.timeout(_IN_TIME):
            reply = await server.forward(RawRequest(method="GET", path=path))
            try:
                return parsed(await read(reply, MOST_WHOLE, name), name) if reply.status == 200 else {}
            finally:
                await reply.aclose()
    except (BackendError, TimeoutError):
        return {}


def models_routes(*, models: Models, servers: OllamaServers) -> Sequence[BaseRoute]:
    """The routes about models."""
    door = _Door(models=models, servers=servers)
    return [
        Route("/api/tags", door.tags, methods=["GET"], name="ollama_tags"),
        Route("/api/show", door.show, methods=["POST"], name="ollama_show"),
        Route("/api/ps", door.ps, methods=["GET"], name="ollama_ps"),
        Route("/api/version", door.version, methods=["GET"], name="ollama_version"),
    ]
