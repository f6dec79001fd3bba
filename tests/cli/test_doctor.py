"""`portal doctor`: for each thing that is wrong, what mends it; for machines, too."""

import json
import os
from pathlib import Path

import pytest
from tests.cli.conftest import Installation
from tests.cli.test_tls import configured, make, served

from portal.cli.doctor_checks import certificate_findings, clock_findings, version_findings
from portal.cli.server_file import ServerFile
from portal.core.clock import micros, seconds
from portal.settings import load_settings


def found(installation: Installation, **env: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = installation.run("doctor", "--json", **env)
    return done.returncode, {one["check"]: one for one in json.loads(done.stdout)}


def test_settings_that_are_wrong_are_the_first_thing_to_mend(installation: Installation) -> None:
    configured(installation, "[server]\nport = 'many'\n")
    code, told = found(installation)
    assert code == 1
    assert told["settings"]["state"] == "bad"
    assert "(line 2 of the settings file)" in told["settings"]["text"]
    assert told["settings"]["mend"].endswith("config check")
    configured(installation, '[workspaces.x]\npersona = "nobody"\n')
    said = installation.run("doctor").stdout
    assert "BAD  The settings are wrong: workspaces.x.persona" in said
    assert "       -> portal config check" in said


def test_every_bad_thing_has_something_that_mends_it(
    installation: Installation, tmp_path: Path, taken_port: int, free_port: int
) -> None:
    certificate, key = make(tmp_path / "tls", days=2.5)
    served(installation, certificate, key)
    with (installation.data_dir / "portal.toml").open("a", encoding="utf-8") as file:
        file.write(f'[[backends]]\nkind = "ollama"\nurl = "http://127.0.0.1:{free_port}"\n')
    os.utime(installation.data_dir / "portal.toml", (seconds(micros()) + 90_000,) * 2)
    code, told = found(installation, PORTAL_SERVER__PORT=str(taken_port))
    bad = {name: one for name, one in told.items() if one["state"] == "bad"}
    assert code == 1
    assert {"tls", "clock", "port", "backend"} <= bad.keys()
    assert all(one["mend"] for one in bad.values())
    assert f"--port {taken_port + 1}" in bad["port"]["mend"] or "--port" in bad["port"]["mend"]


def test_beside_a_server_that_is_fine(installation: Installation) -> None:
    installation.up()
    code, told = found(installation)
    assert code == 0
    assert told["part"]["text"].startswith("Parts of Portal that are going")
    assert told["version"]["state"] == "good"
    write = installation.data_dir / "portal.toml"
    write.write_text("[server]\nsession_days = 3\n")
    assert installation.run("config", "reload").returncode == 0
    assert found(installation)[1]["settings"]["state"] in ("note", "good")


def test_a_certificate_that_is_away(tmp_path: Path) -> None:
    settings = load_settings({"server": {"tls_cert": tmp_path / "gone.pem"}})
    (one,) = certificate_findings(settings)
    assert one.state == "bad"
    assert "openssl req -x509" in one.mend
    (fine,) = certificate_findings(
        load_settings({"server": dict(zip(("tls_cert", "tls_key"), make(tmp_path), strict=True))})
    )
    assert fine.state == "good"


@pytest.mark.parametrize(("ahead", "state"), [(0, ("good", "note")), (-90_000, ("bad",))])
def test_a_clock_that_went_back(tmp_path: Path, ahead: int, state: tuple[str, ...]) -> None:
    (tmp_path / "portal.db").touch()
    (one,) = clock_findings(tmp_path, now=seconds(micros()) + ahead)
    assert one.state in state
    if ahead:
        assert "timedatectl" in one.mend


def test_another_version_than_the_installed_one_runs() -> None:
    server = ServerFile(pid=1, url="", token="", started_at=0, version="0.0.1")
    first = next(version_findings(server, "portal"))
    assert first.state == "bad"
    assert "down, then" in first.mend
