"""The page itself: its files, the addresses of its views, and signing in by a one-time link."""

import base64
import hashlib
import re
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from portal.errors import Unauthenticated
from portal.interfaces.web.files import Files
from portal.interfaces.web.requests import pack
from portal.interfaces.web.signing_in import device, set_session
from portal.security.credentials import Credentials

STATIC = Path(__file__).parent / "static"
_NOT_VIEWS = ("/v1/", "/portal/", "/api/", "/hooks/", "/oauth/", "/.well-known/")
_OLLAMA = "Ollama is running"
_LOOKERS = re.compile(
    r"bot\b|bot[/-]|facebookexternalhit|whatsapp|skypeuripreview|preview|crawler|spider", re.IGNORECASE
)
"""In the names of what fetches a link to show what is behind it."""
_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)


ARTEFACT_POLICY = "; ".join(
    [
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "media-src data: blob:",
        "font-src data:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    ]
)
"""Of the frame that shows what an answer made: an origin of its own, scripts of its own, and no way out."""
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?")


def content_security_policy(html: str, *, host: str = "") -> str:
    """The page's policy: nothing from elsewhere, nothing inline but the import map, by its hash; frames only of what
    answers made, and of files. `host` is where the browser reaches this page: policies have no other word for one
    address of it."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"
        for inline in _IMPORT_MAP.findall(html)
    ]
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' {' '.join(hashes)}".strip(),
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            "connect-src 'self'",
            "font-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            f"frame-src {host}/artefact {host}/v1/files/" if _HOST.fullmatch(host) else "frame-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ]
    )


def page_routes(*, credentials: Credentials) -> list[BaseRoute]:
    """Sign-in, static files, and the one document behind every view's address. These come last among the routes."""
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    shell = (STATIC / "artefact.html").read_bytes()

    async def sign_in(request: Request) -> Response:
        if _only_looks(request):
            return PlainTextResponse("A link that signs in to Portal, once, in the browser that opens it.")
        try:
            token = request.query_params.get("token", "")
            _, secret = await credentials.sign_in(token, device=device(request))
        except Unauthenticated:
            return RedirectResponse("/?sign-in=expired", status_code=303)
        response = RedirectResponse("/", status_code=303)
        set_session(request, response, secret)
        return response

    async def document(request: Request) -> Response:
        policy = content_security_policy(html, host=request.headers.get("host", ""))
        headers = {
            "content-security-policy": policy,
            "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
            "cache-control": "no-cache",
        }
        return pack(request, HTMLResponse(html, headers=headers))

    async def artefact(request: Request) -> Response:
        headers = {"content-security-policy": ARTEFACT_POLICY, "x-dns-prefetch-control": "off"}
        return HTMLResponse(shell, headers=headers)

    async def root(request: Request) -> Response:
        response = await document(request) if _is_browser(request) else PlainTextResponse(_OLLAMA)
        response.headers.append("vary", "accept")
        return response

    async def worker(request: Request) -> Response:
        return Response(
            (STATIC / "sw.js").read_bytes(), media_type="text/javascript", headers={"cache-control": "no-cache"}
        )

    return [
        Route("/sign-in", sign_in, methods=["GET"]),
        Route("/sw.js", worker, methods=["GET"]),
        Route("/artefact", artefact, methods=["GET"]),
        Route("/static/{path:path}", Files(STATIC).serve, methods=["GET"]),
        Route("/", root, methods=["GET"]),
        _Views("/{view:path}", document, methods=["GET"]),
    ]


def _is_browser(request: Request) -> bool:
    """Whether the page is wanted, and not the greeting by which programs find an Ollama server. Most of those say that
    they take anything; a browser names HTML, or (where its own scripts ask) tells where its request comes from."""
    return "text/html" in request.headers.get("accept", "").lower() or "sec-fetch-mode" in request.headers


def _only_looks(request: Request) -> bool:
    """Whether nobody opens this address: it is asked for its head, fetched ahead, or looked at by a chat platform that
    shows what is behind a link. None of them may use up what works once."""
    purposes = (request.headers.get(name, "") for name in ("sec-purpose", "purpose", "x-moz"))
    agent = request.headers.get("user-agent", "")
    return request.method == "HEAD" or any("prefetch" in one for one in purposes) or bool(_LOOKERS.search(agent))


class _Views(Route):
    """Every address that is no API's is a view of the page; those of an API keep its own 404 and 405."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["path"].startswith(_NOT_VIEWS) else super().matches(scope)
