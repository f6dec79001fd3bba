"""Reads a part of a site, page after page by its links, as far as robots.txt lets anybody and no further than asked."""

import asyncio
import re
from collections import deque
from dataclasses import dataclass, field
from posixpath import dirname
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.core.tool_ports import Fetcher
from portal.core.tools import ToolContext
from portal.core.urls import read_url
from portal.errors import ToolError
from portal.tools.readable import decoded, readable

if TYPE_CHECKING:
    from protego import Protego
    from yarl import URL

AGENT = "Mozilla/5.0 (compatible; Portal)"
"""What servers are told of whoever reads their pages."""
_ROBOT = "Portal"
MOST_PAGES, MOST_DEPTH = 50, 5
_LONGEST_PAUSE = 10.0
_LARGEST_ROBOTS = 500_000
_LINK = re.compile(r"\[[^\]]*\]\((https?://[^\s)]+)\)")
_PAGES = ("text/html", "application/xhtml+xml", "text/plain", "text/markdown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far it goes."""

    pages: int
    depth: int
    """Links from the first page on."""
    whole_site: bool
    """Whether it leaves the folder of the first page."""


@dataclass(slots=True, kw_only=True)
class Crawl:
    """What was read, and what was not."""

    texts: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """By robots.txt."""
    failed: list[str] = field(default_factory=list)
    left: int = 0
    """Pages that were found and not read, for there were enough."""


class Crawler:
    """Reads one page at a time, so that it is a burden to nobody."""

    def __init__(self, fetcher: Fetcher, *, context: ToolContext) -> None:
        self._fetcher = fetcher
        self._context = context

    async def read(self, start: str, bounds: Bounds, longest: int) -> Crawl:
        """Breadth first from `start`; of each page `longest` characters.

        Raises:
            ToolError: the first page cannot be read, or robots.txt forbids it.
        """
        first = await self._fetch(start)
        home = read_url(first.url)
        robots, crawl = await self._robots(home), Crawl()
        if not robots.can_fetch(first.url, _ROBOT):
            raise ToolError(f"The site's robots.txt forbids programs to read {first.url}.")
        pause = min(float(robots.crawl_delay(_ROBOT) or 0), _LONGEST_PAUSE)
        seen, waiting = {start, first.url}, deque([(first.url, 0)])
        while waiting and len(crawl.texts) < bounds.pages:
            url, depth = waiting.popleft()
            page = first if url == first.url else await self._next(url, robots, crawl, pause)
            if page is None:
                continue
            text = await _text(page, longest, crawl)
            for link in _links(text, home, bounds) if depth < bounds.depth else ():
                if link not in seen:
                    seen.add(link)
                    waiting.append((link, depth + 1))
        crawl.left = len(waiting)
        return crawl

    async def _next(self, url: str, robots: "Protego", crawl: Crawl, pause: float) -> OutboundResponse | None:
        if not robots.can_fetch(url, _ROBOT):
            crawl.refused.append(url)
            return None
        self._context.report(f"page {len(crawl.texts) + 1}: {url}")
        await asyncio.sleep(pause)
        try:
            return await self._fetch(url)
        except ToolError as error:
            crawl.failed.append(f"{url}: {error.message}")
            return None

    async def _fetch(self, url: str) -> OutboundResponse:
        headers = {"User-Agent": AGENT, "Accept": ", ".join(_PAGES)}
        answer = await self._fetcher.fetch(OutboundRequest(url=url, headers=headers, allowed=self._context.allowed))
        if answer.status >= 400:
            raise ToolError(f"{answer.url} answered with status {answer.status}.")
        return answer

    async def _robots(self, home: "URL") -> "Protego":
        """As RFC 9309 has it: a site without the file forbids nothing, one whose server fails forbids all."""
        from protego import Protego

        asked = OutboundRequest(
            url=str(home.origin() / "robots.txt"),
            headers={"User-Agent": AGENT},
            largest=_LARGEST_ROBOTS,
            allowed=self._context.allowed,
        )
        try:
            answer = await self._fetcher.fetch(asked)
        except ToolError:
            return Protego.parse("User-agent: *\nDisallow: /")
        if answer.status >= 500:
            return Protego.parse("User-agent: *\nDisallow: /")
        found = answer.body.decode("utf-8", errors="replace") if answer.status < 400 else ""
        return Protego.parse(found)


async def _text(page: OutboundResponse, longest: int, crawl: Crawl) -> str:
    """The whole text of a page, of which the crawl keeps a part."""
    kind = page.headers.get("content-type", "")
    plain = kind.partition(";")[0].strip().lower()
    if plain not in _PAGES:
        crawl.failed.append(f"{page.url}: a file ({plain or 'unknown kind'})")
        return ""
    text = decoded(page.body, kind)
    title = ""
    if "html" in plain:
        read = await asyncio.to_thread(readable, text, page.url)
        title, text = read.title, read.text
    cut = f"\n\n({len(text) - longest:,} characters more: read it with fetch_page.)" if len(text) > longest else ""
    crawl.texts.append(f"# {title or page.url}\n{page.url}\n\n{text[:longest].strip()}{cut}")
    return text


def _links(text: str, home: "URL", bounds: Bounds) -> list[str]:
    """Addresses in a page's Markdown that belong to the part that is read."""
    folder = "/" if bounds.whole_site else f"{dirname(home.raw_path).rstrip('/')}/"
    found = []
    for link in dict.fromkeys(_LINK.findall(text)):
        try:
            url = read_url(urldefrag(link)[0])
        except ToolError:
            continue
        if url.origin() == home.origin() and url.raw_path.startswith(folder):
            found.append(str(url))
    return found
