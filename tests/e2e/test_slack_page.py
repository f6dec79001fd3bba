"""Slack and the page on a phone: linked by a code, somebody let in, a channel that is always answered, one approval."""

import asyncio
from importlib import import_module

from tests.e2e.browser import NARROW, Visit, Visiting, expect, in_browser_loop, violations
from tests.e2e.tool_desk import Desk, able, calls
from tests.interfaces.slack.conftest import channel as slack_channel

from portal.backends.scripted import echo
from portal.channels import words
from portal.core.model import TextDelta
from portal.interfaces.slack.manifest import manifest
from portal.testing.slack_server import SlackServer

pytestmark = in_browser_loop


async def linked(visit: Visit, server: SlackServer, room: str) -> None:
    """By a code that the page makes."""
    page = visit.page
    await page.goto(visit.portal.url + "/settings/channels")
    await expect(page.get_by_text("connected", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Make a code").click()
    code = (await page.locator(".copy-line code").inner_text()).removeprefix("/")
    await server.command("U1", room, "/portal", code)
    await server.wait(lambda: words.LINKED in server.world.spoken(room), 60)
    await expect(page.get_by_role("button", name="Unlink U1")).to_be_visible()


async def answered(server: SlackServer, ask: str, text: str) -> None:
    """In the thread of what was asked."""
    await server.wait(lambda: server.world.spoken("C1", ask) == [text], 60)


async def always_answered(visit: Visit, server: SlackServer) -> None:
    """Two threads are one channel."""
    page = visit.page
    for text in ("one", "two"):
        await answered(server, server.mention("U1", "C1", text), text)
    await page.reload()
    always = page.get_by_role("checkbox", name="Answer everything in #c1")
    async with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        await always.check()
    await answered(server, server.say("U1", "C1", "nobody is named"), "nobody is named")
    assert await violations(page) == []


async def allowed_in_slack(visit: Visit, server: SlackServer, desk: Desk) -> None:
    """The page shows the same question, and shows it no longer."""
    page = visit.page
    visit.backend.script(*calls(("write_note", '{"path": "a.md"}')))
    visit.backend.script(TextDelta("It is written."))
    ask = server.mention("U1", "C1", "Write it down")
    await server.wait(lambda: any("Allow write_note" in said for said in server.world.spoken("C1", ask)), 60)
    await page.goto(visit.portal.url + "/approvals")
    question = page.get_by_role("region", name="Allow write_note?")
    await expect(question).to_be_visible()
    await server.press("U1", "C1", server.world.messages("C1", ask)[-1]["ts"], "Allow")
    await expect(question).to_have_count(0)
    await server.wait(lambda: "It is written." in server.world.spoken("C1", ask), 60)
    assert [path for path, *_ in desk.done] == ["a.md"]


async def test_slack_on_the_page_of_a_phone(visiting: Visiting) -> None:
    await asyncio.to_thread(import_module, "portal.interfaces.slack.bolt")  # its library takes long to load
    desk, backend = Desk(), able()
    backend.default = echo
    async with SlackServer(post_interval=0) as server:
        server.install(manifest())
        server.limited = False
        server.world.add_person("U2", "Eve")
        server.world.add_channel("C1", "U1", "U2")
        room = server.world.direct("U1").id
        channel = slack_channel(server)
        async with visiting(
            size=NARROW, theme="dark", backend=backend, toolsets=desk.toolsets(), channels=[channel]
        ) as visit:
            await server.wait(lambda: server.sockets, 60)
            await linked(visit, server, room)
            server.direct("U2", "Hello?")
            await visit.page.get_by_role("button", name="Refuse Eve").click()
            await expect(visit.page.get_by_text("Asking to be let in")).to_have_count(0)
            await always_answered(visit, server)
            await allowed_in_slack(visit, server, desk)
        await channel.aclose()
