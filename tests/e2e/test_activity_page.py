"""Activity and usage on the page: how Portal is, what happened, how much is logged, what was used."""

import logging
from collections.abc import Iterator
from random import Random

import pytest
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, expect, in_browser_loop, violations

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.clock import micros
from portal.testing.portal import TestPortal
from portal.testing.records import STRANGER, usage, user

pytestmark = in_browser_loop
DAY = 86_400_000_000
WIDTH = "Math.max(document.documentElement.scrollWidth, document.querySelector('.page')?.scrollWidth ?? 0)"


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


async def some_usage(portal: TestPortal) -> None:
    await portal.portal.storage.people.add(user(id=STRANGER, name="Ada"))
    rolled = Random(1)
    for ago in range(20):
        for owner, model in ((portal.owner, "qwen3:8b"), (STRANGER, "gemma3:27b")):
            call = usage(
                owner=owner,
                model=model,
                created_at=micros() - ago * DAY,
                input_tokens=rolled.randint(100, 9000),
                output_tokens=rolled.randint(10, 900),
                first_milliseconds=rolled.randint(50, 900),
                status="failed" if ago == 3 else "completed",
                decision={"workspace": "auto"},
            )
            portal.portal.storage.usage.begun()
            portal.portal.storage.usage.record(call)


@pytest.mark.parametrize(("size", "theme"), [pytest.param(WIDE, "light", marks=IN_FULL), (NARROW, "dark")])
async def test_those_who_run_it_see_how_it_is(visiting: Visiting, size: tuple[int, int], theme: Theme) -> None:
    async with visiting(
        backend=ScriptedBackend(models=["tiny"], default=echo), size=size, theme=theme, at=None
    ) as visit:
        page, url = visit.page, visit.portal.url
        logging.getLogger().setLevel(logging.INFO)
        await page.goto(f"{url}/activity")
        await expect(page.get_by_text("Model calls under way")).to_be_visible()
        await expect(page.locator(".card", has_text="scripted")).to_contain_text("0 calls run")
        assert await violations(page) == []
        assert await page.evaluate(WIDTH) <= size[0]

        await page.get_by_role("link", name="Log", exact=True).click()
        await page.get_by_label("Only this part").fill("portal.routing")
        await page.get_by_role("button", name="Change").click()
        await expect(page.locator(".line", has_text="portal.routing")).to_contain_text("debug")
        assert await violations(page) == []
        assert await page.evaluate(WIDTH) <= size[0]

        logging.getLogger("portal.x").warning("ollama is down", extra={"event": "backend"})
        await page.get_by_role("link", name="Events").click()
        events = page.get_by_role("list", name="Events")
        await expect(events.get_by_text("changed: PUT /portal/v1/log")).to_be_visible()
        await page.get_by_label("Kind").select_option("backend")
        await expect(events.locator("li").first).to_contain_text("ollama is down")
        logging.getLogger("portal.x").info("ollama is up", extra={"event": "backend"})  # the page hears of it
        await expect(events.locator("li").first).to_contain_text("ollama is up")
        assert await violations(page) == []
        await page.get_by_label("Words").fill("no such thing")
        await expect(page.get_by_text("Nothing like it happened.")).to_be_visible()
        assert await page.evaluate(WIDTH) <= size[0]
        logging.getLogger("portal.routing").setLevel(logging.NOTSET)


@pytest.mark.parametrize(("size", "theme"), [pytest.param(WIDE, "dark", marks=IN_FULL), (NARROW, "light")])
async def test_usage_has_charts_and_tables(visiting: Visiting, size: tuple[int, int], theme: Theme) -> None:
    async with visiting(
        backend=ScriptedBackend(models=["tiny"], default=echo), size=size, theme=theme, at=None
    ) as visit:
        page = visit.page
        await some_usage(visit.portal)
        await page.goto(f"{visit.portal.url}/settings/usage")
        await expect(page.get_by_role("img", name="Tokens of each day")).to_be_visible()
        models = page.get_by_role("group", name="By model")
        await expect(models.get_by_role("row", name="qwen3:8b")).to_be_visible()
        await expect(page.get_by_text("gemma3:27b")).to_have_count(0)

        await page.get_by_label("Whose").select_option("true")
        await expect(page.get_by_role("group", name="By person").get_by_role("row", name="Ada")).to_be_visible()
        await page.get_by_label("Shown").select_option("failures")
        await expect(page.get_by_role("img", name="Failures of each day")).to_be_visible()
        assert await violations(page) == []
        assert await page.evaluate(WIDTH) <= size[0]
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="Download").click()
        download = await downloading.value
        assert download.suggested_filename == "portal-usage.csv"
        assert "gemma3:27b" in (await download.path()).read_text(encoding="utf-8")
