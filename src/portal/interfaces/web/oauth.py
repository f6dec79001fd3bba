"""Signing in to `/mcp` by OAuth 2.1: what clients find out by themselves, and what a person is asked."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from portal.core.clock import seconds
from portal.core.items import JsonObject
from portal.errors import BadRequest, Forbidden, PortalError
from portal.interfaces.late import LateRouter
from portal.interfaces.web import consent
from portal.interfaces.web.entrance import Entrance
from portal.interfaces.web.signing_in import address
from portal.interfaces.wire import json_response
from portal.security import access
from portal.security.admission import COOKIE, MCP
from portal.security.credentials import Caller
from portal.security.described_clients import host_of
from portal.security.oauth import SCOPE, Asked, Granted, OAuth, OAuthError

METADATA = "/.well-known/oauth-protected-resource"
_LONGEST, _MOST_FIELDS = 64 * 2**10, 50
_FRESH = {"cache-control": "no-store", "pragma": "no-cache"}


def challenge(scope: Scope, error: PortalError) -> list[tuple[bytes, bytes]]:
    """The header that tells a client of `/mcp` where to begin (RFC 9728, section 5.1)."""
    if error.status != 401 or scope["path"] != MCP:
        return []
    headers = dict(scope["headers"])
    base = b"%b://%b" % (scope.get("scheme", "http").encode(), headers.get(b"host", b""))
    tried = b', error="invalid_token"' if b"authorization" in headers else b""
    told = b'Bearer resource_metadata="%b%b%b"%b' % (base, METADATA.encode(), MCP.encode(), tried)
    return [(b"www-authenticate", told)]


def oauth_routes(*, entrance: Entrance) -> APIRouter:
    """All of them; none where it is turned off."""
    router = LateRouter(tags=["oauth"])
    if entrance.oauth is None:
        return router
    door = _Door(entrance, entrance.oauth)
    add = router.add_api_route
    add(METADATA, door.resource, methods=["GET"], name="oauth_resource")
    add(METADATA + MCP, door.resource, methods=["GET"], name="oauth_resource_mcp")
    add("/.well-known/oauth-authorization-server", door.server, methods=["GET"], name="oauth_server")
    add("/oauth/register", door.register, methods=["POST"], name="oauth_register", status_code=201)
    add("/oauth/authorize", door.ask, methods=["GET"], name="oauth_ask")
    add("/oauth/authorize", door.answer, methods=["POST"], name="oauth_answer")
    add("/oauth/token", door.token, methods=["POST"], name="oauth_token")
    add("/oauth/revoke", door.revoke, methods=["POST"], name="oauth_revoke")
    return router


class _Door:
    def __init__(self, entrance: Entrance, oauth: OAuth) -> None:
        self._entrance, self._oauth = entrance, oauth

    async def resource(self, request: Request) -> Response:
        """What there is to sign in to (RFC 9728)."""
        base = _base(request)
        return json_response(
            {
                "resource": base + MCP,
                "resource_name": "Portal",
                "authorization_servers": [base],
                "scopes_supported": [SCOPE],
                "bearer_methods_supported": ["header"],
            }
        )

    async def server(self, request: Request) -> Response:
        """How to sign in (RFC 8414)."""
        base = _base(request)
        return json_response(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/oauth/authorize",
                "token_endpoint": f"{base}/oauth/token",
                "registration_endpoint": f"{base}/oauth/register",
                "revocation_endpoint": f"{base}/oauth/revoke",
                "scopes_supported": [SCOPE],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_methods_supported": ["none"],
                "revocation_endpoint_auth_methods_supported": ["none"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
                "client_id_metadata_document_supported": True,
            }
        )

    async def register(self, request: Request) -> Response:
        """A program makes itself known (RFC 7591); all are public clients here."""
        try:
            told = orjson.loads(await _body(request))
        except orjson.JSONDecodeError:
            told = None
        redirects = told.get("redirect_uris") if isinstance(told, dict) else None
        name = told.get("client_name") or "" if isinstance(told, dict) else None
        if not isinstance(redirects, list) or not all(isinstance(one, str) for one in redirects):
            return _refused(OAuthError("invalid_client_metadata", "A JSON object with redirect_uris is needed."))
        try:
            client = await self._oauth.register(str(name), redirects, address=address(request))
        except OAuthError as error:
            return _refused(error)
        made = {
            "client_id": client.id,
            "client_id_issued_at": int(seconds(client.created_at)),
            "client_name": client.name,
            "redirect_uris": list(client.redirects),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "scope": SCOPE,
        }
        return json_response(made, status=201, headers=_FRESH)

    async def ask(self, request: Request) -> Response:
        """The page that asks the person whose browser it is."""
        query, base, caller = request.query_params, _base(request), await self._person(request)
        redirect, client_id = query.get("redirect_uri", ""), query.get("client_id", "")
        try:
            if caller is None and (host := host_of(client_id)):  # Portal fetches nothing for somebody unknown
                return _page(consent.sign_in(host, str(request.url)))
            client = await self._oauth.client(client_id, redirect)
        except OAuthError as error:
            return _page(consent.refused(error.message), status=400)
        try:
            asked = self._oauth.asked(
                client,
                redirect=redirect,
                kind=query.get("response_type", ""),
                challenge=query.get("code_challenge", ""),
                method=query.get("code_challenge_method", ""),
                state=query.get("state", ""),
                scope=query.get("scope", ""),
                resource=query.get("resource", ""),
                ours=base + MCP,
            )
        except OAuthError as error:
            told = {"error": str(error.code), "error_description": error.message}
            return _back(redirect, {**told, "state": query.get("state", ""), "iss": base})
        if caller is None:
            return _page(consent.sign_in(asked.client_name, str(request.url)))
        try:
            _may(caller)
        except Forbidden as refusal:
            return _page(consent.refused(refusal.message), status=403)
        person = await self._entrance.users.get(caller.owner)
        token = await self._oauth.ask(asked, caller.owner)
        return _page(consent.question(asked, token, person.name), asked=asked)

    async def answer(self, request: Request) -> Response:
        """What the person said. It comes from the page alone: with their session, the page's origin and its token."""
        form, caller = await _form(request), await self._person(request)
        if caller is None or "origin" not in request.headers:
            return _page(
                consent.refused("Sign in to Portal in this browser, and begin again in the program."), status=403
            )
        scope = form.get("scope", "") if form.get("decision") == "allow" else None
        try:
            _may(caller)
            asked, code = await self._oauth.answer(form.get("token", ""), caller.owner, scope=scope)
        except (OAuthError, Forbidden) as error:
            return _page(consent.refused(error.message), status=error.status)
        said = {"code": code} if code else {"error": "access_denied"}
        return _back(asked.redirect, {**said, "state": asked.state, "iss": _base(request)})

    async def token(self, request: Request) -> Response:
        """A code or a refresh token for a key (RFC 6749)."""
        try:
            form = await _form(request)
            given = await self._given(form)
        except OAuthError as error:
            return _refused(error)
        return json_response(
            {
                "access_token": given.access,
                "token_type": "Bearer",
                "expires_in": given.seconds,
                "refresh_token": given.refresh,
                "scope": " ".join(given.scopes),
            },
            headers=_FRESH,
        )

    async def _given(self, form: Mapping[str, str]) -> Granted:
        kind, client, resource = form.get("grant_type", ""), form.get("client_id", ""), form.get("resource", "")
        if kind == "authorization_code":
            return await self._oauth.exchange(
                code=form.get("code", ""),
                client_id=client,
                redirect=form.get("redirect_uri", ""),
                verifier=form.get("code_verifier", ""),
                resource=resource,
            )
        if kind == "refresh_token":
            token, scope = form.get("refresh_token", ""), form.get("scope", "")
            return await self._oauth.refresh(token=token, client_id=client, scope=scope, resource=resource)
        raise OAuthError("unsupported_grant_type", "grant_type is authorization_code or refresh_token.")

    async def revoke(self, request: Request) -> Response:
        """A program gives back what it got (RFC 7009); nobody learns whether there was anything."""
        try:
            form = await _form(request)
        except OAuthError as error:
            return _refused(error)
        await self._oauth.revoke(form.get("token", ""), form.get("client_id", ""))
        return Response(headers=_FRESH)

    async def _person(self, request: Request) -> Caller | None:
        session = request.cookies.get(COOKIE)
        return await self._entrance.credentials.by_session(session) if session else None


def _may(caller: Caller) -> None:
    """Raises Forbidden for whom tools are not."""
    access.check(caller.role, "POST", MCP, read_only=caller.read_only)


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


async def _body(request: Request) -> bytes:
    """Raises BadRequest for one that is too long."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST:
            raise BadRequest("This request is too long.")
    return body


async def _form(request: Request) -> dict[str, str]:
    """Raises OAuthError for what is no form, and for a field that comes twice."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise OAuthError("invalid_request", "Send a form (application/x-www-form-urlencoded).")
    try:
        text = (await _body(request)).decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise OAuthError("invalid_request", "The form cannot be read.") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "A field came twice.")
    return form


def _refused(error: OAuthError) -> Response:
    told: JsonObject = {"error": error.code, "error_description": error.message}
    return json_response(told, status=error.status, headers=_FRESH)


def _back(redirect: str, told: Mapping[str, str]) -> Response:
    """Send the browser back to the program."""
    parts = urlsplit(redirect)
    query = "&".join(filter(None, (parts.query, urlencode({name: value for name, value in told.items() if value}))))
    return RedirectResponse(parts._replace(query=query).geturl(), status_code=303, headers=_FRESH)


def _page(html: str, *, status: int = 200, asked: Asked | None = None) -> Response:
    headers: dict[str, Any] = {**_FRESH, "content-security-policy": consent.policy(asked)}
    return HTMLResponse(html, status_code=status, headers=headers)
