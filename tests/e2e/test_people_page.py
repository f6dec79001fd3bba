"""People on the page: invited, signed in by a link, then by a password, made a guest, suspended, deleted."""

import pytest
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, composer, expect, in_browser_loop, violations

pytestmark = in_browser_loop
PASSWORD = "correct horse"


@pytest.mark.parametrize(("size", "theme"), [pytest.param(WIDE, "light", marks=IN_FULL), (NARROW, "dark")])
async def test_somebody_is_let_in_and_goes(visiting: Visiting, size: tuple[int, int], theme: Theme) -> None:
    async with visiting(size=size, theme=theme) as visit:
        page, url = visit.page, visit.portal.url
        await page.goto(f"{url}/settings/people")
        await page.get_by_label("Name", exact=True).fill("Ada")
        await page.get_by_label("Sign-in name").fill("ada@example.com")
        await page.get_by_role("button", name="Invite").click()
        link = await page.locator(".copy-line code").inner_text()
        assert await violations(page) == []
        await page.get_by_role("button", name="Done").click()

        theirs = await visit.another(size=size, theme=theme)
        await theirs.context.clear_cookies()
        await theirs.goto(link)
        await expect(composer(theirs)).to_be_visible()
        await theirs.goto(f"{url}/settings/sign-in")
        await expect(theirs.get_by_role("link", name="People")).to_have_count(0)
        await theirs.get_by_label("New password").fill(PASSWORD)
        await theirs.get_by_role("button", name="Set a password").click()
        await expect(theirs.get_by_label("Current password")).to_be_visible()
        assert await violations(theirs) == []
        await theirs.goto(f"{url}/settings/devices")
        await theirs.get_by_role("button", name="Sign out of this browser").click()
        await expect(theirs.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
        assert await violations(theirs) == []
        assert await theirs.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        await theirs.get_by_label("Sign-in name").fill("ADA@example.com")
        await theirs.get_by_label("Password").fill("wrong")
        await theirs.keyboard.press("Enter")
        await expect(theirs.get_by_role("alert")).to_contain_text("do not belong together")
        await theirs.get_by_label("Password").fill(PASSWORD)
        await theirs.keyboard.press("Enter")
        await expect(theirs.get_by_role("heading", name="Devices")).to_be_visible()

        await page.get_by_role("button", name="Actions for Ada").click()
        await page.get_by_role("menuitem", name="Make a guest").click()
        await expect(page.locator(".line", has_text="Ada")).to_contain_text("Guest")
        await page.get_by_role("button", name="Actions for Ada").click()
        await page.get_by_role("menuitem", name="Limit").click()
        await page.get_by_label("Models, such").fill("qwen*, tiny")
        await page.get_by_label("Calls of models a day").fill("20")
        await page.get_by_label("May only read").check()
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(".line", has_text="Ada")).to_contain_text("models:qwen* · models:tiny · read-only")
        await page.get_by_role("button", name="Actions for Ada").click()
        await page.get_by_role("menuitem", name="Limit").click()
        await expect(page.get_by_label("Models, such")).to_have_value("qwen*, tiny")
        await expect(page.get_by_label("Calls of models a day")).to_have_value("20")
        await page.get_by_label("Models, such").fill("")
        await page.get_by_label("May only read").uncheck()
        await page.keyboard.press("Enter")
        await expect(page.locator(".line", has_text="Ada")).not_to_contain_text("read-only")
        await page.get_by_role("button", name="Actions for Ada").click()
        await page.get_by_role("menuitem", name="Suspend").click()
        await expect(page.get_by_text("suspended", exact=True)).to_be_visible()
        await theirs.reload()
        await expect(theirs.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Actions for Ada").click()
        await page.get_by_role("menuitem", name="Delete").click()
        assert await violations(page) == []
        await page.get_by_role("button", name="Delete").click()
        await expect(page.locator(".line")).to_have_count(1)
