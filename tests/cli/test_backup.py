"""A backup is whole, private, made beside a running server, and starts as a Portal of its own."""

import json
import stat
import tarfile
from pathlib import Path

import pytest
from tests.cli.conftest import Installation

from portal.testing.postgres import PostgresServer


def test_a_copy_made_while_portal_runs_is_a_portal(installation: Installation) -> None:
    server = installation.up()
    conversation = server.client.send("POST", "/portal/v1/conversations", {"title": "Keep me"})["id"]
    copy = installation.home / "copy"

    done = installation.run("backup", str(copy))
    server.client.send("PATCH", f"/portal/v1/conversations/{conversation}", {"title": "Changed later"})

    assert done.returncode == 0, done.stderr
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (copy, *copy.iterdir())}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
    other = Installation(data_dir=copy, home=installation.home)
    kept = other.up()
    assert kept.client.get(f"/portal/v1/conversations/{conversation}")["title"] == "Keep me"
    other.end()


def test_what_cannot_be_copied_is_said_and_leaves_nothing(installation: Installation) -> None:
    target = installation.home / "copy"
    nothing = installation.run("backup", str(target))
    installation.run("keys", "create", "x")
    target.mkdir()
    there = installation.run("backup", str(target))
    elsewhere = installation.run("backup", str(target) + "2", PORTAL_DATABASE="postgresql://127.0.0.1:1/x")
    unwritable = installation.run("backup", "/proc/copy")

    assert {done.returncode for done in (nothing, there, elsewhere, unwritable)} == {1}
    assert "There is no database" in nothing.stderr
    assert "exists already" in there.stderr
    assert "cannot be reached" in elsewhere.stderr
    assert "could not be written" in unwritable.stderr
    assert list(target.iterdir()) == []


def test_from_one_machine_to_another(installation: Installation, tmp_path: Path) -> None:
    """One sealed file, made while Portal runs, and back in place on a new machine and over what is there."""
    server = installation.up()
    conversation = server.client.send("POST", "/portal/v1/conversations", {"title": "Keep me"})["id"]
    backup, word = tmp_path / "stick" / "monday.portal-backup", tmp_path / "word"
    word.write_text("correct horse\n")
    sealed = ("--password-file", str(word))

    made = installation.run("backup", str(backup), *sealed, "--json")
    checked = installation.run("backup", "--verify", str(backup), "--password-file", "-", stdin="correct horse\n")
    listed = installation.run("backup", "--list", str(backup.parent))
    as_json = json.loads(installation.run("backup", "--list", str(backup.parent), "--json").stdout)
    running = installation.run("restore", str(backup), *sealed, "--force")
    new = Installation(data_dir=tmp_path / "new", home=installation.home)
    wrong = new.run("restore", str(backup), "--password-file", "-", stdin="wrong\n")
    none = new.run("restore", str(backup))
    restored = new.run("restore", str(backup), *sealed)
    again = new.run("restore", str(backup), *sealed)
    forced = new.run("restore", str(backup), *sealed, "--force")

    assert json.loads(made.stdout)["secrets"] is True
    assert "is whole" in checked.stderr
    assert "under a password" in listed.stdout
    assert [(one["sealed"], one["path"]) for one in as_json] == [(True, str(backup))]
    assert "in use by" in running.stderr
    assert "not the one" in wrong.stderr
    assert "under a password" in none.stderr
    assert restored.returncode == 0, restored.stderr
    assert "--force" in again.stderr
    assert "before-restore-" in forced.stderr
    assert new.up().client.get(f"/portal/v1/conversations/{conversation}")["title"] == "Keep me"
    new.end()


@pytest.mark.slow
def test_a_backup_of_postgresql_comes_back_in_either(
    installation: Installation, postgres: PostgresServer, tmp_path: Path
) -> None:
    first, second = postgres.database(), postgres.database()
    installation.data_dir.mkdir(exist_ok=True)
    (installation.data_dir / "portal.toml").write_text(f'database = "{first}"\n[server]\ndrain_seconds = 6\n')
    server = installation.up()
    conversation = server.client.send("POST", "/portal/v1/conversations", {"title": "Keep me"})["id"]
    backup = tmp_path / "monday.portal-backup"

    made = installation.run("backup", str(backup))
    listed = server.client.get("/portal/v1/backups")
    server.stop()
    alone = Installation(data_dir=tmp_path / "alone", home=installation.home)
    told = alone.run("restore", str(backup))
    kept = alone.up()
    title = kept.client.get(f"/portal/v1/conversations/{conversation}")["title"]
    kept.stop()
    other = Installation(data_dir=tmp_path / "other", home=installation.home)
    away = other.run("restore", str(backup), "--database", "postgresql://127.0.0.1:1/none")
    moved = other.run("restore", str(backup), "--force", "--database", second)
    there = other.up()

    assert "read back and whole" in made.stderr
    assert listed["last"]["error"] == ""
    assert "it is in a SQLite file now" in told.stderr
    assert title == "Keep me"
    assert (alone.data_dir / "portal.toml").read_text().strip() == "[server]\ndrain_seconds = 6"
    assert "migrate-to postgresql://... --save" in away.stderr
    assert moved.returncode == 0, moved.stderr
    assert second in (other.data_dir / "portal.toml").read_text()
    assert not (other.data_dir / "portal.db").exists()
    assert there.client.get(f"/portal/v1/conversations/{conversation}")["title"] == "Keep me"
    other.end()


def test_what_is_asked_wrongly_is_explained(installation: Installation, tmp_path: Path) -> None:
    installation.run("keys", "create", "x")
    said = {
        words: installation.run(*words).stderr
        for words in (
            ("backup",),
            ("backup", "--verify"),
            ("backup", "--list"),
            ("backup", "--list", str(tmp_path / "none")),
            ("backup", str(tmp_path / "x"), "--password-file", str(tmp_path / "none")),
            ("backup", str(tmp_path / "x"), "--password-file", "/dev/null"),
            ("restore",),
            ("restore", str(tmp_path / "none")),
            ("rollback", "--yes"),
        )
    }
    for words, part in zip(
        said, ("backup.folder", "Name the", "Name a", "cannot be read", "cannot be read", "no password", "Name the",
               "There is no", "no such copy"), strict=True,
    ):  # fmt: skip
        assert part in said[words], words
    assert "is in order" in installation.run("restore", "--finish").stderr
    (tmp_path / "broken.portal-backup").write_text("nothing")
    assert "not a backup" in installation.run("backup", "--list", str(tmp_path)).stdout
    kept = installation.run("backup", PORTAL_BACKUP__FOLDER=str(tmp_path / "kept"), PORTAL_BACKUP__PASSWORD="word")
    assert kept.returncode == 0, kept.stderr


def test_an_upgrade_is_rolled_back(installation: Installation, tmp_path: Path) -> None:
    with tarfile.open(Path(__file__).parent.parent / "fixtures/releases/0.5.0.tar.xz") as tar:
        tar.extractall(installation.data_dir, filter="data")
    upgraded = installation.run("keys", "list")
    refused = installation.run("rollback", "--to", "3")
    elsewhere = installation.run("rollback", PORTAL_DATABASE="postgresql://db/portal")
    asked = installation.run("rollback", stdin="n\n")
    back = installation.run("rollback", "--yes")
    twice = installation.run("rollback", "--yes")

    assert "logbook" in upgraded.stdout, upgraded.stderr
    assert "Copies with schema: 12" in refused.stderr
    assert "restore a backup" in elsewhere.stderr
    assert "The database has schema 12. Copies with schema: 12" in twice.stderr
    assert asked.returncode == 1
    assert "schema 12 again" in back.stderr
    assert (installation.data_dir / "portal.db.aside-1").exists()
    assert "logbook" in installation.run("keys", "list").stdout
