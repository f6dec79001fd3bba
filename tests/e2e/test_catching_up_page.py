"""What happens elsewhere while the page reads a conversation: it comes to be seen, and takes nothing away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from playwright.async_api import Page, Route
from tests.e2e.browser import Visit, Visiting, expect, in_browser_loop

from portal.backends.scripted import ScriptedBackend, echo

pytestmark = in_browser_loop


@asynccontextmanager
async def late_turns(page: Page, held: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """The next answer that lists turns is as the server gave it, but comes only once the event is set."""
    gate = asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        held.set()
        await gate.wait()
        await route.fulfill(response=answer)

    await page.route("**/portal/v1/conversations/*/turns*", late, times=1)
    yield gate


async def begun(visit: Visit) -> str:
    """A conversation with one turn, on show."""
    await visit.ask("First question")
    await expect(visit.page.locator(".answer").get_by_text("First question")).to_be_visible()
    await expect(visit.page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    return visit.page.url.rpartition("/")[2]


async def test_a_turn_that_began_and_ended_while_the_conversation_was_read_is_shown(visiting: Visiting) -> None:
    async with visiting(backend=ScriptedBackend(models=["tiny"], default=echo)) as visit:
        page, held = visit.page, asyncio.Event()
        conversation = await begun(visit)
        await page.goto(visit.portal.url)
        async with late_turns(page, held) as gate:
            await page.get_by_role("link", name="First question").click()
            await held.wait()
            told: list[str] = []
            page.on("requestfinished", lambda request: told.append(request.url))
            await visit.post(
                "/v1/responses", {"model": "tiny", "input": "From elsewhere", "conversation": conversation}
            )
            while sum(url.endswith(conversation) for url in told) < 2:  # it heard of the beginning and of the end
                await asyncio.sleep(0.05)
            gate.set()
        await expect(page.locator(".answer").get_by_text("From elsewhere")).to_be_visible()


async def test_a_question_that_is_sent_meanwhile_stays(visiting: Visiting) -> None:
    async with visiting(backend=ScriptedBackend(models=["tiny"], default=echo)) as visit:
        page, held = visit.page, asyncio.Event()
        conversation = await begun(visit)
        async with late_turns(page, held) as gate:
            async with aiohttp.ClientSession(headers=visit.portal.headers) as client:
                path = f"{visit.portal.url}/portal/v1/conversations/{conversation}"
                await client.patch(path, json={"title": "Another title"})
            await held.wait()
            await visit.ask("Second question")
            answer = page.locator(".answer").get_by_text("Second question")
            await expect(answer).to_be_visible()
            element = await answer.element_handle()
            async with page.expect_response("**/turns*"), page.expect_response("**/turns*"):
                gate.set()
        await expect(page.locator(".answer")).to_have_count(2)
        assert await element.evaluate("element => element.isConnected")
