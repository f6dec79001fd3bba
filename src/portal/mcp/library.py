"""What servers hold beside tools: resources to read, and prompts to begin with."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from portal.core.items import JsonObject
from portal.mcp.server import McpServer

if TYPE_CHECKING:
    from mcp.client import Client

_PAGES = 20
_MOST = 1000


async def resources(server: McpServer) -> Sequence[JsonObject]:
    """Each {uri, name, title, description, mimeType}; templates have `uriTemplate` instead. Raises ToolError."""

    async def ask(client: "Client") -> Sequence[JsonObject]:
        if client.server_capabilities.resources is None:
            return []
        plain = await _all(lambda cursor: client.list_resources(cursor=cursor), "resources")
        return [*plain, *await _templates(client)]

    return await server.ask(ask)


async def _templates(client: "Client") -> Sequence[JsonObject]:
    """Those of resources. Many a server that has resources knows nothing of templates, and says so or worse."""
    from mcp.shared.exceptions import MCPError

    try:
        return await _all(lambda cursor: client.list_resource_templates(cursor=cursor), "resource_templates")
    except (MCPError, ValidationError):
        return []


async def read(server: McpServer, uri: str) -> Sequence[JsonObject]:
    """The contents of a resource: each {uri, mimeType} with `text`, or `blob` in base64. Raises ToolError."""

    async def ask(client: "Client") -> Sequence[JsonObject]:
        answer = await client.read_resource(uri)
        return [_plain(one) for one in answer.contents]

    return await server.ask(ask)


async def prompts(server: McpServer) -> Sequence[JsonObject]:
    """Each {name, title, description, arguments}. Raises ToolError."""

    async def ask(client: "Client") -> Sequence[JsonObject]:
        if client.server_capabilities.prompts is None:
            return []
        return await _all(lambda cursor: client.list_prompts(cursor=cursor), "prompts")

    return await server.ask(ask)


async def prompt(server: McpServer, name: str, arguments: dict[str, str]) -> JsonObject:
    """A prompt filled in: {description, messages}. Raises ToolError."""

    async def ask(client: "Client") -> JsonObject:
        answer = await client.get_prompt(name, arguments)
        return {"description": answer.description or "", "messages": [_plain(one) for one in answer.messages]}

    return await server.ask(ask)


async def _all(page: Callable[[str | None], Awaitable[Any]], field: str) -> list[JsonObject]:
    found: list[JsonObject] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        answer = await page(cursor)
        found += [_plain(one) for one in getattr(answer, field)]
        cursor = answer.next_cursor
        if cursor is None or len(found) >= _MOST:
            break
    return found[:_MOST]


def _plain(model: Any) -> JsonObject:
    made: JsonObject = model.model_dump(by_alias=True, mode="json", exclude_none=True)
    return made
