"""Reading a part of a site, over real connections to a server on this machine."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.tools.loopback import call, conversation, family, page, refusal, site

from portal.core.tools import ToolContext

START = '<html><title>Start</title><main><p>Welcome. <a href="a">A</a> <a href="/docs/b">B</a> <a href="/blog/x">X</a> <a href="secret/y">Y</a> <a href="http://127.0.0.1:1/other">O</a> <a href="gone">G</a> <a href="file.pdf">F</a></p></main></html>'  # noqa: E501
ROBOTS = "User-agent: *\nDisallow: /docs/secret/\nCrawl-delay: 0.01\n"


def leaf(title: str, link: str = "") -> Any:
    return page(f'<html><title>{title}</title><main><p>Text of {title}. <a href="{link}">more</a></p></main></html>')


def plain(text: str, *, status: int = 200, kind: str = "text/plain") -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status, content_type=kind)

    return answer


ROUTES = {
    "/robots.txt": plain(ROBOTS),
    "/docs/start": page(START),
    "/docs/a": leaf("Page A", "deep"),
    "/docs/b": leaf("Page B"),
    "/docs/deep": leaf("Deep"),
    "/blog/x": leaf("Blog"),
    "/docs/secret/y": leaf("Secret"),
    "/docs/file.pdf": plain("%PDF", kind="application/pdf"),
}


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    return conversation(tmp_path)


async def test_it_stays_below_the_first_page_and_obeys_robots(tmp_path: Path, talk: ToolContext) -> None:
    async with site(ROUTES) as base:
        done = await call(family("web", tmp_path), "crawl_site", talk, url=f"{base}/docs/start")

    heads = [line for line in done.text.splitlines() if line.startswith("# ")]
    assert heads == ["# Start", "# Page A", "# Page B", "# Deep"]
    assert f"(robots.txt forbids 1 pages: {base}/docs/secret/y)" in done.text
    assert f"(Not read: {base}/docs/gone: {base}/docs/gone answered with status 404.)" in done.text
    assert "a file (application/pdf)" in done.text
    assert "Blog" not in heads


async def test_its_bounds(tmp_path: Path, talk: ToolContext) -> None:
    tools = family("web", tmp_path)
    async with site(ROUTES) as base:
        few = await call(tools, "crawl_site", talk, url=f"{base}/docs/start", pages=2)
        shallow = await call(tools, "crawl_site", talk, url=f"{base}/docs/start", depth=0)
        whole = await call(tools, "crawl_site", talk, url=f"{base}/docs/start", whole_site=True)

    assert few.text.count("\n# ") == 1
    assert "more pages were found and not read" in few.text
    assert "Page A" not in shallow.text
    assert "# Blog" in whole.text


@pytest.mark.parametrize("robots", [plain("User-agent: *\nDisallow: /"), plain("broken", status=503)])
async def test_a_site_that_forbids_it_or_cannot_say(tmp_path: Path, talk: ToolContext, robots: Any) -> None:
    async with site({**ROUTES, "/robots.txt": robots}) as base:
        refused = await refusal(family("web", tmp_path), "crawl_site", talk, url=f"{base}/docs/start")

    assert "robots.txt forbids" in refused


async def test_a_site_without_robots_and_a_long_plain_page(tmp_path: Path, talk: ToolContext) -> None:
    async with site({"/long": plain("pear " * 100_000)}) as base:
        done = await call(family("web", tmp_path), "crawl_site", talk, url=f"{base}/long")
        missing = await refusal(family("web", tmp_path), "crawl_site", talk, url=f"{base}/none")

    assert "characters more: read it with fetch_page" in done.text
    assert "status 404" in missing
