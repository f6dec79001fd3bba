"""The port to listen on: take it, or say who has it and which one is free."""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

from portal.errors import PortalError

NEXT = 50
"""How many ports above the wanted one are tried for an offer."""


def listen(host: str, port: int, *, called_as: str) -> socket.socket:
    """A listening socket.

    Raises:
        PortalError: the port is in use (by whom, and the next free one), not allowed, or no address of this machine.
    """
    try:
        return _bound(host, port)
    except PermissionError as error:
        raise PortalError(f"Port {port} needs more rights than you have; use one above 1023") from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise PortalError(f"Portal cannot listen on {host} port {port}: {error.strerror or error}") from error
        raise PortalError(_in_use(host, port, called_as)) from error


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def is_free(host: str, port: int) -> bool:
    """Whether Portal could listen there; the one who has it may be another user's, and so nameless."""
    try:
        _bound(host, port).close()
    except OSError:
        return False
    return True


def _in_use(host: str, port: int, called_as: str) -> str:
    owner = owner_of(port)
    by = f"by {owner}" if owner else "by another program"
    free = next_free(host, port)
    offer = f"Port {free} is free: {called_as} up --port {free}" if free else "Choose another with --port."
    return f"Port {port} is in use {by}. {offer}"


def next_free(host: str, port: int) -> int | None:
    """The first free port above `port`."""
    for candidate in range(port + 1, min(port + NEXT, 65536)):
        if is_free(host, candidate):
            return candidate
    return None


def owner_of(port: int) -> str | None:
    """Who listens there, such as `nginx -g daemon (process 12)`; None where the system does not tell (macOS)."""
    inodes = _listening(port)
    for process in Path("/proc").glob("[0-9]*"):
        if inodes & _held(process):
            command = _read(process / "cmdline").replace("\0", " ").strip()
            return f"`{command[:120]}` (process {process.name})"
    return None


def _held(process: Path) -> set[str]:
    """What a process has open; empty where it is not ours to see."""
    held = set()
    with suppress(OSError):
        for link in (process / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                held.add(os.readlink(link))
    return held


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _listening(port: int) -> set[str]:
    """The sockets that listen on this port, as links in /proc/PID/fd name them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(Path(table)).splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def local_url(listener: socket.socket, scheme: str = "http") -> str:
    """The address by which this machine reaches a listener, whatever interfaces it listens on."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
