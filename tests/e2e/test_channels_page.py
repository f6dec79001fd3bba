"""Channels on the page: linked by a code, somebody let in, a conversation that goes on in a chat, unlinked."""

import pytest
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, expect, in_browser_loop, violations

from portal.backends.scripted import ScriptedBackend, echo
from portal.channels import words
from portal.core.channels import Limits, Message, Place, Sender
from portal.testing.channel import ALICE, PlatformState, TestChannel

pytestmark = in_browser_loop
QUICK = Limits(interval=0.01, per_second=10_000, typing=0)
BOB = Sender(id="bob", name="Bob")


def write(platform: PlatformState, text: str, sender: Sender) -> None:
    place = Place(channel="test", chat=sender.id)
    platform.deliver(Message(event_id=text, id=text, text=text, place=place, sender=sender))


@pytest.mark.parametrize(("size", "theme"), [pytest.param(WIDE, "light", marks=IN_FULL), (NARROW, "dark")])
async def test_from_a_code_to_a_conversation_that_goes_on_in_a_chat(
    visiting: Visiting, size: tuple[int, int], theme: Theme
) -> None:
    platform = PlatformState()
    async with visiting(
        at="/settings/channels",
        size=size,
        theme=theme,
        backend=ScriptedBackend(models=["tiny"], default=echo),
        channels=[TestChannel(platform, limits=QUICK)],
    ) as visit:
        page = visit.page
        await expect(page.get_by_text("connected", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Make a code").click()
        code = await page.locator(".copy-line code").inner_text()
        write(platform, code, ALICE)
        await expect(page.get_by_role("button", name="Unlink Alice")).to_be_visible()
        write(platform, "Hello?", BOB)
        await expect(page.get_by_text("Asking to be let in")).to_be_visible()
        assert await violations(page) == []
        await page.get_by_role("button", name="Let in Bob").click()
        await expect(page.get_by_role("button", name="Unlink Bob")).to_be_visible()
        await page.get_by_role("button", name="Unlink Bob").click()
        await expect(page.get_by_role("button", name="Unlink Bob")).to_have_count(0)
        write(platform, "Hello from afar", ALICE)
        await platform.until(lambda: len(platform.texts("alice")) == 2)
        group = Place(channel="test", chat="g1", direct=False, title="The shed")
        platform.deliver(Message(event_id="g", id="g", text="Hello", place=group, sender=ALICE))
        inside = Place(channel="test", chat="g1", thread="7", direct=False, title="The shed")
        platform.deliver(Message(event_id="t", id="t", text="Hello in a thread", place=inside, sender=ALICE))
        await platform.until(lambda: len(platform.texts("g1")) == 2)
        await page.reload()
        always = page.get_by_role("checkbox", name="Answer everything in The shed")
        async with page.expect_response(lambda answer: answer.request.method != "GET"):
            await always.check()
        for place in (group, inside):
            event = Message(
                event_id=f"h{place.thread}", id="h", text="Psst", place=place, sender=ALICE, addressed=False
            )
            platform.deliver(event)
        await platform.until(lambda: len(platform.texts("g1")) == 4)
        await page.reload()
        await expect(always).to_be_checked()
        assert await violations(page) == []
        if size == NARROW:
            return
        await page.goto(visit.portal.url)
        row = page.get_by_role("link", name="Hello from afar")
        await expect(row).to_contain_text("test")
        await page.get_by_role("button", name="Actions for Hello from afar").click()
        await page.get_by_role("menuitem", name="Continue in a chat").click()
        await page.get_by_role("button", name="Alice, direct").click()
        moved = words.MOVED.partition("{")[0]
        await platform.until(lambda: platform.texts("alice")[-1].startswith(moved))
