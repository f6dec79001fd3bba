"""Start Portal in the background: a session of its own, its output in the log, this process waiting for its health."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from portal.cli.announcement import announce
from portal.cli.options import program
from portal.cli.server_file import ServerFile, running
from portal.errors import PortalError
from portal.storage.data_folder import make_private_folder

HEALTHY_SECONDS = 120
_LINE = 4096
"""Bytes that a message takes in a log."""


def start_detached(data_dir: Path, log: Path, arguments: Sequence[str], called_as: str) -> None:
    """Start `portal up` with these arguments, and announce it when it is healthy. `log` is where its output goes, and
    which it turns over by itself.

    Raises:
        PortalError: it ended before it was healthy, with what it said.
    """
    _make_ready(data_dir, log)
    begun = log.stat().st_size if log.exists() else 0
    process = _spawn(log, [*arguments, "--unannounced"])
    server = _healthy(process, data_dir, lambda: _said(log, begun))
    announce(
        server.client(),
        version=server.version,
        data_dir=str(data_dir),
        called_as=called_as,
        stop=f"{called_as} down   (log: {called_as} logs)",
        say=click.echo,
    )


def _make_ready(data_dir: Path, log: Path) -> None:
    """Make the folders."""
    try:
        make_private_folder(data_dir)
        log.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PortalError(f"The data folder {data_dir} cannot be made: {error.strerror or error}") from error


def _spawn(log: Path, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    isolation = "-I" if sys.flags.isolated else "-P"
    command = [sys.executable, isolation, "-m", "portal", "--called-as", program(), "up", *arguments]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(descriptor, "wb") as output:
        return subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


def _healthy(process: "subprocess.Popen[bytes]", data_dir: Path, said: Callable[[], str]) -> ServerFile:
    """Wait for the server file of this very process: it is written once the server answers."""
    deadline = time.monotonic() + HEALTHY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PortalError(said() or _silent_end(data_dir, process.returncode))
        server = running(data_dir)
        if server and server.pid == process.pid:
            return server
        time.sleep(0.02)
    raise PortalError(f"Portal (process {process.pid}) is not healthy after {HEALTHY_SECONDS} seconds:\n{said()}")


def _silent_end(data_dir: Path, code: int) -> str:
    """On a full disk it could not even write why."""
    if shutil.disk_usage(data_dir).free < _LINE:
        return f"The disk of the data folder {data_dir} is full: make room there."
    return f"Portal ended at once, with exit code {code}"


def _said(log: Path, begun: int) -> str:
    with log.open("rb") as file:
        file.seek(begun if begun <= log.stat().st_size else 0)  # it may have been turned over meanwhile
        return file.read().decode("utf-8", "replace").removeprefix("Error: ").strip()
