"""A program is let in to `/mcp` in a real browser: the page's policy, its form and the way back."""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, expect, in_browser_loop, violations

pytestmark = in_browser_loop
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@asynccontextmanager
async def program() -> AsyncIterator[tuple[str, list[dict[str, str]]]]:
    """A program on this machine that waits for the person to come back: its address, and what it was told."""
    heard: list[dict[str, str]] = []

    async def back(request: web.Request) -> web.Response:
        heard.append(dict(request.query))
        return web.Response(text="You can close this window.")

    app = web.Application()
    app.router.add_get("/back", back)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/back", heard
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("size", "theme"), [pytest.param(WIDE, "light", marks=IN_FULL), (NARROW, "dark")])
async def test_a_person_lets_a_program_in(visiting: Visiting, size: tuple[int, int], theme: Theme) -> None:
    async with visiting(size=size, theme=theme) as visit, program() as (back, heard):
        url, page = visit.portal.url, visit.page
        async with aiohttp.ClientSession(url) as client:
            body = {"client_name": "Desk", "redirect_uris": [back]}
            async with client.post("/oauth/register", json=body) as made:
                client_id = (await made.json())["client_id"]
            query = (
                f"response_type=code&client_id={client_id}&redirect_uri={back}&state=s1"
                f"&code_challenge={CHALLENGE}&code_challenge_method=S256"
            )
            await page.goto(f"{url}/oauth/authorize?{query}")
            await expect(page.get_by_text("wants to use Portal's tools and models as you")).to_be_visible()
            assert await violations(page) == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            await page.get_by_role("button", name="Allow", exact=True).click()
            await expect(page.get_by_text("You can close this window.")).to_be_visible()
            (told,) = heard
            assert (told["state"], told["iss"]) == ("s1", url)
            form = {
                "grant_type": "authorization_code",
                "client_id": client_id,
                "code": told["code"],
                "redirect_uri": back,
                "code_verifier": VERIFIER,
            }
            async with client.post("/oauth/token", data=form) as given:
                assert given.status == 200
        await page.goto(f"{url}/settings/keys")
        await expect(page.get_by_text("Desk (MCP)")).to_be_visible()


async def test_whoever_is_not_signed_in_goes_on_afterwards(visiting: Visiting) -> None:
    async with visiting() as visit, program() as (back, _):
        url, page = visit.portal.url, visit.page
        body = {"redirect_uris": [back]}
        async with aiohttp.ClientSession(url) as client, client.post("/oauth/register", json=body) as made:
            client_id = (await made.json())["client_id"]
        query = (
            f"response_type=code&client_id={client_id}&redirect_uri={back}&state=s1"
            f"&code_challenge={CHALLENGE}&code_challenge_method=S256"
        )
        await page.context.clear_cookies()
        await page.goto(f"{url}/oauth/authorize?{query}")
        await expect(page.get_by_role("heading", name="Sign in first")).to_be_visible()
        assert await violations(page) == []
        other = await page.context.new_page()
        await other.goto(await visit.portal.sign_in_link())
        await page.get_by_role("link", name="Go on").click()
        await expect(page.get_by_role("heading", name="Let a program in?")).to_be_visible()
