"""Clients of a Portal's endpoint /mcp: the protocol's own, in either era."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import mcp_types as types
from mcp.client.streamable_http import streamable_http_client

from mcp import Client
from portal.testing.portal import TestPortal


class Person:
    """Answers what a server asks through the client, and remembers the questions."""

    def __init__(self, action: str = "accept", **content: Any) -> None:
        self.answer: dict[str, Any] = {"action": action, "content": content or None}
        self.asked: list[types.ElicitRequestFormParams] = []

    async def __call__(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestFormParams)
        self.asked.append(params)
        return types.ElicitResult.model_validate(self.answer)


@asynccontextmanager
async def client_of(
    portal: TestPortal, *, person: Person | None = None, mode: str = "auto", key: str = ""
) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key or portal.key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(f"{portal.url}/mcp", http_client=http)
        async with Client(transport, mode=mode, elicitation_callback=person) as client:
            yield client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def names(found: Mapping[str, types.Tool] | types.ListToolsResult) -> list[str]:
    return [tool.name for tool in found.tools] if isinstance(found, types.ListToolsResult) else [*found]
