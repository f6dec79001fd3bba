"""What Portal does not start with: secrets that anybody can guess, and plain HTTP where the internet reaches it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address

from pydantic import BaseModel, SecretStr

from portal.errors import SettingsError
from portal.security.hosts import is_loopback
from portal.settings import Settings

PLACEHOLDER = re.compile(
    r"change.?me|secret|password|passwort|admin|token|test|default|example|postgres|portal|(.)\1*|1234\d*|your.*|<.*>",
    re.IGNORECASE,
)
SHORTEST = 20
"""Characters of a secret that cannot be guessed."""
_DOORS = ("ollama.token", "slack.signing_secret")
"""Secrets by which others prove to Portal who they are: a weak one is an open door."""
_SEALS = ("seal_key", "backup.password")
"""Secrets that close what Portal keeps: whoever guesses one reads it, wherever Portal listens."""
_FRESH = "make one with: openssl rand -hex 32"
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104
Addresses = Callable[[], Iterable[str]]


def refuse(settings: Settings, addresses: Addresses | None = None) -> None:
    """Look before the server starts. `addresses` are those of this machine.

    Raises:
        SettingsError: one is unsafe; says what to do, and how to start even so.
    """
    if settings.server.insecure_ok:
        return
    problem = next(_problems(settings, addresses or _own), "")
    if problem:
        raise SettingsError(f"{problem}. If that is meant: server.insecure_ok = true")


def is_exposed(settings: Settings) -> bool:
    """Whether more than this machine can reach Portal, as far as the settings tell."""
    server = settings.server
    return not is_loopback(server.host) or bool(server.allowed_hosts or server.trusted_proxies)


def _problems(settings: Settings, addresses: Addresses) -> Iterator[str]:
    for name, secret in all_secrets(settings):
        if name not in (*_DOORS, *_SEALS):
            continue
        if PLACEHOLDER.fullmatch(secret.strip()):
            yield f"{name} is a placeholder, not a secret: {_FRESH}"
        elif name in _DOORS and len(secret.strip()) < SHORTEST and is_exposed(settings):
            yield f"{name} has {len(secret.strip())} characters and can be guessed by whoever reaches Portal: {_FRESH}"
    host = settings.server.host
    if settings.server.tls_cert is None and not is_loopback(host):
        public = next((one for one in (addresses() if host in _EVERYWHERE else [host]) if _is_public(one, host)), "")
        if public:
            yield (
                f"server.host is {host}, so that the internet reaches Portal at {public} by plain HTTP: passwords, "
                "keys and chats could be read on the way. Name a certificate (server.tls_cert, server.tls_key), or let "
                "it listen on 127.0.0.1 behind a proxy that has one"
            )


def _is_public(address: str, host: str) -> bool:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return found.is_global and (found.version == 4 or host != "0.0.0.0")  # noqa: S104


def _own() -> Iterable[str]:
    import psutil

    return [one.address for known in psutil.net_if_addrs().values() for one in known]


def all_secrets(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Every secret of the settings with its name."""
    if isinstance(value, SecretStr):
        if value.get_secret_value():
            yield name, value.get_secret_value()
    elif isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from all_secrets(getattr(value, field), f"{name}.{field}".lstrip("."))
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from all_secrets(one, f"{name}.{key}")
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from all_secrets(one, f"{name}.{number}")
