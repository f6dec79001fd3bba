"""What an answer made, looked at: its script runs, and reaches neither the network nor the page around it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import FrameLocator, Page
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visit, Visiting, expect, in_browser_loop, violations

from portal.core.model import TextDelta

pytestmark = in_browser_loop

COUNTER = """<!doctype html>
<title>Counter</title>
<h1>Counter</h1>
<button id="more">More</button> <output id="count">0</output>
<script>
const count = document.getElementById("count");
document.getElementById("more").onclick = () => { count.value = Number(count.value) + 1; };
</script>"""
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 40"><circle cx="20" cy="20" r="18"/></svg>'
DIAGRAM = "flowchart LR\n  A[Question] --> B{Known?}\n  B -- yes --> C[Answer]"
CURIOUS = """<!doctype html>
<link rel="stylesheet" href="HERE/sheet"><link rel="prefetch" href="HERE/prefetch"><link rel="icon" href="HERE/icon">
<style>
@import "HERE/import";
@font-face { font-family: f; src: url("HERE/font"); }
p { background: url("HERE/background"); font-family: f; }
</style>
<p>Curious <img src="HERE/img"><video src="HERE/video"></video><object data="HERE/object"></object></p>
<embed src="HERE/embed"><iframe src="HERE/frame"></iframe>
<form id="form" action="HERE/form" method="post"><input name="a" value="b"></form>
<a id="blank" href="HERE/blank" target="_blank">blank</a><a id="top" href="HERE/top" target="_top">top</a>
<script src="HERE/script"></script>
<iframe srcdoc="<script>new Image().src = 'HERE/inner'; parent.postMessage(typeof RTCPeerConnection, '*');</script>">
</iframe>
<pre id="told"></pre>
<script>
const told = { inner: "nothing" };
addEventListener("message", (event) => { told.inner = event.data; });
const attempt = async (name, act) => {
  try {
    const result = await act();
    told[name] = result === undefined || result === null ? "nothing" : String(result);
  } catch (error) {
    told[name] = error.name;
  }
};
const opened = (made) => new Promise((resolve, reject) => {
  made.onopen = made.onmessage = () => resolve("open");
  made.onerror = () => reject(new Error());
});
const worker = () => new Worker(URL.createObjectURL(new Blob(["fetch('HERE/worker'); postMessage(1)"])));
const inner = document.createElement("iframe");
inner.srcdoc = "<script>parent.postMessage(typeof RTCPeerConnection, '*');</" + "script>";
document.body.append(inner);
(async () => {
  await attempt("fetch", async () => (await fetch("HERE/fetch", { mode: "no-cors" })).type);
  await attempt("beacon", () => navigator.sendBeacon("HERE/beacon", "x") && undefined);
  await attempt("socket", () => opened(new WebSocket("HERE/socket".replace("http", "ws"))));
  await attempt("events", () => opened(new EventSource("HERE/events")));
  await attempt("module", () => import("HERE/module"));
  await attempt("worker", () => opened(worker()));
  await attempt("cookie", () => document.cookie);
  await attempt("dom", () => parent.document.body.textContent);
  await attempt("address", () => parent.location.href);
  await attempt("storage", () => localStorage.getItem("portal:rail"));
  await attempt("portal", async () => (await fetch("/portal/v1/me")).status);
  await attempt("rtc", () => typeof RTCPeerConnection);
  await attempt("open", () => window.open("HERE/open"));
  await attempt("up", () => { top.location = "HERE/up"; });
  await attempt("form", () => document.getElementById("form").submit());
  for (const name of ["blank", "top"]) await attempt(name, () => document.getElementById(name).click());
  told.origin = self.origin;
  document.getElementById("told").textContent = JSON.stringify(told);
})();
</script>"""
LEAVING = (
    '<meta http-equiv="refresh" content="0; url=HERE/refresh">',
    '<script>location.href = "HERE/location?secret";</script>',
    '<a id="link" href="HERE/link" ping="HERE/ping">link</a><script>document.getElementById("link").click();</script>',
)


@dataclass(kw_only=True)
class Listener:
    """A server on this machine that notes what it is asked for."""

    url: str = ""
    heard: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Anything, for anyone."""
        self.heard.append(request.path_qs)
        return web.Response(text="/* hello */", headers={"Access-Control-Allow-Origin": "*"})


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", listener.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield listener
    await runner.cleanup()


def fenced(language: str, text: str) -> str:
    return f"Here:\n\n```{language}\n{text}\n```\n"


async def previewed(visit: Visit, language: str, text: str) -> FrameLocator:
    """The frame, once an answer made this and its button was pressed."""
    buttons = visit.page.get_by_role("button", name="Preview", exact=True)
    before = await buttons.count()
    visit.backend.script(TextDelta(fenced(language, text)))
    await visit.ask("Make it")
    await expect(buttons).to_have_count(before + 1)
    await buttons.last.click()
    return frame(visit.page)


def frame(page: Page) -> FrameLocator:
    return page.frame_locator(".artefact-frame")


async def test_a_page_runs_and_can_be_enlarged_copied_and_kept(visiting: Visiting) -> None:
    async with visiting(permissions=["clipboard-read", "clipboard-write"]) as visit:
        page = visit.page
        shown = await previewed(visit, "html", COUNTER)
        await shown.get_by_role("button", name="More").click()
        await expect(shown.locator("#count")).to_have_text("1")
        await page.get_by_role("complementary").get_by_role("button", name="Copy", exact=True).click()
        assert await page.evaluate("navigator.clipboard.readText()") == COUNTER
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Download").click()
        assert (await download.value).suggested_filename == "page.html"
        await page.get_by_role("button", name="Open full size").focus()
        await page.keyboard.press("Enter")
        await shown.get_by_role("button", name="More").click()
        await expect(shown.locator("#count")).to_have_text("1")
        assert await violations(page) == []
        await page.get_by_role("button", name="Close", exact=True).focus()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_role("button", name="Open full size")).to_be_focused()
        await page.get_by_role("button", name="Close details").click()
        await expect(page.get_by_role("button", name="Preview", exact=True)).to_be_focused()


async def test_drawings_and_diagrams_are_shown(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await expect((await previewed(visit, "svg", DRAWING)).locator("circle")).to_be_visible()
        await expect(
            (await previewed(visit, "xml", "<?xml version='1.0'?>\n" + DRAWING)).locator("circle")
        ).to_be_visible()
        shown = await previewed(visit, "mermaid", DIAGRAM)
        await expect(shown.locator("svg").get_by_text("Known?")).to_be_visible()
        shown = await previewed(visit, "mermaid", "no such diagram")
        await expect(shown.locator("pre")).to_contain_text("no such diagram")
        visit.backend.script(TextDelta(fenced("python", "print(1)") + fenced("xml", "<a/>")))
        before = await page.get_by_role("button", name="Preview", exact=True).count()
        await visit.ask("And code?")
        await expect(page.get_by_role("button", name="Copy code")).to_have_count(before + 2)
        await expect(page.get_by_role("button", name="Preview", exact=True)).to_have_count(before)


async def test_it_reaches_neither_the_network_nor_the_page(visiting: Visiting) -> None:
    async with listening() as listener, visiting() as visit:
        shown = await previewed(visit, "html", CURIOUS.replace("HERE", listener.url))
        await expect(shown.locator("#told")).to_contain_text("origin")
        told = json.loads(await shown.locator("#told").text_content() or "")
        assert told.pop("origin") == "null"
        refused = {"TypeError", "Error", "SecurityError", "nothing"}
        assert told.pop("rtc") == "undefined"
        assert {name: result for name, result in told.items() if result not in refused} == {}
        assert visit.page.url.startswith(visit.portal.url)
        for text in LEAVING:
            await previewed(visit, "html", text.replace("HERE", listener.url))
            await expect(visit.page.locator(".artefact-frame")).to_be_visible()
        shown = await previewed(visit, "html", COUNTER)
        await expect(shown.get_by_role("button", name="More")).to_be_visible()
        assert len(visit.context.pages) == 1
        assert listener.heard == []
        visit.problems.clear()  # what the browser refused, it told


async def test_the_frame_shows_nothing_by_itself(visiting: Visiting) -> None:
    async with visiting(at=None) as visit:
        page = visit.page
        await page.goto(visit.portal.url + "/artefact")
        await page.evaluate("postMessage({html: '<p id=told>shown</p>', scripts: []}, '*')")
        await expect(page.locator("#told")).to_have_count(0)
        assert await page.evaluate("self.origin") == "null"


@pytest.mark.parametrize(
    ("size", "theme", "language"),
    [
        pytest.param(WIDE, "dark", "en", id="wide-dark-en", marks=IN_FULL),
        pytest.param(NARROW, "light", "de", id="narrow-light-de"),
    ],
)
async def test_it_fits_and_satisfies_axe(
    visiting: Visiting, size: tuple[int, int], theme: Theme, language: str
) -> None:
    async with visiting(size=size, theme=theme) as visit:
        page = visit.page
        visit.backend.script(TextDelta(fenced("html", COUNTER)))
        await visit.ask("Make it")
        await expect(page.locator(".code")).to_have_count(1)
        async with aiohttp.ClientSession(headers=visit.portal.headers) as client:
            await client.put(visit.portal.url + "/portal/v1/preferences", json={"language": language})
        await page.reload()
        await page.get_by_role("button", name="Preview" if language == "en" else "Vorschau", exact=True).click()
        await expect(frame(page).get_by_role("button", name="More")).to_be_visible()
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= size[0]
