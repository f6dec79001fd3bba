"""The page for everyone: axe-core finds nothing, nothing is wider than the screen, focus goes where it should."""

import asyncio

import pytest
from tests.e2e.browser import (
    IN_FULL,
    MIDDLE,
    NARROW,
    WIDE,
    Theme,
    Visiting,
    composer,
    expect,
    in_browser_loop,
    violations,
)

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ReasoningDelta, TextDelta
from portal.errors import BackendUnavailable

pytestmark = in_browser_loop

LONG = """## A heading

1. One
2. Two

| Name | Value | Remark |
|---|---|---|
| First | 1 | a longer remark that needs room |

```python
def f(argument: int) -> str:  # a comment that is much longer than any narrow screen could ever show in one line
    return str(argument)
```

> Quoted, with `code` and a [link](https://example.com). $a^2 + b^2 = c^2$
"""


@pytest.mark.parametrize(
    ("size", "theme"),
    [
        pytest.param(WIDE, "light", id="wide-light", marks=IN_FULL),
        pytest.param(NARROW, "dark", id="narrow-dark"),
        pytest.param(WIDE, "dark", id="wide-dark", marks=IN_FULL),
        pytest.param(NARROW, "light", id="narrow-light", marks=IN_FULL),
    ],
)
async def test_a_conversation_is_accessible_and_fits(visiting: Visiting, size: tuple[int, int], theme: Theme) -> None:
    backend = ScriptedBackend(models=["tiny"])
    gate = asyncio.Event()
    backend.script(ReasoningDelta("Thinking it over."), TextDelta(LONG))
    backend.script(BackendUnavailable("The model server is not running."))
    backend.script(TextDelta("Half "), gate)
    async with visiting(backend=backend, size=size, theme=theme) as visit:
        page = visit.page
        found = {"empty": await violations(page)}
        await visit.ask("Show me everything")
        await expect(page.locator("math")).to_have_count(1)
        await expect(page.locator(".hljs-keyword").first).to_be_visible()
        await page.locator(".reasoning > summary").click()
        found["answer"] = await violations(page)
        await visit.ask("And fail")
        await expect(page.get_by_role("alert")).to_be_visible()
        found["failure"] = await violations(page)
        await page.get_by_role("button", name="Edit question").last.click()
        found["editing"] = await violations(page)
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="More", exact=True).last.click()
        found["menu"] = await violations(page)
        await page.get_by_role("menuitem", name="Raw response").click()
        await expect(page.locator(".inspector .code")).to_be_visible()
        found["inspector"] = await violations(page)
        await page.get_by_role("button", name="Close details").click()
        await page.get_by_role("button", name="Choose a model").click()
        found["picker"] = await violations(page)
        await page.keyboard.press("Escape")
        await visit.ask("Stream")
        await expect(page.locator(".answer .md").last).to_have_text("Half")
        found["streaming"] = await violations(page)
        gate.set()
        assert {state: each for state, each in found.items() if each} == {}
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert (
            await page.evaluate(
                "document.querySelector('.turns').scrollWidth - document.querySelector('.turns').clientWidth"
            )
            <= 0
        )


async def test_touch_targets_are_large_and_the_drawer_gives_focus_back(visiting: Visiting) -> None:
    async with visiting(size=NARROW, has_touch=True, is_mobile=True) as visit:
        page = visit.page
        visit.backend.answer("Answer.")
        await visit.ask("Question")
        await expect(page.get_by_role("button", name="Copy answer")).to_be_visible()
        small = await page.evaluate(
            """() => [...document.querySelectorAll("button, a[href], summary")]
                .filter((each) => each.checkVisibility() && !each.closest(".md, .skip"))
                .filter((each) => each.getBoundingClientRect().height < 44)
                .map((each) => each.outerHTML.slice(0, 100))"""
        )
        assert small == []
        opener = page.get_by_role("button", name="Show the conversation list")
        await opener.click()
        drawer = page.get_by_role("dialog")
        await expect(drawer.get_by_role("link", name="Question")).to_be_visible()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        await expect(drawer).to_have_count(0)
        await expect(opener).to_be_focused()


async def test_a_middle_window_shows_the_inspector_as_a_sheet(visiting: Visiting) -> None:
    async with visiting(size=MIDDLE) as visit:
        page = visit.page
        visit.backend.answer("Answer.")
        await visit.ask("Question")
        await page.get_by_role("button", name="Answered by tiny").click()
        await expect(page.get_by_role("dialog", name="Details")).to_contain_text("Asked for")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_role("button", name="Answered by tiny")).to_be_focused()


async def test_escape_closes_the_inspector_before_it_stops_an_answer(visiting: Visiting) -> None:
    async with visiting() as visit:
        page, gate = visit.page, asyncio.Event()
        visit.backend.answer("Answer.")
        visit.backend.script(TextDelta("Half"), gate)
        await visit.ask("Question")
        chip = page.get_by_role("button", name="Answered by tiny")
        await chip.click()
        pane = page.get_by_role("complementary", name="Details")
        await expect(pane).to_contain_text("Asked for")
        await page.keyboard.press("Escape")
        await expect(pane).to_have_count(0)
        await expect(chip).to_be_focused()
        await visit.ask("More")
        await expect(page.locator(".answer .md").last).to_have_text("Half")
        await chip.first.click()
        await page.keyboard.press("Escape")
        await expect(pane).to_have_count(0)
        assert visit.backend.running == 1
        await page.keyboard.press("Escape")
        await expect(page.get_by_text("Stopped. What was written stays.")).to_be_visible()
        gate.set()


async def test_the_first_tab_stop_skips_to_the_conversation(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await expect(composer(page)).to_be_focused()
        await page.get_by_role("link", name="Skip to the conversation").focus()
        await expect(page.get_by_role("link", name="Skip to the conversation")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("main")).to_be_focused()
        await expect(composer(page)).to_be_visible()


async def test_an_answer_is_read_out_by_sentence(visiting: Visiting) -> None:
    gate = asyncio.Event()
    backend = ScriptedBackend(models=["tiny"])
    backend.script(TextDelta("One sentence. And a"), gate, TextDelta("nother one."))
    async with visiting(backend=backend) as visit:
        spoken = visit.page.locator("[aria-live=polite]")
        await visit.ask("Speak")
        await expect(spoken).to_have_text("One sentence.")
        gate.set()
        await expect(spoken).to_have_text("And another one.")
