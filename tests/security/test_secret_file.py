"""The file of secrets: private, whole or not at all, and clear about what is wrong with it."""

import os
import stat
from pathlib import Path

import pytest

from portal.errors import StorageError
from portal.security.secret_file import SecretFile


def test_what_is_kept_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    assert SecretFile(path).get("a") is None
    SecretFile(path).set("a", None)
    assert not path.exists()
    SecretFile(path).set("a", "one")
    SecretFile(path).set("b", "two")
    SecretFile(path).set("a", None)
    assert (SecretFile(path).get("a"), SecretFile(path).get("b")) == (None, "two")


def test_nobody_else_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        SecretFile(tmp_path / "secrets.json").set("a", "one")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_damaged_file_is_named_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secrets.json"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"secrets\.json"):
        SecretFile(path).set("a", "one")
    assert path.read_bytes() == content


def test_a_folder_that_takes_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        SecretFile(tmp_path / "missing" / "secrets.json").set("a", "one")
