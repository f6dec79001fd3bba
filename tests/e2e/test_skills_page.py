"""The view of skills: installed after a look, from an archive, a folder or a git repository; looked into, removed."""

import shutil
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Page
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, expect, in_browser_loop, violations

pytestmark = in_browser_loop

EXAMPLE = Path(__file__).parents[1] / "fixtures/skills/tide-tables"


async def choose(page: Page, label: str, path: Path) -> None:
    async with page.expect_file_chooser() as chooser:
        await page.get_by_role("button", name=label).click()
    await (await chooser.value).set_files(path)


async def test_an_archive_is_looked_into_and_installed_and_a_skill_removed(visiting: Visiting, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "skills"), "zip", EXAMPLE.parent))
    async with visiting(at="/tools") as visit:
        page = visit.page
        await page.get_by_role("link", name="Skills").click()
        await expect(page.get_by_text("There are no skills yet.")).to_be_visible()
        await page.get_by_text("Install skills").click()
        await choose(page, "An archive", archive)
        seen = page.get_by_role("region", name="tide-tables")
        await seen.get_by_text("What it says and contains").click()
        await expect(seen).to_contain_text("scripts/table.py")
        await expect(seen.get_by_role("heading", name="Tide tables")).to_be_visible()
        assert not (visit.portal.portal.settings.data_dir / "skills/tide-tables").exists()
        await seen.get_by_role("checkbox").uncheck()
        await expect(page.get_by_role("button", name="Install", exact=True)).to_be_disabled()
        await seen.get_by_role("checkbox").check()
        await page.get_by_role("button", name="Install", exact=True).click()

        there = page.get_by_role("listitem", name="tide-tables")
        await expect(there).to_contain_text("a stranger’s words")
        await there.get_by_text("What it says and contains").click()
        await expect(there).to_contain_text("scripts/say.sh")
        assert (visit.portal.portal.settings.data_dir / "skills/tide-tables/SKILL.md").is_file()
        files = (await visit.portal.portal.storage.files.list(visit.portal.owner)).data
        assert files == [], "what was uploaded to be looked into is gone"
        await there.get_by_role("button", name="Remove tide-tables").click()
        await page.get_by_role("button", name="Remove", exact=True).click()
        await expect(page.get_by_text("There are no skills yet.")).to_be_visible()


async def test_a_folder_of_this_computer(visiting: Visiting, tmp_path: Path) -> None:
    deep = "a-rather-long-name-of-a-folder-" * 3
    shutil.copytree(EXAMPLE, tmp_path / "mine/tide-tables")
    (tmp_path / "mine/tide-tables" / deep).mkdir()
    (tmp_path / "mine/tide-tables" / deep / "note.txt").write_text("deep down")
    async with visiting(at="/skills") as visit:
        page = visit.page
        await page.get_by_text("Install skills").click()
        await choose(page, "A folder", tmp_path / "mine")
        await page.get_by_role("button", name="Install", exact=True).click()
        await expect(page.get_by_role("listitem", name="tide-tables")).to_be_visible()
        home = visit.portal.portal.settings.data_dir / "skills/tide-tables"
        assert (home / deep / "note.txt").read_text() == "deep down"
        for path in ("SKILL.md", "scripts/table.py"):
            assert (home / path).read_bytes() == (EXAMPLE / path).read_bytes()

        await choose(page, "A folder", tmp_path / "mine")
        await expect(page.get_by_text("replaces one")).to_be_visible()
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_text("replaces one")).to_have_count(0)


async def test_an_address_that_may_not_be_reached_is_told(visiting: Visiting) -> None:
    async with visiting(settings={"skills": {"folders": [str(EXAMPLE.parent)]}}, at="/skills") as visit:
        page = visit.page
        there = page.get_by_role("listitem", name="tide-tables")
        await expect(there).to_contain_text("In a folder of the settings")
        await expect(there.get_by_role("button", name="Remove tide-tables")).to_have_count(0)
        await page.get_by_text("Install skills").click()
        await page.get_by_label("Or the address of a git repository").fill("http://127.0.0.1/skills.git")
        await page.get_by_role("button", name="Look inside").click()
        await expect(page.get_by_text("is not a public address")).to_be_visible()


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
    async with visiting(
        settings={"skills": {"folders": [str(EXAMPLE.parent)]}}, size=size, theme=theme, at=None
    ) as visit:
        page = visit.page
        async with aiohttp.ClientSession(headers=visit.portal.headers) as client:
            await client.put(visit.portal.url + "/portal/v1/preferences", json={"language": language})
        await page.goto(visit.portal.url + "/skills")
        await page.locator("li details > summary").click()
        await page.locator("details.card > summary").click()
        await expect(page.get_by_role("heading", name="Tide tables")).to_be_visible()
        assert await violations(page) == []
        assert await page.evaluate("document.querySelector('.page').scrollWidth") <= size[0]
