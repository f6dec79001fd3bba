"""A plan on the page: one card that changes while its steps are done, through an approval, and folds away later."""

from typing import Any

import pytest
from playwright.async_api import Locator, Page
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visit, Visiting, expect, in_browser_loop, violations
from tests.e2e.tool_desk import STEPS, Desk, able, calls, change, done, planned

from portal.core.model import TextDelta
from portal.tools.tasks import Tasks

pytestmark = in_browser_loop

WORK = "What changed this week? Draw a chart of it and save it as a note."


def toolsets(desk: Desk) -> list[Any]:
    return [*desk.toolsets(), Tasks()]


def steps(page: Page) -> Locator:
    return page.locator("details.plan").last.get_by_role("listitem")


async def begun(visit: Visit) -> None:
    """Two steps are done, and the third waits for a yes."""
    for answer in planned():
        visit.backend.script(*answer)
    await visit.page.goto(f"{visit.portal.url}/?model=auto")
    await visit.ask(WORK)
    await expect(visit.page.get_by_role("region", name="Allow write_note?")).to_be_visible()


async def test_a_plan_is_ticked_off_as_its_steps_are_done(visiting: Visiting) -> None:
    desk = Desk()
    async with visiting(backend=able(), toolsets=toolsets(desk)) as visit:
        page, backend = visit.page, visit.backend
        await begun(visit)
        plan = page.locator("details.plan")
        await expect(plan).to_have_count(1)
        await expect(plan).to_contain_text("2 of 4 done")
        await expect(steps(page)).to_contain_text([STEPS[0], STEPS[1], "waits for you", "(not begun)"])
        await expect(steps(page).first).to_contain_text("7 commits, 3 of them large · 1 call")
        await expect(page.locator("details.tool")).to_have_count(2)

        backend.script(*calls(done(3), change("wait_long")))
        await page.get_by_role("button", name="Allow once").click()
        await expect(steps(page).nth(3)).to_contain_text("(under way)")
        await expect(page.locator("[aria-live]", has_text=f"Step 4 of 4: {STEPS[3]}")).to_have_count(1)
        await expect(page.locator('[aria-current="step"]')).to_contain_text(STEPS[3])
        backend.script(*calls(done(4, "Printed")))
        backend.script(TextDelta("There it is."))
        desk.gate.set()
        await expect(plan).to_contain_text("4 of 4 done")
        await expect(page.locator(".answer").get_by_text("There it is.", exact=True)).to_be_visible()
        await expect(plan).to_have_count(1)
        assert [path for path, *_ in desk.done] == ["chart.md"]

        await page.reload()
        await expect(plan).to_contain_text("4 of 4 done")
        await plan.locator("summary").focus()
        await page.keyboard.press("Enter")
        await expect(steps(page).first).to_be_hidden()

        backend.script(*calls(change("update_plan", step=4, status="doing"), change("break_down")))
        backend.script(*calls(change("update_plan", step=4, status="failed", note="no paper"), done(9)))
        backend.script(TextDelta("There is no paper."))
        await visit.ask("Print it again")
        await expect(page.locator(".answer").get_by_text("There is no paper.", exact=True)).to_be_visible()
        await expect(plan).to_have_count(2)
        await expect(plan.first).not_to_have_attribute("open", "")
        await expect(steps(page).nth(3)).to_contain_text("failed · no paper")
        await expect(page.locator("details.tool", has_text="update_plan")).to_contain_text("failed")


async def test_a_plan_that_was_stopped_says_where(visiting: Visiting) -> None:
    async with visiting(backend=able(), toolsets=toolsets(Desk())) as visit:
        page = visit.page
        visit.backend.script(*calls(change("make_plan", steps=["Wait", "Draw"])))
        visit.backend.script(*calls(change("wait_long")))
        await page.goto(f"{visit.portal.url}/?model=auto")
        await visit.ask(WORK)
        await expect(steps(page).first).to_contain_text("(under way)")
        await expect(page.locator("details", has_text="wait_long")).to_contain_text("half way there")
        await page.keyboard.press("Escape")
        await expect(steps(page).first).to_contain_text("stopped here")


@pytest.mark.parametrize(
    ("size", "theme", "language"),
    [
        pytest.param(WIDE, "light", "en", id="wide-light", marks=IN_FULL),
        pytest.param(NARROW, "dark", "de", id="narrow-dark-german"),
    ],
)
async def test_it_fits_and_satisfies_axe(
    visiting: Visiting, size: tuple[int, int], theme: Theme, language: str
) -> None:
    async with visiting(backend=able(), toolsets=toolsets(Desk()), size=size, theme=theme) as visit:
        page = visit.page
        await begun(visit)
        await page.evaluate("language => localStorage.setItem('portal:language', language)", language)
        await page.reload()
        await expect(steps(page)).to_have_count(len(STEPS))
        assert await violations(page) == []
        assert await page.evaluate("document.querySelector('.turns').scrollWidth") <= size[0]
