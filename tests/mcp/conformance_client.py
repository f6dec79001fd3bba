"""Portal's MCP client as the suite of conformance wants one: it is called with a server's address, and uses it.

The scenario's name comes in the environment. Signing in is done by following the address as a browser would.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from tests.mcp.workshop import Workshop

from portal.core.tool_dialogue import Elicitation, ElicitationAnswer, SamplingAnswer, SamplingRequest
from portal.core.tools import ToolContext, ToolSpec
from portal.errors import ToolError
from portal.mcp.servers import ToolServers

SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")  # noqa: TID251
CONTEXT = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")  # noqa: TID251
BACK = "http://127.0.0.1:8081/portal/v1/mcp/callback"


class Model:
    async def sample(self, request: SamplingRequest, context: ToolContext) -> SamplingAnswer:
        return SamplingAnswer(text="an answer", model="tiny")


class Person:
    """Accepts every form as it is filled in already."""

    async def elicit(self, question: Elicitation, context: ToolContext) -> ElicitationAnswer:
        fields = (question.form or {}).get("properties", {})
        return ElicitationAnswer(action="accept", content={name: value(one) for name, one in fields.items()})


def value(schema: dict[str, Any]) -> Any:
    if "default" in schema or "enum" in schema:
        return schema.get("default", schema.get("enum", [""])[0])
    kinds: dict[str, Any] = {"number": 2, "integer": 2, "boolean": True, "array": [], "object": {}}
    return kinds.get(str(schema.get("type")), "words")


def arguments(spec: ToolSpec) -> dict[str, Any]:
    return {name: value(one) for name, one in spec.parameters.get("properties", {}).items()}


async def sign_in(servers: ToolServers) -> None:
    address = await servers.sign_in("c", BACK)
    if not address:
        return
    async with aiohttp.ClientSession() as browser, browser.get(address, allow_redirects=False) as gone:
        home = {key: found[0] for key, found in parse_qs(urlsplit(gone.headers["location"]).query).items()}
    servers.come_back(code=home.get("code", ""), state=home.get("state", ""), iss=home.get("iss"))


def planned(servers: ToolServers) -> list[tuple[str, dict[str, Any]]]:
    """The calls that the scenario asks for; else each tool once."""
    if calls := CONTEXT.get("toolCalls"):
        return [(f"c__{one['name']}", one.get("arguments") or {}) for one in calls]
    return [(spec.name, arguments(spec)) for spec in servers.get("c").tools()]


async def signed_in(servers: ToolServers, work: Callable[[], Awaitable[Any]]) -> Any:
    """Do it; where the server wants a person again, sign in again and do it once more."""
    try:
        return await work()
    except ToolError as error:
        print(error.message, file=sys.stderr)
        if "sign in" not in error.message:
            return None
    await sign_in(servers)
    return await work()


async def main() -> None:
    settings: dict[str, Any] = {"url": sys.argv[-1], "trusted": True, "timeout": 20, "start_timeout": 60}
    if SCENARIO.startswith("auth/"):
        settings["auth"] = "oauth"
        settings |= {name: CONTEXT[name] for name in ("client_id", "client_secret") if name in CONTEXT}
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder), sampler=Model(), elicitor=Person())
        async with workshop.open({"c": settings}) as servers:
            if SCENARIO.startswith("auth/"):
                await sign_in(servers)
            await signed_in(servers, servers.get("c").refresh)
            for tool, given in planned(servers):
                await signed_in(servers, partial(servers.get("c").call, tool, given, workshop.context()))
            for prompt in await servers.prompts("c"):
                await servers.prompt("c", prompt["name"], {"a": "b"})
            for resource in await servers.resources("c"):
                await servers.read("c", resource.get("uri", ""))


asyncio.run(main())
