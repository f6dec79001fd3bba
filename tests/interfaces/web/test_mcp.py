"""/portal/v1/mcp: the owner's tool servers, and what they hold."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from portal.backends.scripted import ScriptedBackend
from portal.testing.portal import TestPortal, open_test_portal

from .conftest import unnumbered

SERVERS = Path(__file__).parents[2] / "mcp" / "servers.py"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory, backend: ScriptedBackend) -> AsyncIterator[TestPortal]:
    plain = {"command": sys.executable, "args": [str(SERVERS), "plain"]}
    settings = {"mcp": {"servers": {"plain": plain}}}
    async with open_test_portal(tmp_path_factory.mktemp("p"), backends=[backend], settings=settings) as running:
        yield running


async def test_a_server_of_the_settings(me: Any) -> None:
    tested = await me("POST", "/portal/v1/mcp/servers/plain/test", {})
    listed = await me("GET", "/portal/v1/mcp/servers")
    one = await me("GET", "/portal/v1/mcp/servers/plain")

    assert (tested["status"], tested["source"], tested["kind"]) == ("up", "settings", "mcp")
    assert listed["data"][0] == one
    tool = next(tool for tool in one["tools"] if tool["name"] == "plain__add")
    assert tool.keys() == {"name", "title", "description", "risk", "parameters"}
    await me.refused("DELETE", "/portal/v1/mcp/servers/plain", status=409)
    await me.refused("GET", "/portal/v1/mcp/servers/none", status=404)


async def test_what_it_holds(me: Any, stranger: Any) -> None:
    resources = await me("GET", "/portal/v1/mcp/servers/plain/resources")
    contents = await stranger("GET", "/portal/v1/mcp/servers/plain/resource?uri=note://one")
    prompts = await stranger("GET", "/portal/v1/mcp/servers/plain/prompts")
    prompt = await me("POST", "/portal/v1/mcp/servers/plain/prompts/greet", {"arguments": {"name": "Ada"}})

    library = await stranger("GET", "/portal/v1/mcp/library")

    assert library["data"] == [{"name": "plain", "title": "plain", "resources": True, "prompts": True}]
    assert resources["data"][0]["uri"] == "note://one"
    assert contents["data"][0]["text"] == "remember the milk"
    assert prompts["data"][0]["name"] == "greet"
    assert "Ada" in prompt["messages"][0]["content"]["text"]
    await me.refused("GET", "/portal/v1/mcp/servers/plain/resource?uri=note://none", status=502)


async def test_adding_and_removing(me: Any) -> None:
    added = await me("POST", "/portal/v1/mcp/servers", {"name": "far", "url": "http://127.0.0.1:1/mcp"}, 201)

    assert (added["status"], added["source"]) == ("down", "added")
    await me.refused("POST", "/portal/v1/mcp/servers", {"name": "far", "url": "http://127.0.0.1:1/"}, status=409)
    assert (await me("DELETE", "/portal/v1/mcp/servers/far"))["deleted"]
    await me.refused("POST", "/portal/v1/mcp/servers", {"name": "evil", "command": "rm"}, status=400)
    await me.refused("POST", "/portal/v1/mcp/servers", {"name": "a b", "url": "http://127.0.0.1:1/"}, status=400)
    await me.refused("POST", "/portal/v1/mcp/servers/plain/sign-in", status=400)
    assert len((await me("POST", "/portal/v1/mcp/reload"))["data"]) == 1


async def test_taking_over(me: Any) -> None:
    content = '{"mcpServers": {"far": {"url": "http://127.0.0.1:1/"}, "here": {"command": "x"}}}'

    told = await me("POST", "/portal/v1/mcp/servers/import", {"content": content, "dry_run": True})

    assert [(one["name"], one["taken"]) for one in told["data"]] == [("far", True), ("here", False)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "servers", None),
        ("POST", "servers", {"name": "x", "url": "http://127.0.0.1:1/"}),
        ("GET", "servers/plain", None),
        ("DELETE", "servers/plain", None),
        ("POST", "servers/plain/test", None),
        ("POST", "servers/plain/sign-in", None),
        ("POST", "servers/import", {"content": "{}"}),
        ("POST", "reload", None),
        ("GET", "callback?code=a&state=b", None),
    ],
)
async def test_servers_are_the_owners_business(stranger: Any, method: str, path: str, body: Any) -> None:
    await stranger.refused(method, f"/portal/v1/mcp/{path}", body, status=403)


async def test_coming_back_from_signing_in(me: Any, portal: TestPortal) -> None:
    denied = await me.refused("GET", "/portal/v1/mcp/callback?error=access_denied", status=400)
    await me.refused("GET", "/portal/v1/mcp/callback?code=a&state=b", status=400)
    async with aiohttp.ClientSession() as nobody, nobody.get(f"{portal.url}/portal/v1/mcp/callback?code=a") as answer:
        status = answer.status

    assert "access_denied" in denied["message"]
    assert status == 401


async def test_the_page_is_told_of_changes(portal: TestPortal, me: Any) -> None:
    with portal.portal.bus.subscribe(portal.owner) as events:
        await me("POST", "/portal/v1/mcp/reload")
        async with asyncio.timeout(10):
            while (event := await events.get()) and event["type"] != "tools.changed":
                pass

    assert unnumbered(event) == {"type": "tools.changed"}
