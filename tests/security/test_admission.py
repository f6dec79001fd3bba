import asyncio
import errno
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.records import CredentialRecord
from portal.testing.portal import TestPortal

from .conftest import raw

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}
TURN = {"model": "tiny", "input": "hi", "store": False}


def safe(headers: Mapping[str, str]) -> None:
    for name, value in SECURITY.items():
        assert set(headers.getall(name) if hasattr(headers, "getall") else [headers[name]]) == {value}
    assert headers["x-request-id"]


async def error(answer: aiohttp.ClientResponse, status: int) -> dict[str, Any]:
    """The error of a refusal in OpenAI's form, with the headers every answer has."""
    assert answer.status == status, await answer.text()
    safe(answer.headers)
    assert answer.content_type == "application/json"
    body = await answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    found: dict[str, Any] = body["error"]
    return found


async def sign_in(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    async with client.get(urlsplit(await portal.sign_in_link())._replace(scheme="", netloc="").geturl()) as answer:
        assert answer.status == 200


# ------------------------------------------------------------------ https


@pytest.mark.parametrize(
    ("told", "kept"),
    [({}, False), ({"X-Forwarded-Proto": "http"}, False), ({"X-Forwarded-Proto": "http, https"}, True)],
)
async def test_a_name_that_is_reached_by_https_stays_so(
    portal: TestPortal, client: aiohttp.ClientSession, told: dict[str, str], kept: bool
) -> None:
    async with client.get("/", headers={**told, "X-Forwarded-For": "192.0.2.1"} if told else {}) as answer:
        assert ("strict-transport-security" in answer.headers) == kept


# ------------------------------------------------------------------ Host


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:1", "127.0.0.1:9", "[::1]:80", "192.168.1.5", "portal.example", "Portal.Example:443"],
)
async def test_names_portal_answers_to(portal: TestPortal, client: aiohttp.ClientSession, host: str) -> None:
    async with client.get("/v1/models", headers={**portal.headers, "Host": host}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8081",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.localhost",
        "user@localhost",
        "localhost:80:80",
        "[::1",
        "xportal.example",
        "portal.example.evil.example",
    ],
)
async def test_names_portal_does_not_answer_to(portal: TestPortal, client: aiohttp.ClientSession, host: str) -> None:
    for path in ("/v1/models", "/health", "/", "/static/app.js", "/sign-in"):
        async with client.get(path, headers={**portal.headers, "Host": host}) as answer:
            assert (await error(answer, 403))["code"] == "host_not_allowed"


async def test_odd_hosts(portal: TestPortal) -> None:
    assert (await raw(portal.url, b"GET /health HTTP/1.0")).status == 403
    assert (await raw(portal.url, b"GET /health HTTP/1.1", b"Host:")).status == 403
    assert (await raw(portal.url, b"GET /health HTTP/1.1", b"Host: \xff\xfe")).status == 403
    for hosts in ((b"Host: localhost", b"Host: evil.example"), (b"Host: evil.example", b"Host: localhost")):
        assert (await raw(portal.url, b"GET /health HTTP/1.1", *hosts)).status == 400
    assert (await raw(portal.url, b"GET /health HTTP/1.1", b"Host: localhost")).status == 200


# ------------------------------------------------------------------ Origin


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://[", "http://localhost:1", "file://", ""])
async def test_pages_of_others_change_nothing(portal: TestPortal, client: aiohttp.ClientSession, origin: str) -> None:
    await sign_in(portal, client)
    for headers in ({}, portal.headers):
        sent = {**headers, "Origin": origin}
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            async with client.request(method, "/portal/v1/preferences", json={}, headers=sent) as answer:
                assert (await error(answer, 403))["code"] == "origin_not_allowed"
        async with client.post("/v1/chat/completions", json={}, headers=sent) as answer:
            await error(answer, 403)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/v1/responses", headers=sent)
        assert refused.value.status == 403
        async with client.get("/portal/v1/me", headers=sent) as answer:
            assert answer.status == 200
            assert "access-control-allow-origin" not in answer.headers  # so that page cannot read it


async def test_the_page_itself_and_allowed_origins_may(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    await sign_in(portal, client)
    for origin in (portal.url, "https://app.example", "HTTPS://App.Example"):
        async with client.put("/portal/v1/preferences", json={"a": 1}, headers={"Origin": origin}) as answer:
            assert answer.status == 200
        async with client.ws_connect("/v1/responses", headers={"Origin": origin}) as socket:
            await socket.send_json({"type": "response.create", **TURN})
            assert (await socket.receive_json())["type"] == "response.created"


async def test_a_session_shows_where_it_comes_from(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    await sign_in(portal, client)
    async with client.get("/portal/v1/me") as answer:
        assert answer.status == 200
    async with client.put("/portal/v1/preferences", json={}) as answer:
        assert (await error(answer, 403))["code"] == "origin_missing"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/v1/responses")
    assert refused.value.status == 403
    async with client.put("/portal/v1/preferences", json={}, headers=portal.headers) as answer:
        assert answer.status == 200


async def test_preflights_are_for_allowed_origins(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, x-y"}
    async with client.options("/v1/responses", headers={"Origin": "https://app.example", **asked}) as answer:
        assert answer.status == 204
        safe(answer.headers)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["access-control-allow-headers"] == "authorization, x-y"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in answer.headers
    for origin in ({"Origin": "https://evil.example"}, {}):
        async with client.options("/v1/responses", headers={**origin, **asked}) as answer:
            assert (await error(answer, 403))["code"] == "origin_not_allowed"
            assert "access-control-allow-origin" not in answer.headers
    async with client.get("/v1/models", headers={**portal.headers, "Origin": "https://app.example"}) as answer:
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert "x-portal-model" in answer.headers["access-control-expose-headers"]


# ------------------------------------------------------------------ credentials


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}  "])
async def test_keys_as_clients_send_them(portal: TestPortal, client: aiohttp.ClientSession, form: str) -> None:
    async with client.get("/v1/models", headers={"Authorization": form.format(portal.key)}) as answer:
        assert answer.status == 200
    async with client.get("/v1/models", headers={"x-api-key": portal.key}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer portal-wrong"},
        {"Authorization": "Bearer \xe9\xff"},
        {"Authorization": "Basic cG9ydGFs"},
        {"x-api-key": ""},
        {"x-api-key": "portal-wrong"},
        {"Cookie": "portal_session=wrong"},
        {"Cookie": "portal_session"},
        {"Cookie": "\x01=;;;portal_session=%00"},
        {"X-User": "owner", "X-Forwarded-User": "owner"},
    ],
)
async def test_nobody_gets_in_without(portal: TestPortal, headers: dict[str, str]) -> None:
    lines = [f"{name}: {value}".encode("latin-1") for name, value in headers.items() if "\x01" not in value]
    for path in (b"/v1/models", b"/portal/v1/me", b"/openapi.json", b"/v1/nothing"):
        answer = await raw(portal.url, b"GET " + path + b" HTTP/1.1", b"Host: localhost", *lines)
        assert answer.status == 401
        assert json.loads(answer.body)["error"]["code"] == "invalid_api_key"
        safe(answer.headers)


async def test_what_is_posted_to_a_channel_is_small_before_anybody_knows_who_posts(portal: TestPortal) -> None:
    size = f"Content-Length: {5 * 2**20}".encode()
    answer = await raw(portal.url, b"POST /channels/slack HTTP/1.1", b"Host: localhost", size)
    assert answer.status == 413


async def test_a_wrong_key_is_not_made_good_by_a_session(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    await sign_in(portal, client)
    async with client.get("/v1/models", headers={"Authorization": "Bearer portal-wrong"}) as answer:
        await error(answer, 401)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/v1/responses", headers={"x-api-key": "portal-wrong"})
    assert refused.value.status == 401


async def test_the_command_lines_token_is_the_owner(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    token = {"Authorization": f"Bearer {portal.portal.local_token}"}
    async with client.get("/portal/v1/me", headers=token) as answer:
        assert (await answer.json())["user"]["id"] == portal.owner


async def test_a_revoked_key_is_over_at_once(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    async with client.post("/portal/v1/keys", json={"name": "phone"}, headers=portal.headers) as answer:
        made = await answer.json()
    mine = {"Authorization": f"Bearer {made['key']}"}
    for _ in range(2):
        async with client.get("/v1/models", headers=mine) as answer:
            assert answer.status == 200
    async with client.delete(f"/portal/v1/keys/{made['id']}", headers=portal.headers) as answer:
        assert answer.status == 200
    async with client.get("/v1/models", headers=mine) as answer:
        await error(answer, 401)


async def test_open_connections_end_with_their_key(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    async with client.post("/portal/v1/keys", json={"name": "gone soon"}, headers=portal.headers) as answer:
        made = await answer.json()
    mine = {"Authorization": f"Bearer {made['key']}"}
    async with (
        client.get("/portal/v1/events", headers=portal.headers) as kept,
        client.get("/portal/v1/events", headers=mine) as events,
        client.ws_connect("/v1/responses", headers=mine) as socket,
    ):
        assert await events.content.readline() == b": connected\n"
        assert await kept.content.readline() == b": connected\n"
        async with client.delete(f"/portal/v1/keys/{made['id']}", headers=portal.headers) as answer:
            assert answer.status == 200
        assert b"credentials.changed" not in await events.content.read()
        assert b"credentials.changed" in await kept.content.readuntil(b"}\n")
        await socket.send_json({"type": "response.create", "model": "tiny", "input": "Hello"})
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1008


# ------------------------------------------------------------------ sign-in links


async def test_a_link_signs_in_once(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    path = urlsplit(await portal.sign_in_link())._replace(scheme="", netloc="").geturl()

    async def follow() -> tuple[str, str | None]:
        async with aiohttp.ClientSession(portal.url) as one, one.get(path, allow_redirects=False) as answer:
            assert answer.status == 303
            safe(answer.headers)
            return answer.headers["location"], answer.headers.get("set-cookie")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(follow()) for _ in range(8)]
    ways = sorted(task.result()[0] for task in tasks)
    assert ways == ["/", *["/?sign-in=expired"] * 7]
    (cookie,) = [cookie for task in tasks if (cookie := task.result()[1])]
    flags = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= flags
    session = cookie.split(";")[0]
    async with client.get("/portal/v1/me", headers={"Cookie": f"other=1; a,b/c=2; =; {session}"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("query", ["", "?token=", "?token=unknown", "?token=%00%ff"])
async def test_no_link_no_session(portal: TestPortal, client: aiohttp.ClientSession, query: str) -> None:
    async with client.get(f"/sign-in{query}", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["location"]) == (303, "/?sign-in=expired")
        assert "set-cookie" not in answer.headers


async def test_an_expired_link_is_over(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    from hashlib import sha256

    record = CredentialRecord(
        id=new_id("link"), owner=portal.owner, kind="link", name="", created_at=1, expires_at=micros() - 1
    )
    await portal.portal.storage.users.add_credential(record, sha256(b"late").hexdigest())
    async with client.get("/sign-in?token=late", allow_redirects=False) as answer:
        assert answer.headers["location"] == "/?sign-in=expired"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"sec-purpose": "prefetch;prerender"}),
        ("GET", {"user-agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}),
        ("GET", {"user-agent": "TelegramBot (like TwitterBot)"}),
        ("GET", {"user-agent": "WhatsApp/2.23.20.0"}),
    ],
)
async def test_looking_at_a_link_does_not_use_it_up(
    portal: TestPortal, client: aiohttp.ClientSession, method: str, headers: dict[str, str]
) -> None:
    link = await portal.sign_in_link()
    async with client.request(method, link, headers=headers, allow_redirects=False) as answer:
        assert answer.status == 200
        assert "set-cookie" not in answer.headers
    async with client.get(link, allow_redirects=False) as answer:
        assert "portal_session" in answer.headers["set-cookie"]


# ------------------------------------------------------------------ sizes


async def _pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 100


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/responses"),
        ("POST", "/v1/chat/completions"),
        ("PUT", "/portal/v1/preferences"),
        ("POST", "/portal/v1/conversations"),
        ("POST", "/v1/conversations"),
        ("POST", "/v1/embeddings"),
    ],
)
async def test_bodies_over_the_limit(portal: TestPortal, client: aiohttp.ClientSession, method: str, path: str) -> None:
    for body in (b" " * 1001, _pieces(11)):
        async with client.request(method, path, data=body, headers=portal.headers) as answer:
            assert (await error(answer, 413))["code"] == "request_too_large"
    async with client.request(method, path, data=b" " * 1000, headers=portal.headers) as answer:
        assert answer.status != 413


async def test_uploads_have_a_limit_of_their_own(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    for size, status in ((2000, 200), (3001, 413)):
        form = aiohttp.FormData({"purpose": "user_data"})
        form.add_field("file", b"x" * size, filename="a.txt", content_type="text/plain")
        async with client.post("/v1/files", data=form, headers=portal.headers) as answer:
            assert answer.status == status
            safe(answer.headers)


@pytest.mark.parametrize("length", [b"abc", b"-1", b"+5", b"1e3", b"0x10", b"99999999999999999999999999"])
async def test_lengths_that_are_none(portal: TestPortal, length: bytes) -> None:
    key = b"Authorization: Bearer " + portal.key.encode()
    answer = await raw(
        portal.url, b"POST /v1/responses HTTP/1.1", b"Host: localhost", key, b"Content-Length: " + length, body=b"{}"
    )
    assert answer.status in (400, 413)


# ------------------------------------------------------------------ what every answer carries


@pytest.mark.parametrize("sent", ["abc-123", "A.b:c_d-9", "x" * 128])
async def test_a_harmless_request_id_comes_back(client: aiohttp.ClientSession, sent: str) -> None:
    for path in ("/health", "/v1/models"):
        async with client.get(path, headers={"X-Request-Id": sent}) as answer:
            assert answer.headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", [b"", b"x" * 129, b"a b", b"<script>", b"\xe9", b"a,b", b'"'])
async def test_any_other_is_replaced(portal: TestPortal, sent: bytes) -> None:
    answer = await raw(portal.url, b"GET /health HTTP/1.1", b"Host: localhost", b"X-Request-Id: " + sent)
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("GET", "/", 200),
        ("GET", "/c/some-view", 200),
        ("GET", "/static/app.js", 200),
        ("GET", "/static/nothing.js", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/nothing", 404),
        ("GET", "/portal/v1/nothing", 404),
        ("GET", "/portal/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("DELETE", "/v1/models", 405),
        ("POST", "/c/some-view", 405),
        ("GET", "/openapi.json", 200),
        ("GET", "/v1/models", 200),
    ],
)
async def test_every_answer_is_guarded(
    portal: TestPortal, client: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with client.request(method, path, headers=portal.headers) as answer:
        assert answer.status == status
        safe(answer.headers)
        if path.startswith(("/v1/", "/portal/")) and status >= 400:
            await error(answer, status)


async def test_streams_are_guarded(portal: TestPortal, client: aiohttp.ClientSession) -> None:
    async with client.post("/v1/responses", json={**TURN, "stream": True}, headers=portal.headers) as answer:
        safe(answer.headers)
        assert (await answer.text()).endswith("data: [DONE]\n\n")
    async with client.ws_connect("/v1/responses", headers=portal.headers) as socket:
        assert socket.get_extra_info("peername")


async def test_a_refused_socket_is_refused_with_the_reason(portal: TestPortal) -> None:
    handshake = [
        b"GET /v1/responses HTTP/1.1",
        b"Host: evil.example",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    answer = await raw(portal.url, *handshake)
    assert answer.status == 403
    safe(answer.headers)
    assert json.loads(answer.body)["error"]["code"] == "host_not_allowed"


async def test_a_server_without_refusals_for_sockets_closes_them(portal: TestPortal) -> None:
    """The ASGI extension for refusals is optional; an unknown kind of scope goes through untouched."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/v1/responses", "headers": [(b"host", b"localhost")], "query_string": b""}
    await portal.portal.asgi(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("length", [b"abc", b"-1", b"+5", "٣".encode()])
async def test_whatever_the_server_in_front_lets_through(portal: TestPortal, length: bytes) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    headers = [(b"host", b"localhost"), (b"x-api-key", portal.key.encode()), (b"content-length", length)]
    scope = {"type": "http", "method": "POST", "path": "/v1/responses", "headers": headers, "query_string": b""}
    await portal.portal.asgi(scope, receive, send)
    assert sent[0]["status"] == 400
    safe({name.decode(): value.decode() for name, value in sent[0]["headers"]})


async def test_what_is_no_request_goes_through(portal: TestPortal) -> None:
    sent: list[dict[str, Any]] = []
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    await portal.portal.asgi({"type": "lifespan", "state": {}}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("path", ["/v1/files", "/v1/audio/transcriptions", "/v1/images/edits"])
async def test_a_full_disk_is_told_of(portal: TestPortal, path: str) -> None:
    """As the one for temporary files is, on which large uploads are laid down before they are read."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device")

    kind = (b"content-type", b"multipart/form-data; boundary=b")
    headers = [(b"host", b"localhost"), (b"x-api-key", portal.key.encode()), kind]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    with pytest.raises(OSError, match="No space left"):  # for the log
        await portal.portal.asgi(scope, receive, send)
    assert sent[0]["status"] == 507
    told = json.loads(sent[1]["body"])["error"]
    assert (told["code"], "full" in told["message"]) == ("storage_full", True)
