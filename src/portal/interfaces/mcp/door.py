"""The door of a tool server on a port of its own: Host, Origin and key are checked as Portal's admission does."""

import hmac
from collections.abc import Iterable
from typing import Any

import orjson
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Receive, Scope, Send

from portal.errors import Forbidden, PortalError, Unauthenticated
from portal.security.hosts import LOCAL, host_name, is_address, same_origin


def guarded(
    server: Server[Any], *, path: str, key: str, hosts: Iterable[str] = (), origins: Iterable[str] = ()
) -> ASGIApp:
    """A server over streamable HTTP, behind a door."""
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # the door checks
    app = server.streamable_http_app(streamable_http_path=path, transport_security=unchecked)
    return Door(app, key=key, hosts=hosts, origins=origins)


class Door:
    """ASGI middleware. Without a key whoever reaches the port is let in, but no page of another site."""

    def __init__(self, app: ASGIApp, *, key: str, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._app = app
        self._key = key.encode()
        self._hosts = LOCAL | {host.lower() for host in hosts}
        self._origins = {origin.rstrip("/").lower() for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] == "http":
            scope["headers"] = bare(scope["headers"])
            try:
                self._check({name: value.decode("latin-1") for name, value in scope["headers"]})
            except PortalError as error:
                await _refuse(send, error)
                return
        await self._app(scope, receive, send)

    def _check(self, headers: dict[bytes, str]) -> None:
        named = headers.get(b"host", "")
        host = host_name(named)
        if host not in self._hosts and not is_address(host):
            raise Forbidden(f"This server does not answer under the name {host!r}.", code="host_not_allowed")
        origin = headers.get(b"origin")
        if origin is not None and origin.lower() not in self._origins and not same_origin(origin, named):
            raise Forbidden(f"Requests from pages of {origin} are not allowed.", code="origin_not_allowed")
        scheme, _, sent = headers.get(b"authorization", "").partition(" ")
        given = sent.strip() if scheme.lower() == "bearer" else headers.get(b"x-api-key", "")
        if self._key and not hmac.compare_digest(given.encode(), self._key):
            raise Unauthenticated("This server wants its key: `Authorization: Bearer KEY`.")


def bare(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers without the white space around values, which is none of them (RFC 9110, section 5.5); the SDK compares
    them with what the body says."""
    return [(name, value.strip(b" \t")) for name, value in headers]


async def _refuse(send: Send, error: PortalError) -> None:
    body = orjson.dumps({"error": {"message": error.message, "code": error.code}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
