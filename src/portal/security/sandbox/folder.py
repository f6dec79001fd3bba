"""The folder a run works in: whose it is, what it holds, and reading from it what strangers left there."""

import os
import shutil
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from portal.core.ids import new_id
from portal.errors import ToolError

DEPTH = 200
"""Levels of folders in each other; where there are more, few programs can read or remove them."""
_MORE_ENTRIES = 50_000
"""Files and folders that a run may add."""
_RESERVE = 512 * 2**20
"""Bytes that stay free on the disk whatever a run does: files that are deleted but open are in no folder."""
_FIRST_USER, _USERS = 60578, 606
"""User ids that no distribution gives to anybody (systemd's table of user ids)."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a folder; links are not followed."""

    size: int
    entries: int
    depth: int
    files: Mapping[str, tuple[int, int, int]]
    """By path: number, time of change and size of each regular file."""


def look(folder: Path) -> Contents:
    """Everything in it; deeper than DEPTH is not looked at.

    Raises:
        PermissionError: the run's own user shut a folder, which could hold anything.
    """
    size = entries = depth = 0
    files: dict[str, tuple[int, int, int]] = {}
    for level, prefix, folders, names, place in walk(folder):
        depth = max(depth, level)
        for name in (*folders, *names):
            try:
                status = os.stat(name, dir_fd=place, follow_symlinks=False)
            except FileNotFoundError:
                continue
            entries += 1
            size += status.st_blocks * 512
            if stat.S_ISREG(status.st_mode):
                files[prefix + name] = (status.st_ino, status.st_ctime_ns, status.st_size)
        folders[:] = [name for name in folders if level < DEPTH and _can_grow(name, place)]
    return Contents(size, entries, depth, files)


def walk(folder: Path) -> Iterator[tuple[int, str, list[str], list[str], int]]:
    """Level (from 1), path as a prefix, folders, other names, and the open folder; remove from `folders` not to enter
    them. No link is followed, and no path is too long.
    """
    top = len(os.fspath(folder)) + 1
    for place, folders, names, opened in os.fwalk(folder, onerror=_unless_gone):
        prefix = f"{place[top:]}/" if len(place) > top else ""
        links = [name for name in folders if not _is_folder(name, opened)]
        folders[:] = [name for name in folders if name not in links]  # it would open what they point to
        names += links
        yield prefix.count("/") + 1, prefix, folders, names, opened


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _can_grow(name: str, place: int) -> bool:
    """Not where another user shut everybody out: a run cannot write there either."""
    try:
        return (
            os.access(name, os.R_OK | os.X_OK, dir_fd=place)
            or os.stat(name, dir_fd=place, follow_symlinks=False).st_uid == os.getuid()
        )
    except FileNotFoundError:
        return False


def overfull(folder: Path, before: Contents, disk: int) -> bool:
    """Whether the run must end because of what it wrote."""
    try:
        now, full = look(folder), _crowded(folder)
    except OSError:
        return True
    return full or now.size > disk or now.entries > before.entries + _MORE_ENTRIES or now.depth >= DEPTH


def _crowded(folder: Path) -> bool:
    """Whether the disk is nearly full."""
    free = os.statvfs(folder)
    return free.f_bavail * free.f_frsize < min(_RESERVE, free.f_blocks * free.f_frsize // 20)


def settled(folder: Path) -> Contents:
    """What is there after a run; what it left so that nobody can read or remove it, is opened or removed."""
    try:
        found = look(folder)
    except PermissionError:
        found = None
    if found is None or found.depth >= DEPTH:
        tidy(folder)
        found = look(folder)
    return found


def tidy(folder: Path) -> None:
    """Open shut folders, and remove those that are too deep."""
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    moved: list[str] = []
    try:
        while _flattened(folder, top, moved):
            pass
    finally:
        os.close(top)
    for name in moved:
        for _, _, folders, _, place in walk(folder / name):
            _open_up(folders, place, os.R_OK | os.W_OK | os.X_OK)
        shutil.rmtree(folder / name)


def _flattened(folder: Path, top: int, moved: list[str]) -> bool:
    """Move folders that are too deep to the top, under names that are added to `moved`; whether there were any."""
    found = len(moved)
    for level, _, folders, _, place in walk(folder):
        _open_up(folders, place, os.R_OK | os.X_OK)
        if level >= DEPTH:
            for name in folders:
                moved.append(f".{new_id('deep')}")
                os.rename(name, moved[-1], src_dir_fd=place, dst_dir_fd=top)
            folders.clear()
    return len(moved) > found


def _open_up(folders: Sequence[str], place: int, access: int) -> None:
    """Give this process the access it lacks to its own folders."""
    for name in folders:
        if not os.access(name, access, dir_fd=place):
            with suppress(PermissionError):
                os.chmod(name, 0o700, dir_fd=place)


def _is_folder(name: str, place: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def made(before: Contents, after: Contents) -> Sequence[str]:
    """Files that are new or changed, by path; a name that is no text is left out."""
    changed = (name for name, mark in after.files.items() if before.files.get(name) != mark)
    return sorted(name for name in changed if name.isprintable())


def prepare(folder: Path) -> None:
    """Make it where it is not there yet.

    Raises:
        ToolError: it cannot be a folder to work in.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    if folder.is_symlink():
        raise ToolError(f"{folder} is a link, and no folder to work in.")


def give(folder: Path) -> tuple[int, int]:
    """For a Portal that runs as root: the user and group to run as, who then own what root owned in there.

    It is the folder's own user; instead of root one that nobody else is, the same for every run in this folder.
    """
    status = folder.stat()
    stranger = _FIRST_USER + zlib.crc32(os.fsencode(folder)) % _USERS
    user, group = (status.st_uid, status.st_gid) if status.st_uid else (stranger, stranger)
    for _, folders, files, place in os.fwalk(folder):
        for name in (*folders, *files):
            if os.stat(name, dir_fd=place, follow_symlinks=False).st_uid == 0:
                os.chown(name, user, group, dir_fd=place, follow_symlinks=False)
    os.chown(folder, user, group)
    return user, group


def read(folder: Path, name: str, largest: int) -> bytes:
    """A regular file in there, never through a link, at most `largest` bytes.

    Raises:
        ToolError: there is none of this name, or it is larger.
    """
    *parents, last = Path(name).parts or ("",)
    if last in ("", "..", "/") or ".." in parents or Path(name).is_absolute():
        raise ToolError(f"{name!r} is no name of a file in the folder.")
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parents:
            opened = _deeper(opened, part, os.O_DIRECTORY)
        opened = _deeper(opened, last, os.O_NONBLOCK)
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise ToolError(f"{name} is not a plain file.")
        if status.st_size > largest:
            raise ToolError(f"{name} has {status.st_size} bytes; {largest} are the most.")
        with os.fdopen(os.dup(opened), "rb") as file:
            return file.read(largest)
    except OSError as error:
        raise ToolError(f"{name} cannot be read: {error.strerror}.") from error
    finally:
        os.close(opened)


def _deeper(opened: int, name: str, flags: int) -> int:
    """Step from an open folder to what is in it, which takes its place."""
    inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=opened)
    os.close(opened)
    return inner
