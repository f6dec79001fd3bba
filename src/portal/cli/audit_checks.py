"""How safe an installation is: what stands open, which secrets are weak, what keys may, what is known to have holes."""

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from portal.cli.audit_files import Check, file_checks
from portal.cli.server_file import running
from portal.errors import PortalError
from portal.security.guards import PLACEHOLDER, SHORTEST, all_secrets

if TYPE_CHECKING:
    from portal.settings import Settings

HOLES: Mapping[str, tuple[str, str]] = {
    "aiohttp": ("3.12.14", "CVE-2025-53643"),
    "authlib": ("1.6.5", "CVE-2025-61920"),
    "cryptography": ("44.0.1", "CVE-2024-12797"),
    "h11": ("0.16.0", "CVE-2025-43859"),
    "mcp": ("1.23.0", "CVE-2025-66416"),
    "pillow": ("11.3.0", "CVE-2025-48379"),
    "pypdf": ("6.1.3", "CVE-2025-62708"),
    "python-multipart": ("0.0.18", "CVE-2024-53981"),
    "requests": ("2.32.4", "CVE-2024-47081"),
    "starlette": ("0.49.1", "CVE-2025-62727"),
    "urllib3": ("2.5.0", "CVE-2025-50181"),
}
"""The version of a package that first had no such hole, as far as was known when this Portal was made."""
_KNOCK_SECONDS = 1.0
_METADATA = ip_network("169.254.0.0/16")


def safety(settings: "Settings") -> Iterator[Check]:
    """All checks, those of what is reachable first."""
    yield from _reachable(settings)
    yield from _names(settings)
    yield from _ollama(settings)
    yield from _secrets(settings)
    yield from _plain(settings)
    yield from _tools(settings)
    yield from _people(settings)
    yield from file_checks(settings)
    yield from _kept(settings)
    yield from versions()


def is_here(host: str) -> bool:
    """Whether an address to listen on, or a host, is this machine's alone."""
    from portal.security.hosts import is_loopback

    return is_loopback(host.strip("[]") if host.startswith("[") else host)


def _reachable(settings: "Settings") -> Iterator[Check]:
    server = running(settings.data_dir)
    outside = None if server is None else _answers_outside(urlsplit(server.url).port or 0)
    if settings.server.tls_cert is not None:
        yield Check("exposed", "good", "Portal speaks HTTPS")
    elif outside or not is_here(settings.server.host):
        yield Check(
            "exposed",
            "bad",
            f"Portal listens on {outside or settings.server.host}, and speaks HTTP without encryption: passwords, keys "
            "and chats can be read on the way. Name a certificate (server.tls_cert), or let it listen on 127.0.0.1 "
            "behind a proxy that has one",
        )
    else:
        yield Check("exposed", "good", "Only this machine reaches Portal")


def _answers_outside(port: int) -> str | None:
    """The address of this machine in its network, if something answers there at Portal's port."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the address that would be used
            own = str(probe.getsockname()[0])
            if is_here(own):
                return None
            socket.create_connection((own, port), timeout=_KNOCK_SECONDS).close()
        except OSError:
            return None
    return f"{own}:{port}"


def _names(settings: "Settings") -> Iterator[Check]:
    hosts = [host for host in settings.server.allowed_hosts if "*" in host]
    if hosts:
        text = f"server.allowed_hosts has {hosts[0]!r}: name the hosts; a pattern is never one, and opens nothing"
        yield Check("allowed-hosts", "bad", text)
    for origin in settings.server.allowed_origins:
        if "*" in origin or origin == "null":
            text = f"server.allowed_origins has {origin!r}: pages of anybody must not call the API; name the origins"
            yield Check("allowed-origins", "bad", text)
        elif origin.startswith("http://") and not is_here(urlsplit(origin).hostname or ""):
            text = f"{origin} in server.allowed_origins is not encrypted: whoever is on the way can be that page"
            yield Check("allowed-origins", "note", text)


def _ollama(settings: "Settings") -> Iterator[Check]:
    if settings.ollama.token:
        yield Check("ollama-door", "good", "Ollama's API wants its token")
    elif is_here(settings.server.host):
        text = "Every program of this machine may use Ollama's API as you, without a key; ollama.token ends that"
        yield Check("ollama-door", "note", text)
    else:
        yield Check("ollama-door", "good", "Ollama's API wants a key")


def _secrets(settings: "Settings") -> Iterator[Check]:
    weak = [name for name, secret in all_secrets(settings) if PLACEHOLDER.fullmatch(secret.strip())]
    for name in weak:
        yield Check(
            "weak-secrets", "bad", f"{name} is a placeholder, not a secret: make one with: openssl rand -hex 32"
        )
    token = settings.ollama.token.get_secret_value().strip() if settings.ollama.token else ""
    if token and "ollama.token" not in weak and len(token) < SHORTEST:
        text = f"ollama.token has {len(token)} characters and can be guessed: make one with: openssl rand -hex 32"
        yield Check("weak-secrets", "bad", text)
    database = urlsplit(settings.database)
    if database.password and PLACEHOLDER.fullmatch(database.password):
        yield Check("weak-secrets", "bad", "The password in `database` is a placeholder, not a secret")
    if not weak:
        yield Check("weak-secrets", "good", "No secret in the settings is a known placeholder")


def _plain(settings: "Settings") -> Iterator[Check]:
    """Secrets that go over the network without encryption."""
    sent = [(f"The model server {one.name or one.kind}", one.url) for one in settings.backends if one.api_key]
    sent += [
        (f"The tool server {name}", one.url) for name, one in settings.mcp.servers.items() if one.headers and one.url
    ]
    sent.append(("channels.public_url", settings.channels.public_url))
    for what, url in sent:
        address = urlsplit(url)
        if address.scheme == "http" and not is_here(address.hostname or ""):
            yield Check("plain-http", "bad", f"{what} is reached by http, and its secret can be read on the way: {url}")


def _tools(settings: "Settings") -> Iterator[Check]:
    for policy in settings.policies:
        bounds = (policy.risk, policy.path, policy.domain, policy.user)
        if policy.action == "allow" and policy.tool == "*" and not any(bounds):
            yield Check("policies", "bad", "A policy lets every tool run without asking: name the tools it is for")
    for entry in settings.tools.private_hosts:
        if _is_wide(entry):
            text = f"tools.private_hosts has {entry}: a model reaches that whole network; name the services instead"
            yield Check("private-hosts", "bad", text)
    for name, server in settings.mcp.servers.items():
        if server.trusted and not server.shipped:
            yield Check("tool-trust", "note", f"The tool server {name} is believed in what it says its tools do")
        if server.sampling == "allow":
            yield Check("tool-trust", "note", f"The tool server {name} has models answer without asking you")


def _is_wide(entry: str) -> bool:
    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        return False
    widest = 16 if network.version == 4 else 48
    return network.prefixlen < widest or (network.version == 4 and network.overlaps(_METADATA))


def _people(settings: "Settings") -> Iterator[Check]:
    for name, provider in settings.people.oidc.items():
        if provider.create and not provider.required_group:
            yield Check("sign-in", "note", f"Whoever has an account at {name} is let in (people.oidc.{name}.create)")


def _kept(settings: "Settings") -> Iterator[Check]:
    """Of what is in the database: keys, and whether the audit is whole."""
    if not settings.database and not (settings.data_dir / "portal.db").exists():
        return
    from portal.cli.audit import verification
    from portal.cli.credentials import open_door

    try:
        with open_door(settings.data_dir, settings) as door:
            keys = door.list_keys()
        found = verification(settings.data_dir, "", settings)
    except PortalError as error:
        yield Check("database", "bad", f"The database cannot be looked at: {error.message}")
        return
    unbounded = [key["name"] for key in keys if not key["expires_at"] and not key["scopes"]]
    if unbounded:
        text = f"May everything you may, and never end: the keys {', '.join(unbounded)}. Give keys scopes and an end"
        yield Check("keys", "note", text)
    else:
        yield Check("keys", "good", "Every key of yours has bounds or an end")
    if found["whole"] and found.get("unasked"):
        text = "Lines of the audit are gone though retention.audit_days is 0; where it was never set, somebody did that"
        yield Check("audit-chain", "note", text)
    elif found["whole"]:
        yield Check("audit-chain", "good", f"The audit is whole: {found['lines']} lines")
    else:
        yield Check("audit-chain", "bad", "Somebody changed the audit; see where with: portal audit verify")


def versions() -> Iterator[Check]:
    """Packages with holes that were known when this Portal was made."""
    old = [(name, safe, hole) for name, (safe, hole) in HOLES.items() if _older(name, safe)]
    for name, safe, hole in old:
        yield Check("versions", "bad", f"{name} {version(name)} has a known hole ({hole}): update to {safe} or newer")
    if not old:
        yield Check("versions", "good", "No package that Portal uses has a hole that was known when it was made")


def _older(name: str, safe: str) -> bool:
    try:
        return _numbers(version(name)) < _numbers(safe)
    except PackageNotFoundError:
        return False


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("+")[0])[:3])
