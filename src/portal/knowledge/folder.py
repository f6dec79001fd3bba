"""What is in a folder of this machine that documents come from."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST = 100_000
"""Files of one watched folder."""
_LEFT_OUT = frozenset({"node_modules", "__pycache__", "venv", "site-packages", "lost+found"})
_CHUNK = 2**20
_BEGINNING = 8192


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was when the folder was looked at."""

    path: str
    modified: int
    """Microseconds UTC."""
    size: int


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a folder found."""

    found: Mapping[str, Seen]
    """By path."""
    too_large: int
    unread: Sequence[str]
    """What could not be looked at: nothing is known of it, nor of what is below it."""

    def may_hold(self, path: str) -> bool:
        """Whether that may be there still."""
        return path in self.found or any(path == one or path.startswith(one + os.sep) for one in self.unread)


def look(root: Path, largest: int, own: Path) -> Look:
    """Every file of a folder and those below it. Hidden ones, links, empty files, what programs put there for
    themselves and Portal's `own` folder are left out.

    Raises:
        OSError: the folder itself cannot be read.
    """
    found: dict[str, Seen] = {}
    unread: list[str] = []
    too_large = 0
    for path, stat in _files(root, own, unread):
        if stat.st_size > largest:
            too_large += 1
        elif stat.st_size and len(found) < MOST:
            found[path] = Seen(path, stat.st_mtime_ns // 1000, stat.st_size)
    return Look(found, too_large, unread)


def _files(root: Path, own: Path, unread: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    folders = [str(root)]
    while folders:
        here = folders.pop()
        try:
            entries = list(os.scandir(here))
        except FileNotFoundError:
            if here == str(root):
                raise
            continue  # it has just gone
        except OSError:
            if here == str(root):
                raise
            unread.append(here)
            continue
        for entry in entries:
            try:
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                if entry.is_dir():
                    if entry.name not in _LEFT_OUT and entry.path != str(own):
                        folders.append(entry.path)
                elif entry.is_file():
                    yield entry.path, entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # it has just gone
                continue
            except OSError:
                unread.append(entry.path)


def digest(path: str) -> str:
    """SHA-256 of a file, as `/v1/files` keeps it. Raises OSError."""
    made = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            made.update(chunk)
    return made.hexdigest()


def beginning(path: str) -> bytes:
    """What a file begins with, enough to tell its format. Raises OSError."""
    with open(path, "rb") as file:
        return file.read(_BEGINNING)
