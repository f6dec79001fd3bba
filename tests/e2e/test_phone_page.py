"""A day with the phone and the page: what is said in Telegram is on the page at once, and the other way round."""

import asyncio
import re
from importlib import import_module

from playwright.async_api import Locator
from tests.e2e.browser import Visit, Visiting, expect, in_browser_loop
from tests.e2e.tool_desk import Desk, able, calls
from tests.interfaces.telegram.conftest import made_channel

from portal.backends.scripted import echo
from portal.channels import words
from portal.core.model import TextDelta
from portal.testing.scripted_speech import ScriptedTranscriber
from portal.testing.telegram_people import TelegramPerson
from portal.testing.telegram_server import TelegramServer

pytestmark = in_browser_loop
PDF = b"%PDF-1.4\n1 0 obj <</Type /Catalog>> endobj\ntrailer <</Root 1 0 R>>\n%%EOF\n"


def said(visit: Visit, text: str) -> Locator:
    """In the conversation; what a screen reader is told stands elsewhere, once an answer is over."""
    return visit.page.get_by_role("region", name="Conversation", exact=True).get_by_text(text)


async def linked(visit: Visit, alice: TelegramPerson) -> None:
    """By a code that the page makes."""
    await visit.page.goto(visit.portal.url + "/settings/channels")
    await expect(visit.page.get_by_text("connected", exact=True)).to_be_visible()
    await visit.page.get_by_role("button", name="Make a code").click()
    alice.write(await visit.page.locator(".copy-line code").inner_text())
    await alice.reads(words.LINKED.partition(".")[0])
    await expect(visit.page.get_by_role("button", name="Unlink Alice")).to_be_visible()


async def in_the_list_at_once(visit: Visit, alice: TelegramPerson) -> None:
    """While it is answered yet, and without a reload."""
    await visit.page.goto(visit.portal.url)
    visit.backend.script(answered := asyncio.Event(), TextDelta("Hello, phone"))
    alice.write("Hello from the phone")
    row = visit.page.get_by_role("link", name="Hello from the phone")
    await expect(row).to_be_visible()
    answered.set()
    await alice.reads("Hello, phone")
    await row.click()
    await expect(said(visit, "Hello, phone")).to_be_visible()


async def spoken_sent_and_drawn(visit: Visit, alice: TelegramPerson) -> None:
    """A voice note and a PDF go in, a chart comes back."""
    alice.send("voice", b"what is it about", mime="audio/ogg")
    await alice.reads("what is it about")
    visit.backend.script(*calls(("draw_chart", "{}")))
    visit.backend.script(TextDelta("Here is the chart."))
    alice.send("document", PDF, name="report.pdf", mime="application/pdf", caption="Draw this")
    await alice.reads("Here is the chart.")
    await alice.reads(lambda message: "photo" in message)
    await expect(said(visit, "report.pdf").first).to_be_visible()
    await expect(visit.page.get_by_role("img", name=re.compile("chart.png")).first).to_be_visible()


async def allowed_on_the_phone(visit: Visit, alice: TelegramPerson, desk: Desk) -> None:
    """The page shows the same question, and shows it no longer."""
    visit.backend.script(*calls(("write_note", '{"path": "a.md"}')))
    visit.backend.script(TextDelta("It is written."))
    alice.write("Write it down")
    await alice.reads("Allow write_note?")
    question = visit.page.get_by_role("region", name="Allow write_note?")
    await expect(question).to_be_visible()
    alice.press("Allow")
    await expect(question).to_have_count(0)
    await alice.reads("It is written.")
    await expect(said(visit, "It is written.")).to_be_visible()
    assert [path for path, *_ in desk.done] == ["a.md"]


async def gone_on_with(visit: Visit, alice: TelegramPerson) -> None:
    """On the page, and from there back in the chat."""
    page = visit.page
    await page.get_by_role("textbox", name="Message").fill("And now from the desk")
    await page.keyboard.press("Enter")
    await expect(said(visit, "And now from the desk")).to_have_count(2)
    await page.get_by_role("button", name="Actions for Hello from the phone").click()
    await page.get_by_role("menuitem", name="Continue in a chat").click()
    await page.get_by_role("button", name="Alice, direct").click()
    await alice.reads(words.MOVED.partition("*")[0])
    alice.write("Back on the phone")
    await alice.reads("Back on the phone")
    await expect(said(visit, "Back on the phone")).to_have_count(2)


async def test_from_the_phone_to_the_page_and_back(visiting: Visiting) -> None:
    await asyncio.to_thread(import_module, "portal.interfaces.telegram.client")  # its library takes long to load
    desk, backend = Desk(), able()
    backend.default = echo
    async with TelegramServer(limits=False) as telegram:
        alice, channel = telegram.person("Alice"), made_channel(telegram)
        async with visiting(
            backend=backend, toolsets=desk.toolsets(), channels=[channel], transcriber=ScriptedTranscriber()
        ) as visit:
            await linked(visit, alice)
            await in_the_list_at_once(visit, alice)
            await spoken_sent_and_drawn(visit, alice)
            await allowed_on_the_phone(visit, alice, desk)
            await gone_on_with(visit, alice)
        await channel.aclose()
