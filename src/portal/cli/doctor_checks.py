"""Checks of the doctor that look at the installation without a server: settings, certificate, clock, versions."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from portal import __version__
from portal.cli.finding import Finding
from portal.cli.options import called_as
from portal.cli.server_file import ServerFile
from portal.core.clock import micros, seconds
from portal.errors import PortalError

if TYPE_CHECKING:
    from portal.settings import Settings

AHEAD = 120
"""Seconds that a file of ours may be newer than the clock says."""
_SYNC_SECONDS = 5


def settings_findings(settings: "Settings") -> Iterator[Finding]:
    """Whether a start would take them, and what it would refuse."""
    from portal.app.live import looked_at
    from portal.security.guards import refuse

    mend = f"{called_as()} config check"
    try:
        looked_at(settings)
    except PortalError as error:
        yield Finding("bad", f"The settings are wrong: {error.message}", mend, "settings")
        return
    try:
        refuse(settings)
    except PortalError as error:
        yield Finding("bad", f"Portal would not start like this: {error.message}", mend, "guards")
        return
    yield Finding("good", "The settings are fine", check="settings")


def certificate_findings(settings: "Settings") -> Iterator[Finding]:
    """Where Portal speaks HTTPS."""
    chosen = settings.server
    if chosen.tls_cert is None:
        return
    from portal.security.tls import Certificate

    try:
        used = Certificate(chosen.tls_cert.expanduser(), chosen.tls_key and chosen.tls_key.expanduser())
    except PortalError as error:
        make = "openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout key.pem -out cert.pem -subj /CN=NAME"
        yield Finding("bad", f"The certificate cannot be used: {error.message}", f"For one of your own: {make}", "tls")
        return
    for one in used.check():
        state = "good" if one.state == "ok" else "bad"
        yield Finding("good" if state == "good" else "bad", f"The certificate: {one.detail}", one.remedy, "tls")


def keyring_findings(settings: "Settings") -> Iterator[Finding]:
    """Where the sealing key is in one."""
    if settings.secrets.store != "keyring" or settings.seal_key is not None:
        return
    from portal.security.ring import look

    try:
        look(settings.data_dir)
    except PortalError as error:
        mend = 'Unlock the keyring, or in portal.toml: [secrets] store = "file"'
        yield Finding("bad", error.message, mend, "keyring")
    else:
        yield Finding("good", "The keyring of this system answers", check="keyring")


def clock_findings(folder: Path, now: int | None = None) -> Iterator[Finding]:
    """A clock that went back, or that nobody sets: sign-ins and certificates go by it."""
    newest = max((path.stat().st_mtime for path in folder.glob("portal.*")), default=0.0)
    mend = "Set the clock: timedatectl set-ntp true"
    if newest > (seconds(micros()) if now is None else now) + AHEAD:
        written = f"{datetime.fromtimestamp(newest, UTC):%Y-%m-%d %H:%M} UTC"
        yield Finding(
            "bad", f"The clock is wrong: Portal's data was written at {written}, which is to come", mend, "clock"
        )
        return
    synced = _synced()
    if synced is False:
        yield Finding("note", "Nothing keeps the clock of this machine right", mend, "clock")
    else:
        yield Finding("good", f"The clock says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC", check="clock")


def _synced() -> bool | None:
    """Whether the system says that its clock is kept right; None where it does not say."""
    program = shutil.which("timedatectl")
    if program is None:
        return None
    command = [program, "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SYNC_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())


def version_findings(server: ServerFile | None, name: str) -> Iterator[Finding]:
    """Whether what runs is what is installed, and whether a package has a known hole."""
    from portal.cli.audit_checks import versions

    if server is not None and server.version != __version__:
        text = f"Portal {server.version} runs, and {__version__} is installed"
        yield Finding("bad", text, f"{name} down, then {name} up --detach", "version")
    else:
        yield Finding("good", f"Portal is {__version__}", check="version")
    for one in versions():
        if one.state != "good":
            yield Finding(one.state, one.text, "Update Portal, or that package", "packages")


def health_findings(server: ServerFile) -> Iterator[Finding]:
    """What the running server says of its parts, tool servers, settings, and of other servers beside it."""
    told = server.client().get("/portal/v1/health")
    worth = ("tool_server", "settings", "part", "database", "servers", "clock")
    for one in told["data"]:
        if one["kind"] not in worth or one["state"] == "ok":
            continue
        named = f"{one['kind'].replace('_', ' ').capitalize()} {one['name']}".strip()
        state = "note" if one["state"] == "note" else "bad"
        yield Finding("note" if state == "note" else "bad", f"{named}: {one['detail']}", one["remedy"], one["kind"])
    tools = sum(one["kind"] == "tool_server" and one["state"] == "ok" for one in told["data"])
    if tools:
        yield Finding("good", f"Tool servers that are fine: {tools}", check="tool_server")
    parts = sum(one["kind"] == "part" and one["state"] == "ok" for one in told["data"])
    yield Finding("good", f"Parts of Portal that are going: {parts}", check="part")
