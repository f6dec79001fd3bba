"""Sharing on the page: a link made from the palette, read in a browser that is nobody's, ended."""

import pytest
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, expect, in_browser_loop, violations

from portal.backends.scripted import ScriptedBackend

pytestmark = in_browser_loop


@pytest.mark.parametrize(("size", "theme"), [pytest.param(WIDE, "light", marks=IN_FULL), (NARROW, "dark")])
async def test_whoever_has_the_link_reads(visiting: Visiting, size: tuple[int, int], theme: Theme) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.answer("An **answer** with ![a picture](https://pictures.example/a.png) and `code`")
    settings = {"people": {"sharing": True}}
    async with visiting(backend=backend, settings=settings, size=size, theme=theme) as visit:
        page = visit.page
        await visit.ask("What about tea?")
        await expect(page.locator(".answer .md").last).to_contain_text("An answer")
        await page.keyboard.press("Control+k")
        await page.locator("dialog input").fill("Share by")
        await page.get_by_role("option", name="Share by a link").click()
        await page.get_by_role("button", name="Make a link").click()
        link = await page.locator("dialog .copy-line code").inner_text()
        assert await violations(page) == []

        context = await visit.browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
        visit.contexts.append(context)
        theirs = await context.new_page()
        hosts: set[str] = set()
        theirs.on("request", lambda one: hosts.add(one.url.split("/")[2]))
        await theirs.goto(link)
        await expect(theirs.get_by_text("What about tea?").last).to_be_visible()
        await expect(theirs.locator("strong")).to_have_text("answer")
        assert await violations(theirs) == []
        assert await theirs.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert hosts == {visit.portal.url.split("/")[2]}

        await page.get_by_role("button", name="Stop sharing").click()
        await expect(page.get_by_role("button", name="Make a link")).to_be_visible()
        await theirs.reload()
        await expect(theirs.get_by_role("heading", name="Nothing here")).to_be_visible()
        assert await violations(theirs) == []
