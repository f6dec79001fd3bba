"""What is wrong with this installation, in plain words."""

import json
import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from portal.cli.announcement import has_model
from portal.cli.backup_doctor import backup_findings
from portal.cli.counted import counted
from portal.cli.doctor_checks import (
    certificate_findings,
    clock_findings,
    health_findings,
    keyring_findings,
    settings_findings,
    version_findings,
)
from portal.cli.document_doctor import document_findings
from portal.cli.finding import Finding, State
from portal.cli.hardware import hardware_findings, this_machine
from portal.cli.media_doctor import media_findings
from portal.cli.options import called_as, data_dir_option, read_settings
from portal.cli.ports import is_free, next_free, owner_of
from portal.cli.running import noteworthy
from portal.cli.server_file import ServerFile, running
from portal.cli.storage_checks import file_findings, vector_findings
from portal.core.channels import REMEDIES
from portal.errors import DataFolderBusy, PortalError
from portal.extras import EXTRAS, is_installed

if TYPE_CHECKING:
    from portal.settings import Settings

MARKS = {"good": "ok  ", "note": "note", "bad": "BAD "}
LOW_DISK = 2**30
NO_DISK = 100 * 2**20
KNOCK_SECONDS = 2.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_dir_option
def doctor(as_json: bool, data_dir: Path | None) -> None:
    """Check Python, data, disk, database, port, settings, certificate, clock, versions, model servers, channels, tool
    servers, hardware, media, documents, speech, sandbox, extras; for what is wrong, say what mends it.

    The exit code is 1 where something is BAD.
    """
    found = []
    for one in _all(data_dir):
        found.append(one)
        if not as_json:
            click.echo(f"{MARKS[one.state]} {one.text}")
            if one.mend and one.state != "good":
                click.echo(f"       -> {one.mend}")
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
    bad = sum(one.state == "bad" for one in found)
    if bad:
        raise PortalError(f"{bad} of these need mending.")


def _all(data_dir: Path | None) -> Iterator[Finding]:
    try:
        settings = read_settings(data_dir)
    except PortalError as error:  # the rest depends on them
        yield _python()
        yield Finding("bad", f"The settings are wrong: {error.message}", f"{called_as()} config check", "settings")
        return
    yield from _findings(settings)


def _findings(settings: "Settings") -> Iterator[Finding]:
    server = running(settings.data_dir)
    yield _python()
    yield from version_findings(server, called_as())
    yield from settings_findings(settings)
    yield from certificate_findings(settings)
    yield from keyring_findings(settings)
    yield from clock_findings(settings.data_dir)
    yield from _folder(settings.data_dir)
    yield _disk(settings.data_dir)
    if server is not None:
        yield from _running(server)
    else:
        up = f"{called_as()} up"
        yield Finding("note", f"Portal is not running with this data folder; start it with: {up}", up, "server")
        yield _database(settings)
        yield _port(settings.server.host, settings.server.port)
        yield from _servers(settings)
    yield from backup_findings(settings)
    machine = this_machine()
    yield from hardware_findings(machine)
    yield from media_findings(settings, machine)
    yield from document_findings()
    yield _sandbox(settings)
    yield from _environment()
    yield from _extras()
    yield from vector_findings(settings)
    yield from file_findings(settings)
    yield _embedder(settings)
    yield from _speech(settings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    state: State = "good" if sys.version_info >= (3, 11) else "bad"
    return Finding(state, f"Python {version} at {sys.executable}", "Install Python 3.11 or newer", "python")


def _folder(folder: Path) -> Iterator[Finding]:
    if not folder.exists():
        yield Finding("note", f"The data folder {folder} does not exist yet; the first start makes it")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            "bad", f"The data folder {folder} cannot be written by you", f"chown -R $USER '{folder}'", "folder"
        )
        return
    yield Finding("good", f"The data folder is {folder}", check="folder")
    for path in (folder, *folder.glob("*")):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            mend = f"chmod go= '{path}'"
            yield Finding("note", f"Others can read {path}; to keep it private: {mend}", mend, "files")


def _disk(folder: Path) -> Finding:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    state: State = "bad" if free < NO_DISK else "note" if free < LOW_DISK else "good"
    mend = f"Make room on the disk of {there}: du -xh '{there}' | sort -h | tail"
    return Finding(state, f"{free / 2**30:.1f} GB are free on the disk of the data folder", mend, "disk")


def _running(server: ServerFile) -> Iterator[Finding]:
    try:
        seen = server.client().send("POST", "/portal/v1/models/refresh")
    except PortalError as error:
        again = f"kill {server.pid}, then {called_as()} up --detach; why is in: {called_as()} logs"
        yield Finding("bad", error.message, again, "server")
        return
    yield Finding("good", f"Portal {server.version} runs at {server.url} (process {server.pid}); its database answers")
    for backend in noteworthy(seen["backends"]):
        where = f"Model server {backend['name']} {backend['url']}".rstrip()
        if backend["status"] == "up":
            yield Finding("good", f"{where} answers with {counted(backend['models'], 'model')}")
        else:
            way = f"Start it, or take it out: {called_as()} backends remove {backend['name']}"
            yield Finding("bad", f"{where} does not answer: {backend['error'] or backend['status']}", way, "backend")
    if not has_model(seen):
        how = f"{called_as()} models install-engine, or start Ollama"
        yield Finding("note", "There is no chat model yet; the guide answers questions about Portal", how, "models")
    for channel in server.client().get("/portal/v1/channels")["data"]:
        detail = f": {channel['detail']}" if channel["detail"] else ""
        state: State = "good" if channel["state"] in ("up", "starting") else "bad"
        mend = REMEDIES.get(channel["state"], "")
        yield Finding(state, f"Channel {channel['name']} is {channel['state']}{detail}", mend, "channel")
    yield from health_findings(server)


def _database(settings: "Settings") -> Finding:
    """Open it as a server would, where there is one to open."""
    if not settings.database and not (settings.data_dir / "portal.db").exists():
        return Finding("good", "There is no database yet; the first start makes it")
    import asyncio

    from portal.storage.open import open_storage

    async def look() -> None:
        async with open_storage(settings) as storage:
            await storage.users.owner()

    try:
        asyncio.run(look())
    except DataFolderBusy as error:
        return Finding("note", error.message)
    except PortalError as error:
        mend = "The manual says what to do: troubleshooting, `The database cannot be read`"
        return Finding("bad", error.message, mend, "database")
    return Finding("good", "The database opens", check="database")


def _port(host: str, port: int) -> Finding:
    if port == 0 or is_free(host, port):
        return Finding("good", f"Port {port} is free")
    owner = owner_of(port) or "another program"
    free = next_free(host, port)
    mend = f"{called_as()} up --port {free}" if free else f"{called_as()} up --port 0"
    return Finding("bad", f"Port {port} is in use by {owner}; start Portal on another with --port", mend, "port")


def _servers(settings: "Settings") -> Iterator[Finding]:
    """Knock on every model server's door; whether it speaks its protocol is the running Portal's to say."""
    from portal.routing.discovery import candidates

    for server in settings.backends:
        if server.url:
            there = _knock(server.url)
            said = "can be reached" if there else "cannot be reached"
            way = "Start it, or take it out of the settings"
            yield Finding("good" if there else "bad", f"Model server {server.kind} {server.url} {said}", way, "backend")
    found = [place for place in candidates(settings) if _knock(place.url)]
    for place in found:
        yield Finding("good", f"Something answers at {place.url}, where {place.label} usually is")
    if not (found or settings.backends):
        yield Finding("note", "No model server was found at the usual places of this machine")


def _knock(url: str) -> bool:
    address = urlsplit(url if "//" in url else f"//{url}")
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=KNOCK_SECONDS).close()
    except OSError:
        return False
    return True


def _sandbox(settings: "Settings") -> Finding:
    import asyncio

    from portal.security.sandbox.choice import find_sandbox

    found = asyncio.run(find_sandbox(settings))
    works = f"The sandbox for code of models works ({type(found).__name__})"
    return Finding("note" if found.refusal() else "good", found.refusal() or works)


def _environment() -> Iterator[Finding]:
    from portal.settings import unknown_environment

    for name in unknown_environment():
        yield Finding(
            "note", f"The environment variable {name} is no setting of Portal", f"unset {name}", "environment"
        )


def _extras() -> Iterator[Finding]:
    there = [extra for extra in EXTRAS if is_installed(extra)]
    if there:
        yield Finding("good", f"Extras that are installed: {', '.join(there)}")
    absent = ", ".join(extra for extra in EXTRAS if extra not in there)
    if absent:
        yield Finding("good", f"Extras that could be added: {absent}; what they give: {called_as()} extra")


def _embedder(settings: "Settings") -> Finding:
    from portal.knowledge.minilm import MODEL, missing
    from portal.knowledge.minilm import is_installed as is_there

    if not is_there():
        return Finding("note", f"Documents are found by their words alone. {missing()}")
    return Finding("good", f"Texts become vectors by {settings.knowledge.embedder or MODEL}, as the settings say")


def _speech(settings: "Settings") -> Iterator[Finding]:
    """Without the models of model servers, which only a running Portal knows."""
    from portal.app.speech import readiness

    for feature, ready, words in readiness(settings):
        yield Finding("good" if ready else "note", f"{feature}: {words}")
