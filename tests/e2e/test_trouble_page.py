"""What is wrong is told over the page to those who run Portal, with what mends it, and only to them."""

import pytest
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, expect, in_browser_loop, violations

from portal.backends.scripted import ScriptedBackend
from portal.errors import BackendUnavailable

pytestmark = in_browser_loop


@pytest.mark.parametrize(("size", "theme"), [pytest.param(WIDE, "dark", marks=IN_FULL), (NARROW, "light")])
async def test_a_model_server_that_is_away_is_told_until_it_is_back(
    visiting: Visiting, size: tuple[int, int], theme: Theme
) -> None:
    backend = ScriptedBackend(models=["tiny"])
    async with visiting(backend=backend, size=size, theme=theme) as visit:
        page, models = visit.page, visit.portal.portal.models
        notice = page.get_by_role("region", name="What needs a look")
        await expect(notice).to_have_count(0)

        backend.failure = BackendUnavailable("nobody answers at the door")
        await models.refresh()
        await expect(notice).to_contain_text("The model server scripted is away.")
        await notice.locator("summary").click()
        await expect(notice).to_contain_text("nobody answers at the door")
        await expect(notice).to_contain_text("What to do:")
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0

        await notice.get_by_role("button", name="Hide until something else is wrong").click()
        await expect(notice).to_have_count(0)
