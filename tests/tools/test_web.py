"""Pages, searches and requests, over real connections to servers on this machine."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.tools.loopback import LoopbackFetcher, call, conversation, family, page, refusal, site

from portal.core.tools import ToolContext
from portal.errors import ToolError
from portal.settings.data import SearchSettings
from portal.tools.function import Functions
from portal.tools.searching import duckduckgo
from portal.tools.web import Web

ARTICLE = """<!doctype html><html><head><title> Pears &amp; figs </title><style>p{}</style></head><body>
<header><nav><a href="/">Home</a></nav></header><div id="cookie-consent">We use cookies</div>
<main><h1>Pears</h1><p>The <b>harvest</b> was <em>good</em>:<br>see <a href="/more?x=1">more</a>,
 <a href="#top">top</a>, <a href="javascript:alert(1)">trick</a> or <a href="http://[bad">broken</a>.</p>
<ul><li>sweet</li><li>round<ol><li>very</li></ol></li></ul><blockquote><p>Eat one.</p><p>Or two.</p></blockquote>
<pre>pear = 1
fig = 2</pre><p>Use <code>eat()</code> now.</p><hr><h2></h2><img alt="A pear" src="/p.png"><img src="/q.png">
<table><tr><th>Year</th><th>Tons</th></tr><tr><td>2026</td><td>1|2</td></tr><tr><td>only</td></tr><tr></tr></table>
<table><tr><td><ul><li>laid out</li></ul></td></tr></table><table></table>
<div class="share-buttons">Share this</div><script>alert(1)</script></main><footer>Imprint</footer></body></html>"""
MARKDOWN = """# Pears & figs
{url}

# Pears

The **harvest** was *good*:
see [more]({base}/more?x=1), top, trick or broken.

- sweet
- round
  1. very

> Eat one.
>
> Or two.

```
pear = 1
fig = 2
```

Use `eat()` now.

---

[picture: A pear]

| Year | Tons |
|---|---|
| 2026 | 1\\|2 |
| only |  |

- laid out"""


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    return conversation(tmp_path)


def answering(body: bytes, kind: str, status: int = 200) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": kind} if kind else {}, status=status)

    return answer


async def test_a_page_becomes_markdown(tmp_path: Path, talk: ToolContext) -> None:
    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPFound("/a/page")

    async with site({"/": moved, "/a/page": page(ARTICLE)}) as base:
        done = await call(family("web", tmp_path), "fetch_page", talk, url=f"{base}/")

    assert done.text == MARKDOWN.format(url=f"{base}/a/page", base=base)
    assert "Share" not in done.text


@pytest.mark.parametrize(
    ("html", "wanted", "unwanted"),
    [
        (
            "<body><div class=menu>" + "<a href=/x>menu item</a> " * 30 + "</div><div><p>" + "Real words. " * 60
            + "</p></div><div>" + "<p>short</p>" * 3 + "</div></body>",
            "Real words.",
            "menu item",
        ),
        ("<article><p>First story</p></article><article><p>Second story</p></article>", "Second story", "\0"),
        ("<p>Without a title", "Without a title", "\0"),
        ("<base href='/deep/'><p><a href='x'>go</a></p>", "/deep/x", "\0"),
        ("<main><p>Little</p></main><script>" + "x = 1;" * 5000 + "</script><p>Beside</p>", "Little", "Beside"),
        ("<nav class=menu><div class=menu><p>deep menu</p></div></nav><p>Words</p>", "Words", "deep menu"),
        ("<div>" * 3000 + "<script>no()</script>down" + "</div>" * 3000, "down", "no()"),
        ("<frameset></frameset>", "no text", "\0"),
        ("", "no text", "\0"),
        ("<div>" * 3000 + "far down" + "</div>" * 3000, "far down", "\0"),
        ("<p>a</p>" * 5000, "a", "\0"),
        ("<p>one<strong> </strong>two<span>three<p>", "one two", "\0"),
    ],
)  # fmt: skip
async def test_pages_of_every_shape(tmp_path: Path, talk: ToolContext, html: str, wanted: str, unwanted: str) -> None:
    async with site({"/": page(html)}) as base:
        done = await call(family("web", tmp_path), "fetch_page", talk, url=base)

    assert wanted in done.text
    assert unwanted not in done.text


@pytest.mark.parametrize(
    ("body", "kind", "wanted"),
    [
        ("<p>größe".encode("latin-1"), "text/html; charset=ISO-8859-1", "größe"),
        ('<meta charset="iso-8859-1"><p>größe'.encode("latin-1"), "text/html", "größe"),
        ("<p>größe".encode(), "text/html; charset=klingon", "größe"),
        (b'{"a": 1}', "application/json", '{"a": 1}'),
        (b"plain", "text/plain", "plain"),
        (b"<html><p>unsaid", "", "unsaid"),
    ],
)
async def test_kinds_and_charsets(tmp_path: Path, talk: ToolContext, body: bytes, kind: str, wanted: str) -> None:
    class Unsaid(LoopbackFetcher):
        async def fetch(self, request: Any) -> Any:
            answer = await super().fetch(request)
            return answer if kind else type(answer)(url=answer.url, status=200, headers={}, body=answer.body)

    async with site({"/": answering(body, kind)}) as base:
        done = await call(family("web", tmp_path, fetcher=Unsaid()), "fetch_page", talk, url=base)

    assert wanted in done.text


async def test_files_are_kept(tmp_path: Path, talk: ToolContext) -> None:
    tools = family("web", tmp_path)
    async with site({"/a/pear.pdf": answering(b"%PDF", "application/pdf"), "/": answering(b"\0", "image/png")}) as base:
        named = await call(tools, "fetch_page", talk, url=f"{base}/a/pear.pdf")
        unnamed = await call(tools, "http_request", talk, url=base)

    assert "saved as pear.pdf" in named.text
    assert (talk.folder / "pear.pdf").read_bytes() == b"%PDF"
    assert unnamed.files[0].name == "download.png"
    assert unnamed.text.startswith("Status 200")


async def test_what_is_not_there_or_too_long(tmp_path: Path, talk: ToolContext) -> None:
    tools = family("web", tmp_path)
    routes = {"/long": answering(b"x" * 11 * 2**20, "text/plain"), "/big": answering(bytes(11 * 2**20), "video/mp4")}
    async with site(routes) as base:
        gone = await refusal(tools, "fetch_page", talk, url=f"{base}/none")
        long = await call(tools, "fetch_page", talk, url=f"{base}/long")
        big = await refusal(tools, "fetch_page", talk, url=f"{base}/big")
    private = await refusal(tools, "fetch_page", talk, url="localhost:1/x")

    assert "status 404" in gone
    assert long.text.endswith("(The rest is left out: it is too long.)")
    assert "too large" in big
    assert "https://localhost:1/x is not allowed" in private


async def test_a_request_is_sent_as_asked(tmp_path: Path, talk: ToolContext) -> None:
    async def echo(request: web.Request) -> web.Response:
        headers = request.headers
        said = {"method": request.method, "kind": headers.get("Content-Type"), "key": headers.get("Key"),
                "agent": request.headers["User-Agent"], "body": await request.text()}  # fmt: skip
        return web.json_response(said, status=201, headers={"ETag": "x", "Secret": "no"})

    tools = family("web", tmp_path)
    async with site({"/": echo}) as base:
        json_ = await call(tools, "http_request", talk, url=base, method="PUT", headers={"Key": "k"}, body='{"a": 1}')
        text = await call(tools, "http_request", talk, url=base, method="POST", body="hi", headers={"user-agent": "me"})
        head = await call(tools, "http_request", talk, url=base, method="HEAD")

    said, other = (json.loads(done.text.split("\n\n")[1]) for done in (json_, text))
    assert json_.text.startswith(f"Status 201 from {base}")
    assert "etag: x" in json_.text
    assert "Secret" not in json_.text
    assert (said["method"], said["kind"], said["key"], said["body"]) == ("PUT", "application/json", "k", '{"a": 1}')
    assert (other["kind"], other["agent"]) == ("text/plain; charset=utf-8", "me")
    assert "\n\n" not in head.text


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Host": "other"}, "cannot be set"),
        ({"Proxy-Connection": "x"}, "cannot be set"),
        ({"A": "b\r\nC: d"}, "one line"),
    ],
)
async def test_headers_that_are_not_the_callers(
    tmp_path: Path, talk: ToolContext, headers: dict[str, str], said: str
) -> None:
    url = "https://example.org"
    assert said in await refusal(family("web", tmp_path), "http_request", talk, url=url, headers=headers)


FOUND = [
    {"title": "One  <b>pear</b>", "url": "https://one.example/", "content": "All about\n one. " * 40},
    {"title": "Trick", "url": "javascript:alert(1)", "content": ""},
    {"title": None, "url": "https://two.example/", "content": None},
    "nonsense",
    {"title": "Three", "url": "https://three.example/"},
]


async def test_searxng_is_asked(tmp_path: Path, talk: ToolContext) -> None:
    asked: list[dict[str, str]] = []

    async def search(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        return web.json_response({"results": FOUND})

    async with site({"/search": search}) as base:
        tools = family("web", tmp_path, search={"engine": "searxng", "url": f"{base}/", "results": 2})
        done = await call(tools, "web_search", talk, query=" pears ")

    assert asked == [{"q": "pears", "format": "json"}]
    lines = done.text.splitlines()
    assert lines[:2] == ["1. One pear", "   https://one.example/"]
    assert lines[2].endswith("…")
    assert lines[3:] == ["2. ", "   https://two.example/"]


async def test_brave_is_asked_through_the_guard(talk: ToolContext) -> None:
    fetcher = LoopbackFetcher()
    results = [{"title": "One", "url": "https://one.example/", "description": "First"}]
    async with site(
        {"/brave": answering(json.dumps({"web": {"results": results}}).encode(), "application/json")}
    ) as at:
        settings = SearchSettings(engine="brave", key="secret")
        searching = Web(fetcher=fetcher, search=settings, brave=f"{at}/brave")
        done = await call(Functions("web", [searching.web_search]), "web_search", talk, query="a&b")

    assert done.text == "1. One\n   https://one.example/\n   First"
    assert fetcher.asked[0].url.endswith("/brave?q=a%26b&count=6")
    assert fetcher.asked[0].headers["X-Subscription-Token"] == "secret"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, b"", "does not offer JSON"),
        (429, b"", "refuses to search"),
        (200, b"<html>", "no usable answer"),
        (200, b"[]", "no usable answer"),
        (500, b"{}", "no usable answer"),
        (200, b'{"results": 7}', "Nothing was found"),
    ],
)
async def test_search_engines_that_fail(tmp_path: Path, talk: ToolContext, status: int, body: bytes, said: str) -> None:
    async with site({"/search": answering(body, "application/json", status)}) as base:
        tools = family("web", tmp_path, search={"engine": "searxng", "url": base})
        try:
            assert said in (await call(tools, "web_search", talk, query="pears")).text
        except ToolError as error:
            assert said in error.message  # noqa: PT017


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"engine": "brave"}, "search.key"),
        ({"engine": "searxng"}, "search.url"),
        ({"engine": "searxng", "url": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"engine": "searxng", "url": "nonsense"}, "cannot be reached"),
    ],
)
async def test_what_is_missing_is_said(tmp_path: Path, talk: ToolContext, settings: dict[str, str], said: str) -> None:
    tools = family("web", tmp_path, search=settings)

    assert said in await refusal(tools, "web_search", talk, query="pears")
    assert "Say what" in await refusal(tools, "web_search", talk, query=" ")


def test_duckduckgo_that_cannot_be_reached_is_said() -> None:
    with pytest.raises(ToolError, match="DuckDuckGo cannot be reached"):
        duckduckgo("pears", 3, proxy="http://127.0.0.1:9")


async def test_where_a_call_may_be_led_goes_out_with_its_request(tmp_path: Path) -> None:
    def allowed(url: str) -> bool:
        return False

    fetcher = LoopbackFetcher()
    web = family("web", tmp_path, fetcher=fetcher)
    context = conversation(tmp_path, allowed=allowed)
    async with site({"/": page("here")}) as base:
        await call(web, "fetch_page", context, url=base)
        await call(web, "http_request", context, url=base)

    assert [request.allowed for request in fetcher.asked] == [allowed, allowed]
