"""Which addresses are public, in every spelling and wrapping that has been used to get around such a check."""

from ipaddress import ip_address

import pytest

from portal.errors import SettingsError
from portal.security.addresses import is_public, literal
from portal.security.own_hosts import OwnHosts


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8",
        "1.1.1.1",
        "93.184.215.14",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::808:808", "100::1", "2001::1",
        "2001:2::1",
        "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1",
        "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
    ],
)  # fmt: skip
def test_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "host",
    ["2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1", "127.1", "127.0.1", "0177.0.0.1", "127.0.0.01",
    "1.2.3.4.5",
     "256.1.1.1", "127.0.0.1.", "a.1", "foo.0x7f", "1:2:3", "1.2.3.0x"],
)  # fmt: skip
def test_misleading_spellings(host: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        literal(host)


def test_plain_spellings_and_names() -> None:
    assert literal("8.8.8.8") == ip_address("8.8.8.8")
    assert literal("::1") == ip_address("::1")
    for name in ("example.com", "localhost", "1and1.com", "0x.org", "x1"):
        assert literal(name) is None


@pytest.mark.parametrize(
    ("entry", "name", "port", "address", "allowed"),
    [
        ("searx.lan", "searx.lan", 8080, "10.0.0.5", True),
        ("searx.lan", "Searx.LAN.", 8080, "10.0.0.5", True),
        ("searx.lan:8080", "searx.lan", 8080, "10.0.0.5", True),
        ("searx.lan:8080", "searx.lan", 22, "10.0.0.5", False),
        ("searx.lan", "evil.searx.lan", 8080, "10.0.0.5", False),
        ("10.0.0.5", "any.name", 80, "10.0.0.5", True),
        ("10.0.0.5", "10.0.0.6", 80, "10.0.0.6", False),
        ("10.0.0.0/24", "10.0.0.6", 80, "10.0.0.6", True),
        ("10.0.0.1/24", "10.0.0.6", 80, "10.0.0.6", True),
        ("10.0.0.0/24", "::1", 80, "::1", False),
        ("::1", "::1", 80, "::1", True),
        ("[::1]:80", "::1", 80, "::1", True),
        ("[::1]:80", "::1", 81, "::1", False),
        ("[::1]", "::1", 81, "::1", True),
        ("fd00::/8", "fd00::1", 80, "fd00::1", True),
    ],
)
def test_own_hosts(entry: str, name: str, port: int, address: str, allowed: bool) -> None:
    assert OwnHosts([entry]).allow(name, port, ip_address(address)) == allowed


@pytest.mark.parametrize("entry", [":80", "host:port", "1::2::3", "10.0.0.0/99", "[]:80"])
def test_what_is_no_host(entry: str) -> None:
    with pytest.raises(SettingsError, match="private_hosts"):
        OwnHosts([entry])
