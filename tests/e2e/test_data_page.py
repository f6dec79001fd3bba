"""Settings > Data: what became of the last backup, one made now, and one that fails."""

from pathlib import Path

import pytest
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, expect, in_browser_loop, violations

pytestmark = in_browser_loop


@pytest.mark.parametrize(("size", "theme"), [pytest.param(WIDE, "light", marks=IN_FULL), (NARROW, "dark")])
async def test_a_backup_is_made_from_the_page(
    visiting: Visiting, size: tuple[int, int], theme: Theme, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    async with visiting(
        size=size, theme=theme, settings={"backup": {"folder": str(kept)}}, at="/settings/data"
    ) as visit:
        page = visit.page
        await expect(page.get_by_role("status").first).to_have_text("No backup was ever made.")
        assert await violations(page) == []
        await page.get_by_role("button", name="Make a backup now").click()
        await expect(page.get_by_role("list", name="Backups").get_by_role("listitem")).to_have_count(1)
        await expect(page.get_by_text("read back, and is whole")).to_be_visible()
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0

        for made in kept.iterdir():
            made.unlink()
        kept.rmdir()
        kept.write_text("in the way")
        await page.get_by_role("button", name="Make a backup now").click()
        await expect(page.get_by_role("alert").or_(page.locator(".toast")).first).to_contain_text("could not be made")
        assert await violations(page) == []
