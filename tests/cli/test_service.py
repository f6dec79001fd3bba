"""Portal as a service: what systemd itself thinks of the unit, and programs that stand in for the managers."""

import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Installation

from portal.cli.service_units import Launchd, Service, Systemd, manager_of
from portal.errors import PortalError

linux = pytest.mark.skipif(sys.platform != "linux", reason="units are those of Linux")
ODD = 'a "b" 50% $HOME \\x'


def wanted(folder: Path) -> Service:
    return Service(
        command=[sys.executable, "-m", "portal", "up", "--data-dir", str(folder)],
        data_dir=folder,
        env_file=folder / "service.env",
        log=folder / "portal.log",
        drain=12.5,
    )


def test_answers_under_way_are_not_killed(tmp_path: Path) -> None:
    assert "TimeoutStopSec=73\n" in Systemd().text(wanted(tmp_path))
    assert plistlib.loads(Launchd().text(wanted(tmp_path)).encode())["ExitTimeOut"] == 73


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Stand-ins that note how they were called, and answer what a file beside them says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("systemctl", "loginctl"):
        program = folder / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >> {shlex.quote(str(folder))}/calls\n'
            f'[ ! -f {shlex.quote(str(folder))}/fails ] || {{ echo "no bus" >&2; exit 1; }}\n'
            f'case "$*" in *is-active*) echo active;; *Linger*) echo no;; esac\n',
            encoding="utf-8",
        )
        program.chmod(0o755)
    return folder


def run(installation: Installation, programs: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    path = f"{programs}:{os.environ['PATH']}"  # noqa: TID251
    return installation.run("service", *words, PATH=path, XDG_CONFIG_HOME=str(installation.home / "config"))


@pytest.mark.parametrize("name", ["data", ODD])
@linux
def test_systemd_takes_the_unit(tmp_path: Path, name: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("THE UNIT IS NOT VERIFIED: systemd-analyze is missing")
    folder = tmp_path / name
    folder.mkdir()
    unit = tmp_path / "portal.service"
    unit.write_text(Systemd().text(wanted(folder)), encoding="utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )

    assert [line for line in (done.stdout + done.stderr).splitlines() if "portal.service" in line] == []
    assert done.returncode == 0, done.stderr


def test_launchd_is_told_the_same(tmp_path: Path) -> None:
    agent = plistlib.loads(Launchd().text(wanted(tmp_path / ODD)).encode())

    assert agent["ProgramArguments"][-1] == str(tmp_path / ODD)
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["EnvironmentVariables"] == {"PORTAL_ENV_FILE": str(tmp_path / ODD / "service.env")}
    assert agent["Umask"] == 0o077


def test_each_machine_has_its_manager() -> None:
    assert isinstance(manager_of("darwin"), Launchd)
    assert isinstance(manager_of("linux"), Systemd)
    with pytest.raises(PortalError, match="systemd and launchd only"):
        manager_of("win32")
    with pytest.raises(PortalError, match="line break"):
        Systemd().text(wanted(Path("/tmp/a\nb")))


@linux
def test_install_status_uninstall(installation: Installation, programs: Path) -> None:
    unit = installation.home / "config" / "systemd" / "user" / "portal.service"

    refused = run(installation, programs, "status")
    done = run(installation, programs, "install", "--port", "8765", "--as-root")

    assert (refused.returncode, "service install" in refused.stderr) == (1, True)
    assert done.returncode == 0, done.stderr
    assert "loginctl enable-linger" in done.stdout
    assert str(unit) in done.stdout
    text = unit.read_text(encoding="utf-8")
    assert f'"--data-dir" "{installation.data_dir}" "--port" 8765 "--unannounced"' in text
    assert (installation.data_dir / "service.env").stat().st_mode & 0o077 == 0
    assert (installation.data_dir / "portal.log").stat().st_mode & 0o077 == 0
    assert "State     active" in run(installation, programs, "status").stdout
    gone = run(installation, programs, "uninstall")
    assert gone.returncode == 0, gone.stderr
    assert not unit.exists()
    assert installation.data_dir.exists()
    assert "not installed" in run(installation, programs, "uninstall").stdout
    calls = [line for line in (programs / "calls").read_text().splitlines() if line.startswith("systemctl")]
    assert calls == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now portal.service",
        "systemctl --user is-active portal.service",
        "systemctl --user disable --now portal.service",
    ]


@linux
def test_what_was_installed_really_starts(installation: Installation, programs: Path) -> None:
    printed = run(installation, programs, "install", "--port", "1234", "--print")
    command = next(line for line in printed.stdout.splitlines() if line.startswith("ExecStart="))

    words = [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(command.removeprefix("ExecStart="))]

    assert words[:2] == [sys.executable, "-P"]
    up = words[words.index("up") + 1 :]
    server = installation.up(*[word for word in up if word not in {"--unannounced", "--port", "1234"}])
    assert "is running already" in run(installation, programs, "install", "--as-root").stderr
    assert server.stop() == 0


@linux
def test_print_changes_nothing(installation: Installation, programs: Path) -> None:
    done = run(installation, programs, "install", "--print", "--env-file", "/etc/portal.env", "--config", "/etc/p.toml")

    assert done.returncode == 1  # there is no such file of settings
    done = run(installation, programs, "install", "--print", "--env-file", "/etc/portal.env", "--host", "127.0.0.1")
    assert 'Environment="PORTAL_ENV_FILE=/etc/portal.env"' in done.stdout
    assert "Restart=on-failure" in done.stdout
    assert not (programs / "calls").exists()
    assert not (installation.home / "config").exists()


@linux
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try")
def test_root_has_to_say_so(installation: Installation, programs: Path) -> None:
    done = run(installation, programs, "install")

    assert done.returncode == 1
    assert "--as-root" in done.stderr
    assert not (programs / "calls").exists()


@linux
def test_a_manager_that_does_not_answer(installation: Installation, programs: Path) -> None:
    (programs / "fails").touch()

    done = run(installation, programs, "install", "--as-root")

    assert done.returncode == 1
    assert "no bus" in done.stderr
    assert "does not run" in run(installation, programs, "status").stderr
    gone = run(installation, programs, "uninstall")
    assert (gone.returncode, "no bus" in gone.stderr) == (0, True)
    assert not (installation.home / "config/systemd/user/portal.service").exists()
