"""Signing in to `/mcp` by OAuth: the protocol's own client the whole way, and everything that must not work."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html import unescape
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
import pytest_asyncio
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from mcp import Client
from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import STRANGER, user

pytestmark = pytest.mark.asyncio(loop_scope="module")
BACK = "http://127.0.0.1:49152/callback"
ADDRESSES = count(1)
"""So many may register from one."""
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestPortal]:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    settings = {"server": {"allowed_hosts": ["portal.example"], "trusted_proxies": ["127.0.0.1"]}}
    async with open_test_portal(tmp_path_factory.mktemp("p") / "d", backends=[backend], settings=settings) as running:
        await running.portal.storage.people.add(user(id=STRANGER, name="Mallory"))
        yield running


@dataclass
class Browser:
    """A person's, signed in to Portal."""

    http: httpx.AsyncClient
    url: str

    async def decide(self, address: str, decision: str = "allow", scope: str | None = None) -> dict[str, str]:
        """What the program is told after the person answered."""
        page = await self.http.get(address)
        assert page.status_code == 200, page.text
        fields = dict(re.findall(r'name="(token|scope)" value="([^"]*)"', page.text))
        form = {name: unescape(value) for name, value in fields.items()} | {"decision": decision}
        if scope is not None:
            form["scope"] = scope
        answer = await self.http.post("/oauth/authorize", data=form, headers={"Origin": self.url})
        assert answer.status_code == 303, answer.text
        return told(answer)


def told(answer: httpx.Response) -> dict[str, str]:
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    return {name: value for name, (value,) in query.items()}


async def browser_of(portal: TestPortal, owner: str) -> Browser:
    _, secret = await portal.portal.credentials.open_session(owner, device="test", way="link")
    cookies = {"portal_session": secret}
    return Browser(httpx.AsyncClient(base_url=portal.url, cookies=cookies, timeout=30), portal.url)


@pytest_asyncio.fixture(loop_scope="module")
async def browser(portal: TestPortal) -> AsyncIterator[Browser]:
    made = await browser_of(portal, portal.owner)
    yield made
    await made.http.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def http(portal: TestPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=portal.url, timeout=30) as client:
        yield client


async def registered(http: httpx.AsyncClient, *redirects: str, name: str = "Desk") -> str:
    body = {"client_name": name, "redirect_uris": list(redirects or [BACK])}
    answer = await http.post("/oauth/register", json=body, headers={"X-Forwarded-For": f"192.0.2.{next(ADDRESSES)}"})
    assert answer.status_code == 201, answer.text
    client: str = answer.json()["client_id"]
    return client


def address(portal: TestPortal, client: str, **changed: str) -> str:
    query = {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": BACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "a b&c",
        "resource": f"{portal.url}/mcp",
        **changed,
    }
    return str(httpx.URL("/oauth/authorize", params=query))


async def token(http: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await http.post("/oauth/token", data=form)


async def exchanged(http: httpx.AsyncClient, client: str, code: str, **changed: str) -> httpx.Response:
    form = {"redirect_uri": BACK, "code_verifier": VERIFIER, **changed}
    return await token(http, grant_type="authorization_code", client_id=client, code=code, **form)


async def refreshed(http: httpx.AsyncClient, client: str, secret: str, **more: str) -> httpx.Response:
    return await token(http, grant_type="refresh_token", client_id=client, refresh_token=secret, **more)


async def works(http: httpx.AsyncClient, access: str, path: str = "/mcp") -> int:
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
    headers = {"Authorization": f"Bearer {access}", "Accept": "application/json, text/event-stream"}
    return (await http.post(path, json=body, headers=headers)).status_code


async def let_in(
    portal: TestPortal, http: httpx.AsyncClient, browser: Browser, **more: str
) -> tuple[str, dict[str, Any]]:
    client = await registered(http)
    said = await browser.decide(address(portal, client, **more))
    answer = await exchanged(http, client, said["code"])
    assert answer.status_code == 200, answer.text
    return client, answer.json()


@dataclass
class Kept:
    """The SDK's storage."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None
    back: list[AuthorizationCodeResult] = field(default_factory=list)

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def tools(portal: TestPortal, kept: Kept, browser: Browser) -> list[str]:
    async def go(where: str) -> None:
        said = await browser.decide(where)
        kept.back.append(AuthorizationCodeResult(**said))

    async def come_back() -> AuthorizationCodeResult:
        return kept.back[-1]

    provider = OAuthClientProvider(
        server_url=f"{portal.url}/mcp",
        client_metadata=OAuthClientMetadata(client_name="The SDK", redirect_uris=["http://localhost:7777/back"]),
        storage=kept,
        redirect_handler=go,
        callback_handler=come_back,
    )
    async with httpx2.AsyncClient(auth=provider, timeout=60) as client:
        transport = streamable_http_client(f"{portal.url}/mcp", http_client=client)
        async with Client(transport) as session:
            return [tool.name for tool in (await session.list_tools()).tools]


async def test_the_protocols_own_client_comes_in_and_stays(portal: TestPortal, browser: Browser) -> None:
    kept = Kept()

    assert "ask" in await tools(portal, kept, browser)
    assert "ask" in await tools(portal, kept, browser)
    assert len(kept.back) == 1  # nobody was asked twice
    assert kept.tokens is not None
    first, kept.tokens = kept.tokens, kept.tokens.model_copy(update={"access_token": "stale", "expires_in": -1})
    assert "ask" in await tools(portal, kept, browser)
    assert len(kept.back) <= 2
    assert kept.tokens.access_token != first.access_token


async def test_what_clients_find_out_by_themselves(portal: TestPortal, http: httpx.AsyncClient) -> None:
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "portal.example"}
    for headers, base in (({}, portal.url), (proxied, "https://portal.example")):
        refused = await http.post("/mcp", json={}, headers=headers)
        said = re.search(r'resource_metadata="([^"]+)"', refused.headers["www-authenticate"])
        assert refused.status_code == 401
        assert said is not None
        assert said[1] == f"{base}/.well-known/oauth-protected-resource/mcp"
        for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
            resource = (await http.get(path, headers=headers)).json()
            assert (resource["resource"], resource["authorization_servers"]) == (f"{base}/mcp", [base])
        server = (await http.get("/.well-known/oauth-authorization-server", headers=headers)).json()
        assert server["issuer"] == base
        assert server["code_challenge_methods_supported"] == ["S256"]
        assert all(server[name].startswith(f"{base}/oauth/") for name in server if name.endswith("_endpoint"))
    wrong = await http.post("/mcp", json={}, headers={"Authorization": "Bearer nothing"})
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
    assert "www-authenticate" not in (await http.get("/v1/models")).headers
    assert (await http.get("/.well-known/openid-configuration")).status_code == 404


async def test_what_was_granted_is_a_key_for_mcp_alone(
    portal: TestPortal, http: httpx.AsyncClient, browser: Browser
) -> None:
    _, given = await let_in(portal, http, browser)

    assert (given["token_type"], given["scope"], given["expires_in"]) == ("Bearer", "tools:*", 3600)
    assert await works(http, given["access_token"]) == 200
    for path in ("/v1/chat/completions", "/portal/v1/keys", "/api/chat"):
        assert await works(http, given["access_token"], path) == 403
    listed = (await browser.http.get("/portal/v1/keys")).json()["data"]
    (mine,) = [one for one in listed if given["access_token"].endswith(one["hint"])]
    assert mine["name"].startswith("Desk (MCP")
    await browser.http.delete(f"/portal/v1/keys/{mine['id']}", headers={"Origin": portal.url})
    assert await works(http, given["access_token"]) == 401
    assert (await refreshed(http, "x", given["refresh_token"])).json()["error"] == "invalid_grant"


async def test_the_person_decides(portal: TestPortal, http: httpx.AsyncClient, browser: Browser) -> None:
    client = await registered(http, name="<b>Desk\u202e</b>\n" + "x" * 200)
    page = await browser.http.get(address(portal, client))
    policy = page.headers["content-security-policy"]

    assert "&lt;b&gt;Desk&lt;/b&gt;" in page.text
    assert "form-action 'self' http://127.0.0.1:49152" in policy
    assert "script-src" not in policy
    refused = await browser.decide(address(portal, client), "deny")
    assert refused == {"error": "access_denied", "state": "a b&c", "iss": portal.url}
    narrow = await browser.decide(address(portal, client), scope="workspaces:auto tools:none")
    given = (await exchanged(http, client, narrow["code"])).json()
    assert given["scope"] == "workspaces:auto tools:none"
    assert narrow["state"] == "a b&c"


async def test_who_is_not_signed_in_is_asked_to(portal: TestPortal, http: httpx.AsyncClient) -> None:
    client = await registered(http)

    page = await http.get(address(portal, client))

    assert "Sign in first" in page.text
    assert 'name="token"' not in page.text


async def test_a_code_that_comes_twice_at_once_gets_nobody_anything(
    portal: TestPortal, http: httpx.AsyncClient, browser: Browser
) -> None:
    client = await registered(http)
    code = (await browser.decide(address(portal, client)))["code"]

    async with asyncio.TaskGroup() as group:
        both = [group.create_task(exchanged(http, client, code)) for _ in range(2)]

    given = [task.result().json().get("access_token") for task in both]
    assert None in given
    assert [await works(http, access) for access in given if access] in ([], [401])


async def test_nothing_is_fetched_for_somebody_who_is_not_signed_in(
    portal: TestPortal, http: httpx.AsyncClient
) -> None:
    page = await http.get(address(portal, "https://app.invalid/client.json"))

    assert page.status_code == 200
    assert "<strong>app.invalid</strong>" in page.text
    assert "Sign in first" in page.text
    assert (await http.get(address(portal, "https://app.invalid/"))).status_code == 400


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"scope": "openid everything"}, "invalid_scope"),
    ],
)
async def test_what_a_program_may_not_want(
    portal: TestPortal, http: httpx.AsyncClient, browser: Browser, changed: dict[str, str], code: str
) -> None:
    client = await registered(http)

    answer = await browser.http.get(address(portal, client, **changed))

    assert answer.status_code == 303
    assert (told(answer)["error"], told(answer)["state"]) == (code, "a b&c")


@pytest.mark.parametrize(
    "redirect",
    [
        "http://127.0.0.1:49152/other",
        "http://127.0.0.1:49152/callback/../x",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://user@127.0.0.1:1/callback",
        "https://127.0.0.1/callback",
        "http://evil.example/callback",
        "",
        "javascript:alert(1)",
    ],
)
async def test_nobody_is_sent_where_the_program_did_not_say(
    portal: TestPortal, http: httpx.AsyncClient, browser: Browser, redirect: str
) -> None:
    client = await registered(http)

    answer = await browser.http.get(address(portal, client, redirect_uri=redirect))

    assert (answer.status_code, answer.headers.get("location")) == (400, None)
    assert (await browser.http.get(address(portal, "client_none"))).status_code == 400


async def test_on_their_own_machine_the_port_is_free(
    portal: TestPortal, http: httpx.AsyncClient, browser: Browser
) -> None:
    client = await registered(http, "http://127.0.0.1/callback", "vscode://portal/back", "https://a.example/b?c=d")

    for redirect in ("http://127.0.0.1:1234/callback", "vscode://portal/back", "https://a.example/b?c=d"):
        assert (await browser.http.get(address(portal, client, redirect_uri=redirect))).status_code == 200
    said = await browser.decide(address(portal, client, redirect_uri="https://a.example/b?c=d"))
    assert said["c"] == "d"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"redirect_uris": []}',
        b'{"redirect_uris": [1]}',
        b'{"redirect_uris": ["http://evil.example/"]}',
        b'{"redirect_uris": ["javascript:alert(1)"]}',
        b'{"redirect_uris": ["data:text/html,x"]}',
        b'{"redirect_uris": ["https://a.example/#x"]}',
        b'{"redirect_uris": ["https:///x"]}',
        b'{"redirect_uris": ["http://[::1/x"]}',
        b'{"redirect_uris": ["no-scheme"]}',
        b'{"redirect_uris": ["http://evil.example\\\\@127.0.0.1/x"]}',
        b'{"redirect_uris": ["https://evil.example\\\\.a.example/x"]}',
        b'{"redirect_uris": ["http://evil.example@127.0.0.1/x"]}',
        b'{"redirect_uris": ["https://a.example/\xc3\xa9"]}',
    ],
)
async def test_what_is_no_registration(http: httpx.AsyncClient, body: bytes) -> None:
    headers = {"X-Forwarded-For": f"198.51.100.{next(ADDRESSES)}"}

    answer = await http.post("/oauth/register", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_client_metadata", "invalid_redirect_uri"}


async def test_registering_without_end(http: httpx.AsyncClient) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9"}
    made = [await http.post("/oauth/register", json={"redirect_uris": [BACK]}, headers=headers) for _ in range(8)]

    assert made[0].status_code == 201
    assert made[-1].status_code == 429
    long = await http.post("/oauth/register", content=b"[" + b" " * 70_000, headers={"X-Forwarded-For": "203.0.113.8"})
    assert long.status_code == 400


async def test_a_code_is_good_once_and_for_its_own(
    portal: TestPortal, http: httpx.AsyncClient, browser: Browser
) -> None:
    client, other = await registered(http), await registered(http, name="Other")

    async def code() -> str:
        return (await browser.decide(address(portal, client)))["code"]

    wrong: list[tuple[str, dict[str, str]]] = [
        (client, {"code_verifier": "w" * 50}),
        (client, {"code_verifier": ""}),
        (client, {"redirect_uri": "http://127.0.0.1:1/callback"}),
        (client, {"resource": "https://elsewhere.example/mcp"}),
        (other, {}),
    ]
    for who, changed in wrong:
        answer = await exchanged(http, who, await code(), **changed)
        assert answer.status_code == 400
        assert answer.json()["error"] in {"invalid_grant", "invalid_target"}
    used = await code()
    given = (await exchanged(http, client, used)).json()
    assert await works(http, given["access_token"]) == 200
    assert (await exchanged(http, client, used)).json()["error"] == "invalid_grant"
    assert await works(http, given["access_token"]) == 401  # somebody else had the code: what it got is taken back


async def test_a_refresh_token_is_good_once(portal: TestPortal, http: httpx.AsyncClient, browser: Browser) -> None:
    client, first = await let_in(portal, http, browser)

    second = (await refreshed(http, client, first["refresh_token"], resource=f"{portal.url}/mcp")).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert await works(http, second["access_token"]) == 200
    other = await registered(http, name="Other")
    for form in ({"scope": "models:*"}, {"resource": "https://elsewhere.example/mcp"}):
        assert (await refreshed(http, client, second["refresh_token"], **form)).status_code == 400
    assert (await refreshed(http, other, second["refresh_token"])).json()["error"] == "invalid_grant"
    stolen = await refreshed(http, client, first["refresh_token"])
    assert stolen.json()["error"] == "invalid_grant"
    assert await works(http, second["access_token"]) == 401
    assert (await refreshed(http, client, second["refresh_token"])).status_code == 400


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_a_program_gives_back_what_it_got(
    portal: TestPortal, http: httpx.AsyncClient, browser: Browser, which: str
) -> None:
    client, given = await let_in(portal, http, browser)

    foreign = await http.post("/oauth/revoke", data={"token": given[which], "client_id": "client_other"})
    assert foreign.status_code == 200
    assert await works(http, given["access_token"]) == 200
    done = await http.post("/oauth/revoke", data={"token": given[which], "client_id": client})
    assert done.status_code == 200
    assert await works(http, given["access_token"]) == 401
    for unknown in ("nothing", portal.key):
        assert (await http.post("/oauth/revoke", data={"token": unknown, "client_id": client})).status_code == 200
    assert await works(http, portal.key) == 200


async def test_an_answer_counts_for_who_was_asked(
    portal: TestPortal, http: httpx.AsyncClient, browser: Browser
) -> None:
    client = await registered(http)
    page = await browser.http.get(address(portal, client))
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    assert found is not None
    form = {"token": found[1], "decision": "allow", "scope": ""}
    mallory = await browser_of(portal, STRANGER)

    for door, headers, status in (
        (browser.http, {}, 403),  # no page sends it without its origin
        (browser.http, {"Origin": "https://evil.example"}, 403),
        (http, {"Origin": portal.url}, 403),
        (mallory.http, {"Origin": portal.url}, 400),
        (browser.http, {"Origin": portal.url}, 400),  # it was used up by the one before
    ):
        assert (await door.post("/oauth/authorize", data=form, headers=headers)).status_code == status
    await mallory.http.aclose()


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_grant"),
        ({"grant_type": "refresh_token"}, "invalid_grant"),
    ],
)
async def test_what_is_no_request_for_a_token(http: httpx.AsyncClient, form: dict[str, str], code: str) -> None:
    assert (await http.post("/oauth/token", data=form or {"x": ""})).json()["error"] == code


@pytest.mark.parametrize("body", [b"a=1&a=2", b"\xff", b"&".join(b"a%d=1" % n for n in range(60))])
async def test_what_is_no_form(http: httpx.AsyncClient, body: bytes) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/oauth/token", "/oauth/revoke"):
        assert (await http.post(path, content=body, headers=kind)).json()["error"] == "invalid_request"
        assert (await http.post(path, json={})).json()["error"] == "invalid_request"


async def test_guests_and_the_suspended(portal: TestPortal, http: httpx.AsyncClient) -> None:
    storage = portal.portal.storage
    await storage.people.add(user(id="user_guest", name="Gus", role="guest"))
    guest = await browser_of(portal, "user_guest")
    client = await registered(http)
    assert (await guest.http.get(address(portal, client))).status_code == 403
    await guest.http.aclose()

    mallory = await browser_of(portal, STRANGER)
    client, given = await let_in(portal, http, mallory)
    assert await works(http, given["access_token"]) == 200
    change = {"suspended": True}
    await http.patch(f"/portal/v1/users/{STRANGER}", json=change, headers=portal.headers)
    assert await works(http, given["access_token"]) == 401
    assert (await refreshed(http, client, given["refresh_token"])).json()["error"] == "invalid_grant"
    await mallory.http.aclose()


async def test_turned_off(tmp_path: Path) -> None:
    async with (
        open_test_portal(tmp_path / "data", settings={"mcp": {"oauth": False}}) as running,
        httpx.AsyncClient(base_url=running.url) as http,
    ):
        assert (await http.get("/.well-known/oauth-protected-resource")).status_code == 404
        assert (await http.post("/oauth/register", json={"redirect_uris": [BACK]})).status_code in (404, 405)
        refused = await http.post("/mcp", json={})
        assert (refused.status_code, "www-authenticate" in refused.headers) == (401, False)
