"""A real Chromium on a real Portal: what every test of the page starts from."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.channels import Channel
from portal.core.passages import Embedder
from portal.core.speech import Transcriber
from portal.core.tool_ports import Toolset
from portal.testing.portal import TestPortal, open_test_portal

CHROMIUM = next(filter(Path.exists, map(Path, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium"))), None)
"""The one without a window's furniture takes half the processor time for a page."""
AXE = Path(__file__).parents[1] / "page" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000
"""Milliseconds in which anything shows, however busy the machine."""
WIDE = (1440, 900)
MIDDLE = (820, 1180)
NARROW = (360, 740)
Theme = Literal["light", "dark"]

try:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect
except ImportError:  # pragma: no cover
    pytest.skip("NOT RUN: the page's tests need playwright (pip install playwright)", allow_module_level=True)
if CHROMIUM is None:  # pragma: no cover
    pytest.skip("NOT RUN: the page's tests need chromium-headless-shell or chromium", allow_module_level=True)

__all__ = [
    "IN_FULL",
    "MIDDLE",
    "NARROW",
    "WIDE",
    "Theme",
    "Visit",
    "Visiting",
    "composer",
    "expect",
    "in_browser_loop",
    "open_chromium",
    "open_visit",
    "violations",
]

IN_FULL = (pytest.mark.slow, pytest.mark.long)
"""For the second look at a view: each is seen on a phone's screen in every run, and on a wide one by .ci/full."""
in_browser_loop = pytest.mark.asyncio(loop_scope="session")


@dataclass(kw_only=True)
class Visit:
    """A signed-in browser on a running Portal. `problems` collects what the browser's console complains about."""

    portal: TestPortal
    backend: ScriptedBackend
    browser: Browser
    pages: list[Page] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    async def another(
        self, *, at: str | None = "/", size: tuple[int, int] = WIDE, theme: Theme = "light", **options: Any
    ) -> Page:
        """A page in a browser of its own, signed in by its own link: a second device. It shows `at`; with None nothing
        yet, for a test that goes somewhere itself.

        Without a service worker unless asked for: what passes through one, a test's `route` does not see."""
        asked = {"service_workers": "block", "reduced_motion": "reduce", **options}
        context = await self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, **asked
        )
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        await context.request.get(await self.portal.sign_in_link(), max_redirects=0)
        if at is not None:
            await page.goto(self.portal.url + at)
            chat = at.partition("?")[0] == "/"
            await expect(composer(page) if chat else page.get_by_role("main")).to_be_visible()
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        refused = "Failed to load resource" in message.text  # a refusal by the server, which the page shows itself
        blocked = "Service Worker registration blocked by Playwright" in message.text
        if message.type in ("error", "warning") and not refused and not blocked:
            self.problems.append(f"{message.type}: {message.text}")

    async def ask(self, text: str, *, page: Page | None = None) -> None:
        """Write a question and send it with Enter, once the answer before it has ended and files are uploaded."""
        page = page or self.page
        await expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
        field = composer(page)
        await field.fill(text)
        await expect(page.locator(".composer button[type=submit]")).to_be_enabled()
        await field.press("Enter")

    async def post(self, path: str, body: object) -> Any:
        """Ask the server as an API client would."""
        async with (
            aiohttp.ClientSession(headers=self.portal.headers) as client,
            client.post(self.portal.url + path, json=body) as response,
        ):
            response.raise_for_status()
            return await response.json()

    async def upload(self, filename: str, content: str) -> Any:
        """A file, as an API client sends it."""
        form = aiohttp.FormData({"purpose": "user_data"})
        form.add_field("file", content.encode(), filename=filename)
        async with (
            aiohttp.ClientSession(headers=self.portal.headers) as client,
            client.post(self.portal.url + "/v1/files", data=form) as response,
        ):
            response.raise_for_status()
            return await response.json()

    @property
    def page(self) -> Page:
        """The first device's page."""
        return self.pages[0]

    @property
    def context(self) -> BrowserContext:
        """The first device's context."""
        return self.page.context


Visiting = Callable[..., AbstractAsyncContextManager[Visit]]
"""The fixture `visiting`: `async with visiting(backend=...) as visit`."""


def composer(page: Page) -> Any:
    """The field a question is written in."""
    return page.get_by_role("textbox", name="Message", exact=True)


@asynccontextmanager
async def open_chromium() -> AsyncIterator[Browser]:
    """A browser without windows; contexts in it know nothing of each other."""
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def open_visit(
    browser: Browser,
    data_dir: Path,
    *,
    backend: ScriptedBackend | None = None,
    toolsets: Sequence[Toolset] | None = (),
    embedder: Embedder | None = None,
    settings: Mapping[str, Any] | None = None,
    channels: Sequence[Channel] = (),
    transcriber: Transcriber | None = None,
    at: str | None = "/",
    size: tuple[int, int] = WIDE,
    theme: Theme = "light",
    **options: Any,
) -> AsyncIterator[Visit]:
    """A Portal with this backend, and a page signed in to it that shows `at`. Fails at the end if the console
    complained."""
    chosen = backend or ScriptedBackend(models=["tiny"])
    async with open_test_portal(
        data_dir,
        backends=[chosen],
        toolsets=toolsets,
        embedder=embedder,
        settings=settings,
        channels=channels,
        transcriber=transcriber,
    ) as portal:
        visit = Visit(portal=portal, backend=chosen, browser=browser)
        try:
            visit.pages.append(await visit.another(at=at, size=size, theme=theme, **options))
            yield visit
        finally:
            for context in visit.contexts:
                await context.close()
        assert visit.problems == [], visit.problems


async def violations(page: Page) -> list[str]:
    """What axe-core finds wrong on the page as it is now; loudly skipped where it is not installed.

    Frames are left out: what an answer made is not ours."""
    if not AXE.exists():
        pytest.skip("NOT RUN: axe-core is missing (npm ci --prefix tests/page)")
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations'], iframes: false})")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
