"""/portal/v1/workspaces and /portal/v1/personas: see, change, try and take over."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from portal.core.items import JsonObject
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.ports import Workspaces
from portal.interfaces.web.requests import Body, Packed, Who
from portal.settings.workspaces import WorkspaceSettings


class Trial(Body):
    """All optional: by default the workspace's own test. `workspace` tries fields that are not saved."""

    prompt: Annotated[str, Field(max_length=100_000)] = ""
    persona: str = ""
    workspace: WorkspaceSettings | None = None


class Import(Body):
    """A file that another program exported. With `dry_run` it is only told what would become of it."""

    content: Annotated[str, Field(max_length=10_000_000)]
    dry_run: bool = False


def workspace_routes(*, workspaces: Workspaces) -> APIRouter:
    """Routes of workspaces."""
    router = LateRouter(prefix="/portal/v1/workspaces", tags=["workspaces"], route_class=Packed)

    @router.get("")
    async def list_workspaces(who: Who) -> JsonObject:
        return views.listing(workspaces.list(who.owner))

    @router.get("/{name}")
    async def get_workspace(who: Who, name: str) -> JsonObject:
        return workspaces.get(who.owner, name)

    @router.put("/{name}")
    async def put_workspace(who: Who, name: str, body: WorkspaceSettings) -> JsonObject:
        return await workspaces.put(who.owner, name, body)

    @router.delete("/{name}")
    async def delete_workspace(who: Who, name: str) -> JsonObject:
        return await workspaces.delete(who.owner, name)

    @router.post("/{name}/test")
    async def test_workspace(who: Who, name: str, body: Trial) -> JsonObject:
        return await workspaces.test(who.owner, name, prompt=body.prompt, persona=body.persona, fields=body.workspace)

    return router


def persona_routes(*, workspaces: Workspaces) -> APIRouter:
    """Routes of personas."""
    router = LateRouter(prefix="/portal/v1/personas", tags=["workspaces"])

    @router.get("")
    async def list_personas(who: Who) -> JsonObject:
        return views.listing(workspaces.personas())

    @router.post("/import")
    async def import_personas(who: Who, body: Import) -> JsonObject:
        return views.listing(await workspaces.take_over(who.owner, body.content, dry_run=body.dry_run))

    return router
