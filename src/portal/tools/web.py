"""Tools for the web: read a page, search, make any HTTP request. What leaves goes through the outbound guard."""

import asyncio
import mimetypes
from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.core.tool_ports import Fetcher, Toolset
from portal.core.tools import ToolContext, ToolResult
from portal.core.urls import spelled_out
from portal.errors import ToolError
from portal.settings.data import SearchSettings
from portal.tools.crawling import AGENT, MOST_DEPTH, MOST_PAGES, Bounds, Crawl, Crawler
from portal.tools.families import Needs
from portal.tools.folders import keep
from portal.tools.function import Functions, tool
from portal.tools.readable import decoded, readable
from portal.tools.searching import BRAVE, search

_ACCEPT = "text/html,application/xhtml+xml,text/plain,application/json;q=0.9,*/*;q=0.5"
_OURS = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
_TELLING = ("content-type", "location", "last-modified", "etag", "retry-after", "www-authenticate", "allow", "link")
_TEXTUAL = ("json", "xml", "javascript", "yaml", "x-www-form-urlencoded", "toml", "csv")
_CRAWL_SECONDS = 600
_CRAWLED = 120_000
"""Characters of all pages together."""
_NAMED = 10
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


class Web:
    """The family, with its way out."""

    def __init__(self, *, fetcher: Fetcher, search: SearchSettings, brave: str = BRAVE) -> None:
        self._fetcher = fetcher
        self._search = search
        self._brave = brave

    @tool(risk="fetch", scopes={"url": "url"}, untrusted=True)
    async def fetch_page(self, url: Annotated[str, "Address of the page"], context: ToolContext) -> ToolResult:
        """Read a web page whose address you know: its title, text and links."""
        headers = {"User-Agent": AGENT, "Accept": _ACCEPT}
        asked = OutboundRequest(url=spelled_out(url), headers=headers, allowed=context.allowed)
        answer = await self._fetcher.fetch(asked)
        if answer.status >= 400:
            raise ToolError(f"{answer.url} answered with status {answer.status}.")
        kind = answer.headers.get("content-type", "")
        if _is_html(kind, answer.body):
            page = await asyncio.to_thread(readable, decoded(answer.body, kind), answer.url)
            text = f"# {page.title or answer.url}\n{answer.url}\n\n{page.text or '(This page has no text.)'}"
            return ToolResult(text=text + _cut(answer))
        if _is_text(kind):
            return ToolResult(text=f"{answer.url}\n\n{decoded(answer.body, kind)}{_cut(answer)}")
        return _as_file(answer, context)

    @tool(risk="fetch", untrusted=True)
    async def web_search(self, query: Annotated[str, "A few words, as for a search engine"]) -> str:
        """Search the web for pages about something. Read the best of them with fetch_page."""
        if not query.strip():
            raise ToolError("Say what to search for.")
        hits = await search(query.strip()[:400], self._search, self._fetcher, brave=self._brave)
        lines = [f"{number}. {hit.title}\n   {hit.url}\n   {hit.text}".rstrip() for number, hit in enumerate(hits, 1)]
        return "\n".join(lines) or "Nothing was found; try other words."

    @tool(risk="fetch", scopes={"url": "url"}, untrusted=True, timeout=_CRAWL_SECONDS)
    async def crawl_site(
        self,
        url: Annotated[str, "Where to begin"],
        context: ToolContext,
        pages: Annotated[int, "Pages to read at most"] = 10,
        depth: Annotated[int, "Links to follow from the first page on"] = 2,
        whole_site: Annotated[bool, "Also outside of the first page's folder"] = False,
    ) -> ToolResult:
        """Read several pages of a site, from one on by its links: a manual, a wiki, a blog. It stays on the site, below
        the folder of the first page, and obeys robots.txt."""
        bounds = Bounds(
            pages=max(1, min(pages, MOST_PAGES)), depth=max(0, min(depth, MOST_DEPTH)), whole_site=whole_site
        )
        crawler = Crawler(self._fetcher, context=context)
        return ToolResult(text=_crawled(await crawler.read(spelled_out(url), bounds, _CRAWLED // bounds.pages)))

    @tool(risk="network", scopes={"url": "url"}, untrusted=True)
    async def http_request(
        self,
        url: str,
        context: ToolContext,
        method: Method = "GET",
        headers: dict[str, str] | None = None,
        body: Annotated[str, "What to send"] = "",
    ) -> ToolResult:
        """Call a web API or send data: any HTTP method, headers and body; shows status, headers and the answer."""
        asked = OutboundRequest(
            url=spelled_out(url),
            method=method,
            headers=_sendable(headers or {}, body),
            body=body.encode(),
            allowed=context.allowed,
        )
        answer = await self._fetcher.fetch(asked)
        kind = answer.headers.get("content-type", "")
        told = [f"{name}: {answer.headers[name]}" for name in _TELLING if name in answer.headers]
        head = "\n".join([f"Status {answer.status} from {answer.url}", *told])
        if not answer.body:
            return ToolResult(text=head)
        if _is_text(kind) or _is_html(kind, answer.body):
            return ToolResult(text=f"{head}\n\n{decoded(answer.body, kind)}{_cut(answer)}")
        made = _as_file(answer, context)
        return ToolResult(text=f"{head}\n\n{made.text}", files=made.files)


def _crawled(crawl: Crawl) -> str:
    notes = (
        [f"robots.txt forbids {len(crawl.refused)} pages: {', '.join(crawl.refused[:_NAMED])}"] if crawl.refused else []
    )
    notes += [f"Not read: {each}" for each in crawl.failed[:_NAMED]]
    if crawl.left:
        notes.append(f"{crawl.left} more pages were found and not read: ask for more pages, or begin elsewhere.")
    told = [f"({note})" for note in notes]
    return "\n\n".join([*crawl.texts, *told])


def _sendable(headers: dict[str, str], body: str) -> dict[str, str]:
    """Headers as they may be sent. Raises ToolError for those that are not the caller's to set."""
    for name, value in headers.items():
        if name.lower() in _OURS or name.lower().startswith("proxy-"):
            raise ToolError(f"The header {name!r} cannot be set.")
        if any(sign in name + value for sign in "\r\n\0"):
            raise ToolError("A header must be one line.")
    names = {name.lower() for name in headers}
    if body and "content-type" not in names:
        kind = "application/json" if body.lstrip()[:1] in ("{", "[") else "text/plain; charset=utf-8"
        headers = {**headers, "Content-Type": kind}
    return headers if "user-agent" in names else {**headers, "User-Agent": AGENT}


def _is_html(kind: str, body: bytes) -> bool:
    if kind:
        return "html" in kind.lower()
    return body.lstrip()[:200].lower().startswith((b"<!doctype html", b"<html"))


def _is_text(kind: str) -> bool:
    return kind.lower().startswith("text/") or any(word in kind.lower() for word in _TEXTUAL)


def _cut(answer: OutboundResponse) -> str:
    return "\n\n(The rest is left out: it is too long.)" if answer.cut else ""


def _as_file(answer: OutboundResponse, context: ToolContext) -> ToolResult:
    kind = answer.headers.get("content-type", "").split(";")[0].strip()
    if answer.cut:
        raise ToolError(f"{answer.url} is a file of {kind or 'unknown kind'} that is too large to load.")
    name = PurePosixPath(urlsplit(answer.url).path).name or "download"
    if "." not in name:
        name += mimetypes.guess_extension(kind) or ""
    file = keep(context, name, answer.body)
    text = f"{answer.url} is not a page but a file ({kind or 'unknown kind'}, {len(answer.body):,} bytes)"
    return ToolResult(text=f"{text}, saved as {file.name}.", files=(file,))


def create(needs: Needs) -> Toolset:
    """The family `web`."""
    web = Web(fetcher=needs.fetcher, search=needs.settings.search)
    return Functions("web", [web.fetch_page, web.web_search, web.crawl_site, web.http_request])
