"""Names and addresses in what a client says of itself: Host and Origin."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


def host_name(header: str) -> str:
    """The host of a Host header, without port; IPv6 in brackets."""
    return re.sub(r":\d*$", "", header.strip().lower())


def is_loopback(host: str) -> bool:
    """Whether a name or address, IPv6 in brackets or not, is this machine's alone."""
    return host == "localhost" or (is_address(host) and ip_address(host.strip("[]")).is_loopback)


def is_address(host: str) -> bool:
    """Whether a host is an IP address, which no name of another's can be made to lead to."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def same_origin(origin: str, host: str) -> bool:
    """Whether a page of this origin came from the host that it calls."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and parts.netloc.lower() == host.strip().lower()
