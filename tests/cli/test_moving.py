"""`portal migrate-to`: a lived-in Portal goes to PostgreSQL and comes back, whatever happens on the way."""

import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.cli.conftest import PORTAL, Installation, Server

from portal.cli.moving import save_setting
from portal.errors import PortalError
from portal.security.cipher import Cipher
from portal.testing.postgres import PostgresServer


def lived_in(server: Server, talks: int) -> None:
    """What people do: talk, file, upload, remember, plan."""
    client = server.client
    folder = client.send("POST", "/portal/v1/folders", {"name": "Travel"})["id"]
    for at in range(talks):
        talk = client.send("POST", "/portal/v1/conversations", {"title": f"Trip {at}", "folder_id": folder})
        asked = {"model": "portal-guide", "input": "How do I make a backup?", "conversation": talk["id"]}
        client.send("POST", "/v1/responses", asked)
    client.send("POST", "/portal/v1/memories", {"text": "Likes trains more than planes."})


def seen(server: Server) -> dict[str, Any]:
    """What the doors show, but for what is of the moment."""
    client = server.client
    found: dict[str, Any] = {}
    for path in (
        "/portal/v1/conversations?q=Trip",
        "/portal/v1/conversations?q=backup",
        "/portal/v1/folders",
        "/portal/v1/memories",
        "/v1/files",
        "/portal/v1/schedules",
        "/portal/v1/workspaces",
    ):
        found[path] = client.get(path)
    talk = found["/portal/v1/conversations?q=Trip"]["data"][0]["id"]
    found["items"] = client.get(f"/v1/conversations/{talk}/items")
    return found


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.database()


def told(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_there_and_back_through_public_doors(installation: Installation, url: str) -> None:
    server = installation.up()
    lived_in(server, 3)
    known = seen(server)
    busy = installation.run("migrate-to", url)
    assert "is in use by" in busy.stderr
    server.stop()

    assert "counts and samples were compared" in told(installation.run("migrate-to", url, "--save"))
    assert "database = " in (installation.data_dir / "portal.toml").read_text()
    there = installation.up()
    assert seen(there) == known
    talk = there.client.send("POST", "/portal/v1/conversations", {"title": "Trip home"})["id"]
    there.stop()

    full = installation.run("migrate-to", "sqlite:")
    assert "not empty" in full.stderr
    (installation.data_dir / "portal.db").rename(installation.data_dir / "portal.db.before")
    told(installation.run("migrate-to", "sqlite:", "--save"))
    assert "database" not in (installation.data_dir / "portal.toml").read_text()
    back = installation.up()
    assert back.client.get(f"/portal/v1/conversations/{talk}")["title"] == "Trip home"
    back.client.send("DELETE", f"/v1/conversations/{talk}")
    assert seen(back) == known


@pytest.mark.slow
def test_a_move_that_was_killed_goes_on(installation: Installation, url: str) -> None:
    server = installation.up()
    lived_in(server, 1)
    known = seen(server)
    server.stop()
    for rounds in range(1, 100):
        process = subprocess.Popen([*PORTAL, "migrate-to", url], env=installation.env, stderr=subprocess.PIPE)
        while process.poll() is None and progress(url) < 7 * rounds:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == 0:
            break
        if rounds == 1:
            refused = installation.run("up", "--port", "0", PORTAL_DATABASE=url)
            assert "has not come to its end" in refused.stderr + refused.stdout
    else:
        told(installation.run("migrate-to", url))
    assert rounds > 1
    there = Installation(data_dir=installation.data_dir, home=installation.home)
    save_setting(installation.data_dir / "portal.toml", url)
    assert seen(there.up()) == known
    there.end()


def progress(url: str) -> int:
    """Tables that are through."""
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            sql = "SELECT COUNT(*) FROM key_values, json_each(CAST(value AS json) -> 'done') WHERE name = 'moving'"
            row = connection.execute(sql).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
    return row[0] if row else 0


def test_what_cannot_be_moved_is_said(installation: Installation, tmp_path: Path) -> None:
    nothing = installation.run("migrate-to", "postgresql://localhost/none")
    wrong = installation.run("migrate-to", "mysql://localhost/none")
    same = installation.run("migrate-to", f"sqlite:{tmp_path / 'other'}")
    assert {done.returncode for done in (nothing, wrong, same)} == {1}
    assert "no database at" in nothing.stderr
    assert "name postgresql://" in wrong.stderr
    assert "already" in same.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, 'database = "postgresql://h/p"\n'),
        ("# mine\n[server]\nport = 1\n", 'database = "postgresql://h/p"\n# mine\n[server]\nport = 1\n'),
        (
            'default_model = "x"\ndatabase = "old"\n\n[sql]\ndatabases = {}\n',
            'database = "postgresql://h/p"\ndefault_model = "x"\n\n[sql]\ndatabases = {}\n',
        ),
    ],
)
def test_the_setting_is_written(tmp_path: Path, before: str | None, after: str) -> None:
    file = tmp_path / "portal.toml"
    if before is not None:
        file.write_text(before)
    save_setting(file, "postgresql://h/p")
    assert file.read_text() == after
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    save_setting(file, "")
    assert "database = " not in file.read_text()


def test_a_file_that_cannot_be_changed_stays(tmp_path: Path) -> None:
    file = tmp_path / "portal.toml"
    for content in ('"database" = "a"\n', "nonsense\n", 'text = """\ndatabase = "x"\n"""\n'):
        file.write_text(content)
        with pytest.raises(PortalError, match="chang"):
            save_setting(file, "postgresql://h/p")
        assert file.read_text() == content


@pytest.mark.slow
def test_a_sealing_key_that_stays_behind_is_missed(installation: Installation, url: str) -> None:
    key = "ab" * 32
    told(installation.run("keys", "create", "x", PORTAL_DATABASE=url, PORTAL_SEAL_KEY=key))
    with psycopg.connect(url) as connection:
        sealed = Cipher(bytes.fromhex(key), install="").seal("backend:one", "hunter2")
        connection.execute("INSERT INTO sealed_secrets VALUES ('backend:one', %s, 1)", (sealed,))
    (installation.data_dir / "seal.key").unlink(missing_ok=True)

    without = installation.run("migrate-to", f"sqlite:{installation.home / 'one'}", PORTAL_DATABASE=url)
    having = installation.run(
        "migrate-to", f"sqlite:{installation.home / 'two'}", PORTAL_DATABASE=url, PORTAL_SEAL_KEY=key
    )

    assert "nobody can read: backend:one" in without.stderr
    told(having)
    assert "nobody can read" not in having.stderr
    assert f"portal --data-dir {installation.home / 'two'} up\n" in having.stdout
