"""Who may use Ollama's API: the token's holder where there is a token; else this machine's programs, and keys."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from portal.backends.ollama import Config, Ollama
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.security.hosts import is_loopback
from portal.security.ollama_door import manages
from portal.storage.database import Statement
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import used, user

from .conftest import raw

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "a token with gehäim"
MANAGING = [
    ("POST", "/api/pull", {"model": "new"}),
    ("POST", "/api/push", {"model": "tiny"}),
    ("DELETE", "/api/delete", {"model": "nothing"}),
    ("POST", "/api/copy", {"source": "tiny", "destination": "other"}),
    ("POST", "/api/create", {"model": "made", "from": "tiny"}),
    ("POST", "/api/blobs/sha256:00", {}),
    ("HEAD", "/api/blobs/sha256:00", None),
    ("POST", "/api/invented", {}),
    ("DELETE", "/api/chat", {}),
]
OPEN = [
    ("GET", "/api/tags", None),
    ("GET", "/api/ps", None),
    ("GET", "/api/version", None),
    ("HEAD", "/api/version", None),
    ("POST", "/api/show", {"model": "tiny"}),
    ("POST", "/api/chat", {"model": "tiny", "messages": []}),
    ("POST", "/api/generate", {"model": "tiny"}),
    ("POST", "/api/embed", {"model": "tiny", "input": "hi"}),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer() as running:
        running.library["new:latest"] = OllamaModel(name="new:latest")
        yield running


async def _open(tmp: Any, server: OllamaServer, settings: Mapping[str, Any]) -> AsyncIterator[TestPortal]:
    backend = Ollama(Config(url=server.url, api_key="the-servers-own"))
    async with open_test_portal(tmp.mktemp("portal"), backends=[backend], settings=settings) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, server: OllamaServer) -> AsyncIterator[TestPortal]:
    """On loopback, without a token; one foreign name and origin are allowed."""
    allowed = {"allowed_hosts": ["portal.example"], "allowed_origins": ["https://app.example"], "max_body": 2000}
    async for running in _open(tmp_path_factory, server, {"server": allowed}):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everywhere(tmp_path_factory: pytest.TempPathFactory, server: OllamaServer) -> AsyncIterator[TestPortal]:
    """Listening on all addresses, as its settings say."""
    async for running in _open(tmp_path_factory, server, {"server": {"host": "0.0.0.0"}}):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory, server: OllamaServer) -> AsyncIterator[TestPortal]:
    async for running in _open(tmp_path_factory, server, {"ollama": {"token": TOKEN}}):
        yield running


async def status(portal: TestPortal, method: str, path: str, headers: Mapping[str, str], body: object = None) -> int:
    lines = [f"{name}: {value}".encode() for name, value in headers.items()]
    content = b"" if body is None else json.dumps(body).encode()
    hosts = [] if "Host" in headers else [b"Host: localhost"]
    length = [b"Content-Length: %d" % len(content)]
    answer = await raw(portal.url, f"{method} {path} HTTP/1.1".encode(), *hosts, *lines, *length, body=content)
    if answer.status >= 400 and method != "HEAD":
        refused = json.loads(answer.body)
        assert refused.keys() == {"error"}
        assert isinstance(refused["error"], str)
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.status


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8081", "LOCALHOST", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8081"]
)
async def test_open_to_this_machine(here: TestPortal, host: str) -> None:
    for method, path, body in OPEN:
        assert await status(here, method, path, {"Host": host}, body) == 200


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("localhost.evil", 403),
        ("127.0.0.1.evil.example", 403),
        ("rebound.example", 403),
        ("evil.localhost", 403),
        ("", 403),
        ("portal.example", 401),
        ("192.168.1.5:8081", 401),
        ("0.0.0.0", 401),
        ("[::]", 401),
        ("[::ffff:192.168.1.5]", 401),
    ],
)
async def test_under_another_name_a_key_is_needed(here: TestPortal, host: str, refused: int) -> None:
    assert await status(here, "GET", "/api/tags", {"Host": host}) == refused
    assert await status(here, "POST", "/api/chat", {"Host": host}, {"model": "tiny"}) == refused
    keyed = {"Host": host, **here.headers}
    assert await status(here, "GET", "/api/tags", keyed) == (200 if refused == 401 else 403)


@pytest.mark.parametrize(
    ("headers", "reading", "writing"),
    [
        ({"Origin": "http://localhost"}, 200, 200),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 200, 200),
        ({"Origin": "null"}, 401, 403),
        ({"Origin": ""}, 401, 403),
        ({"Origin": "https://evil.example"}, 401, 403),
        ({"Origin": "http://localhost:1"}, 401, 403),
        ({"Origin": "http://localhost.evil"}, 401, 403),
        ({"Origin": "chrome-extension://abc"}, 401, 403),
        ({"Origin": "https://app.example"}, 401, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 401, 401),
        ({"Sec-Fetch-Site": "same-site"}, 401, 401),
        ({"Sec-Fetch-Site": "none"}, 200, 200),
        ({"X-Forwarded-For": "203.0.113.9"}, 401, 401),
        ({"Forwarded": "for=203.0.113.9"}, 401, 401),
        ({"X-Real-IP": "127.0.0.1"}, 401, 401),
    ],
)
async def test_not_open_to_pages_and_proxies(
    here: TestPortal, headers: dict[str, str], reading: int, writing: int
) -> None:
    assert await status(here, "GET", "/api/tags", headers) == reading
    assert await status(here, "POST", "/api/show", headers, {"model": "tiny"}) == writing
    assert await status(here, "GET", "/api/tags", {**headers, **here.headers}) == 200


@pytest.mark.parametrize(("method", "path", "body"), MANAGING)
async def test_changing_models_needs_an_administrator(
    here: TestPortal, server: OllamaServer, method: str, path: str, body: object
) -> None:
    before = len(server.requests)
    arrived = [request.path for request in server.requests].count(path)
    assert await status(here, method, path, {}, body) == 401
    assert await status(here, method, path, bearer("portal-wrong"), body) == 401
    assert [request.path for request in server.requests].count(path) == arrived
    assert await status(here, method, path, here.headers, body) not in (401, 403)
    assert await status(here, method, path, bearer(here.portal.local_token), body) not in (401, 403)
    assert "authorization" in {name.lower() for name in server.requests[-1].headers}
    for request in server.requests[before:]:
        sent = {name.lower(): value for name, value in request.headers.items()}
        assert sent["authorization"] == "Bearer the-servers-own"
        assert here.key not in str(request.headers)


async def test_a_member_changes_no_models(here: TestPortal) -> None:
    database, member = here.portal.storage.database, new_id("user")
    sql = "INSERT INTO users (id, name, role, created_at, preferences) VALUES (:id, 'M', 'member', :now, '{}')"
    await database.batch([Statement(sql, {"id": member, "now": micros()})])
    _, key = await here.portal.credentials.create_key(member, "theirs")
    assert await status(here, "GET", "/api/tags", bearer(key)) == 200
    for method, path, body in MANAGING:
        assert await status(here, method, path, bearer(key), body) == 403


async def test_a_session_of_the_page(here: TestPortal) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        await client.get(await here.sign_in_link())
        body = {"source": "tiny", "destination": "copied"}
        async with client.post(f"{here.url}/api/copy", json=body) as answer:
            assert answer.status == 403  # a session shows where it comes from
        async with client.post(f"{here.url}/api/copy", json=body, headers={"Origin": here.url}) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("secret", ["portal-wrong", "ollama", "\xe9"])
async def test_a_key_of_another_program_is_none(here: TestPortal, secret: str) -> None:
    assert await status(here, "GET", "/api/tags", bearer(secret)) == 200
    assert await status(here, "GET", "/api/tags", {**bearer(secret), "Host": "192.168.1.5"}) == 401


async def test_listening_everywhere_needs_a_key(everywhere: TestPortal) -> None:
    for method, path, body in OPEN:
        assert await status(everywhere, method, path, {}, body) == 401
        assert await status(everywhere, method, path, everywhere.headers, body) == 200


async def test_the_token_opens_all_of_it_and_nothing_else(guarded: TestPortal, server: OllamaServer) -> None:
    for method, path, body in [*OPEN, *MANAGING]:
        assert await status(guarded, method, path, bearer(TOKEN), body) not in (401, 403)
        assert await status(guarded, method, path, {**bearer(TOKEN), "Host": "192.168.1.5"}, body) not in (401, 403)
    assert all(TOKEN not in str(request.headers) for request in server.requests)
    async with aiohttp.ClientSession(
        guarded.url, headers={"Authorization": f"Bearer {TOKEN}".encode().decode("latin-1")}
    ) as client:
        for path in ("/v1/models", "/portal/v1/me", "/openapi.json"):
            async with client.get(path) as answer:
                assert answer.status == 401


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN],
)
async def test_without_the_token_nothing(guarded: TestPortal, authorization: str) -> None:
    sent = {"Authorization": authorization} if authorization else {}
    for method, path, body in [*OPEN, *MANAGING, ("GET", "/api/anything", None)]:
        assert await status(guarded, method, path, sent, body) == 401


async def test_where_there_is_a_token_a_key_is_not_enough(guarded: TestPortal) -> None:
    assert await status(guarded, "GET", "/api/tags", guarded.headers) == 401
    assert await status(guarded, "GET", "/api/tags", {"x-api-key": TOKEN}) == 401
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    async with aiohttp.ClientSession(guarded.url) as client:
        for sent in (bearer(guarded.key), bearer(guarded.portal.local_token), bearer("wrong"), {}):
            async with client.post("/api/dry-run", json=body, headers=sent) as answer:
                assert answer.status == 401
        for sent, expected in ((bearer(TOKEN), 401), (bearer(guarded.portal.local_token), 200)):
            async with client.post("/portal/v1/route", json=body, headers=sent) as answer:
                assert answer.status == expected  # what the command line asks
        async with client.post("/api/dry-run", json=body, headers=bearer(TOKEN)) as answer:
            assert answer.status == 200
    async with (
        aiohttp.ClientSession(guarded.url, headers=guarded.headers) as client,
        client.get("/v1/models") as answer,
    ):
        assert answer.status == 200


async def test_a_guest_is_told_what_a_key_is_told(here: TestPortal, guarded: TestPortal) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    for portal, at_the_door in ((here, 200), (guarded, 401)):
        await portal.portal.storage.people.add(user(id="user_guest", name="Gus", role="guest"))
        _, key = await portal.portal.credentials.create_key("user_guest", "key")
        async with aiohttp.ClientSession(portal.url, headers=bearer(key)) as client:
            for path, expected in (("/api/dry-run", at_the_door), ("/portal/v1/route", 200)):
                async with client.post(path, json=body) as answer:
                    assert answer.status == expected
            async with client.get("/portal/v1/route/replay") as answer:
                assert (await answer.json())["data"] == []  # nobody else's turns


async def test_the_usage_is_the_owners(guarded: TestPortal) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    assert await status(guarded, "POST", "/api/chat", bearer(TOKEN), body) == 200
    (row,) = await used(guarded.portal.storage, guarded.owner)
    assert row["model"] == "tiny:latest"


@pytest.mark.parametrize(
    ("path", "managing"),
    [
        ("/api/pull", True),
        ("/api/PULL", True),
        ("/api//pull", True),
        ("/api/./pull", True),
        ("/api/pull/", True),
        ("/api/blobs/sha256:1", True),
        ("/api/pullover", False),
        ("/api/tags", False),
        ("/api/", False),
    ],
)
async def test_what_changes_models(path: str, managing: bool) -> None:
    assert manages("GET", path) is managing


@pytest.mark.parametrize(
    ("method", "path", "managing"),
    [
        ("POST", "/api/chat", False),
        ("POST", "/api/dry-run", False),
        ("POST", "/api/invented", True),
        ("PUT", "/api/invented", True),
        ("DELETE", "/api/chat/1", True),
        ("DELETE", "/api/chat", True),
        ("POST", "/api/tags", True),
        ("POST", "/api/Chat", True),
        ("HEAD", "/api/invented", False),
    ],
)
async def test_what_nobody_knows_may_change_models(method: str, path: str, managing: bool) -> None:
    assert manages(method, path) is managing


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("[::1]", True), ("0.0.0.0", False), ("", False)],
)
async def test_what_is_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
