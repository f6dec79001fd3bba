"""Tool servers in the view of tools: added at an address, tested, signed in at, removed."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from playwright.async_api import Page
from pydantic import AnyHttpUrl
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, expect, in_browser_loop, violations
from tests.mcp.test_remote import Gate
from tests.mcp.workshop import serve

pytestmark = in_browser_loop

SERVERS = Path(__file__).parents[1] / "mcp" / "servers.py"
PLAIN = {"command": sys.executable, "args": [str(SERVERS), "plain"]}
OFF = {"url": "http://127.0.0.1:1/mcp", "enabled": False}
FAR = {"url": "http://127.0.0.1:1/mcp", "auth": "oauth"}
SETTINGS = {"mcp": {"servers": {"plain": PLAIN, "resting": OFF, "far": FAR}}}
SHOP = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/stock": {
            "get": {"operationId": "stock", "summary": "What is there", "responses": {"200": {"description": ""}}}
        }
    },
}


@asynccontextmanager
async def shop() -> AsyncIterator[str]:
    """The address of an API that describes itself."""

    async def document(request: web.Request) -> web.Response:
        return web.json_response(SHOP)

    app = web.Application()
    app.router.add_get("/openapi.json", document)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/openapi.json"
    await runner.cleanup()


async def add(page: Page, *, kind: str, url: str, name: str) -> None:
    await page.get_by_label("Kind").select_option(kind)
    await page.get_by_label("Address").fill(url)
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_role("button", name="Add and look").click()


async def test_a_server_is_added_tested_and_removed(visiting: Visiting) -> None:
    async with shop() as address, visiting(settings=SETTINGS, at="/tools") as visit:
        page = visit.page
        plain = page.get_by_role("listitem", name="plain")
        await expect(plain).to_contain_text("from the settings")
        await plain.get_by_role("button", name="Test plain").click()
        await expect(plain).to_contain_text("Running")
        await expect(plain.get_by_role("button", name="Remove plain")).to_have_count(0)
        await expect(page.get_by_role("listitem", name="resting")).to_contain_text("switch it on there")

        await page.get_by_text("Add a server at an address").click()
        await add(page, kind="openapi", url=address, name="shop")
        there = page.get_by_role("listitem", name="shop")
        await expect(there).to_contain_text("1 tool")
        await expect(page.get_by_label("Address")).to_have_value("")
        await add(page, kind="mcp", url=address, name="shop")
        await expect(page.get_by_text("There is a tool server called 'shop' already.")).to_be_visible()
        await there.get_by_role("button", name="Remove shop").click()
        await page.get_by_role("button", name="Remove", exact=True).click()
        await expect(there).to_have_count(0)


async def test_signing_in_leads_there_and_back(visiting: Visiting, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    auth = AuthSettings(
        issuer_url=AnyHttpUrl(url),
        resource_server_url=AnyHttpUrl(f"{url}/mcp"),
        client_registration_options=ClientRegistrationOptions(enabled=True),
        validate_token_resource=False,
    )
    safe = MCPServer("safe", auth_server_provider=Gate(), auth=auth)
    async with serve(safe.streamable_http_app(), unused_tcp_port), visiting(settings=SETTINGS, at="/tools") as visit:
        page = visit.page
        far = page.get_by_role("listitem", name="far")
        await far.get_by_role("button", name="Sign in").click()
        await expect(page.locator(".toast")).to_be_visible()
        await page.get_by_text("Add a server at an address").click()
        await add(page, kind="oauth", url=f"{url}/mcp", name="safe")
        there = page.get_by_role("listitem", name="safe")
        await there.get_by_role("button", name="Sign in").click()
        await there.get_by_role("link", name="Go on at 127.0.0.1").click()
        await expect(there.get_by_role("button", name="Sign in")).to_be_visible()
        assert page.url == visit.portal.url + "/tools"
        await there.get_by_role("button", name="Test safe").click()
        await expect(there).to_contain_text("Running")


@pytest.mark.parametrize(
    ("size", "theme", "language"),
    [
        pytest.param(WIDE, "dark", "en", id="wide-dark-en", marks=IN_FULL),
        pytest.param(NARROW, "light", "de", id="narrow-light-de"),
    ],
)
async def test_it_fits_and_satisfies_axe(
    visiting: Visiting, size: tuple[int, int], theme: Theme, language: str
) -> None:
    async with visiting(settings=SETTINGS, size=size, theme=theme, at=None) as visit:
        page = visit.page
        async with aiohttp.ClientSession(headers=visit.portal.headers) as client:
            await client.put(visit.portal.url + "/portal/v1/preferences", json={"language": language})
        await page.goto(visit.portal.url + "/tools")
        await page.locator("details > summary").last.click()
        await expect(page.get_by_role("listitem", name="far")).to_be_visible()
        assert await violations(page) == []
        assert await page.evaluate("document.querySelector('.page').scrollWidth") <= size[0]


async def test_one_that_comes_with_portal_is_added_with_one_click(visiting: Visiting) -> None:
    async with visiting(at="/tools") as visit:
        page = visit.page
        await page.get_by_text("Add one that comes with Portal").click()
        offered = page.get_by_role("listitem", name="time").last
        await expect(offered).to_contain_text("What time it is anywhere")
        assert await violations(page) == []
        await offered.get_by_role("button", name="Add time").click()
        there = page.get_by_role("listitem", name="time").first
        await expect(there).to_contain_text("2 tools")
        await expect(offered).to_contain_text("added as time")
        await expect(page.get_by_role("button", name="Add time")).to_have_count(0)
        await there.get_by_role("button", name="Remove time").click()
        await page.get_by_role("button", name="Remove", exact=True).click()
        await expect(page.get_by_role("button", name="Add time")).to_be_visible()
