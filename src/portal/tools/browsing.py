"""A real browser that cannot reach the network: each request of its pages is made by the outbound guard instead.

Its own ways out are closed (no name resolves, the proxy is dead, no WebSockets or service workers), so that whatever
escapes the interception fails. What this costs: no streaming, no uploads of files, 10 MB a resource.
"""

import asyncio
import contextlib
import html
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.core.tool_ports import Fetcher
from portal.errors import ToolError
from portal.extras import add_command
from portal.settings.data import BrowserSettings

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page, Playwright, Request, Route

SECONDS = 20
MOST_VISITS = 8
"""Conversations with a page open at once."""
_FLAGS = (
    "--proxy-server=http://127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_NOT_SENT = {"accept-encoding", "connection", "content-length", "host", "cookie"}
_NOT_KEPT = {"content-encoding", "content-length", "transfer-encoding", "connection", "content-disposition"}


@dataclass(kw_only=True)
class Visit:
    """What one conversation has open."""

    context: "BrowserContext"
    refused: list[str] = field(default_factory=list)
    """Why requests did not go out."""
    moved: dict[str, str] = field(default_factory=dict)
    """Addresses that redirected, and where to."""
    ready: dict[str, OutboundResponse] = field(default_factory=dict)
    """What redirects brought, until the page asks for it."""
    allowed: Callable[[str], bool] = lambda url: True
    """Whether policies let the latest call's page go to an address."""
    used: float = 0

    @property
    def page(self) -> "Page":
        """The newest one: a click may have opened another."""
        return self.context.pages[-1]


class Browsing:
    """One browser for all conversations, started when first needed and closed when nobody used it for a while."""

    def __init__(self, *, fetcher: Fetcher, settings: BrowserSettings, most: int = MOST_VISITS) -> None:
        self._fetcher = fetcher
        self._settings = settings
        self._most = most
        self._lock = asyncio.Lock()
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._visits: dict[str, Visit] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def visit(self, key: str, *, new: bool = False) -> Visit:
        """The conversation's pages. Raises ToolError when there is no browser, or nothing open and `new` is false."""
        async with self._lock:
            loop = asyncio.get_running_loop()
            self._rest(loop)
            if key not in self._visits:
                if not new:
                    raise ToolError("No page is open; use open_in_browser first.")
                if len(self._visits) >= self._most:
                    oldest = min(self._visits, key=lambda one: self._visits[one].used)
                    await self._visits.pop(oldest).context.close()
                self._visits[key] = await self._begin()
            self._visits[key].used = loop.time()
            return self._visits[key]

    async def aclose(self) -> None:
        """End the browser."""
        if self._timer:
            self._timer.cancel()
        if self._closing:
            await self._closing
        await self._end()

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer:
            self._timer.cancel()

        def begin() -> None:
            self._closing = loop.create_task(self._end())  # awaited by aclose

        self._timer = loop.call_later(self._settings.idle, begin)

    async def _end(self) -> None:
        async with self._lock:
            self._visits.clear()
            browser, self._browser = self._browser, None
            playwright, self._playwright = self._playwright, None
            if browser:
                await browser.close()
            if playwright:
                await playwright.stop()

    async def _begin(self) -> Visit:
        browser = self._browser
        if browser is None or not browser.is_connected():
            self._visits.clear()
            browser = await self._launch()
        context = await browser.new_context(
            service_workers="block", accept_downloads=False, viewport={"width": 1280, "height": 800}
        )
        context.set_default_timeout(SECONDS * 1000)
        visit = Visit(context=context)
        await context.route("**/*", lambda route, request: self._answer(visit, route, request))
        await context.route_web_socket("**/*", lambda socket: socket.close())
        await context.new_page()
        return visit

    async def _launch(self) -> "Browser":
        try:
            from playwright.async_api import Error, async_playwright
        except ImportError as error:
            raise ToolError(f"The browser needs playwright: install it with `{add_command('browser')}`.") from error
        found = self._settings.executable or next(filter(None, map(shutil.which, _NAMES)), None)
        if self._playwright is None:
            self._playwright = await async_playwright().start()
        try:
            self._browser = await self._playwright.chromium.launch(
                executable_path=found, args=list(_FLAGS), chromium_sandbox=not _is_root()
            )
        except Error as error:
            said = str(error).strip().splitlines()[0]
            hint = "install Chromium, or set browser.executable"
            raise ToolError(f"No browser could be started ({said}): {hint}.") from error
        return self._browser

    async def _answer(self, visit: Visit, route: "Route", request: "Request") -> None:
        """Answer a request of the page with what the guard brings."""
        from playwright.async_api import Error

        try:
            if not visit.allowed(request.url):
                raise ToolError("policies do not allow this address here.")
            answer = visit.ready.pop(request.url, None) or await self._fetcher.fetch(await _asked(visit, request))
        except ToolError as error:
            visit.refused.append(f"{request.url[:200]}: {error.message}")
            with contextlib.suppress(Error):
                await route.abort("blockedbyclient")
            return
        if answer.url != request.url and request.is_navigation_request():
            visit.moved[request.url] = answer.url
            visit.ready[answer.url] = answer
            answer = _moving(answer.url)
        headers = {name: value for name, value in answer.headers.items() if name not in _NOT_KEPT}
        with contextlib.suppress(Error):  # the page may be gone meanwhile
            await route.fulfill(status=answer.status, headers=headers, body=answer.body)


async def _asked(visit: Visit, request: "Request") -> OutboundRequest:
    headers = {name: value for name, value in request.headers.items() if name not in _NOT_SENT}
    cookies = await visit.context.cookies(request.url)
    if cookies:
        headers["cookie"] = "; ".join(f"{one['name']}={one['value']}" for one in cookies)
    return OutboundRequest(
        url=urldefrag(request.url).url,
        method=request.method,
        headers=headers,
        body=request.post_data_buffer or b"",
        seconds=SECONDS,
        allowed=visit.allowed,
    )


def _moving(url: str) -> OutboundResponse:
    """A page that leads on: a redirect would be followed past the interception."""
    page = f'<!doctype html><meta http-equiv="refresh" content="0;url={html.escape(url)}">'
    return OutboundResponse(url=url, status=200, headers={"content-type": "text/html"}, body=page.encode())


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
