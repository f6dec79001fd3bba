"""Servers at an address: both transports, both revisions, and what goes wrong on the way."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl, AnyUrl
from tests.mcp.servers import plain
from tests.mcp.workshop import Workshop, serve

from portal.errors import BadRequest, ToolError
from portal.mcp.servers import ToolServers


@pytest.mark.parametrize("way", ["http", "json", "sse"])
async def test_every_transport(workshop: Workshop, way: str) -> None:
    server = plain()
    app = server.sse_app() if way == "sse" else server.streamable_http_app(json_response=way == "json")
    path, transport = ("/sse", "sse") if way == "sse" else ("/mcp", "http")
    async with (
        serve(app) as url,
        workshop.open({"r": {"url": url + path, "transport": transport, "trusted": True}}) as servers,
    ):
        remote = servers.get("r")
        await remote.refresh()
        specs = {spec.name: spec for spec in remote.tools()}
        answer = await remote.call("r__add", {"a": 1, "b": 1}, workshop.context())
        contents = await servers.read("r", "note://one")

    assert answer.text == "2"
    assert not answer.untrusted
    assert (specs["r__add"].risk, specs["r__add"].idempotent) == ("read", True)
    assert specs["r__echo"].risk == "network"
    assert contents[0]["text"] == "remember the milk"


async def test_headers_are_sent(workshop: Workshop) -> None:
    server = MCPServer("headers")

    @server.tool(structured_output=False)
    def who(ctx: Context) -> str:
        """Who calls."""
        return str((ctx.headers or {}).get("authorization"))

    async with serve(server.streamable_http_app()) as url:
        settings = {"url": f"{url}/mcp", "headers": {"Authorization": "Bearer secret"}}
        async with workshop.open({"h": settings}) as servers:
            await servers.get("h").refresh()
            answer = await servers.get("h").call("h__who", {}, workshop.context())

    assert answer.text == "Bearer secret"


async def test_a_server_that_went_away_and_came_back(workshop: Workshop) -> None:
    app = plain().streamable_http_app
    async with serve(app()) as url:
        port = urlsplit(url).port or 0
        server = {"r": {"url": f"{url}/mcp", "risks": {"add": "read"}}}
        opened = workshop.open(server)
        servers = await opened.__aenter__()
        await servers.get("r").refresh()
    try:
        with pytest.raises(ToolError, match=r"cannot be reached|is not there"):
            await servers.get("r").call("r__add", {"a": 1, "b": 1}, workshop.context())
        async with serve(plain().streamable_http_app(), port):
            await servers.get("r").refresh()
            answer = await servers.get("r").call("r__add", {"a": 1, "b": 1}, workshop.context())
    finally:
        await opened.__aexit__(None, None, None)

    assert answer.text == "2"


async def test_an_answer_that_is_too_large(workshop: Workshop) -> None:
    server = MCPServer("big")

    @server.tool(structured_output=False)
    def big(size: int) -> str:
        """So much."""
        return "y" * size

    async with (
        serve(server.streamable_http_app(json_response=True)) as url,
        workshop.open({"b": {"url": f"{url}/mcp"}}, max_message=100_000) as servers,
    ):
        await servers.get("b").refresh()
        with pytest.raises(ToolError, match="larger than"):
            await servers.get("b").call("b__big", {"size": 200_000}, workshop.context())
        small = await servers.get("b").call("b__big", {"size": 2000}, workshop.context())

    assert len(small.text) == 2000


async def test_a_flood_over_http(workshop: Workshop) -> None:
    server = MCPServer("flood")

    @server.tool(structured_output=False)
    async def flood(ctx: Context) -> str:
        """Far too much."""
        for number in range(2000):
            await ctx.report_progress(number, None, "x")
        return "flooded"

    reports: list[str] = []
    async with serve(server.streamable_http_app()) as url, workshop.open({"f": {"url": f"{url}/mcp"}}) as servers:
        await servers.get("f").refresh()
        answer = await servers.get("f").call("f__flood", {}, workshop.context(reports=reports))

    assert answer.text == "flooded"
    assert 0 < len(reports) < 1000


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})


async def test_an_address_that_is_none(workshop: Workshop) -> None:
    async with serve(refuse) as url, workshop.open({"n": {"url": url}, "o": {"url": "http://127.0.0.1:1"}}) as servers:
        for name in ("n", "o"):
            with pytest.raises(ToolError, match="is not there"):
                await servers.get(name).refresh()
            with pytest.raises(BadRequest, match="Nobody signs in"):
                await servers.sign_in(name, "http://127.0.0.1/back")


class Gate(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """An authorization server that lets everybody in who comes by."""

    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.valid = "token-1"

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[client_info.client_id or ""] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = AuthorizationCode(
            code=f"code-{len(self.codes)}",
            scopes=params.scopes or [],
            expires_at=4e9,
            client_id=client.client_id or "",
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        return OAuthToken(access_token=self.valid, expires_in=3600)

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        return None

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        raise NotImplementedError

    async def load_access_token(self, token: str) -> AccessToken | None:
        return AccessToken(token=token, client_id="any", scopes=[]) if token == self.valid else None

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        return


async def test_a_server_that_wants_nobody_to_sign_in(workshop: Workshop) -> None:
    async with serve(plain().streamable_http_app()) as url:
        settings = {
            "open": {"url": f"{url}/mcp", "auth": "oauth"},
            "gone": {"url": "http://127.0.0.1:1/", "auth": "oauth"},
        }
        async with workshop.open(settings) as servers:
            address = await servers.sign_in("open", "http://127.0.0.1:9/back")
            answer = await servers.get("open").call("open__add", {"a": 1, "b": 1}, workshop.context())
            with pytest.raises(ToolError, match="is not there"):
                await servers.sign_in("gone", "http://127.0.0.1:9/back")

    assert (address, answer.text) == ("", "2")


async def come_home(servers: ToolServers, name: str, back: str) -> tuple[str, dict[str, str]]:
    """Sign in as a browser would: the address, and what it leads back with."""
    address = await servers.sign_in(name, back)
    async with aiohttp.ClientSession() as browser, browser.get(address, allow_redirects=False) as gone:
        return address, {key: value[0] for key, value in parse_qs(urlsplit(gone.headers["location"]).query).items()}


async def test_a_client_that_was_registered_by_hand(workshop: Workshop, unused_tcp_port: int) -> None:
    gate, back = Gate(), "http://127.0.0.1:9/back"
    url = f"http://127.0.0.1:{unused_tcp_port}"
    await gate.register_client(
        OAuthClientInformationFull(
            client_id="by-hand",
            client_secret="s3cret",
            redirect_uris=[AnyUrl(back)],
            token_endpoint_auth_method="client_secret_basic",
        )
    )
    auth = AuthSettings(
        issuer_url=AnyHttpUrl(url), resource_server_url=AnyHttpUrl(f"{url}/mcp"), validate_token_resource=False
    )
    server = MCPServer("safe", auth_server_provider=gate, auth=auth)
    known = {"client_id": "by-hand", "client_secret": "s3cret"}
    async with (
        serve(server.streamable_http_app(), unused_tcp_port),
        workshop.open({"s": {"url": f"{url}/mcp", "auth": "oauth", **known}}) as servers,
    ):
        address, home = await come_home(servers, "s", back)
        servers.come_back(code=home["code"], state=home["state"], iss=home.get("iss"))
        await servers.get("s").refresh()
        status = servers.view("s")["status"]

    assert "client_id=by-hand" in address
    assert (status, [*gate.clients]) == ("up", ["by-hand"])


async def test_a_person_signs_in_once(workshop: Workshop, unused_tcp_port: int) -> None:
    gate, back = Gate(), "http://127.0.0.1:9/portal/v1/mcp/callback"
    url = f"http://127.0.0.1:{unused_tcp_port}"
    registering = ClientRegistrationOptions(enabled=True)
    auth = AuthSettings(
        issuer_url=AnyHttpUrl(url),
        resource_server_url=AnyHttpUrl(f"{url}/mcp"),
        client_registration_options=registering,
        validate_token_resource=False,
    )
    server = MCPServer("safe", auth_server_provider=gate, auth=auth)

    @server.tool(structured_output=False)
    def secret() -> str:
        """What only those inside know."""
        return "open sesame"

    settings = {"s": {"url": f"{url}/mcp", "auth": "oauth"}}
    async with serve(server.streamable_http_app(), unused_tcp_port):
        async with workshop.open(settings) as servers:
            with pytest.raises(ToolError, match="a person has to sign in there first"):
                await servers.get("s").refresh()
            _, home = await come_home(servers, "s", back)
            with pytest.raises(BadRequest, match="begin again"):
                servers.come_back(code=home["code"], state="another", iss=None)
            came = servers.come_back(code=home["code"], state=home["state"], iss=home.get("iss"))
            await servers.get("s").refresh()
            first = await servers.get("s").call("s__secret", {}, workshop.context())

        async with workshop.open(settings) as servers:
            later = await servers.get("s").call("s__secret", {}, workshop.context())
            gate.valid = "token-2"
            with pytest.raises(ToolError, match="sign in there again"):
                await servers.get("s").call("s__secret", {}, workshop.context())

    assert (came, first.text, later.text) == ("s", "open sesame", "open sesame")
    assert gate.clients.popitem()[1].client_name == "Portal"
    secrets = workshop.folder / "secrets.json"
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert "token-1" in secrets.read_text()
    assert "token" not in json.dumps(workshop.kept.values)
