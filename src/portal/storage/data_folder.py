"""The data folder: private files in it, and the lock that gives it to one server."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.errors import DataFolderBusy, StorageError

LOCK_NAME = "portal.lock"


def make_private_folder(path: Path) -> None:
    """Make a folder that only this user can enter, whatever the umask; one that is there keeps its mode."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)


def make_private_file(path: Path) -> None:
    """Make an empty file that only this user can read, whatever the umask; FileExistsError if there is one."""
    os.close(_open_private(path, os.O_CREAT | os.O_EXCL | os.O_RDWR))


def _open_private(path: Path, flags: int) -> int:
    handle = os.open(path, flags, 0o600)
    os.fchmod(handle, 0o600)
    return handle


class DataFolderLock:
    """A held lock; `describe` replaces what a second server is told about its owner."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def describe(self, words: str) -> None:
        """Say who owns the folder, such as `pid 4711, http://127.0.0.1:8081`."""
        content = words.encode("utf-8")
        os.pwrite(self._handle, content, 0)
        os.ftruncate(self._handle, len(content))


@contextmanager
def lock_data_folder(path: Path, describe: str) -> Iterator[DataFolderLock]:
    """Own the data folder `path` for the life of a server; the lock goes with the process, however it ends.

    Raises:
        DataFolderBusy: another server owns it; the message has what that one's `describe` says.
    """
    try:
        make_private_folder(path)
        handle = _open_private(path / LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError(f"The data folder {path} cannot be used: {error}") from error
    try:
        _take(handle, path)
        lock = DataFolderLock(handle)
        lock.describe(describe)
        yield lock
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def lock_owner(path: Path) -> str | None:
    """What the holder of this data folder's lock says of itself; None when nobody holds it."""
    try:
        handle = os.open(path / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, 1000, 0).decode("utf-8", "replace")
    finally:
        os.close(handle)
    return None


def _take(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(handle, 1000, 0).decode("utf-8", "replace") or "another server"
        raise DataFolderBusy(f"The data folder {path} is in use by {owner}. Stop that first.") from error


def flush(path: Path) -> None:
    """Have a file, or the entries of a folder, really on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
