"""The sealing key in a keyring: it moves there and back, and what it sealed can be read all along."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from click.testing import CliRunner
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from portal.app.sealing import seal_key, secret_file
from portal.cli import portal as portal_cli
from portal.cli.doctor_checks import keyring_findings
from portal.errors import StorageError
from portal.security.ring import forget_key
from portal.settings import Settings, load_settings


class Ring(KeyringBackend):
    """In memory; can be locked, and can forget what it is given."""

    priority = 1

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = self.forgetful = False
        self.on_delete: BaseException | None = None

    def _open(self) -> None:
        if self.locked:
            raise KeyringLocked("the collection is locked")

    def get_password(self, service: str, username: str) -> str | None:
        self._open()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._open()
        if not self.forgetful:
            self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._open()
        del self.kept[service, username]
        if self.on_delete is not None:
            raise self.on_delete


@pytest.fixture
def ring() -> Iterator[Ring]:
    before, ring = keyring.get_keyring(), Ring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def chosen(folder: Path, store: str) -> Settings:
    more: dict[str, Any] = {"data_dir": folder, "secrets": {"store": store}}
    return load_settings(more)


def test_it_moves_there_and_back(tmp_path: Path, ring: Ring) -> None:
    in_file, in_ring = chosen(tmp_path, "file"), chosen(tmp_path, "keyring")
    key = seal_key(in_file)
    secret_file(in_file).set("backend:one", "hunter2")
    assert b"hunter2" in (tmp_path / "secrets.json").read_bytes()

    assert seal_key(in_ring) == seal_key(in_ring) == key
    assert not (tmp_path / "seal.key").exists()
    assert list(ring.kept.values()) == [key.hex()]
    assert secret_file(in_ring).get("backend:one") == "hunter2"
    assert b"hunter2" not in (tmp_path / "secrets.json").read_bytes()
    assert json.loads((tmp_path / "secrets.json").read_bytes())["backend:one"].startswith("sealed:")
    assert secret_file(in_ring).names() == ["backend:one"]

    assert secret_file(in_file).get("backend:one") == "hunter2"
    assert (tmp_path / "seal.key").read_bytes() == key
    assert stat.S_IMODE((tmp_path / "seal.key").stat().st_mode) == 0o600
    assert ring.kept == {}
    assert b"hunter2" in (tmp_path / "secrets.json").read_bytes()


def test_a_first_start_makes_it_in_the_keyring(tmp_path: Path, ring: Ring) -> None:
    key = seal_key(chosen(tmp_path, "keyring"))
    assert len(key) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["seal.keyring"]


def test_two_installations_have_two_keys(tmp_path: Path, ring: Ring) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    keys = {seal_key(chosen(tmp_path / name, "keyring")) for name in ("one", "two")}
    assert len(keys) == 2


def test_a_keyring_that_is_away_costs_nothing(tmp_path: Path, ring: Ring) -> None:
    key = seal_key(chosen(tmp_path, "keyring"))
    ring.locked = True
    for store in ("keyring", "file"):
        with pytest.raises(StorageError, match="the collection is locked"):
            seal_key(chosen(tmp_path, store))
    ring.locked = False
    assert seal_key(chosen(tmp_path, "keyring")) == key
    ring.kept.clear()
    with pytest.raises(StorageError, match="portal reset-secrets"):
        seal_key(chosen(tmp_path, "keyring"))


def test_a_keyring_that_keeps_nothing_gets_nothing(tmp_path: Path, ring: Ring) -> None:
    key = seal_key(chosen(tmp_path, "file"))
    ring.forgetful = True
    with pytest.raises(StorageError, match="does not give back"):
        seal_key(chosen(tmp_path, "keyring"))
    assert (tmp_path / "seal.key").read_bytes() == key


def test_without_any_keyring_it_is_said(tmp_path: Path) -> None:
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    try:
        with pytest.raises(StorageError, match=r"secrets\.store = 'file'"):
            seal_key(chosen(tmp_path, "keyring"))
    finally:
        keyring.set_keyring(before)


@pytest.mark.parametrize("store", ["file", "keyring"])
def test_a_key_that_leaked_is_made_anew(tmp_path: Path, ring: Ring, store: str) -> None:
    settings = chosen(tmp_path, store)
    key = seal_key(settings)
    secret_file(settings).set("one", "hunter2")
    kept = secret_file(settings).all()
    forget_key(tmp_path)
    secret_file(settings).write(kept)
    assert seal_key(settings) != key
    assert secret_file(settings).get("one") == "hunter2"


def test_what_another_key_sealed_is_named(tmp_path: Path, ring: Ring) -> None:
    settings = chosen(tmp_path, "keyring")
    secret_file(settings).set("one", "hunter2")
    forget_key(tmp_path)
    with pytest.raises(StorageError, match=r"The secret one in .* was sealed with another key"):
        secret_file(settings).get("one")


def test_the_doctor_looks_and_changes_nothing(tmp_path: Path, ring: Ring) -> None:
    settings = chosen(tmp_path, "keyring")
    assert [one.state for one in keyring_findings(settings)] == ["good"]
    assert ring.kept == {}
    seal_key(settings)
    ring.kept.clear()
    (lost,) = keyring_findings(settings)
    assert (lost.state, lost.check) == ("bad", "keyring")
    assert lost.mend
    assert list(keyring_findings(chosen(tmp_path, "file"))) == []


def test_a_restored_key_takes_the_place_of_the_one_in_the_keyring(tmp_path: Path, ring: Ring) -> None:
    settings = chosen(tmp_path, "keyring")
    seal_key(settings)
    (tmp_path / "seal.key").write_bytes(b"r" * 32)
    assert seal_key(settings) == b"r" * 32
    assert not (tmp_path / "seal.key").exists()


def test_a_reset_that_is_cut_off_costs_no_secret(tmp_path: Path, ring: Ring) -> None:
    """Ended between the old key and the new one, as a kill would, what other servers gave is still there."""
    settings = chosen(tmp_path, "keyring")
    secret_file(settings).set("backend:one", "hunter2")
    command = ["reset-secrets", "--yes", "--data-dir", str(tmp_path)]
    told = {"PORTAL_SECRETS__STORE": "keyring"}
    ring.on_delete = KeyboardInterrupt()
    cut = CliRunner().invoke(portal_cli, command, env=told)
    assert cut.exit_code != 0
    assert secret_file(chosen(tmp_path, "keyring")).get("backend:one") == "hunter2"
    ring.on_delete = None
    again = CliRunner().invoke(portal_cli, command, env=told)
    assert again.exit_code == 0, again.output
    assert secret_file(chosen(tmp_path, "keyring")).get("backend:one") == "hunter2"
    assert b"hunter2" not in (tmp_path / "secrets.json").read_bytes()


def test_a_sealed_backup_brings_the_key_to_another_machine(tmp_path: Path, ring: Ring) -> None:
    home, there, word = tmp_path / "home", tmp_path / "there", tmp_path / "word"
    home.mkdir()
    settings = chosen(home, "keyring")
    secret_file(settings).set("backend:one", "hunter2")
    word.write_text("correct horse\n")
    told = {"PORTAL_SECRETS__STORE": "keyring"}
    runner = CliRunner()
    runner.invoke(portal_cli, ["keys", "create", "x", "--data-dir", str(home)], env=told)
    plain = runner.invoke(portal_cli, ["backup", str(tmp_path / "open"), "--data-dir", str(home)], env=told)
    sealed = [str(tmp_path / "a.portal-backup"), "--password-file", str(word)]
    made = runner.invoke(portal_cli, ["backup", *sealed, "--data-dir", str(home)], env=told)
    ring.kept.clear()
    back = runner.invoke(portal_cli, ["restore", *sealed, "--data-dir", str(there)])

    assert "NOT in it: the sealing key of the keyring" in plain.output
    assert (made.exit_code, "NOT in it" in made.output) == (0, False), made.output
    assert back.exit_code == 0, back.output
    for store in ("file", "keyring"):
        assert secret_file(chosen(there, store)).get("backend:one") == "hunter2"


def test_a_reset_helps_where_the_key_is_lost(tmp_path: Path, ring: Ring) -> None:
    settings = chosen(tmp_path, "keyring")
    secret_file(settings).set("backend:one", "hunter2")
    ring.kept.clear()
    command = ["reset-secrets", "--yes", "--data-dir", str(tmp_path)]
    told = CliRunner().invoke(portal_cli, command, env={"PORTAL_SECRETS__STORE": "keyring"})
    assert told.exit_code == 0, told.output
    assert "Lost with its key, set it again where it is from: backend:one" in told.output
    assert secret_file(settings).names() == []
    secret_file(settings).set("backend:one", "another")
    assert secret_file(settings).get("backend:one") == "another"
