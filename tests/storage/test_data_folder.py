"""The data folder belongs to one server."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from portal.errors import DataFolderBusy, StorageError
from portal.storage.data_folder import LOCK_NAME, lock_data_folder


def test_a_second_server_is_told_who_owns_the_folder(tmp_path: Path) -> None:
    with lock_data_folder(tmp_path, "pid 1") as lock:
        lock.describe("pid 4711, http://127.0.0.1:8081")
        with pytest.raises(DataFolderBusy, match=r"pid 4711, http://127\.0\.0\.1:8081"), lock_data_folder(tmp_path, ""):
            pass
        lock.describe("pid 5")
        with pytest.raises(DataFolderBusy, match=r"in use by pid 5\. Stop that first"), lock_data_folder(tmp_path, ""):
            pass


def test_the_next_server_gets_a_folder_that_was_given_back(tmp_path: Path) -> None:
    with lock_data_folder(tmp_path, "pid 1"):
        pass
    with lock_data_folder(tmp_path, "pid 2"):
        assert (tmp_path / LOCK_NAME).read_text(encoding="utf-8") == "pid 2"


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from portal.storage.data_folder import lock_data_folder\n"
        "with lock_data_folder(pathlib.Path(sys.argv[1]), 'the other one'):\n"
        "    print('mine', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(DataFolderBusy, match="the other one"), lock_data_folder(tmp_path, ""):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
    with lock_data_folder(tmp_path, "me"):
        assert (tmp_path / LOCK_NAME).read_text(encoding="utf-8") == "me"


def test_folder_and_lock_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with lock_data_folder(tmp_path / "a" / "data", "me"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "data" / LOCK_NAME).stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be used"), lock_data_folder(tmp_path / "file" / "data", "me"):
        pass
