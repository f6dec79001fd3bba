"""Portal as a service of one person: a user unit of systemd, or an agent of launchd."""

import getpass
import os
import plistlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Protocol

import platformdirs

from portal.errors import PortalError

RESTART_SECONDS = 5
STOP_SECONDS = 60
"""What an orderly end may take, beside answers under way, until the process is killed."""
_COMMAND_SECONDS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is run, and with what."""

    command: Sequence[str]
    data_dir: Path
    env_file: Path
    """Settings as `NAME=value` lines; Portal reads it itself."""
    log: Path
    drain: float
    """Seconds that answers under way have."""

    @property
    def patience(self) -> int:
        """Seconds until a process that is told to stop is killed."""
        return STOP_SECONDS + ceil(self.drain)


class Manager(Protocol):
    """What starts services on this kind of machine."""

    path: Path
    """Of its file."""

    def text(self, service: Service) -> str:
        """What is in the file."""

    def start(self) -> None:
        """Read the file anew, start the service now and at every sign-in. Raises PortalError."""

    def stop(self) -> None:
        """Stop the service and start it no more. Raises PortalError."""

    def state(self) -> str:
        """What the manager says of it: `active` where it runs."""

    def hint(self) -> str:
        """What a person has to know about when it runs."""


class Systemd:
    """A unit of the person's own systemd."""

    name = "portal.service"

    def __init__(self) -> None:
        self.path = Path(platformdirs.user_config_dir()) / "systemd" / "user" / self.name

    def text(self, service: Service) -> str:
        """See Manager."""
        return f"""\
[Unit]
Description=Portal, the private AI platform
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=exec
ExecStart={" ".join(map(_quoted, service.command))}
WorkingDirectory={_escaped(str(service.data_dir))}
Environment={_quoted(f"PORTAL_ENV_FILE={service.env_file}", dollar="$")}
Restart=on-failure
RestartSec={RESTART_SECONDS}
TimeoutStopSec={service.patience}
UMask=0077
StandardOutput=append:{_escaped(str(service.log))}
StandardError=inherit

[Install]
WantedBy=default.target
"""

    def start(self) -> None:
        """See Manager."""
        _run("systemctl", "--user", "daemon-reload")
        _run("systemctl", "--user", "enable", "--now", self.name)

    def stop(self) -> None:
        """See Manager."""
        _run("systemctl", "--user", "disable", "--now", self.name)

    def state(self) -> str:
        """See Manager."""
        return _run("systemctl", "--user", "is-active", self.name, check=False) or "unknown"

    def hint(self) -> str:
        """See Manager."""
        me = getpass.getuser()
        if _run("loginctl", "show-user", me, "--property=Linger", "--value", check=False) == "yes":
            return "It also runs while you are not signed in."
        return f"It runs while you are signed in. To have it run from boot on: loginctl enable-linger {me}"


class Launchd:
    """An agent of the person's own launchd."""

    name = "local.portal"

    def __init__(self) -> None:
        self.path = Path.home() / "Library" / "LaunchAgents" / f"{self.name}.plist"

    def text(self, service: Service) -> str:
        """See Manager."""
        agent = {
            "Label": self.name,
            "ProgramArguments": list(service.command),
            "WorkingDirectory": str(service.data_dir),
            "EnvironmentVariables": {"PORTAL_ENV_FILE": str(service.env_file)},
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": RESTART_SECONDS,
            "ExitTimeOut": service.patience,
            "Umask": 0o077,
            "StandardOutPath": str(service.log),
            "StandardErrorPath": str(service.log),
        }
        return plistlib.dumps(agent, sort_keys=False).decode()

    def start(self) -> None:
        """See Manager."""
        _run("launchctl", "bootout", f"{self._domain}/{self.name}", check=False)  # an older one, if any
        _run("launchctl", "bootstrap", self._domain, str(self.path))

    def stop(self) -> None:
        """See Manager."""
        _run("launchctl", "bootout", f"{self._domain}/{self.name}")

    def state(self) -> str:
        """See Manager."""
        told = _run("launchctl", "print", f"{self._domain}/{self.name}", check=False)
        return "active" if "state = running" in told else "inactive"

    def hint(self) -> str:
        """See Manager."""
        return "It runs while you are signed in."

    @property
    def _domain(self) -> str:
        return f"gui/{os.getuid()}"


def manager_of(platform: str) -> Manager:
    """That of this kind of machine, by its `sys.platform`. Raises PortalError where there is none."""
    if platform == "darwin":
        return Launchd()
    if platform.startswith("linux"):
        return Systemd()
    raise PortalError("Portal installs itself as a service with systemd and launchd only; start it there by hand: up")


def _quoted(word: str, *, dollar: str = "$$") -> str:
    """One word of a unit, whatever is in it; a dollar sign means something in commands only."""
    text = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", dollar)
    return f'"{text}"' if not word.isalnum() else text


def _escaped(path: str) -> str:
    """A path of a unit: a percent sign would stand for something of systemd's."""
    if "\n" in path:
        raise PortalError(f"A service cannot have a line break in its paths: {path!r}")
    return path.replace("%", "%%")


def _run(*command: str, check: bool = True) -> str:
    """What a program says. Raises PortalError if it is missing, fails or hangs, unless `check` is off."""
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_COMMAND_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        if not check:
            return ""
        raise PortalError(f"`{' '.join(command)}` cannot be run: {error}") from error
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise PortalError(f"`{' '.join(command)}` failed: {said or f'exit code {done.returncode}'}")
    return done.stdout.strip()
