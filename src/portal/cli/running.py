"""The server that is running: stop it, ask how it is."""

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from portal.cli.counted import counted
from portal.cli.options import called_as, data_dir_option, data_folder, read_settings
from portal.cli.server_file import ServerFile, need_running, owns, running
from portal.errors import PortalError, SettingsError

STOP_SECONDS = 20
"""Beside the time that answers under way have."""
BUILT_IN, EMBEDDED = ("guide", "embedder"), "embedded"


@click.command()
@data_dir_option
def down(data_dir: Path | None) -> None:
    """Stop the running server and wait until it has ended."""
    folder, patience = data_folder(data_dir), STOP_SECONDS + _drain_seconds(data_dir)
    server = running(folder)
    if server is None:
        click.echo(f"No Portal is running with the data folder {folder}.")
        return
    _terminate(server.pid)
    deadline = time.monotonic() + patience
    while owns(server.pid, folder):
        if time.monotonic() > deadline:
            raise PortalError(f"Process {server.pid} has not ended after {patience:g} seconds: kill {server.pid}")
        time.sleep(0.02)
    click.echo("Portal has stopped.")


def _drain_seconds(data_dir: Path | None) -> float:
    try:
        return read_settings(data_dir).server.drain_seconds
    except SettingsError:  # the server goes by those from before they were wrong
        return 60


def _terminate(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise PortalError(f"Portal runs as another user; process {pid} cannot be stopped by you") from error


@click.command()
@data_dir_option
def status(data_dir: Path | None) -> None:
    """Say whether Portal runs, where, since when, and with which model servers."""
    folder = data_folder(data_dir)
    server = need_running(folder, called_as)
    seen = server.client().get("/portal/v1/models")
    click.echo(f"Portal {server.version} is running at {server.url} (process {server.pid})")
    click.echo(f"Started  {_since(server)}")
    click.echo(f"Data     {folder}")
    for line in backend_lines(seen["backends"]):
        click.echo(line)


def _since(server: ServerFile) -> str:
    started = datetime.fromtimestamp(server.started_at, UTC).astimezone()
    seconds = max(0, int((datetime.now(UTC) - started).total_seconds()))
    hours, minutes = divmod(seconds // 60, 60)
    return f"{started:%Y-%m-%d %H:%M:%S} ({hours} h {minutes} min ago)"


def backend_lines(backends: list[dict[str, Any]]) -> list[str]:
    """One line for each model server that a person knows of."""
    lines = [f"Models   {one['name']} {one['url']}".rstrip() + f": {_health(one)}" for one in noteworthy(backends)]
    return lines or ["Models   no model server was found"]


def noteworthy(backends: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what is built in, usual places where nothing answers, and an embedded engine that has no models."""
    return [
        one
        for one in backends
        if one["kind"] not in BUILT_IN
        and not (one["source"] == "found" and one["status"] != "up")
        and not (one["kind"] == EMBEDDED and not one["models"])
    ]


def _health(backend: dict[str, Any]) -> str:
    if backend["status"] == "up":
        return counted(backend["models"], "model")
    return f"{backend['status']} {backend['error'] or ''}".strip()
