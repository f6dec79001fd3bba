import base64
import gzip
import hashlib
import re

import aiohttp
import pytest

from portal.interfaces.web.pages import content_security_policy
from portal.testing.portal import TestPortal

from .conftest import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")


HTML = {"Accept": "text/html,*/*;q=0.8"}


async def test_the_pages_policy_names_its_import_map(me: Door) -> None:
    async with me.client.get("/", headers=HTML) as answer:
        html = await answer.text()
        policy = answer.headers["content-security-policy"]
    (inline,) = re.findall(r'<script type="importmap">(.*?)</script>', html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert all("http" not in rule and "*" not in rule for rule in rules.values())
    assert re.findall(r"<script(?![^>]*(src=|importmap))", html) == []
    assert re.findall(r"\son\w+=|style=", html) == []


async def test_a_page_without_inline_scripts_needs_no_hash() -> None:
    assert "script-src 'self';" in content_security_policy("<p>hi</p>")


async def test_every_view_is_the_page(me: Door) -> None:
    async with me.client.get("/", headers=HTML) as answer:
        html = await answer.text()
    for path in ("/c/conv_1", "/settings", "/manual/getting-started", "/index.html"):
        async with me.client.get(path) as answer:
            assert (answer.status, await answer.text()) == (200, html)


async def test_static_files_are_compressed_and_revalidated(portal: TestPortal) -> None:
    async with aiohttp.ClientSession(portal.url, auto_decompress=False) as client:
        async with client.get("/static/app.js", headers={"Accept-Encoding": "identity"}) as answer:
            plain, etag = await answer.read(), answer.headers["etag"]
            assert "content-encoding" not in answer.headers
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.content_type == "text/javascript"
        async with client.get("/static/api.js", headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["content-encoding"] == "gzip"
            assert answer.headers["vary"] == "accept-encoding"
            packed = await answer.read()
        async with client.get("/static/api.js", headers={"Accept-Encoding": "identity"}) as answer:
            assert gzip.decompress(packed) == await answer.read()
        async with client.get("/static/app.js", headers={"If-None-Match": etag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with client.get("/static/app.js", headers={"If-None-Match": '"old"'}) as answer:
            assert answer.status == 200
    assert plain


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/vendor",
        "/static/..%2f..%2f__init__.py",
        "/static/%2e%2e/pages.py",
        "/static//etc/passwd",
        "/static/%00.js",
        "/static/" + "x" * 300 + ".js",
        "/static/README.md",
    ],
)
async def test_what_is_no_file_of_the_page(portal: TestPortal, path: str) -> None:
    from yarl import URL

    async with (
        aiohttp.ClientSession() as client,
        client.get(URL(portal.url + path, encoded=True), allow_redirects=False) as answer,
    ):
        assert answer.status == 404
        assert answer.headers["x-content-type-options"] == "nosniff"
