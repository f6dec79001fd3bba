"""Which internet addresses are public, however they are written or wrapped."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_RELAYS_OF_6TO4 = ip_network("192.88.99.0/24")
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [
    IPv6Network("2001::/23"),  # protocols' own, Teredo among them: another address is inside
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4: any IPv4 address is inside
    IPv6Network("3fff::/20"),  # documentation
]
_NAT64 = IPv6Network("64:ff9b::/96")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)\.?\Z", re.IGNORECASE)


def is_public(address: Address) -> bool:
    """Whether it belongs to the internet, and not to this machine, its network, a group or a transition trick."""
    if isinstance(address, IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved or address in _RELAYS_OF_6TO4)
    inner = wrapped(address)
    if inner is not None:
        return is_public(inner)
    return address.scope_id is None and address in _PUBLIC_6 and not any(address in each for each in _NOT_PUBLIC_6)


def wrapped(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a connection would really reach: `::ffff:1.2.3.4`, or through a network's NAT64."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped


def literal(host: str) -> Address | None:
    """The address that a URL's host is, or None for a name.

    Raises:
        ValueError: it is one in a spelling that programs read differently, such as `0177.1` or `2130706433`.
    """
    if ":" in host:
        return ip_address(host)
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return IPv4Address(host)
    return None
