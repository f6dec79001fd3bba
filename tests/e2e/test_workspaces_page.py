"""Workspaces on the page: seen, made, changed, tried, chosen in the chat, reset, deleted and brought back, imported."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, composer, expect, in_browser_loop, violations
from tests.e2e.tool_desk import Desk

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.model import ModelInfo
from portal.routing.catalogue import fields_of

pytestmark = in_browser_loop

EXPORTS = Path(__file__).parents[1] / "fixtures/personas"
WIDTH = "Math.max(document.documentElement.scrollWidth, document.querySelector('.page')?.scrollWidth ?? 0)"


def two() -> ScriptedBackend:
    models = [ModelInfo(id=name, backend="", parameters=size) for name, size in (("tiny", 10**9), ("big", 10**10))]
    return ScriptedBackend(models=models, default=echo)


async def go(page: Page, address: str) -> None:
    await page.goto("/".join(page.url.split("/", 3)[:3]) + address)


async def test_one_is_made_tried_chosen_and_deleted(visiting: Visiting) -> None:
    async with visiting(backend=two()) as visit:
        page = visit.page
        await page.get_by_role("link", name="Workspaces").click()
        await expect(page.get_by_role("link", name="Vision auto-vision")).to_contain_text("now big")
        await page.get_by_role("link", name="New workspace from Poet").click()
        await page.get_by_label("Title").fill("Rhymes & more")
        await expect(page.get_by_label("Name", exact=True)).to_have_value("rhymes-more")
        await page.get_by_label("Instructions").fill("Only about trees.")
        await page.get_by_label("Add a model").fill("tiny")
        await page.keyboard.press("Enter")
        await page.get_by_label("Add a model").fill("gone")
        await page.get_by_role("button", name="Add", exact=True).click()
        await expect(page.get_by_role("listitem").filter(has_text="gone")).to_contain_text("not installed")
        await page.get_by_role("button", name="Move gone up").click()
        await page.get_by_label("Temperature").fill("0.3")
        await page.get_by_label("Longest answer, in tokens").fill("50")

        await page.get_by_role("button", name="Try", exact=True).click()
        trial = page.get_by_role("region", name="Try it")
        await expect(trial).to_contain_text("tiny: this workspace prefers it")
        await expect(trial).to_contain_text("Not as this persona’s test wants it")
        assert visit.backend.requests[-1].parameters == {"temperature": 0.3, "max_tokens": 50}

        await page.get_by_role("button", name="Create workspace").click()
        await expect(page).to_have_url(visit.portal.url + "/workspaces/rhymes-more")
        await expect(page.get_by_text("tiny answers here now")).to_be_visible()
        await expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
        await page.reload()
        await expect(page.get_by_label("Instructions")).to_have_value("Only about trees.")

        await page.get_by_role("link", name="Chat with Rhymes & more").click()
        await visit.ask("Oak")
        await expect(page.get_by_role("article", name="tiny answered")).to_contain_text("Oak")
        assert visit.backend.requests[-1].messages[0]["content"].endswith("Only about trees.")

        await go(page, "/workspaces/rhymes-more")
        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("menuitem", name="Delete").click()
        await expect(page).to_have_url(visit.portal.url + "/workspaces")
        await expect(page.get_by_role("link", name="Rhymes & more")).to_have_count(0)
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_label("Title")).to_have_value("Rhymes & more")


async def test_one_of_portals_own_is_changed_duplicated_and_reset(visiting: Visiting) -> None:
    async with visiting(backend=two(), at="/workspaces/auto-fast") as visit:
        page = visit.page
        await expect(page.get_by_text("This is Portal’s own.")).to_be_visible()
        await page.get_by_label("Title").fill("Hurry")
        await page.get_by_role("button", name="Discard changes").click()
        await expect(page.get_by_label("Title")).to_have_value("Fast")
        await page.get_by_label("Title").fill("Hurry")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.get_by_text("Your version of one that was there before.")).to_be_visible()

        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("menuitem", name="Duplicate").click()
        await expect(page.get_by_label("Title")).to_have_value("Copy of Hurry")
        await page.get_by_label("Name", exact=True).fill("Not a name")
        await page.get_by_role("button", name="Create workspace").click()
        await expect(page.get_by_role("alert")).to_contain_text("small letters")
        await page.get_by_label("Name", exact=True).fill("auto-fast")
        await page.get_by_role("button", name="Create workspace").click()
        await expect(page.get_by_role("alert")).to_contain_text("You have a workspace of this name")

        await go(page, "/workspaces")
        await expect(page.get_by_role("link", name="Hurry auto-fast")).to_contain_text("changed by you")
        await page.get_by_role("link", name="Hurry auto-fast").click()
        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("menuitem", name="Reset").click()
        await expect(page.get_by_label("Title")).to_have_value("Fast")
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_label("Title")).to_have_value("Hurry")


async def test_who_may_use_it_and_a_refusal(visiting: Visiting) -> None:
    async with visiting(backend=two(), at="/workspaces/~new") as visit:
        page = visit.page
        await page.get_by_label("Title").fill("Team")
        await expect(page.get_by_role("radio", name="Only me")).to_be_checked()
        await page.get_by_role("radio", name="These people").check()
        await page.get_by_label("Ids of people").fill("user_a, user_b")
        await page.get_by_label("Ids of people").press("Tab")
        await page.get_by_role("button", name="Create workspace").click()
        await expect(page).to_have_url(visit.portal.url + "/workspaces/team")
        await expect(page.get_by_label("Ids of people")).to_have_value("user_a, user_b")
        await page.get_by_role("radio", name="Everyone here").check()
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()

        await page.evaluate("document.querySelector('form').noValidate = true")
        await page.get_by_label("Temperature").fill("9")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.get_by_role("alert")).to_have_text("Temperature takes a number from 0 to 2.")
        await page.get_by_role("button", name="Try", exact=True).click()
        await expect(page.get_by_role("region", name="Try it")).to_contain_text(
            "Temperature takes a number from 0 to 2."
        )
        await page.get_by_label("Temperature").fill("")
        for label, value, said in (
            ("Seed", "0.5", "Seed takes a whole number."),
            ("Longest answer, in tokens", "0", "Longest answer, in tokens takes a whole number, 1 or more."),
        ):
            await page.get_by_label(label).fill(value)
            await page.get_by_role("button", name="Save", exact=True).click()
            await expect(page.get_by_role("alert")).to_have_text(said)
            await page.get_by_label(label).fill("")
        await page.evaluate("document.querySelector('#ws-title').maxLength = 1000")
        await page.get_by_label("Title").fill("x" * 101)
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.get_by_role("alert")).to_have_text("Title: this is too long.")


async def test_its_tools_and_bounds_stay_as_they_are_said(visiting: Visiting) -> None:
    bounds = {"max_rounds": 3, "max_seconds": 60.0, "max_tokens": 9000}
    desk = Desk()
    async with visiting(
        backend=two(), toolsets=desk.toolsets(), settings={"workspaces": {"bounded": {"tools": [], **bounds}}}
    ) as visit:
        page = visit.page

        async def saved(name: str) -> dict[str, Any]:
            await expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
            one = visit.portal.portal.router.workspace(name, visit.portal.owner)
            assert one is not None
            return fields_of(one)

        tools = page.get_by_role("group", name="Tools it may use")
        await go(page, "/workspaces/bounded")
        await expect(tools.get_by_role("radio", name="None")).to_be_checked()
        await page.get_by_label("Title").fill("Bounded")
        await page.get_by_role("button", name="Save", exact=True).click()
        assert (await saved("bounded")).items() >= {"title": "Bounded", "tools": (), **bounds}.items()

        await go(page, "/workspaces/~new")
        await expect(tools.get_by_role("radio", name="All")).to_be_checked()
        await page.get_by_label("Title").fill("Notes")
        await page.get_by_role("button", name="Create workspace").click()
        assert (await saved("notes"))["tools"] == ("*",)
        await tools.get_by_role("radio", name="These").check()
        await page.get_by_role("checkbox", name="notes").check()
        await page.get_by_label("Single tools").fill("ask_*, draw_chart")
        await page.get_by_label("Single tools").press("Tab")
        await page.get_by_role("button", name="Save", exact=True).click()
        assert (await saved("notes"))["tools"] == ("notes", "ask_*", "draw_chart")
        await page.reload()
        await expect(page.get_by_role("checkbox", name="notes")).to_be_checked()
        await expect(page.get_by_label("Single tools")).to_have_value("ask_*, draw_chart")


async def test_a_model_without_its_tag_is_found_and_one_that_is_missing_is_told(visiting: Visiting) -> None:
    models = [
        ModelInfo(id="qwen3:8b", backend="", parameters=10**9),
        ModelInfo(id="big", backend="", parameters=10**10),
    ]
    async with visiting(backend=ScriptedBackend(models=models, default=echo), at="/workspaces/~new") as visit:
        page = visit.page
        await page.get_by_label("Title").fill("Tagless")
        for name in ("gone", "qwen3"):
            await page.get_by_label("Add a model").fill(name)
            await page.keyboard.press("Enter")
        listed = page.get_by_role("listitem")
        await expect(listed.filter(has_text="gone")).to_contain_text("not installed: the next one answers")
        await expect(listed.filter(has_text="qwen3")).to_contain_text("means qwen3:8b")
        await page.get_by_role("button", name="Create workspace").click()
        await expect(page.get_by_text("qwen3:8b answers here now: this workspace prefers it")).to_be_visible()
        await expect(page.get_by_text("gone, which this workspace prefers, is not installed")).to_be_visible()
        await page.get_by_role("button", name="Remove qwen3").click()
        await expect(listed.filter(has_text="gone")).to_contain_text("not installed: Portal chooses another")


async def test_on_a_phone_the_personas_are_folded(visiting: Visiting) -> None:
    async with visiting(backend=two(), size=NARROW, at="/workspaces") as visit:
        page = visit.page
        await expect(page.get_by_role("link", name="Fast auto-fast")).to_be_visible()
        poet = page.get_by_role("link", name="New workspace from Poet")
        await expect(poet).to_be_hidden()
        await page.get_by_text("18 personas to begin with").click()
        await expect(poet).to_be_visible()


async def test_the_picker_groups_workspaces_and_models(visiting: Visiting) -> None:
    async with visiting(backend=two()) as visit:
        page = visit.page
        await page.get_by_role("button", name="Choose a model").click()
        workspaces, models = page.get_by_role("group", name="Workspaces"), page.get_by_role("group", name="Models")
        await expect(workspaces.get_by_role("option").first).to_contain_text("auto")
        await expect(models.get_by_role("option").first).to_contain_text("tiny")
        await page.get_by_role("combobox").fill("mends programs")
        await expect(page.get_by_role("option")).to_have_count(1)
        await page.keyboard.press("Enter")
        await visit.ask("Hello")
        await expect(page.get_by_role("article", name="big answered")).to_contain_text("Hello")
        assert visit.backend.requests[-1].messages[0]["content"].startswith("You are a careful programmer")


async def test_a_change_elsewhere_shows_at_once(visiting: Visiting) -> None:
    async with visiting(backend=two(), at="/workspaces") as visit:
        await expect(visit.page.get_by_role("link", name="Vision auto-vision")).to_be_visible()
        other = await visit.another(at="/workspaces/~new")
        await other.get_by_label("Title").fill("Elsewhere")
        await other.get_by_role("button", name="Create workspace").click()
        await expect(visit.page.get_by_role("link", name="Elsewhere elsewhere")).to_be_visible()


async def test_an_export_is_imported(visiting: Visiting) -> None:
    async with visiting(backend=two(), at="/workspaces") as visit:
        page = visit.page
        await page.get_by_role("button", name="Import").click()
        await page.locator("input[type=file]").set_input_files(EXPORTS / "openwebui-models.json")
        card = page.get_by_role("region", name="Import from Open WebUI or LibreChat")
        await expect(card).to_contain_text("2 workspaces made.")
        await expect(card).to_contain_text("its tools are left out: dictionary")
        await expect(card).to_contain_text("entry 3 not taken over")
        broken = {"name": "x.json", "mimeType": "application/json", "buffer": b"{}"}
        await page.locator("input[type=file]").set_input_files([broken])  # type: ignore[list-item]
        await expect(page.get_by_text("This is no export that Portal knows")).to_be_visible()
        await card.get_by_role("button", name="Close").click()
        await page.get_by_role("link", name="Grammar helper grammar-helper").click()
        await expect(page.get_by_label("Description")).to_have_value("Mends grammar and nothing else.")


@pytest.mark.parametrize(
    ("size", "theme", "language"),
    [
        pytest.param(WIDE, "light", "en", id="wide-light-en", marks=IN_FULL),
        pytest.param(NARROW, "dark", "de", id="narrow-dark-de"),
    ],
)
async def test_it_fits_and_satisfies_axe(
    visiting: Visiting, size: tuple[int, int], theme: Theme, language: str
) -> None:
    async with visiting(backend=two(), size=size, theme=theme) as visit:
        page = visit.page
        await page.evaluate("language => localStorage.setItem('portal:language', language)", language)
        for address in ("/workspaces", "/workspaces/auto-vision", "/workspaces/~new?persona=cook", "/workspaces/none"):
            await go(page, address)
            await expect(page.locator(".page")).to_be_visible()
            await expect(page.locator("link[href$='css/workspaces.css']")).to_have_count(1)
            for _ in range(await page.locator("details:not([open]) > summary").count()):
                await page.locator("details:not([open]) > summary").first.click()
            assert (address, await violations(page)) == (address, [])
            assert (address, await page.evaluate(WIDTH) <= size[0]) == (address, True)
        await go(page, "/")
        await expect(composer(page) if language == "en" else page.locator("textarea").first).to_be_visible()
