"""Tools on the page: calls as they run, questions answered in the conversation and in their view, what is allowed."""

import json

import pytest
from playwright.async_api import Locator, Page
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visit, Visiting, expect, in_browser_loop, violations
from tests.e2e.tool_desk import Desk, able, calls

from portal.core.model import TextDelta

pytestmark = in_browser_loop

WIDTH = "Math.max(document.documentElement.scrollWidth, document.querySelector('.page, .turns')?.scrollWidth ?? 0)"
NOTE = {"path": "shopping.md", "text": "Milk\nBread", "pages": 2, "replace": False}


def card(page: Page, name: str) -> Locator:
    """The question about a tool, or the model's own."""
    return page.get_by_role("region", name=name)


async def choose_auto(page: Page) -> None:
    await page.goto("/".join(page.url.split("/", 3)[:3]) + "/?model=auto")


async def asked(visit: Visit, *wanted: tuple[str, str], then: str = "Done.") -> None:
    visit.backend.script(*calls(*wanted, saying="Let me see. "))
    visit.backend.script(TextDelta(then))
    await choose_auto(visit.page)
    await visit.ask("Please do it")


async def test_a_call_is_allowed_with_other_arguments(visiting: Visiting) -> None:
    desk = Desk()
    async with visiting(backend=able(), toolsets=desk.toolsets()) as visit:
        page = visit.page
        read = ("read_note", '{"path": "list.md"}')
        await asked(visit, read, ("write_note", json.dumps(NOTE)))
        question = card(page, "Allow write_note?")
        await expect(question).to_contain_text("changes files")
        await expect(question).to_contain_text("Milk")
        await expect(page.get_by_role("link", name="Approvals")).to_contain_text("1")
        assert desk.done == []
        await page.reload()
        done = page.locator("details", has_text="read_note")
        await done.locator("summary").click()
        await expect(done).to_contain_text("Milk, bread")

        await question.get_by_role("button", name="Change it").click()
        await question.get_by_label("pages").fill("two")
        await expect(question.get_by_role("alert")).to_contain_text("pages is not what it has to be")
        await expect(question.get_by_role("button", name="Allow once")).to_be_disabled()
        await question.get_by_label("pages").fill("3")
        await question.get_by_label("path").fill("other.md")
        await question.get_by_label("replace").check()
        await question.get_by_role("button", name="Allow once").click()
        await expect(page.locator(".answer").get_by_text("You allowed write_note.", exact=True)).to_be_visible()
        await expect(page.locator(".answer").get_by_text("Done.", exact=True)).to_be_visible()
        assert desk.done == [("other.md", "Milk\nBread", 3, True)]
        written = page.locator("details", has_text="write_note")
        await expect(written).to_contain_text("other.md")
        await expect(page.get_by_role("link", name="Approvals")).not_to_contain_text("1")
        await expect(page.get_by_role("article", name="You asked")).to_have_count(1)

        visit.backend.script(TextDelta("Done once more."))
        await page.get_by_role("button", name="Answer again", exact=True).click()
        await expect(page.locator(".answer").get_by_text("Done once more.", exact=True)).to_be_visible()
        await expect(page.locator("details", has_text="write_note")).to_contain_text("other.md")
        assert desk.done == [("other.md", "Milk\nBread", 3, True)]
        await page.get_by_role("button", name="Previous branch").last.click()
        await expect(page.locator(".answer").get_by_text("Done.", exact=True)).to_be_visible()
        await page.reload()
        await expect(page.get_by_text("1/2")).to_be_visible()


async def test_a_no_with_a_reason_reaches_the_model(visiting: Visiting) -> None:
    desk = Desk()
    async with visiting(backend=able(), toolsets=desk.toolsets()) as visit:
        page = visit.page
        await asked(visit, ("write_note", json.dumps(NOTE)), then="As you wish.")
        question = card(page, "Allow write_note?")
        await question.get_by_role("button", name="Deny with a reason").click()
        await page.keyboard.type("Not today")
        await page.keyboard.press("Enter")
        await expect(page.locator(".answer").get_by_text("As you wish.", exact=True)).to_be_visible()
        await expect(page.locator(".answer").get_by_text("You said no to write_note.", exact=True)).to_be_visible()
        await expect(page.locator("details", has_text="write_note")).to_contain_text("not allowed")
        assert "Not today" in visit.backend.requests[-1].messages[-1]["content"]
        assert desk.done == []


async def test_the_models_questions_are_answered(visiting: Visiting) -> None:
    async with visiting(backend=able(), toolsets=Desk().toolsets()) as visit:
        page = visit.page
        colours = {"question": "Which colour?", "choices": ["Red", "Blue"]}
        await asked(visit, ("ask_user", json.dumps(colours)), then="Blue it is.")
        await card(page, "Which colour?").get_by_role("button", name="Blue").click()
        await expect(page.locator(".answer").get_by_text("Blue it is.", exact=True)).to_be_visible()
        assert visit.backend.requests[-1].messages[-1]["content"] == "Blue"
        await asked(visit, ("ask_user", '{"question": "How many?", "kind": "number"}'), then="Four.")
        question = card(page, "How many?")
        await question.get_by_label("Your answer").fill("many")
        await expect(question.get_by_role("button", name="Answer", exact=True)).to_be_disabled()
        await question.get_by_label("Your answer").fill("4")
        await page.keyboard.press("Enter")
        await expect(page.locator(".answer").get_by_text("Four.", exact=True)).to_be_visible()
        await asked(visit, ("ask_user", '{"question": "What for?"}'), then="Never mind.")
        await card(page, "What for?").get_by_role("button", name="No answer").click()
        await expect(page.locator(".answer").get_by_text("Never mind.", exact=True)).to_be_visible()


async def test_a_call_shows_how_it_goes(visiting: Visiting) -> None:
    desk = Desk()
    async with visiting(backend=able(), toolsets=desk.toolsets()) as visit:
        page = visit.page
        await asked(visit, ("wait_long", "{}"), ("break_down", "{}"), ("draw_chart", "{}"))
        await expect(page.locator("details", has_text="wait_long")).to_contain_text("half way there")
        await expect(page.locator("details", has_text="break_down")).to_contain_text("failed")
        await expect(page.get_by_role("img", name="chart.png")).to_be_visible()
        await expect(page.get_by_role("link", name="weather.csv")).to_be_visible()
        desk.gate.set()
        await expect(page.locator(".answer").get_by_text("Done.", exact=True)).to_be_visible()
        await expect(page.locator("details", has_text="wait_long")).not_to_contain_text("half way")
        drawn = page.locator("details", has_text="draw_chart")
        await drawn.locator("summary").click()
        await expect(drawn).to_contain_text("Holds what strangers wrote")


async def test_the_view_decides_and_the_conversation_goes_on(visiting: Visiting) -> None:
    desk = Desk()
    async with visiting(backend=able(), toolsets=desk.toolsets()) as visit:
        page = visit.page
        await asked(visit, ("write_note", json.dumps(NOTE)))
        await expect(card(page, "Allow write_note?")).to_be_visible()
        other = await visit.another()
        await other.get_by_role("link", name="Approvals").click()
        await expect(other.get_by_role("link", name="Open the conversation")).to_be_visible()
        question = card(other, "Allow write_note?")
        await question.get_by_role("button", name="Allow longer").click()
        await other.get_by_role("menuitem", name="Always for exactly this").click()
        await expect(other.get_by_text("Nothing waits for you.")).to_be_visible()
        await expect(other.get_by_role("listitem").filter(has_text="write_note")).to_contain_text("Allowed")
        await expect(page.locator(".answer").get_by_text("Done.", exact=True)).to_be_visible()
        assert len(desk.done) == 1

        await other.get_by_role("link", name="Tools", exact=True).click()
        await expect(other.get_by_role("listitem").filter(has_text="break_down")).to_contain_text("reads")
        await expect(other.get_by_text("Always for exactly this")).to_be_visible()
        await expect(other.get_by_role("table")).to_contain_text("decided")
        await other.get_by_role("button", name="Ask again about write_note").click()
        await other.get_by_role("button", name="Remove", exact=True).last.click()
        await expect(other.get_by_text("Always for exactly this")).to_have_count(0)
        await expect(other.get_by_role("table")).to_contain_text("asks again")


async def test_going_on_without_an_answer_counts_as_no(visiting: Visiting) -> None:
    async with visiting(backend=able(), toolsets=Desk().toolsets()) as visit:
        page = visit.page
        await asked(visit, ("write_note", json.dumps(NOTE)), then="Fine.")
        await expect(card(page, "Allow write_note?")).to_be_visible()
        await visit.ask("Forget it")
        await expect(page.locator(".answer").get_by_text("Fine.", exact=True)).to_be_visible()
        await expect(page.locator(".answer").get_by_text("You said no to write_note.", exact=True)).to_be_visible()
        await expect(card(page, "Allow write_note?")).to_have_count(0)


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
    desk = Desk()
    async with visiting(backend=able(), toolsets=desk.toolsets(), size=size, theme=theme) as visit:
        page = visit.page
        question = {"question": "Which of these?", "choices": ["A rather long choice that says a lot", "Another"]}
        done = [("read_note", '{"path": "list.md"}'), ("break_down", "{}"), ("draw_chart", "{}")]
        await asked(visit, *done, ("write_note", json.dumps(NOTE)), ("ask_user", json.dumps(question)))
        await expect(page.locator(".approval")).to_have_count(2)
        chat = page.url.removeprefix(visit.portal.url)
        await page.evaluate("language => localStorage.setItem('portal:language', language)", language)
        for address in (chat, "/approvals", "/tools"):
            await page.goto(visit.portal.url + address)
            await expect(page.locator(".approval, .risk").first).to_be_visible()
            for summary in await page.locator("details.tool > summary").all():
                await summary.click()
            await page.evaluate("document.querySelector('.approval .ghost')?.click()")
            assert (address, await violations(page)) == (address, [])
            assert (address, await page.evaluate(WIDTH) <= size[0]) == (address, True)
