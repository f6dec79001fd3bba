"""What proxies say of the client they speak for: believed only of those that the settings trust.

Each proxy appends to `X-Forwarded-For` whom it heard from, so the list is read from its end: the first address that is
no trusted proxy is the client, and whatever stands before that anybody can have written. `X-Forwarded-Proto` and
`X-Forwarded-Host` are what the last proxy says.
"""

from collections.abc import Iterable, MutableMapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

from portal.errors import SettingsError
from portal.security.hosts import is_address, is_loopback

Values: TypeAlias = dict[bytes, bytes]
FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"})
"""Headers by which proxies show."""
_FOR, _PROTO, _HOST = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"
_SCHEMES = {b"https": "https", b"wss": "https", b"http": "http", b"ws": "http"}


class TrustedProxies:
    """Those of this machine, for the client and its scheme; those of the settings, also for the host."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Addresses and networks. Raises SettingsError where one is none."""
        self._networks = [_network(one) for one in networks]
        self._known = lru_cache(maxsize=256)(self._is_known)

    def trusts(self, address: str) -> bool:
        """Whether what comes from there is a proxy of ours."""
        return is_loopback(address) or self._known(address)

    def _is_known(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._networks)

    def settle(self, scope: MutableMapping[str, Any], headers: Values) -> bytes:
        """Put the client and its scheme in the place of the proxy's, where that is trusted. The host that the client
        asked for, where the proxy is one of the settings; else empty."""
        peer: str = (scope.get("client") or ("",))[0]
        if peer and not self.trusts(peer):
            return b""
        proto = _SCHEMES.get(headers.get(_PROTO, b"").rpartition(b",")[2].strip())
        if proto is not None:
            scope["scheme"] = proto if scope["type"] == "http" else proto.replace("http", "ws")
        client = self._client(headers.get(_FOR, b"").decode("latin-1"))
        if client:
            scope["client"] = (client, 0)
        return headers.get(_HOST, b"").rpartition(b",")[2].strip() if self._known(peer) else b""

    def _client(self, told: str) -> str:
        """The last address that is no proxy of ours; where all are, the first."""
        client = ""
        for part in reversed(told.split(",")):
            address = _bare(part.strip())
            if not is_address(address):
                break
            client = address
            if not self.trusts(client):
                break
        return client


def _bare(text: str) -> str:
    """An address without port and brackets, as some proxies write it."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError as error:
        why = f"server.trusted_proxies: {text!r} is no address and no network, such as 10.0.0.0/8"
        raise SettingsError(why) from error
