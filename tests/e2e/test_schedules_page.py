"""Schedules on the page: made with a preview of their times, run, paused, followed, deleted; webhooks."""

from collections.abc import Sequence

import aiohttp
import pytest
from playwright.async_api import Page
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visit, Visiting, expect, in_browser_loop, violations
from tests.e2e.tool_desk import Desk, able, calls

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.model import ModelRequest, TextDelta

pytestmark = in_browser_loop

WIDTH = "Math.max(document.documentElement.scrollWidth, document.querySelector('.page')?.scrollWidth ?? 0)"


def answer(request: ModelRequest) -> Sequence[Step]:
    return [TextDelta("Nothing happened today.")]


def scripted() -> ScriptedBackend:
    return ScriptedBackend(models=["tiny"], default=answer)


async def go(visit: Visit, path: str = "/schedules") -> Page:
    await visit.page.goto(visit.portal.url + path)
    await expect(visit.page.locator(".page")).to_be_visible()
    return visit.page


async def make(visit: Visit, **fields: object) -> str:
    known = {"name": "News", "when": "every weekday at 8:00", "prompt": "Tell me the news", "workspace": "tiny"}
    return str((await visit.post("/portal/v1/schedules", {**known, **fields}))["id"])


async def test_one_is_made_run_and_followed(visiting: Visiting) -> None:
    async with visiting(backend=scripted(), at=None) as visit:
        page = await go(visit)
        await page.get_by_role("navigation").get_by_role("link", name="Schedules").click()
        await page.get_by_role("link", name="Look back at this week").click()
        await expect(page.get_by_label("What should be done?")).to_have_value(
            "Look back at this week’s conversations and list what is still open"
        )
        await expect(page.get_by_label("Time, interval or cron expression")).to_have_value("every Friday at 16:00")
        await page.get_by_label("Time, interval or cron expression").fill("soon")
        await expect(page.locator("#schedule-preview")).to_contain_text("is no time to run at")
        await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_role("alert")).to_contain_text("is no time to run at")
        await page.get_by_role("button", name="0 9 1 * *").click()
        await page.get_by_label("Time zone").fill("Europe/Berlin")
        await expect(page.locator("#schedule-preview li")).to_have_count(3)
        await expect(page.locator("#schedule-preview li").first).to_contain_text("9:00")
        await page.get_by_label("Name", exact=True).fill("Month")
        await page.get_by_label("Workspace or model").select_option("tiny")
        await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_role("heading", name="Month")).to_be_visible()
        await expect(page.get_by_text("It has not run yet.")).to_be_visible()

        await page.get_by_role("button", name="Run now").click()
        await expect(page.get_by_text("Month has its answer.")).to_be_visible()
        run = page.locator(".schedule-run")
        await expect(run).to_contain_text("done")
        await expect(run).to_contain_text("by hand")
        await page.get_by_role("button", name="Open", exact=True).click()
        await expect(page.get_by_text("Nothing happened today.")).to_be_visible()


async def test_one_is_changed_paused_and_deleted(visiting: Visiting) -> None:
    async with visiting(backend=scripted(), at=None) as visit:
        await make(visit)
        page = await go(visit)
        await page.get_by_role("button", name="Pause News").click()
        await expect(page.get_by_text("Paused", exact=True)).to_be_visible()
        await page.get_by_role("link", name="News Monday to Friday at").click()
        await page.locator(".notice").get_by_role("button", name="Resume").click()
        await expect(page.get_by_text("nothing begins by itself")).to_have_count(0)
        await page.get_by_label("Name", exact=True).fill("Old news")
        await page.get_by_text("More", exact=True).last.click()
        await page.get_by_label("Let all runs go on in one conversation").check()
        await page.get_by_label("Times that pass while Portal is off").select_option("skip")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", name="Old news")).to_be_visible()
        await expect(page.get_by_role("button", name="Save")).to_be_disabled()
        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("menuitem", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("Nothing runs by itself yet")).to_be_visible()


async def test_a_webhook_s_address_is_shown_once(visiting: Visiting) -> None:
    async with visiting(backend=scripted(), at=None) as visit:
        page = await go(visit, "/schedules/~new")
        await page.get_by_label("What should be done?").fill("What does this mean?")
        await page.get_by_label("Name", exact=True).fill("Builds")
        await page.get_by_label("Workspace or model").select_option("tiny")
        await page.get_by_label("When another program calls").check()
        await page.get_by_label("How the sender signs").select_option("github")
        await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_role("alert")).to_contain_text("needs the secret")
        await page.get_by_label("How the sender signs").select_option("")
        await page.get_by_role("button", name="Create").click()
        address = await page.locator(".fresh code").inner_text()
        assert address.startswith(f"{visit.portal.url}/hooks/")
        await page.locator(".fresh").get_by_role("button").last.click()
        await page.get_by_role("link", name="Builds").click()
        async with aiohttp.ClientSession() as sender, sender.post(address, json={"ok": False}) as answered:
            assert answered.status == 202
        await expect(page.locator(".schedule-run")).to_contain_text("was called")
        await expect(page.locator(".schedule-run")).to_contain_text("done")
        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("menuitem", name="New address").click()
        await page.get_by_role("dialog").get_by_role("button", name="New address").click()
        assert await page.locator(".fresh code").inner_text() != address


async def test_what_a_run_may_do_and_what_waits_for_a_person(visiting: Visiting) -> None:
    backend, desk = able(), Desk()
    backend.default = answer
    async with visiting(backend=backend, toolsets=desk.toolsets(), at=None) as visit:
        identity = await make(visit, workspace="auto")
        page = await go(visit, f"/schedules/{identity}")
        backend.script(*calls(("write_note", '{"path": "a"}')))
        await page.get_by_role("button", name="Run now").click()
        await expect(page.locator(".schedule-run").first).to_contain_text("waits for you")
        await expect(page.get_by_text("News waits for your approval.")).to_be_visible()
        await page.get_by_text("Tools it may use without asking: none").click()
        await page.get_by_label("write_note").check()
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Tools it may use without asking: 1")).to_be_visible()
        await expect(page.get_by_role("button", name="Save")).to_be_disabled()
        backend.script(*calls(("write_note", '{"path": "b"}')))
        await page.get_by_role("button", name="Run now").click()
        await expect(page.locator(".schedule-run").first).to_contain_text("done")
        assert [path for path, *_ in desk.done] == ["b"]


@pytest.mark.parametrize(("size", "theme"), [pytest.param(WIDE, "light", marks=IN_FULL), (NARROW, "dark")])
async def test_everyone_can_use_it(visiting: Visiting, size: tuple[int, int], theme: Theme) -> None:
    async with visiting(backend=scripted(), size=size, theme=theme, at=None) as visit:
        identity = await make(visit, name="A name that is far too long for one line of a phone")
        await make(visit, name="Hook", when="webhook")
        await visit.post(f"/portal/v1/schedules/{identity}/run", {})
        for path in ("/schedules", f"/schedules/{identity}", "/schedules/~new"):
            page = await go(visit, path)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            await expect(page.locator(".schedule-line, .schedule-form").first).to_be_visible()
            for fold in await page.locator(".schedule-form summary").all():
                await fold.click()
            assert await violations(page) == []
            assert await page.evaluate(WIDTH) <= size[0]
        await go(visit, "/schedules/none")
        await expect(page.locator(".notice")).to_be_visible()


async def test_it_speaks_german(visiting: Visiting) -> None:
    async with visiting(backend=scripted(), at=None) as visit:
        await make(visit)
        async with aiohttp.ClientSession(headers=visit.portal.headers) as client:
            await client.put(visit.portal.url + "/portal/v1/preferences", json={"language": "de"})
        page = await go(visit)
        await expect(page.get_by_role("heading", name="Zeitpläne")).to_be_visible()
        await expect(page.get_by_text("Nächstes Mal:")).to_be_visible()
