"""What a tool server asks in the middle of a call, answered on the page while the call waits."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visit, Visiting, expect, in_browser_loop, violations
from tests.e2e.tool_desk import able, calls
from tests.mcp.workshop import Workshop

from portal.core.model import TextDelta

pytestmark = in_browser_loop

FORM = {
    "type": "object",
    "properties": {
        "size": {
            "type": "string",
            "title": "Size",
            "oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}],
        },
        "count": {"type": "integer", "title": "How many", "minimum": 1, "description": "At least one"},
        "gift": {"type": "boolean", "title": "A present"},
        "colours": {"type": "array", "title": "Colours", "items": {"enum": ["red", "blue"]}},
        "mail": {"type": "string", "format": "email", "title": "Mail"},
    },
    "required": ["size", "count"],
}
FORM_ASKED = ("elicitation/create", {"message": "Which ones?", "requestedSchema": FORM})
PAY = {"mode": "url", "message": "Pay there.", "url": "https://pay.example/1", "elicitationId": "1"}
SAMPLING = {
    "messages": [{"role": "user", "content": {"type": "text", "text": "a rhyme on cheese"}}],
    "systemPrompt": "Be brief.",
    "maxTokens": 50,
}


@asynccontextmanager
async def shop(visiting: Visiting, folder: Path, **more: Any) -> AsyncIterator[Visit]:
    workshop = Workshop(folder)
    workshop.marks.mkdir()
    settings = {"mcp": {"servers": {"shop": workshop.faulty(risks={"*": "read"})}}}
    async with visiting(backend=able(), settings=settings, **more, at=None) as visit:
        await visit.post("/portal/v1/mcp/servers/shop/test", {})
        await visit.page.goto(visit.portal.url + "/?model=auto")
        yield visit


async def ask(visit: Visit, method: str, params: Any, *then: str) -> None:
    visit.backend.script(*calls(("shop__ask", json.dumps({"method": method, "params": params}))))
    for text in then:
        visit.backend.script(TextDelta(text))
    await visit.ask("Please order something")


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name)


def told(visit: Visit) -> Any:
    return json.loads(visit.backend.requests[-1].messages[-1]["content"])


async def answered(page: Page, text: str) -> None:
    await expect(page.locator(".answer").get_by_text(text, exact=True)).to_be_visible()


async def test_a_form_is_filled_in_while_the_call_waits(visiting: Visiting, tmp_path: Path) -> None:
    async with shop(visiting, tmp_path) as visit:
        page = visit.page
        await ask(visit, *FORM_ASKED, "It is on its way.")
        form = card(page, "The tool server shop asks you")
        await expect(form).to_contain_text("Which ones?")
        await expect(page.get_by_role("link", name="Approvals")).to_contain_text("1")
        await page.reload()
        await form.get_by_role("button", name="Answer").click()  # what is missing is said by the browser
        await form.get_by_label("Size").select_option("Large")
        await form.get_by_label("How many").fill("2")
        await form.get_by_label("A present").check()
        await form.get_by_label("blue").check()
        await form.get_by_role("button", name="Answer").click()
        await answered(page, "It is on its way.")
        await expect(form).to_have_count(0)
        content = {"size": "l", "count": 2, "gift": True, "colours": ["blue"]}
        assert told(visit) == {"action": "accept", "content": content}


async def test_the_queue_has_it_and_an_address_is_a_link(visiting: Visiting, tmp_path: Path) -> None:
    async with shop(visiting, tmp_path) as visit:
        page = visit.page
        await ask(visit, "elicitation/create", PAY, "Paid.")
        await page.get_by_role("link", name="Approvals").click()
        question = card(page, "The tool server shop asks you")
        link = question.get_by_role("link", name="https://pay.example/1")
        assert await link.get_attribute("rel") == "noopener noreferrer"
        await expect(question).to_contain_text("go to pay.example")
        await question.get_by_role("button", name="I have been there").click()
        await expect(question).to_have_count(0)
        await expect(page.get_by_role("listitem").filter(has_text="elicitation")).to_contain_text("Answered")
        await page.get_by_role("link", name="Please order something").click()
        await answered(page, "Paid.")
        assert told(visit) == {"action": "accept"}


@pytest.mark.parametrize("yes", [True, False])
async def test_a_model_answers_only_after_a_yes(visiting: Visiting, tmp_path: Path, yes: bool) -> None:
    async with shop(visiting, tmp_path) as visit:
        page = visit.page
        await ask(visit, "sampling/createMessage", SAMPLING, *(["Brie, free."] if yes else []), "Done.")
        question = card(page, "May a model answer shop?")
        await expect(question).to_contain_text("user: a rhyme on cheese")
        await expect(question).to_contain_text("Be brief.")
        await expect(question.get_by_role("button", name="Change it")).to_have_count(0)
        await question.get_by_role("button", name="Allow once" if yes else "Deny").click()
        await answered(page, "Done.")
        said = told(visit)
        assert said["content"]["text"] == "Brie, free." if yes else said["message"] == "The person said no."


@pytest.mark.parametrize(
    ("size", "theme"),
    [
        pytest.param(WIDE, "dark", id="wide-dark", marks=IN_FULL),
        pytest.param(NARROW, "light", id="narrow-light"),
    ],
)
async def test_it_fits_and_satisfies_axe(
    visiting: Visiting, tmp_path: Path, size: tuple[int, int], theme: Theme
) -> None:
    async with shop(visiting, tmp_path, size=size, theme=theme) as visit:
        page = visit.page
        await ask(visit, *FORM_ASKED, "Never mind.")
        form = card(page, "The tool server shop asks you")
        await expect(form.get_by_label("Mail")).to_be_visible()
        await form.scroll_into_view_if_needed()
        assert await violations(page) == []
        assert await page.evaluate("document.querySelector('.turns').scrollWidth") <= size[0]
        await page.screenshot(path=tmp_path / f"{theme}.png")
        await form.get_by_role("button", name="Deny").click()
        await answered(page, "Never mind.")
        assert told(visit) == {"action": "decline"}
