"""The proxy that this machine's own settings put before a URL."""

import ipaddress
import urllib.request
from urllib.parse import urlsplit


def proxy_of(url: str) -> str | None:
    """Its URL; None where there is none, as always before this machine itself."""
    parts = urlsplit(url)
    if _is_loopback(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
