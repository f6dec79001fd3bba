"""Admission: the one gate before every door.

Host, Origin, key or session, and body size are checked here, on plain ASGI, so that FastAPI's routes and the hot path
pass the same gate. Identity comes from a key or a session, never from a header that a client can choose.
"""

import itertools
import os
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, TypeAlias

from starlette.requests import ClientDisconnect

from portal.core import tracing
from portal.core.trace_context import from_headers
from portal.errors import BadRequest, Forbidden, PortalError, Stopping, TooLarge, Unauthenticated, unforeseen
from portal.security import access
from portal.security.credentials import Caller, Credentials
from portal.security.forwarded import FORWARDED, TrustedProxies
from portal.security.hosts import LOCAL, host_name, is_address, is_loopback, same_origin
from portal.security.ollama_door import OllamaDoor
from portal.security.throttle import Throttle, rate_headers

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]
Values: TypeAlias = dict[bytes, bytes]
"""Headers by name; of several with one name the last."""
Render: TypeAlias = Callable[[str, PortalError], tuple[int, Headers, bytes]]
"""(path, error) -> status, headers and body in the error format of the API at that path."""

COOKIE = "portal_session"
MCP, METRICS = access.MCP, access.METRICS
_OLLAMA = "/api/"
_CLOSED = ("/v1/", "/portal/v1/", _OLLAMA, "/openapi.json", MCP)
_POSTS, _LONGEST_POST = ("/channels/", "/sign-in/"), 4 * 2**20
"""What is read before it is known who posts, so that it is small."""
_UPLOADS = frozenset({"/v1/files", "/v1/audio/transcriptions", "/v1/audio/translations"})
_IMPORTS = "/portal/v1/imports"
_BLOBS = "/api/blobs/"
"""Model files: streamed on, and sent by administrators only, so that no size is too large."""
_REVOKED = 1008
"""The WebSocket's close code for it: policy violation (RFC 6455, section 7.4.1)."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_STARTED = os.urandom(8).hex().encode()
"""Tells the requests of this process from those of others."""
_requests = itertools.count(1)
_HERE = frozenset({"127.0.0.1", "::1", ""})
_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Admission:
    """ASGI middleware. What it lets in to a closed path carries its Caller in `scope["state"]["caller"]`."""

    def __init__(
        self,
        app: App,
        *,
        credentials: Credentials,
        ollama: OllamaDoor,
        render: Render,
        allowed_hosts: Iterable[str],
        allowed_origins: Iterable[str],
        max_body: int,
        max_upload: int,
        max_import: int,
        throttle: Throttle,
        proxies: TrustedProxies,
        closing: Callable[[], bool] = lambda: False,
        sink: tracing.Sink | None = None,
        challenge: Callable[[Scope, PortalError], Headers] = lambda scope, error: [],
    ) -> None:
        """Sizes in bytes; `allowed_hosts` without port, `allowed_origins` as a browser sends them; `sink` is whoever
        takes traces. While it is `closing`, nothing more is begun. `challenge` tells whoever is refused what else to
        try."""
        self.inner = app
        self._credentials = credentials
        self._ollama = ollama
        self._render = render
        self.write(allowed_hosts=allowed_hosts, allowed_origins=allowed_origins, proxies=proxies)
        self._max_body = max_body
        self._max_upload = max_upload
        self._max_import = max_import
        self._throttle = throttle
        self._closing = closing
        self._challenge = challenge
        self._sink = sink

    def write(self, *, allowed_hosts: Iterable[str], allowed_origins: Iterable[str], proxies: TrustedProxies) -> None:
        """Hold by these from now on."""
        self._hosts = LOCAL | {host.lower() for host in allowed_hosts}
        self._check_host = lru_cache(maxsize=64)(self._known_host)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit or refuse one request or WebSocket. A fault of our own becomes a 500, and goes on to the log."""
        if scope["type"] not in ("http", "websocket"):
            await self.inner(scope, receive, send)
            return
        headers = dict(scope["headers"])
        told_host = b""
        proxied = not FORWARDED.isdisjoint(headers)
        if proxied or b"x-forwarded-proto" in headers:
            told_host = self._proxies.settle(scope, headers)
        request_id = _request_id(scope, headers)
        extra = [*_HEADERS, *self._cors(headers), request_id]
        if scope.get("scheme") in ("https", "wss"):
            extra.append((b"strict-transport-security", b"max-age=31536000"))
        if scope["path"].startswith("/v1/"):
            extra.append((b"request-id", request_id[1]))  # by which Anthropic's clients find it
        if self._sink is not None:  # each time: a pipelined request begins within what the one before it was
            tracing.current.set(from_headers(self._sink, headers))
        reply = _Reply(scope, send, extra=extra, is_revoked=self._credentials.is_revoked)
        try:
            if self._closing():
                self._turn_away(scope, reply)
            if b"access-control-request-method" in headers and scope.get("method") == "OPTIONS":
                await self._preflight(headers, reply)
                return
            address = _address(scope, proxied=proxied)
            if address:
                self._throttle.knock(address)
            caller = await self._admit(scope, headers, told_host)
            if caller is not None:
                self._take(scope, caller, reply, at_home=not address)
            if not address and (caller is None or caller.owns):
                await self.inner(scope, self._limited(scope, headers, receive, reply), reply)
                return
            with self._throttle.inside(caller, address):
                await self.inner(scope, self._limited(scope, headers, receive, reply), reply)
        except (CutOff, ClientDisconnect):
            pass  # nobody is there to be told
        except PortalError as error:
            if reply.started:
                raise
            status, told, body = self._render(scope["path"], error)
            await reply.refuse(status, [*told, *self._challenge(scope, error)], body)
        except Exception as error:
            if not reply.started:
                await reply.refuse(*self._render(scope["path"], unforeseen(error)))
            raise

    @staticmethod
    def _turn_away(scope: Scope, reply: "_Reply") -> None:
        """Portal is stopping: what runs may be looked at and ended, nothing is begun. Raises Stopping."""
        reply.add([(b"connection", b"close")])
        begins = scope["type"] == "websocket" or scope["method"] == "POST"
        if begins and not scope["path"].endswith("/cancel"):
            raise Stopping

    def _take(self, scope: Scope, caller: Caller, reply: "_Reply", *, at_home: bool) -> None:
        """One request of theirs; clients of a key that has a rate are told what is left of it."""
        bucket = self._throttle.admit(caller, at_home=at_home, socket=scope["type"] == "websocket")
        if bucket is not None:
            reply.add(rate_headers(scope["path"], bucket))

    def _check_told_host(self, scope: Scope, headers: Values, host: bytes) -> None:
        """The host that a proxy tells of must be as welcome as the one by which the proxy itself came."""
        self._check_host(host)
        headers[b"host"] = host
        scope["headers"] = [(name, host if name == b"host" else value) for name, value in scope["headers"]]

    async def _admit(self, scope: Scope, headers: Values, told_host: bytes) -> Caller | None:
        if len(headers) != len(scope["headers"]) and sum(name == b"host" for name, _ in scope["headers"]) > 1:
            raise BadRequest("A request has one Host header.")
        self._check_host(headers.get(b"host", b""))
        if told_host:
            self._check_told_host(scope, headers, told_host)
        unsafe = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if unsafe and b"origin" in headers:
            self._check_origin(headers)
        path = scope["path"]
        if path.startswith(_OLLAMA):
            sent, by_key = headers.get(b"authorization", b""), partial(self._identify, headers, unsafe=unsafe)
            scope["state"]["caller"] = await self._ollama.identify(
                scope.get("method", "GET"), path, sent.decode("latin-1"), is_here=_is_here(headers), by_key=by_key
            )
        elif path.startswith(_CLOSED) or (path == METRICS and not (_comes_from_here(scope) and _is_here(headers))):
            scope["state"]["caller"] = await self._identify(headers, unsafe=unsafe)
        else:
            return None
        caller: Caller = scope["state"]["caller"]
        access.check(caller.role, scope.get("method", ""), path, read_only=caller.read_only, bounded=caller.bounded)
        if caller.alone and path != caller.alone:
            raise Forbidden(f"This key is good for {caller.alone} alone.", code="scope")
        return caller

    def _known_host(self, header: bytes) -> None:
        host = host_name(header.decode("latin-1"))
        if host in self._hosts or is_address(host):
            return
        raise Forbidden(
            f"Portal does not answer under the name {host!r}. Add it to server.allowed_hosts.", code="host_not_allowed"
        )

    def _check_origin(self, headers: Values) -> None:
        origin = headers[b"origin"].decode("latin-1")
        if origin.lower() in self._origins or same_origin(origin, headers.get(b"host", b"").decode("latin-1")):
            return
        raise Forbidden(
            f"Requests from pages of {origin} are not allowed. Add it to server.allowed_origins.",
            code="origin_not_allowed",
        )

    async def _identify(self, headers: Values, *, unsafe: bool) -> Caller:
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if token and scheme.lower() == "bearer":
            return await self._credentials.by_token(token.strip())
        if b"x-api-key" in headers:
            return await self._credentials.by_token(headers[b"x-api-key"].decode("latin-1"))
        session = _cookie(headers.get(b"cookie", b"").decode("latin-1"))
        caller = await self._credentials.by_session(session) if session else None
        if caller is None:
            raise Unauthenticated("No API key was sent. Use `Authorization: Bearer KEY`, or sign in to the page.")
        if unsafe and b"origin" not in headers:
            raise Forbidden("A request with a session must come from the page.", code="origin_missing")
        return caller

    def _cors(self, headers: Values) -> Headers:
        origin = headers.get(b"origin")
        if origin is None or origin.decode("latin-1").lower() not in self._origins:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"x-request-id, x-portal-model, x-portal-reason, retry-after"),
            (b"vary", b"origin"),
        ]

    async def _preflight(self, headers: Values, reply: "_Reply") -> None:
        if headers.get(b"origin", b"").decode("latin-1").lower() not in self._origins:
            raise Forbidden("This origin is not in server.allowed_origins.", code="origin_not_allowed")
        allowed: Headers = [
            (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
            (
                b"access-control-allow-headers",
                headers.get(b"access-control-request-headers", b"authorization, content-type"),
            ),
            (b"access-control-max-age", b"600"),
        ]
        await reply.refuse(204, allowed, b"")

    def _limited(self, scope: Scope, headers: Values, receive: Receive, reply: "_Reply") -> Receive:
        """`receive` that raises TooLarge once the body passes the limit; a WebSocket's ends with its credential."""
        if scope["type"] != "http":
            return reply.guarded(receive)
        if scope["path"].startswith(_BLOBS):
            return receive
        limit = self._max_upload if scope["path"] in _UPLOADS else self._max_body
        if scope["path"] == _IMPORTS:
            limit = self._max_import
        if scope["path"].startswith(_POSTS):
            limit = min(limit, _LONGEST_POST)
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit():
            raise BadRequest("Content-Length is not a number.")
        if int(declared) > limit:
            raise _too_large(limit)
        if b"transfer-encoding" not in headers:
            return receive  # the server lets no more through than was declared
        total = 0

        async def limited() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > limit:
                raise _too_large(limit)
            return message

        return limited


class CutOff(OSError):
    """The credential of an open connection was revoked; to the application it is a client that has gone."""


class _Reply:
    """`send` that adds headers to the response, knows whether it has begun, and ends it with its credential."""

    def __init__(self, scope: Scope, send: Send, *, extra: Headers, is_revoked: Callable[[Caller], bool]) -> None:
        self._scope = scope
        self._send = send
        self._extra = extra
        self._is_revoked = is_revoked
        self.started = False
        self.cut_off = False

    def __call__(self, message: Message) -> Awaitable[None]:
        kind = message["type"]
        if kind == "http.response.start" or kind == "websocket.accept":
            self.started = True
            message["headers"] = [*message.get("headers", ()), *self._extra]
        elif (message.get("more_body") or kind == "websocket.send") and self._revoked():
            return self._cut()
        return self._send(message)

    def add(self, headers: Headers) -> None:
        """More headers for the response, whatever it will be."""
        self._extra += headers

    def guarded(self, receive: Receive) -> Receive:
        """`receive` of a WebSocket that is over once its credential is revoked."""

        async def checked() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and self._revoked():
                with suppress(CutOff):
                    await self._cut()
                return {"type": "websocket.disconnect", "code": _REVOKED}
            return message

        return checked

    def _revoked(self) -> bool:
        caller = self._scope["state"].get("caller")
        return caller is not None and self._is_revoked(caller)

    async def _cut(self) -> None:
        if not self.cut_off:
            self.cut_off = True
            socket = self._scope["type"] == "websocket"
            await self._send(
                {"type": "websocket.close", "code": _REVOKED} if socket else {"type": "http.response.body", "body": b""}
            )
        raise CutOff

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer instead of the application; a WebSocket is refused with the same status and body."""
        socket = self._scope["type"] == "websocket"
        if socket and "websocket.http.response" not in self._scope.get("extensions", {}):
            await self._send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response" if socket else "http.response"
        length = (b"content-length", str(len(body)).encode("ascii"))
        await self._send({"type": f"{kind}.start", "status": status, "headers": [*headers, length, *self._extra]})
        await self._send({"type": f"{kind}.body", "body": body})


def _request_id(scope: Scope, headers: Values) -> tuple[bytes, bytes]:
    """The client's X-Request-Id if it is harmless, else a fresh one; also in `scope["state"]["request_id"]`."""
    sent = headers.get(b"x-request-id")
    request_id = sent if sent and _REQUEST_ID.fullmatch(sent) else b"req_%b%08x" % (_STARTED, next(_requests))
    scope.setdefault("state", {})["request_id"] = request_id.decode("ascii")
    return (b"x-request-id", request_id)


def _is_here(headers: Values) -> bool:
    """Whether only a program of this machine, or Portal's own page on it, can have sent this: no page of others, and
    nothing that came through a proxy."""
    host, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin")
    ours = origin is None or same_origin(origin.decode("latin-1"), host)
    typed = headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin")
    return is_loopback(host_name(host)) and ours and typed and FORWARDED.isdisjoint(headers)


def _address(scope: Scope, *, proxied: bool) -> str:
    """Where a request comes from, empty at home."""
    host: str = (scope.get("client") or ("",))[0]
    return host if proxied or host not in _HERE else ""


def _comes_from_here(scope: Scope) -> bool:
    return is_loopback((scope.get("client") or ("",))[0])


def _cookie(header: str) -> str | None:
    """The session's secret. Read by hand: other servers of this host may have left cookies that no parser takes."""
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is over {limit} bytes (server.max_body, server.max_upload, server.max_import).")
