"""Where the time went, on the page: slow and failed turns are found with their causes, by their owner and by admins."""

import asyncio
from collections.abc import Sequence

import aiohttp
import pytest
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, expect, in_browser_loop, violations

from portal.backends.scripted import ScriptedBackend, Step, echo
from portal.core.model import ModelRequest, TextDelta, ToolCallDelta
from portal.errors import BackendUnavailable
from portal.testing.records import user
from portal.tools.function import Functions, tool

pytestmark = in_browser_loop


@tool(risk="read")
async def dawdle() -> str:
    """Take a while."""
    await asyncio.sleep(0.4)
    return "at last"


def answer(request: ModelRequest) -> Sequence[Step]:
    said = str(request.messages)
    if "break" in said:
        return [BackendUnavailable("The model server is not there.")]
    if "at last" in said:
        return [TextDelta("There it is.")]
    return [ToolCallDelta(0, "c1", "dawdle", "{}")]


@pytest.mark.parametrize(("size", "theme"), [pytest.param(WIDE, "light", marks=IN_FULL), (NARROW, "dark")])
async def test_a_slow_turn_and_a_failed_one_are_found_with_their_causes(
    visiting: Visiting, size: tuple[int, int], theme: Theme
) -> None:
    backend = ScriptedBackend(models=["tiny"], default=answer)
    async with visiting(backend=backend, toolsets=[Functions("desk", [dawdle])], size=size, theme=theme) as visit:
        page, url = visit.page, visit.portal.url
        await visit.post("/v1/responses", {"model": "auto", "input": "Be slow."})
        with pytest.raises(aiohttp.ClientResponseError):
            await visit.post("/v1/responses", {"model": "tiny", "input": "break"})
        await page.goto(f"{url}/activity/turns")
        lines = page.locator(".turn-line")
        await expect(lines.first).to_contain_text("auto → tiny")
        await expect(lines).to_have_count(2)
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0

        await lines.first.press("Enter")
        await expect(page.get_by_text("Most of it:")).to_be_visible()
        await expect(page.locator(".waterfall")).to_contain_text("Tool dawdle")
        row = page.get_by_role("button", name="Model tiny").first
        await row.press("Enter")
        await expect(page.get_by_text("First word after")).to_be_visible()
        assert await violations(page) == []
        await page.get_by_role("button", name="Close").first.press("Enter")

        await page.get_by_role("combobox", name="Show").select_option("failed")
        await expect(lines).to_have_count(1)
        await expect(lines.first).to_contain_text("The model server is not there.")
        await lines.first.click()
        await expect(page.locator(".waterfall .bad", has_text="Model tiny")).to_be_visible()
        assert await violations(page) == []

        if size == WIDE:
            await page.get_by_role("link", name="Events").click()
            await expect(page.locator(".waterfall")).to_have_count(0)


async def test_by_the_page_alone_one_sees_why_another_persons_turn_was_slow(visiting: Visiting) -> None:
    """Its cause is a model server that takes one call at a time, and had another."""
    goes_on, box = asyncio.Event(), ScriptedBackend(models=["lone"], name="box")
    box.script(goes_on, TextDelta("First."))
    box.answer("Second.")
    async with visiting(backend=ScriptedBackend(models=["tiny"], default=echo)) as visit:
        portal = visit.portal.portal
        portal.models.add(box, max_concurrency=1)
        await portal.models.refresh()
        await portal.storage.people.add(user(id="user_ada", name="Ada"))
        _, key = await portal.credentials.create_key("user_ada", "laptop")

        async def queued(calls: int) -> None:
            async with asyncio.timeout(20):
                while sum(one.running + one.queued for one in portal.models.status()) < calls:
                    await asyncio.sleep(0.01)

        async def of_ada() -> None:
            turn = {"model": "lone", "input": "Be slow."}
            async with (
                aiohttp.ClientSession(visit.portal.url, headers={"Authorization": f"Bearer {key}"}) as client,
                client.post("/v1/responses", json=turn) as answer,
            ):
                assert (await answer.json())["status"] == "completed"

        async with asyncio.TaskGroup() as group:
            group.create_task(visit.post("/v1/responses", {"model": "lone", "input": "Be first."}))
            await queued(1)
            group.create_task(of_ada())
            await queued(2)
            await asyncio.sleep(0.5)
            goes_on.set()
        for number in range(3):
            await visit.post("/v1/responses", {"model": "tiny", "input": f"Quickly {number}"})

        page = visit.page
        await page.get_by_role("link", name="Activity", exact=True).click()
        await page.get_by_role("link", name="Turns", exact=True).click()
        line = page.locator(".turn-line", has_text="Ada")
        await expect(line).to_contain_text("lone")
        await line.press("Enter")
        await expect(page.locator(".turn-most")).to_contain_text("Waiting its turn at box")
        await page.get_by_role("button", name="Model lone").press("Enter")
        await expect(page.locator(".span-more")).to_contain_text("Waited its turn")
        assert await violations(page) == []


async def test_everybody_sees_where_the_time_of_an_answer_went(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"], default=answer)
    async with visiting(backend=backend, toolsets=[Functions("desk", [dawdle])]) as visit:
        page = visit.page
        await visit.ask("Be slow.")
        await expect(page.get_by_text("There it is.").first).to_be_visible()
        await page.locator(".facts-line button").first.click()
        await page.get_by_role("button", name="Where the time went").click()
        await expect(page.get_by_text("Most of it:")).to_be_visible()
        assert await violations(page) == []
