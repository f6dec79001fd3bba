"""A real Chromium on a real page, whose every request goes through the guard."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.tools.loopback import LoopbackFetcher, call, conversation, family, page, refusal, site

from portal.core.tool_ports import Toolset
from portal.errors import ToolError
from portal.settings.data import BrowserSettings
from portal.tools.browsing import Browsing

pytest.importorskip("playwright", reason="NOT RUN: the browser's tools need playwright")
if not Path("/usr/bin/chromium").exists():
    pytest.skip("NOT RUN: the browser's tools need a Chromium", allow_module_level=True)

SHOP = """<!doctype html><title>Shop</title><main><h1>Shop</h1><p id="said">Welcome, what would you like to buy?</p>
<label>Amount <input name="amount"></label>
<select aria-label="Colour"><option>red</option><option>blue</option></select>
<button onclick="said.textContent = 'Bought ' + document.querySelector('input').value + ' in '
 + document.querySelector('select').value">Buy now</button>
<a href="/other">Go on</a></main>
<script>fetch('/price').then(r => r.text()).then(t => document.querySelector('h1').append(' ' + t))</script>"""


@pytest.fixture
def fetcher() -> LoopbackFetcher:
    return LoopbackFetcher()


@pytest.fixture
async def browser(tmp_path: Path, fetcher: LoopbackFetcher) -> AsyncIterator[Toolset]:
    toolset = family("browser", tmp_path, fetcher=fetcher, browser={"idle": 60})
    yield toolset
    await toolset.aclose()


async def test_a_page_is_opened_used_read_and_pictured(browser: Toolset, tmp_path: Path) -> None:
    talk = conversation(tmp_path)
    routes = {"/": page(SHOP), "/price": page("3 EUR"), "/other": page("<title>Other</title><p>Here you are.</p>")}
    async with site(routes) as address:
        opened = await call(browser, "open_in_browser", talk, url=f"{address}/")
        await call(browser, "use_browser", talk, action="fill", target="Amount", text="7")
        await call(browser, "use_browser", talk, action="choose", target="Colour", text="blue")
        bought = await call(browser, "use_browser", talk, action="click", target="Buy now")
        picture = await call(browser, "screenshot_browser", talk, whole=True)
        gone = await call(browser, "use_browser", talk, action="click", target="Go on")
        back = await call(browser, "use_browser", talk, action="back")
        pressed = await call(browser, "use_browser", talk, action="press", target="amount", text="Tab")
        read = await call(browser, "read_browser", talk)

    assert "Shop 3 EUR" in opened.text
    assert "button: Buy now" in opened.text
    assert "Bought 7 in blue" in bought.text
    assert picture.files[0].data.startswith(b"\x89PNG")
    assert "Here you are." in gone.text
    assert "Welcome" in back.text
    assert "Welcome" in pressed.text
    assert "Welcome" in read.text


async def test_what_the_guard_refuses_the_browser_never_reaches(
    browser: Toolset, fetcher: LoopbackFetcher, tmp_path: Path
) -> None:
    talk, reached = conversation(tmp_path), []

    async def secret(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response(text="secret")

    async with site({"/": secret, "/ws": secret}) as hidden:
        other = hidden.replace("127.0.0.1", "localhost")
        trying = f"""<title>Bad</title><p>Trying to get at what is hidden.</p><img src="{other}/">
            <script>fetch('{other}/').catch(() => 0); navigator.sendBeacon('{other}/');
            new WebSocket('{hidden.replace("http", "ws")}/ws');
            try {{ new EventSource('{other}/') }} catch (e) {{}}</script><iframe src="{other}/"></iframe>"""
        async with site({"/": page(trying)}) as address:
            opened = await call(browser, "open_in_browser", talk, url=f"{address}/")
            refused = await refusal(browser, "open_in_browser", talk, url=f"{other}/")

    assert reached == []
    assert "requests of the page were refused" in opened.text
    assert "not allowed" in refused
    assert len(fetcher.refused) >= 3


async def test_redirects_and_cookies_go_through_the_guard(
    browser: Toolset, fetcher: LoopbackFetcher, tmp_path: Path
) -> None:
    async def enter(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/in?x=1"})

    async def inside(request: web.Request) -> web.Response:
        text = f"<title>In</title><p>The biscuit is {request.cookies.get('b', 'none')}.</p><a href='/in'>Again</a>"
        answer = web.Response(text=text, content_type="text/html")
        answer.set_cookie("b", "chocolate")
        return answer

    talk = conversation(tmp_path)
    async with site({"/": enter, "/in": inside}) as address:
        first = await call(browser, "open_in_browser", talk, url=f"{address}/")
        again = await call(browser, "use_browser", talk, action="click", target="Again")

    assert f"{address}/in?x=1" in first.text
    assert "The biscuit is none." in first.text
    assert "The biscuit is chocolate." in again.text


async def test_conversations_have_pages_of_their_own(browser: Toolset, tmp_path: Path) -> None:
    one, other = conversation(tmp_path), conversation(tmp_path, conversation_id=None)
    async with site({"/": page("<title>One</title>")}) as address:
        opened = await call(browser, "open_in_browser", one, url=f"{address}/")
        nothing = await refusal(browser, "read_browser", other)

    assert "(This page has no text.)" in opened.text
    assert nothing == "No page is open; use open_in_browser first."


async def test_what_is_not_on_the_page_is_said_with_what_is(browser: Toolset, tmp_path: Path) -> None:
    talk = conversation(tmp_path)
    async with site({"/": page(SHOP), "/price": page("3")}) as address:
        await call(browser, "open_in_browser", talk, url=f"{address}/")
        missing = await refusal(browser, "use_browser", talk, action="click", target="Sell: it>>?")
        unsaid = await refusal(browser, "use_browser", talk, action="click")
        impossible = await refusal(browser, "use_browser", talk, action="choose", target="Amount", text="x")

    assert "button: Buy now" in missing
    assert "target" in unsaid
    assert "The browser could not do it" in impossible


async def test_the_oldest_conversation_gives_way_and_an_idle_browser_is_closed() -> None:
    browsing = Browsing(fetcher=LoopbackFetcher(), settings=BrowserSettings(idle=2), most=2)
    closed = asyncio.Event()
    try:
        for key in ("one", "two", "three"):
            visit = await browsing.visit(key, new=True)
        visit.context.on("close", lambda _: closed.set())
        with pytest.raises(ToolError, match="No page is open"):
            await browsing.visit("one")
        async with asyncio.timeout(60):
            await closed.wait()
        with pytest.raises(ToolError, match="No page is open"):
            await browsing.visit("three")
        assert (await browsing.visit("three", new=True)).page.url == "about:blank"
    finally:
        await browsing.aclose()


async def test_a_browser_that_is_not_there_is_said(tmp_path: Path) -> None:
    browser = family("browser", tmp_path, browser={"executable": str(tmp_path / "none")})
    try:
        said = await refusal(browser, "open_in_browser", conversation(tmp_path), url="https://example.com")
    finally:
        await browser.aclose()

    assert "browser.executable" in said


async def test_the_browser_goes_only_where_policies_let_it(browser: Toolset, tmp_path: Path) -> None:
    routes = {"/": page('<a href="/closed">Go on</a>'), "/closed": page("secret")}
    async with site(routes) as address:
        talk = conversation(tmp_path, allowed=lambda url: "closed" not in url)
        await call(browser, "open_in_browser", talk, url=f"{address}/#part")

        assert "policies do not allow" in await refusal(browser, "open_in_browser", talk, url=f"{address}/closed")
        assert "do not belong" in await refusal(browser, "open_in_browser", talk, url="https://a\\@b")
