"""Around an answer: which model and what it is, what came in, what it cost, how good it was, and what it is called."""

import asyncio
import re

import pytest
from tests.e2e.browser import Visiting, composer, expect, in_browser_loop
from tests.e2e.conversations import add_long

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo, TextDelta, TokenUsage

pytestmark = in_browser_loop

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
)
SEEING = ModelInfo(
    id="eyes", backend="", capabilities=frozenset({"chat", "vision"}), parameters=8_000_000_000, context_window=32_768
)


async def test_a_thumb_is_kept_turned_and_taken_back(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        visit.backend.answer("Forty-two.")
        await visit.ask("What is it?")
        up, down = (page.get_by_role("button", name=name) for name in ("Good answer", "Poor answer"))
        await up.click()
        await expect(up).to_have_attribute("aria-pressed", "true")
        await page.reload()
        await expect(up).to_have_attribute("aria-pressed", "true")
        await down.click()
        await expect(down).to_have_attribute("aria-pressed", "true")
        await expect(up).to_have_attribute("aria-pressed", "false")
        await page.reload()
        await expect(down).to_have_attribute("aria-pressed", "true")
        await down.click()
        await expect(down).to_have_attribute("aria-pressed", "false")
        await page.reload()
        await expect(down).to_have_attribute("aria-pressed", "false")


async def test_an_answer_says_its_tokens_and_time_and_shows_its_raw_response(visiting: Visiting) -> None:
    gate = asyncio.Event()
    backend = ScriptedBackend(models=["tiny"])
    backend.script(TextDelta("Forty-"), gate, TextDelta("two."), TokenUsage(3, 12))
    backend.script(TextDelta("About so."), TokenUsage(3, 7, estimated=True))
    async with visiting(backend=backend) as visit:
        page = visit.page
        await visit.ask("What is it?")
        await expect(page.locator(".answer .md")).to_have_text("Forty-")
        await page.evaluate("new Promise((done) => setTimeout(done, 300))")
        gate.set()
        facts = page.locator(".answer .facts-text")
        await expect(facts).to_have_text(re.compile(r"^12 tokens · [\d.,]+s · \d+ tokens/s$"))
        await page.reload()
        await expect(facts).to_have_text(re.compile(r"^12 tokens · [\d.,]+s · \d+ tokens/s$"))
        await page.get_by_role("button", name="More", exact=True).last.click()
        await page.get_by_role("menuitem", name="Raw response").click()
        await expect(page.get_by_role("complementary", name="Details")).to_contain_text('"output_tokens": 12')
        await visit.ask("About what?")
        await expect(facts.last).to_contain_text("about 7 tokens")


async def test_an_attached_picture_reaches_a_model_that_sees(visiting: Visiting) -> None:
    async with visiting(backend=ScriptedBackend(models=[SEEING])) as visit:
        page = visit.page
        await page.get_by_role("button", name="Choose a model").click()
        choice = page.get_by_role("option").filter(has_text="eyes").last
        for words in ("8B weights", "32k context", "images"):
            await expect(choice).to_contain_text(words)
        await choice.click()
        await page.locator("input[type=file]").set_input_files(
            {"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL}
        )
        await expect(page.get_by_role("button", name="Remove dot.png")).to_be_visible()
        visit.backend.answer("A dot.")
        await visit.ask("What is this?")
        await expect(page.locator(".answer .md")).to_have_text("A dot.")
        (message,) = visit.backend.requests[-1].messages
        assert [part["type"] for part in message["content"]] == ["image_url", "text"]
        assert message["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
        await page.reload()
        await expect(page.locator(".question img")).to_have_count(1)


async def test_the_model_titles_a_conversation_in_the_background(visiting: Visiting) -> None:
    gate = asyncio.Event()
    backend = ScriptedBackend(models=["tiny"])
    backend.answer("By moving it.")
    backend.script(gate, TextDelta("Heat pumps explained"))
    async with visiting(backend=backend, settings={"turns": {"titles": True}}) as visit:
        page = visit.page
        other = await visit.another()
        await visit.ask("How can a pump give heat?")
        rail = page.get_by_role("navigation", name="Conversations")
        await expect(page.get_by_role("button", name="Copy answer")).to_be_visible()
        await expect(rail.get_by_role("link", name="How can a pump give heat?")).to_be_visible()
        await expect(composer(page)).to_be_enabled()
        gate.set()
        for device in (page, other):
            found = device.get_by_role("navigation", name="Conversations")
            await expect(found.get_by_role("link", name="Heat pumps explained")).to_be_visible()
        await expect(page).to_have_title("Heat pumps explained · Portal")


@pytest.mark.slow
@pytest.mark.long
async def test_five_thousand_messages_are_read_page_by_page(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        conversation = await add_long(visit.portal, 2500)
        await page.goto(f"{visit.portal.url}/c/{conversation}")
        await expect(page.get_by_text("Answer 2500.", exact=True)).to_be_in_viewport()
        rows, scroller = page.locator(".turn-row"), page.locator(".turns")
        for loaded in range(2, 7):
            await scroller.evaluate("element => element.scrollTo(0, 0)")
            await expect(rows).to_have_count(30 * loaded)
            drawn = await page.locator(".turn-row .bubble").count()
            assert drawn < 90, "only what is near the window is in the document"
        await page.get_by_role("button", name="Jump to the latest").click()
        await expect(page.get_by_text("Answer 2500.", exact=True)).to_be_in_viewport()
        visit.backend.answer("One more.")
        await visit.ask("And now?")
        await expect(page.locator(".answer .md").last).to_have_text("One more.")
