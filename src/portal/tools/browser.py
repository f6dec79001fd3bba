"""Tools that drive a real browser, for pages that are nothing without their scripts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Literal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult
from portal.core.urls import read_url, spelled_out
from portal.errors import ToolError
from portal.tools.browsing import SECONDS, Browsing, Visit
from portal.tools.families import Needs
from portal.tools.folders import keep
from portal.tools.function import Functions, tool
from portal.tools.readable import readable

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

_CONTROLS = """() => {
    const shown = e => e.checkVisibility({visibilityProperty: true}) && e.type !== 'hidden';
    const name = e => (e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.placeholder || e.innerText
        || e.title || e.name || e.value || '').replace(/\\s+/g, ' ').trim().slice(0, 60);
    const kind = e => e.tagName === 'BUTTON' || ['submit', 'button', 'reset'].includes(e.type) ? 'button'
        : e.tagName === 'SELECT' ? 'choice' : ['checkbox', 'radio'].includes(e.type) ? e.type : 'field';
    const all = document.querySelectorAll('button, input, select, textarea, [role=button], [contenteditable=true]');
    return [...all].filter(shown).slice(0, 40).map(e => kind(e) + ': ' + name(e)).filter(line => !line.endsWith(': '));
}"""


class BrowserTools(Functions):
    """The family."""

    def __init__(self, *, browsing: Browsing) -> None:
        self._browsing = browsing
        super().__init__(
            "browser", (self.open_in_browser, self.use_browser, self.read_browser, self.screenshot_browser)
        )

    async def aclose(self) -> None:
        """End the browser."""
        await self._browsing.aclose()

    @tool(risk="fetch", scopes={"url": "url"}, untrusted=True)
    async def open_in_browser(self, url: str, context: ToolContext) -> str:
        """Open a web page in a real browser. Use it only for pages that need scripts, clicks or forms."""
        visit = await self._visit(context, new=True)
        async with _failures(visit):
            await visit.page.goto(str(read_url(spelled_out(url))), wait_until="domcontentloaded")
            return await _described(visit)

    @tool(risk="network", untrusted=True)
    async def use_browser(
        self,
        action: Literal["click", "fill", "choose", "press", "back"],
        context: ToolContext,
        target: Annotated[str, "Words on the button, link or field, or a CSS selector"] = "",
        text: Annotated[str, "What to fill in or choose, or the key to press such as Enter"] = "",
    ) -> str:
        """Click, fill in a field, choose from a list, press a key or go back on the page open in the browser."""
        visit = await self._visit(context)
        async with _failures(visit):
            await _act(visit.page, action, target, text)
            return await _described(visit)

    @tool(risk="read", untrusted=True)
    async def read_browser(self, context: ToolContext) -> str:
        """Read the page that is open in the browser, as it is now."""
        visit = await self._visit(context)
        async with _failures(visit):
            return await _described(visit)

    @tool(risk="read", untrusted=True)
    async def screenshot_browser(
        self, context: ToolContext, whole: Annotated[bool, "The whole page, not only what is on the screen"] = False
    ) -> ToolResult:
        """Take a picture of the page that is open in the browser."""
        visit = await self._visit(context)
        async with _failures(visit):
            height = await visit.page.evaluate("document.documentElement.scrollHeight")
            made = await visit.page.screenshot(full_page=whole and height < 16_000, type="png")
            return ToolResult(text=f"A picture of {visit.page.url}", files=(keep(context, "screenshot.png", made),))

    async def _visit(self, context: ToolContext, *, new: bool = False) -> Visit:
        visit = await self._browsing.visit(_key(context), new=new)
        visit.allowed = context.allowed
        return visit


def _key(context: ToolContext) -> str:
    return f"{context.owner}/{context.conversation_id or context.response_id}"


@asynccontextmanager
async def _failures(visit: Visit) -> AsyncIterator[None]:
    """Playwright's errors as ToolError, with why a request was refused where that is the reason."""
    from playwright.async_api import Error

    visit.refused.clear()
    try:
        yield
    except Error as error:
        said = str(error).strip().splitlines()[0].removeprefix("Page.").removeprefix("Locator.")
        raise ToolError(visit.refused[0] if visit.refused else f"The browser could not do it: {said[:300]}") from error


async def _act(page: "Page", action: str, target: str, text: str) -> None:
    if action == "back":
        await page.go_back(wait_until="domcontentloaded")
        return
    if action == "press":
        where = await _found(page, target) if target else page.locator(":focus, body").last
        await where.press(text or "Enter")
        return
    if not target:
        raise ToolError("Say in `target` which button, link or field is meant.")
    element = await _found(page, target)
    if action == "click":
        await element.click()
    elif action == "fill":
        await element.fill(text)
    else:
        await element.select_option(text)


async def _found(page: "Page", target: str) -> "Locator":
    """The first visible element that the words mean. Raises ToolError when there is none."""
    from playwright.async_api import Error

    ways = [page.get_by_role(role, name=target) for role in _ROLES]  # type: ignore[arg-type]
    ways += [page.get_by_label(target), page.get_by_placeholder(target), page.get_by_text(target)]
    ways += [page.locator(f"[name={_quoted(target)}]"), page.locator(target)]
    for way in ways:
        try:
            visible = way.filter(visible=True)
            if await visible.count():
                return visible.first
        except Error:
            continue  # words that are no CSS selector
    raise ToolError(f"There is no {target!r} on the page. It has:\n" + "\n".join(await page.evaluate(_CONTROLS)))


_ROLES = ("button", "link", "textbox", "searchbox", "combobox", "checkbox", "radio", "tab", "menuitem", "option")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


async def _described(visit: Visit) -> str:
    await _settled(visit)
    page = visit.page
    read = await asyncio.to_thread(readable, await page.content(), page.url)
    controls = await page.evaluate(_CONTROLS)
    parts = [f"# {read.title or page.url}\n{page.url}", read.text or "(This page has no text.)"]
    if controls:
        parts.append("Controls:\n" + "\n".join(controls))
    if visit.refused:
        parts.append(f"({len(visit.refused)} requests of the page were refused.)")
    return "\n\n".join(parts)


async def _settled(visit: Visit) -> None:
    """Wait until the page is there, redirects followed."""
    from playwright.async_api import TimeoutError as Late

    page = visit.page
    for _ in range(10):
        if page.url not in visit.moved:
            break
        await page.wait_for_url(visit.moved[page.url], wait_until="commit", timeout=SECONDS * 1000)
    await page.wait_for_load_state("domcontentloaded")
    try:
        await page.wait_for_load_state("networkidle", timeout=3000)
    except Late:
        return  # it goes on talking; what is there is enough


def create(needs: Needs) -> Toolset:
    """The family `browser`."""
    return BrowserTools(browsing=Browsing(fetcher=needs.fetcher, settings=needs.settings.browser))
