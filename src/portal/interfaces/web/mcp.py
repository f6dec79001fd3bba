"""/portal/v1/mcp: tool servers, for the owner of this installation; and what they hold to read, for everyone."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from pydantic import Field

from portal.core.items import JsonObject
from portal.errors import BadRequest, Forbidden
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.ports import ToolServers
from portal.interfaces.web.requests import Body, Who
from portal.security.credentials import Caller
from portal.settings.mcp import ToolServerName, ToolServerSettings

CALLBACK = "/portal/v1/mcp/callback"


class NewToolServer(ToolServerSettings):
    """A server at an address; the other fields are those of the settings."""

    name: ToolServerName


class ToolServerImport(Body):
    """A file of another program. With `dry_run` it is only told what would become of it."""

    content: Annotated[str, Field(max_length=1_000_000)]
    dry_run: bool = False


class PromptArguments(Body):
    """What fills a prompt in."""

    arguments: dict[str, str] = Field({})


def mcp_routes(*, servers: ToolServers) -> APIRouter:
    """Routes that change and show tool servers."""
    router = LateRouter(prefix="/portal/v1/mcp", tags=["tool servers"])

    @router.get("/servers")
    async def list_servers(who: Who) -> JsonObject:
        _owner(who)
        return views.listing(servers.list())

    @router.post("/servers", status_code=201)
    async def add_server(who: Who, body: NewToolServer) -> JsonObject:
        _owner(who)
        return await servers.add(body.name, ToolServerSettings.model_validate(body.model_dump(exclude={"name"})))

    @router.post("/servers/import")
    async def import_servers(who: Who, body: ToolServerImport) -> JsonObject:
        _owner(who)
        return views.listing(await servers.take_over(body.content, dry_run=body.dry_run))

    @router.get("/servers/{name}")
    async def get_server(who: Who, name: str) -> JsonObject:
        _owner(who)
        return servers.view(name)

    @router.delete("/servers/{name}")
    async def remove_server(who: Who, name: str) -> JsonObject:
        _owner(who)
        await servers.remove(name)
        return {"name": name, "deleted": True}

    @router.post("/servers/{name}/test")
    async def test_server(who: Who, name: str) -> JsonObject:
        _owner(who)
        return await servers.test(name)

    @router.post("/reload")
    async def reload(who: Who) -> JsonObject:
        _owner(who)
        return views.listing(await servers.reload())

    @router.post("/servers/{name}/sign-in")
    async def sign_in(who: Who, request: Request, name: str) -> JsonObject:
        _owner(who)
        return {"name": name, "url": await servers.sign_in(name, f"{str(request.base_url).rstrip('/')}{CALLBACK}")}

    @router.get("/callback")
    async def callback(
        who: Who, code: str = "", state: str = "", iss: str | None = None, error: str = "", error_description: str = ""
    ) -> RedirectResponse:
        _owner(who)
        if error or not code:
            raise BadRequest(f"The server did not let you in: {error_description or error or 'it sent no code'}.")
        servers.come_back(code=code, state=state, iss=iss)
        return RedirectResponse("/tools", 303)

    return router


def _owner(who: Caller) -> None:
    """Raises Forbidden for everybody else."""
    if who.role != "owner":
        raise Forbidden("Tool servers are the business of this installation's owner.")


def mcp_shipped_routes(*, servers: ToolServers) -> APIRouter:
    """Those that come with Portal, to be added by their name."""
    router = LateRouter(prefix="/portal/v1/mcp", tags=["tool servers"])

    @router.get("/shipped")
    async def list_shipped(who: Who) -> JsonObject:
        _owner(who)
        return views.listing(servers.shipped())

    return router


def mcp_library_routes(*, servers: ToolServers) -> APIRouter:
    """Routes of what tool servers hold: resources and prompts."""
    router = LateRouter(prefix="/portal/v1/mcp", tags=["tool servers"])

    @router.get("/library")
    async def list_library(who: Who) -> JsonObject:
        known = (one for one in servers.list() if one["status"] not in ("off", "wrong"))
        held = [{"name": one["name"], "title": one["title"], **_held(one["about"])} for one in known]
        return views.listing(one for one in held if one["resources"] or one["prompts"])

    @router.get("/servers/{name}/resources")
    async def list_resources(who: Who, name: str) -> JsonObject:
        return views.listing(await servers.resources(name))

    @router.get("/servers/{name}/resource")
    async def read_resource(who: Who, name: str, uri: Annotated[str, Field(max_length=4000)]) -> JsonObject:
        return views.listing(await servers.read(name, uri))

    @router.get("/servers/{name}/prompts")
    async def list_prompts(who: Who, name: str) -> JsonObject:
        return views.listing(await servers.prompts(name))

    @router.post("/servers/{name}/prompts/{prompt}")
    async def get_prompt(who: Who, name: str, prompt: str, body: PromptArguments) -> JsonObject:
        return await servers.prompt(name, prompt, body.arguments)

    return router


def _held(about: JsonObject) -> JsonObject:
    return {name: about.get(name) is True for name in ("resources", "prompts")}
