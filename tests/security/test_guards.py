"""What Portal does not start with, and what it starts with all the same."""

from contextlib import suppress
from typing import Any

import pytest

from portal.errors import SettingsError
from portal.security.guards import refuse
from portal.settings import Settings, load_settings

HOME, PUBLIC = ("127.0.0.1", "192.168.1.7", "fe80::1%eth0", "aa:bb:cc:dd:ee:ff"), "5.9.1.2"
LONG = "f3b0c44298fc1c149afbf4c8996fb924"


def made(**more: Any) -> Settings:
    return load_settings(more)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ollama": {"token": "short"}},  # better than none, where only this machine comes
        {"ollama": {"token": LONG}, "server": {"host": "0.0.0.0"}},
        {"seal_key": LONG * 2, "backup": {"password": "correct horse"}, "server": {"host": "0.0.0.0"}},
        {"server": {"host": "0.0.0.0"}},
        {"server": {"host": "192.168.1.7"}},
        {"server": {"host": "portal.lan"}},
        {"backends": [{"kind": "ollama", "url": "http://x", "api_key": "changeme"}]},  # no door of ours
    ],
)
def test_what_is_safe_enough(settings: dict[str, Any]) -> None:
    refuse(made(**settings), lambda: HOME)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ollama": {"token": "changeme"}}, "ollama.token is a placeholder"),
        ({"ollama": {"token": "your-key-here"}}, "ollama.token is a placeholder"),
        ({"ollama": {"token": " secret "}}, "ollama.token is a placeholder"),
        ({"seal_key": "0" * 64}, "seal_key is a placeholder"),
        ({"backup": {"password": "changeme"}}, "backup.password is a placeholder"),
        ({"slack": {"signing_secret": "<secret>"}}, "slack.signing_secret is a placeholder"),
        ({"ollama": {"token": "short"}, "server": {"host": "10.0.0.1"}}, "has 5 characters and can be guessed"),
        ({"ollama": {"token": "short"}, "server": {"allowed_hosts": ["a.example"]}}, "has 5 characters"),
        ({"ollama": {"token": "short"}, "server": {"trusted_proxies": ["10.0.0.1"]}}, "has 5 characters"),
        ({"server": {"host": PUBLIC}}, f"the internet reaches Portal at {PUBLIC}"),
        ({"server": {"host": "0.0.0.0"}}, f"the internet reaches Portal at {PUBLIC}"),
        ({"server": {"host": "::"}}, "the internet reaches Portal at 2a01:4f8::1"),
    ],
)
def test_what_is_not(settings: dict[str, Any], words: str) -> None:
    machine = (*HOME, "2a01:4f8::1", PUBLIC)
    with pytest.raises(SettingsError, match="insecure_ok") as refused:
        refuse(made(**settings), lambda: machine)
    assert words in refused.value.message

    server = {**settings.get("server", {}), "insecure_ok": True}
    refuse(made(**{**settings, "server": server}), lambda: machine)


def test_with_a_certificate_the_internet_may_come() -> None:
    refuse(made(server={"host": PUBLIC, "tls_cert": "cert.pem"}), lambda: [PUBLIC])


def test_this_machine_itself_can_be_asked() -> None:
    own = load_settings({"server": {"host": "0.0.0.0"}})
    with suppress(SettingsError):  # where this machine has a public address
        refuse(own)
