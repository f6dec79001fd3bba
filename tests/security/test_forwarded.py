"""Whose word for the client is taken, and which of it."""

from typing import Any

import pytest

from portal.errors import SettingsError
from portal.security.forwarded import TrustedProxies


def settled(trusted: list[str], peer: str | None, kind: str = "http", **told: str) -> tuple[str, str, str]:
    """Client, scheme and host."""
    scope: dict[str, Any] = {"type": kind, "scheme": "ws" if kind == "websocket" else "http"}
    scope["client"] = None if peer is None else (peer, 4711)
    headers = {f"x-forwarded-{name}".encode(): value.encode() for name, value in told.items()}
    host = TrustedProxies(trusted).settle(scope, headers)
    return (scope["client"] or ("",))[0], scope["scheme"], host.decode()


LAN = ["10.0.0.0/8", "2001:db8::5"]


@pytest.mark.parametrize(
    ("trusted", "peer", "told", "client"),
    [
        ([], "127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ([], None, "203.0.113.9", "203.0.113.9"),
        ([], "127.0.0.1", "8.8.8.8, 203.0.113.9", "203.0.113.9"),  # the first is what a client wrote
        ([], "10.0.0.1", "203.0.113.9", "10.0.0.1"),
        (LAN, "10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (LAN, "11.0.0.1", "203.0.113.9", "11.0.0.1"),
        (LAN, "::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (LAN, "2001:db8::5", "203.0.113.9", "203.0.113.9"),
        (LAN, "10.0.0.1", "8.8.8.8, 203.0.113.9, 10.0.0.2, 127.0.0.1", "203.0.113.9"),
        (LAN, "10.0.0.1", "10.0.0.7, 10.0.0.2", "10.0.0.7"),
        (LAN, "10.0.0.1", "203.0.113.9:5000", "203.0.113.9"),
        (LAN, "10.0.0.1", "[2001:db8::9]:5000", "2001:db8::9"),
        (LAN, "10.0.0.1", "2001:db8::9", "2001:db8::9"),
        (LAN, "10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        (LAN, "10.0.0.1", "unknown", "10.0.0.1"),
        (LAN, "10.0.0.1", "", "10.0.0.1"),
        (LAN, "no-address", "203.0.113.9", "no-address"),
    ],
)
def test_the_client(trusted: list[str], peer: str | None, told: str, client: str) -> None:
    assert settled(trusted, peer, **{"for": told})[0] == client


@pytest.mark.parametrize(
    ("kind", "told", "scheme"),
    [
        ("http", "https", "https"),
        ("http", "http, https", "https"),
        ("http", "wss", "https"),
        ("websocket", "https", "wss"),
        ("http", "gopher", "http"),
        ("websocket", "", "ws"),
    ],
)
def test_the_scheme(kind: str, told: str, scheme: str) -> None:
    assert settled([], "127.0.0.1", kind, proto=told)[1] == scheme
    assert settled([], "10.0.0.1", kind, proto=told)[1] == ("ws" if kind == "websocket" else "http")


def test_the_host_is_told_by_proxies_of_the_settings_alone() -> None:
    """A page whose name was made to lead to this machine can send any header to it."""
    assert settled([], "127.0.0.1", host="portal.example")[2] == ""
    assert settled(LAN, "10.0.0.1", host="evil.example, portal.example")[2] == "portal.example"
    assert settled(["127.0.0.1"], "127.0.0.1", host="portal.example")[2] == "portal.example"


def test_what_is_no_network() -> None:
    with pytest.raises(SettingsError, match=r"server.trusted_proxies: 'the-proxy' is no address"):
        TrustedProxies(["the-proxy"])
