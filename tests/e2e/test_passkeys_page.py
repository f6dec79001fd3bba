"""Passkeys with Chromium's own virtual authenticator: added, signed in with, replayed, forged, deleted."""

import json
from typing import Any

import aiohttp
from playwright.async_api import Page
from tests.e2e.browser import Visiting, composer, expect, in_browser_loop, violations

pytestmark = in_browser_loop


async def authenticator(page: Page) -> Any:
    """A device with a fingerprint reader that always knows its user."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


async def test_a_passkey_signs_in_once_for_each_answer(visiting: Visiting) -> None:
    async with visiting(at=None) as visit:
        page = visit.page
        url = visit.portal.url.replace("127.0.0.1", "localhost")
        link = (await visit.portal.sign_in_link()).replace("127.0.0.1", "localhost")
        await page.goto(link)
        await expect(composer(page)).to_be_visible()
        await authenticator(page)
        await page.goto(f"{url}/settings/sign-in")
        await page.get_by_label("Name of the device").fill("laptop")
        await page.get_by_role("button", name="Add a passkey").click()
        await expect(page.get_by_role("button", name="Delete the passkey laptop")).to_be_visible()
        assert await violations(page) == []
        await page.goto(f"{url}/settings/devices")
        await page.get_by_role("button", name="Sign out of this browser").click()
        sent: list[str] = []
        page.on("request", lambda one: sent.append(one.post_data or "") if one.url.endswith("/sign-in/passkey") else 0)
        await page.get_by_role("button", name="Sign in with a passkey").click()
        await expect(page.get_by_role("heading", name="Devices")).to_be_visible()

        (answer,) = map(json.loads, sent)
        async with aiohttp.ClientSession(url, headers={"Origin": url}) as client:

            async def status(body: Any) -> int:
                async with client.post("/sign-in/passkey", json=body) as reply:
                    return reply.status

            async def fresh() -> str:
                async with client.post("/sign-in/passkey/options", json={}) as reply:
                    return str((await reply.json())["token"])

            assert await status(answer) == 401  # replayed
            assert await status({**answer, "token": await fresh()}) == 401  # another challenge's answer
            unknown = {**answer["credential"], "id": "bm9uZQ", "rawId": "bm9uZQ"}
            assert await status({"token": await fresh(), "credential": unknown}) == 401
            assert await status({"token": await fresh(), "credential": {"id": answer["credential"]["id"]}}) == 401

        await page.goto(f"{url}/settings/sign-in")
        await page.get_by_role("button", name="Delete the passkey laptop").click()
        await expect(page.get_by_role("button", name="Delete the passkey laptop")).to_have_count(0)
        await page.goto(f"{url}/settings/devices")
        await page.get_by_role("button", name="Sign out of this browser").click()
        await expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
        await expect(page.get_by_role("button", name="Sign in with a passkey")).to_have_count(0)
