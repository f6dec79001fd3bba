"""Addresses that programs want people to be sent back to (RFC 8252, OAuth 2.1 section 2.3)."""

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from portal.security.hosts import is_loopback

LONGEST, MOST = 500, 10
_NEVER = frozenset({"javascript", "data", "file", "blob", "vbscript", "about", "ftp", "ws", "wss", "view-source"})
_PLAIN = re.compile(r"[\x21-\x7e]+")


def is_allowed(address: str) -> bool:
    """Whether a program may register it: https, http on the person's own machine, or a scheme of its own."""
    parts = _split(address)
    if parts is None or parts.fragment or not _PLAIN.fullmatch(address) or len(address) > LONGEST:
        return False
    if "\\" in address:  # a slash to browsers, so that they go elsewhere than is read here
        return False
    if parts.scheme == "http":
        return is_loopback(_host(parts)) and parts.username is None
    if parts.scheme == "https":
        return bool(parts.hostname) and parts.username is None
    return parts.scheme not in _NEVER and bool(parts.netloc or parts.path)


def matches(address: str, registered: Sequence[str]) -> bool:
    """Whether it is one of those, letter by letter; on the person's own machine the port is free, since programs take
    whichever is."""
    return address in registered or (
        is_allowed(address) and any(_without_port(address) == _without_port(one) for one in registered)
    )


def source(address: str) -> str:
    """It as a source of a Content-Security-Policy."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def _without_port(address: str) -> tuple[str, str, str, str] | str:
    parts = urlsplit(address)
    if parts.scheme != "http" or not is_loopback(_host(parts)) or parts.username is not None:
        return address
    return (parts.scheme, _host(parts), parts.path, parts.query)


def _host(parts: SplitResult) -> str:
    return parts.hostname or ""


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts if re.fullmatch(r"[a-z][a-z0-9+.-]*", parts.scheme) else None
