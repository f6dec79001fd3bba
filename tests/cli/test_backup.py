"""A backup is whole, private, made beside a running server, and starts as a Portal of its own."""

import stat

from tests.cli.conftest import Installation


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
    elsewhere = installation.run("backup", str(target), PORTAL_DATABASE="postgresql://localhost/x")
    unwritable = installation.run("backup", "/proc/copy")

    assert {done.returncode for done in (nothing, there, elsewhere, unwritable)} == {1}
    assert "There is no database" in nothing.stderr
    assert "exists already" in there.stderr
    assert "pg_dump" in elsewhere.stderr
    assert "could not be written" in unwritable.stderr
    assert list(target.iterdir()) == []
