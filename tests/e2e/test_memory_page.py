"""Memory on the page: said in a chat, used, corrected and forgotten there; managed in its own view."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.async_api import Page
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visit, Visiting, expect, in_browser_loop, violations

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.memories import MemoryRecord
from portal.core.model import ModelRequest, TextDelta

pytestmark = in_browser_loop

WIDTH = "Math.max(document.documentElement.scrollWidth, document.querySelector('.page')?.scrollWidth ?? 0)"
TOLD = ("I am allergic to nuts", "I prefer short answers", "We moved to Bergen in March 2024")


def answer(request: ModelRequest) -> Sequence[Step]:
    return [TextDelta("As you say.")]


async def remember(visit: Visit, *texts: str) -> None:
    for text in texts:
        await visit.post("/portal/v1/memories", {"text": text})


async def go(visit: Visit) -> Page:
    await visit.page.goto(visit.portal.url + "/memory")
    await expect(visit.page.get_by_role("region", name="Memories")).to_be_visible()
    return visit.page


async def test_what_is_said_in_a_chat_is_kept_used_corrected_and_forgotten(visiting: Visiting) -> None:
    async with visiting(backend=ScriptedBackend(models=["tiny"], default=answer), at="/?model=auto") as visit:
        page = visit.page
        await visit.ask("Remember that I am allergic to nuts")
        await expect(page.get_by_text("Saved to memory")).to_be_visible()
        await visit.ask("What am I allergic to?")
        await page.get_by_text("Used 1 memory").click()
        used = page.locator(".fold-body li.memory")
        await used.get_by_role("button", name="Edit: I am allergic to nuts").click()
        await page.get_by_role("textbox", name="What to remember").fill("I am allergic to peanuts")
        await page.keyboard.press("Enter")
        await expect(used).to_contain_text("I am allergic to peanuts")

        other = await visit.another(at="/memory")
        kept = other.locator("li.memory")
        await expect(kept).to_contain_text("peanuts")
        await kept.get_by_role("button", name="What to do with").click()
        await other.get_by_role("menuitem", name="Earlier wordings").click()
        await expect(other.get_by_role("group", name="Earlier wordings")).to_contain_text("I am allergic to nuts")
        await kept.get_by_role("button", name="What to do with").click()
        await other.get_by_role("menuitem", name="Where it was said").click()
        await expect(other.get_by_text("As you say.").first).to_be_visible()

        await used.get_by_role("button", name="What to do with").click()
        await page.get_by_role("menuitem", name="Forget").click()
        await expect(page.get_by_text("1 has been forgotten since.")).to_be_visible()
        await other.goto(visit.portal.url + "/memory")
        await expect(other.get_by_text("Nothing is remembered yet.")).to_be_visible()
        await page.get_by_role("button", name="Undo").click()
        await expect(other.locator("li.memory")).to_contain_text("peanuts")


async def test_memories_are_found_by_kind_and_words_and_stand_under_their_time(visiting: Visiting) -> None:
    async with visiting(at=None) as visit:
        await remember(visit, *TOLD)
        page = await go(visit)
        await expect(page.get_by_role("region", name="March 2024")).to_contain_text("Bergen")
        await expect(page.get_by_role("region", name="Today").locator("li.memory")).to_have_count(2)
        await page.get_by_role("radio", name="Preferences").check()
        await expect(page.locator("li.memory")).to_have_count(1)
        await page.get_by_role("radio", name="All").check()
        await page.get_by_role("searchbox", name="Search memories").fill("where is Bergen")
        await expect(page.locator("li.memory").first).to_contain_text("Bergen")


async def test_several_become_one_or_go_together(visiting: Visiting) -> None:
    async with visiting(at=None) as visit:
        page = await go(visit)
        field = page.get_by_role("textbox", name="Something to remember")
        for text in TOLD[:2]:
            await field.fill(text)
            await page.keyboard.press("Enter")
            await expect(page.locator("li.memory").filter(has_text=text)).to_be_visible()
        for text in TOLD[:2]:
            await page.get_by_role("checkbox", name=f"Choose: {text}").check()
        await page.get_by_role("button", name="Merge").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("textbox").fill("No nuts, and keep it short")
        await dialog.get_by_role("button", name="Merge").click()
        await expect(page.locator("li.memory")).to_have_count(1)
        await expect(page.locator("li.memory")).to_contain_text("No nuts, and keep it short")
        await page.get_by_role("checkbox", name="Choose: No nuts").check()
        await page.locator(".chosen-bar").get_by_role("button", name="Forget").click()
        await page.get_by_role("dialog").get_by_role("button", name="Forget").click()
        await expect(page.get_by_text("Nothing is remembered yet.")).to_be_visible()


async def test_proposals_count_once_they_are_accepted(visiting: Visiting) -> None:
    async with visiting(at=None) as visit:
        storage, owner = visit.portal.portal.storage, visit.portal.owner
        for number, text in enumerate(("You like tea", "You are called Nobody")):
            proposal = MemoryRecord(
                id=f"mem_{number}", owner=owner, text=text, status="proposed", created_at=number + 1, changed_at=1
            )
            await storage.memories.save(proposal)
        page = await go(visit)
        await page.get_by_role("button", name="Accept: You like tea").click()
        await page.get_by_role("button", name="Drop: You are called Nobody").click()
        await expect(page.get_by_role("heading", name="Proposed")).to_have_count(0)
        await expect(page.locator("li.memory")).to_contain_text(["You like tea"])


async def test_switches_and_moving_everything(visiting: Visiting, tmp_path: Path) -> None:
    async with visiting(at=None) as visit:
        await remember(visit, *TOLD)
        page = await go(visit)
        await page.get_by_role("button", name="More", exact=True).click()
        async with page.expect_download() as download:
            await page.get_by_role("menuitem", name="Export").click()
        kept = tmp_path / "memories.json"
        await (await download.value).save_as(kept)
        assert {one["text"] for one in json.loads(kept.read_text())["memories"]} == set(TOLD)

        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("menuitem", name="Forget everything").click()
        await page.get_by_role("dialog").get_by_role("button", name="Forget everything").click()
        await expect(page.get_by_text("3 memories forgotten")).to_be_visible()
        await expect(page.get_by_text("Nothing is remembered yet.")).to_be_visible()
        await page.locator("input[type=file]").set_input_files(kept)
        await expect(page.get_by_role("dialog", name="3 memories in this file")).to_contain_text(TOLD[1])
        await page.get_by_role("button", name="Take over").click()
        await expect(page.locator("li.memory")).to_have_count(3)

        switch = page.get_by_role("switch", name="Remember", exact=True)
        await switch.uncheck()
        await expect(page.get_by_text("Memory is off")).to_be_visible()
        await expect(page.get_by_role("switch", name="Propose memories")).to_be_disabled()
        await page.get_by_role("button", name="Turn it on").click()
        await expect(switch).to_be_checked()


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
    async with visiting(size=size, theme=theme) as visit:
        page = visit.page
        await page.evaluate(f"localStorage.setItem('portal:language', '{language}')")
        await page.goto(visit.portal.url + "/memory")
        await expect(page.get_by_role("switch").first).to_be_visible()
        found = {"empty": await violations(page)}
        await remember(visit, *TOLD)
        storage, owner = visit.portal.portal.storage, visit.portal.owner
        proposal = MemoryRecord(
            id="mem_p", owner=owner, text="A proposal", status="proposed", created_at=1, changed_at=1
        )
        await storage.memories.save(proposal)
        await page.reload()
        await expect(page.locator("li.memory")).to_have_count(3)
        await page.get_by_role("checkbox", name=TOLD[0]).check()
        await page.locator("li.memory").last.get_by_role("button").first.click()
        await expect(page.locator(".memory-edit")).to_be_visible()
        found["full"] = await violations(page)
        viewport = page.viewport_size
        assert viewport is not None
        assert await page.evaluate(WIDTH) <= viewport["width"]
        assert {state: each for state, each in found.items() if each} == {}
