"""Search engines of the web: one question in, titles, addresses and a few words out."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from portal.core.outbound import OutboundRequest
from portal.core.tool_ports import Fetcher
from portal.errors import ToolError
from portal.extras import add_command
from portal.settings.data import SearchSettings

BRAVE = "https://api.search.brave.com/res/v1/web/search"
SECONDS = 20
_LARGEST = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One result."""

    title: str
    url: str
    text: str


async def search(query: str, settings: SearchSettings, fetcher: Fetcher, *, brave: str = BRAVE) -> Sequence[Hit]:
    """Ask the engine of the settings. Raises ToolError, which says what is missing or went wrong."""
    if settings.engine == "brave":
        found = await _brave(query, settings, fetcher, brave)
    elif settings.engine == "searxng":
        found = await _searxng(query, settings)
    else:
        found = await asyncio.to_thread(duckduckgo, query, settings.results)
    return [hit for hit in found if hit.url.startswith(("http://", "https://"))][: settings.results]


async def _brave(query: str, settings: SearchSettings, fetcher: Fetcher, address: str) -> list[Hit]:
    if settings.key is None:
        raise ToolError("Searching needs a key for Brave Search in the setting search.key.")
    headers = {"X-Subscription-Token": settings.key.get_secret_value(), "Accept": "application/json"}
    url = f"{address}?{urlencode({'q': query, 'count': settings.results})}"
    answer = await fetcher.fetch(OutboundRequest(url=url, headers=headers, seconds=SECONDS, largest=_LARGEST))
    found = _read("Brave Search", answer.status, answer.body).get("web") or {}
    return _hits(found.get("results"), "title", "url", "description")


async def _searxng(query: str, settings: SearchSettings) -> list[Hit]:
    """The server's address is the owner's own, often on this machine: the outbound guard is not asked."""
    import aiohttp

    if not settings.url:
        raise ToolError("Searching needs the address of a SearXNG server in the setting search.url.")
    address = f"{settings.url.rstrip('/')}/search"
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(address, params={"q": query, "format": "json"}, allow_redirects=False) as answer,
        ):
            body = await answer.content.read(_LARGEST)
            while len(body) < _LARGEST and (piece := await answer.content.read(_LARGEST - len(body))):
                body += piece
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise ToolError("The SearXNG server of the setting search.url cannot be reached.") from error
    if answer.status == 403:
        raise ToolError("The SearXNG server does not offer JSON: add `json` to `search.formats` of its settings.")
    return _hits(_read("SearXNG", answer.status, body).get("results"), "title", "url", "content")


def duckduckgo(query: str, results: int, proxy: str | None = None) -> list[Hit]:
    """By the library ddgs, which has an HTTP client of its own: it goes to DuckDuckGo's hosts, and nowhere else."""
    try:
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException
    except ImportError as error:
        raise ToolError(f"Searching with DuckDuckGo needs ddgs: `{add_command('search')}`.") from error
    try:
        found = DDGS(proxy=proxy, timeout=SECONDS).text(query, max_results=results, backend="duckduckgo")
    except DDGSException as error:
        if "No results" in str(error):
            return []
        raise ToolError("DuckDuckGo cannot be reached, or refuses; try again later or set another engine.") from error
    return _hits(found, "title", "href", "body")


def _read(engine: str, status: int, body: bytes) -> dict[str, Any]:
    if status in (401, 403, 422, 429):
        raise ToolError(f"{engine} refuses to search (status {status}): its key is wrong or its quota used up.")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ToolError(f"{engine} gave no usable answer (status {status}).") from error
    if status != 200 or not isinstance(found, dict):
        raise ToolError(f"{engine} gave no usable answer (status {status}).")
    return found


def _hits(found: Any, title: str, url: str, text: str) -> list[Hit]:
    rows = [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
    return [
        Hit(title=_plain(row.get(title), 150), url=str(row.get(url) or ""), text=_plain(row.get(text), 300))
        for row in rows
    ]


def _plain(value: object, most: int) -> str:
    text = re.sub(r"\s+", " ", re.sub(r"</?\w+>", "", str(value or ""))).strip()
    return text if len(text) <= most else f"{text[: most - 1]}…"
