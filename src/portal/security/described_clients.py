"""Programs that are known by the address of what they say of themselves (Client ID Metadata Documents): nobody has to
register them, and whoever has the address vouches for the program."""

from collections.abc import Callable
from urllib.parse import urlsplit

import orjson

from portal.core.clock import micros
from portal.core.oauth import Client, Clients
from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.core.tool_ports import Fetcher
from portal.errors import ToolError
from portal.security.limiter import Limiter
from portal.security.oauth import OAuthError, shown
from portal.security.redirects import MOST, is_allowed

LARGEST = 16 * 2**10
"""Bytes of one."""
_SECONDS = 8.0
_KEPT, _FRESH = 100, 3600 * 1_000_000
_A_MINUTE = 30
"""So many are fetched."""


class DescribedClients:
    """Implements Clients on another: ids that are addresses are looked up there."""

    def __init__(self, *, clients: Clients, fetcher: Callable[[], Fetcher], limiter: Limiter) -> None:
        self._clients, self._fetcher, self._limiter = clients, fetcher, limiter
        self._known: dict[str, Client] = {}

    async def add(self, client: Client, *, most: int, idle_before: int) -> None:
        """See Clients."""
        await self._clients.add(client, most=most, idle_before=idle_before)

    async def get(self, client_id: str) -> Client | None:
        """See Clients; raises OAuthError for an address at which nothing of the kind is, and RateLimited."""
        if not client_id.startswith("https://"):
            return await self._clients.get(client_id)
        known = self._known.get(client_id)
        if known is None or known.created_at < micros() - _FRESH:
            _check(client_id)
            self._limiter.take("oauth documents", _A_MINUTE)
            known = _read(client_id, await self._fetched(client_id))
            self._known.pop(client_id, None)
            if len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[client_id] = known
        return known

    async def _fetched(self, client_id: str) -> OutboundResponse:
        request = OutboundRequest(
            url=client_id,
            headers={"accept": "application/json"},
            seconds=_SECONDS,
            largest=LARGEST,
            allowed=lambda url: False,
        )
        try:
            return await self._fetcher().fetch(request)
        except ToolError as error:
            raise _wrong(client_id, error.message) from error


def host_of(client_id: str) -> str:
    """Who vouches for a program that is known by an address; empty for one that registered. Raises OAuthError."""
    if not client_id.startswith("https://"):
        return ""
    _check(client_id)
    return urlsplit(client_id).netloc


def _check(address: str) -> None:
    try:
        parts = urlsplit(address)
        fine = bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not is_allowed(address) or parts.path in ("", "/") or {".", ".."} & set(parts.path.split("/")):
        raise _wrong(address, "Its address needs a path, and has neither a fragment, a name nor dots for folders.")


def _read(address: str, found: OutboundResponse) -> Client:
    if found.status != 200 or found.cut:
        raise _wrong(address, "It is too large." if found.cut else f"The answer is {found.status}.")
    try:
        told = orjson.loads(found.body)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict) or told.get("client_id") != address:
        raise _wrong(address, "It is not JSON that names this address as its client_id.")
    redirects, way = told.get("redirect_uris"), told.get("token_endpoint_auth_method", "none")
    if not isinstance(redirects, list) or not 0 < len(redirects) <= MOST or not all(map(_allowed, redirects)):
        raise _wrong(address, f"It needs 1 to {MOST} redirect_uris: https, http on this machine, or an own scheme.")
    if way != "none" or "client_secret" in told:
        raise _wrong(address, "Only programs without a secret are let in: token_endpoint_auth_method is none.")
    name = f"{shown(str(told.get('client_name') or 'A program'))} ({urlsplit(address).netloc})"
    return Client(id=address, name=name, redirects=redirects, created_at=micros())


def _allowed(redirect: object) -> bool:
    return isinstance(redirect, str) and is_allowed(redirect)


def _wrong(address: str, why: str) -> OAuthError:
    return OAuthError("invalid_client", f"What the program says of itself at {address} cannot be used. {why}")
