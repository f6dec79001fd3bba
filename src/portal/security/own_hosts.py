"""Hosts of the owner's own network that tools may reach although they are not public: `tools.private_hosts`."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from portal.errors import SettingsError
from portal.security.addresses import Address


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    def fits(self, name: str, port: int, address: Address) -> bool:
        """Whether it allows this address, which the name led to."""
        if self.port not in (None, port):
            return False
        return self.name == name if self.network is None else address in self.network


class OwnHosts:
    """The list."""

    def __init__(self, entries: Sequence[str]) -> None:
        """Each is a name, an address or a network, with or without a port: `searx.lan`, `10.0.0.5:8080`, `[::1]:80`.

        Raises:
            SettingsError: one is none of these.
        """
        self._entries = [_entry(each) for each in entries]

    def allow(self, name: str, port: int, address: Address) -> bool:
        """Whether the owner wants this address reached on this port, under this name."""
        return any(entry.fits(name.rstrip(".").lower(), port, address) for entry in self._entries)


def _entry(text: str) -> _Entry:
    host, port = _split(text)
    if not host or (port and not port.isdecimal()):
        raise SettingsError(f"tools.private_hosts: {text!r} is no name, address or network, with or without a port.")
    try:
        network = ip_network(host, strict=False)
    except ValueError:
        if "/" in host or ":" in host:
            raise SettingsError(f"tools.private_hosts: {text!r} is no address and no network.") from None
        network = None
    return _Entry(host.rstrip(".").lower(), network, int(port) if port else None)


def _split(text: str) -> tuple[str, str]:
    """Host and port; the colons of an IPv6 address without brackets belong to it."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    return (text, "") if text.count(":") > 1 else (text.partition(":")[0], text.partition(":")[2])
