"""/portal/v1 about models: what is there and who serves it, model servers added from the page, the manual."""

import asyncio
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, SecretStr
from starlette.responses import Response

from portal.core.items import JsonObject
from portal.core.model import ModelInfo
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.ports import Engine, Manual, ManualPage, ModelServers
from portal.interfaces.web.requests import Body, Packed, Who


class NewBackend(Body):
    """A model server to ask for its models from now on, also after a restart."""

    kind: Annotated[str, Field(min_length=1, max_length=100)]
    url: Annotated[str, Field(max_length=2000)] = ""
    """May be left out where the kind is a service with an address of its own."""
    name: Annotated[str, Field(max_length=100)] = ""
    api_key: SecretStr | None = None


def model_view(info: ModelInfo, *, kind: str) -> JsonObject:
    """A model with all that is known of it; sizes in bytes, window in tokens, quality from 0 to 1."""
    return {
        "id": info.id,
        "object": "portal.model",
        "backend": info.backend,
        "kind": kind,
        "capabilities": sorted(info.capabilities),
        "context_window": info.context_window,
        "parameters": info.parameters,
        "quantization": info.quantization,
        "size": info.size,
        "family": info.family,
        "loaded": info.loaded,
        "description": info.description,
        "active_parameters": info.active,
        "quality": info.quality,
        "skills": dict(info.skills),
        "speed": info.speed,
        "speed_seen": _speed_seen(info),
        "paid": info.paid,
    }


def _speed_seen(info: ModelInfo) -> JsonObject | None:
    if info.pace is None:
        return None
    first = None if info.first_token is None else round(info.first_token, 2)
    return {"tokens_per_second": round(info.pace, 1), "first_token_seconds": first}


def model_routes(*, servers: ModelServers) -> APIRouter:
    """Routes of models and their servers."""
    router = LateRouter(prefix="/portal/v1", tags=["models"], route_class=Packed)

    def everything() -> JsonObject:
        status = servers.status()
        kinds = {row["name"]: row["kind"] for row in status}
        data = [model_view(info, kind=kinds.get(info.backend, "")) for info in servers.list()]
        return {**views.listing(data), "backends": status, "auto": servers.auto()}

    @router.get("/models")
    async def list_models(who: Who) -> JsonObject:
        return everything()

    @router.post("/models/refresh")
    async def refresh(who: Who) -> JsonObject:
        await servers.refresh()
        return everything()

    @router.post("/backends", status_code=201)
    async def add_backend(who: Who, body: NewBackend) -> JsonObject:
        key = body.api_key.get_secret_value() if body.api_key else None
        return await servers.add(kind=body.kind, url=body.url, name=body.name, api_key=key)

    @router.get("/backends/presets")
    async def presets(who: Who) -> JsonObject:
        return views.listing(servers.presets())

    @router.delete("/backends/{name}")
    async def remove_backend(who: Who, name: str) -> JsonObject:
        await servers.remove(name)
        return {"name": name, "deleted": True}

    return router


class NewPull(Body):
    """`owner/repo/file.gguf`, a URL or a path of this machine; with `sha256`, refused if it is another file."""

    source: Annotated[str, Field(min_length=1, max_length=4000)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None


def engine_routes(*, engine: Engine) -> APIRouter:
    """Routes of the embedded engine and its models."""
    router = LateRouter(prefix="/portal/v1", tags=["embedded engine"])

    @router.get("/embedded")
    async def status(who: Who) -> JsonObject:
        return await engine.status()

    @router.post("/embedded/install", status_code=202)
    async def install(who: Who) -> JsonObject:
        await engine.install()
        return await engine.status()

    @router.post("/pulls", status_code=202)
    async def pull(who: Who, body: NewPull) -> JsonObject:
        return await engine.pull(body.source, sha256=body.sha256)

    @router.delete("/pulls/{pull_id}")
    async def cancel(who: Who, pull_id: str) -> JsonObject:
        await engine.cancel_pull(pull_id)
        return {"id": pull_id, "deleted": True}

    return router


def manual_routes(*, manual: Manual) -> APIRouter:
    """Routes of the manual."""
    router = LateRouter(prefix="/portal/v1/manual", tags=["manual"])

    @router.get("")
    async def contents(who: Who) -> JsonObject:
        return {"pages": [_contents(page) for page in manual.pages()]}

    @router.get("/pictures/{name}")
    async def picture(who: Who, name: str) -> Response:
        content = await asyncio.to_thread(manual.picture, name)
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})

    @router.get("/{page_id}")
    async def page(who: Who, page_id: str) -> JsonObject:
        found = manual.page(page_id)
        return {**_contents(found), "markdown": found.markdown}

    return router


def _contents(page: ManualPage) -> JsonObject:
    sections = [{"id": section.id, "title": section.title, "level": section.level} for section in page.sections]
    return {"id": page.id, "title": page.title, "sections": sections}
