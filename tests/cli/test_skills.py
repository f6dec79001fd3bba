"""Skills from the shell: looked at, installed after a yes, removed; no server is needed."""

import shutil
from pathlib import Path

from tests.cli.conftest import Installation, Terminal

EXAMPLE = Path(__file__).parents[1] / "fixtures/skills/tide-tables"


def test_a_skill_comes_and_goes(installation: Installation, tmp_path: Path) -> None:
    none = installation.run("skills", "list")
    assert (none.stdout, "There are no skills" in none.stderr) == ("", True)

    refused = installation.run("skills", "install", str(EXAMPLE))
    assert refused.returncode == 1
    assert "say --yes" in refused.stderr
    assert "scripts/table.py  (script)" in refused.stdout
    assert "licence: MIT" in refused.stdout
    assert "6 files, 3 scripts" in refused.stdout
    assert not (installation.data_dir / "skills").exists()

    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", EXAMPLE.parent)
    done = installation.run("skills", "install", packed, "tide-tables", "--yes")
    assert done.stderr == "Installed tide-tables.\n"
    listed = installation.run("skills", "list", PORTAL_SKILLS__TRUSTED='["tide-tables"]').stdout
    assert listed.startswith("tide-tables\tinstalled\ttrusted\tMake tables of high and low tide")
    shown = installation.run("skills", "show", "tide-tables").stdout
    assert "# Tide tables" in shown
    assert "takes the place" in installation.run("skills", "install", str(EXAMPLE), "--yes").stdout

    assert installation.run("skills", "remove", "tide-tables").stderr == "Removed tide-tables.\n"
    assert "There is no skill" in installation.run("skills", "remove", "tide-tables").stderr
    assert list((installation.data_dir / "skills").iterdir()) == []


def test_somebody_at_a_terminal_is_asked(installation: Installation) -> None:
    with Terminal(installation, "skills", "install", str(EXAMPLE)) as terminal:
        terminal.until("Install? [y/N]")
        terminal.type("n\r")
        assert terminal.wait() == 1
    assert not (installation.data_dir / "skills").exists()
    with Terminal(installation, "skills", "install", str(EXAMPLE)) as terminal:
        terminal.until("Install? [y/N]")
        terminal.type("y\r")
        assert terminal.wait() == 0
    assert (installation.data_dir / "skills/tide-tables/SKILL.md").is_file()


def test_what_cannot_be_done_is_said(installation: Installation, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(EXAMPLE, mine / "tide-tables")
    for number in range(60):
        (mine / "tide-tables" / f"{number}.txt").touch()
    (mine / "broken").mkdir()
    (mine / "broken/SKILL.md").write_text("nothing")
    env = {"PORTAL_SKILLS__FOLDERS": f'["{mine}"]'}

    listed = installation.run("skills", "list", **env)
    assert f"{mine}/tide-tables\tuntrusted" in listed.stdout
    assert "not usable: broken" in listed.stderr
    assert "and 16 more" in installation.run("skills", "show", "tide-tables", **env).stdout
    assert "a folder of the settings" in installation.run("skills", "remove", "tide-tables", **env).stderr
    assert "it has tide-tables" in installation.run("skills", "install", str(EXAMPLE), "other").stderr
    assert "neither a folder" in installation.run("skills", "install", str(tmp_path / "none")).stderr
