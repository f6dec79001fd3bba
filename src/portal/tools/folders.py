"""Where tools may touch files: the conversation's own folder and the folders a person granted, never through a link.

A path is checked as it is written, as policies see it, and what it leads to must be just that: a path through a link is
refused, so that nobody allows one folder and gets another. Opening goes folder by folder without following links, so
that nothing swaps one in between.
"""

import mimetypes
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from portal.core.tools import ToolContext, ToolFile
from portal.errors import ToolError
from portal.settings import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """A path below a folder that tools may use; it may not exist."""

    root: Path
    relative: Path
    own: bool
    """In the conversation's own folder."""
    closed: Path | None = field(default=None, compare=False)
    """What is Portal's own, should it be below: a walk leaves it out."""

    @property
    def path(self) -> Path:
        """Absolute."""
        return self.root / self.relative

    @property
    def shown(self) -> str:
        """As a model should write it: short in the conversation's folder, else whole."""
        return self.relative.as_posix() if self.own else str(self.path)

    def below(self, relative: str) -> "Place":
        """Something in this folder."""
        return Place(self.root, self.relative / relative, self.own, self.closed)

    @contextmanager
    def parent(self, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder it is in, reached without following a link, and its name there; `make` makes
        missing folders. Raises OSError, as opening a file does."""
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        *folders, name = self.relative.parts or (".",)
        here = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for folder in folders:
                if make:
                    _make(folder, here)
                inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = inner
            yield here, name
        finally:
            os.close(here)

    def open(self, flags: int = os.O_RDONLY, *, make: bool = False) -> int:
        """A descriptor of this regular file or folder, by `os.open`. Raises OSError."""
        with self.parent(make=make) as (folder, name):
            opened = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644, dir_fd=folder)
        if stat.S_ISREG(kind := os.fstat(opened).st_mode) or stat.S_ISDIR(kind):
            return opened
        os.close(opened)
        raise ToolError(f"{self.shown} is neither a file nor a folder.")

    def read(self, most: int = -1) -> bytes:
        """The file's bytes, `most` of them. Raises OSError."""
        with os.fdopen(self.open(), "rb") as file:
            return file.read(most)

    def write(self, data: bytes, *, exclusive: bool = False) -> None:
        """Put the file there at once or not at all; `exclusive` raises FileExistsError where there is one."""
        with self.parent(make=True) as (folder, name):
            if exclusive and _mode(name, folder) is not None:
                raise FileExistsError(name)
            mode = stat.S_IMODE(_mode(name, folder) or 0o644)
            unfinished = f".{name[:200]}.{os.urandom(4).hex()}.part"
            opened = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=folder)
            try:
                with os.fdopen(opened, "wb") as file:
                    file.write(data)
                    os.fchmod(opened, mode)
                os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(unfinished, dir_fd=folder)
                raise

    def remove(self) -> None:
        """Remove this file, if it is there and can be reached."""
        with suppress(OSError), self.parent() as (folder, name):
            os.unlink(name, dir_fd=folder)


class Folders:
    """Finds the place that a path names."""

    def __init__(self, *, folders: Sequence[Path], hidden: Path) -> None:
        """`folders` are granted; `hidden` is Portal's own, which no grant opens."""
        self.granted = [Path(os.path.abspath(folder.expanduser())) for folder in folders]
        self._hidden = hidden.resolve()

    def readable(self) -> list[Path]:
        """Granted folders that can be shown whole to a program: they are there, and Portal's own is not in them."""
        there = (folder.resolve() for folder in self.granted if folder.is_dir())
        return [folder for folder in there if not self._hidden.is_relative_to(folder)]

    def at(self, path: str, context: ToolContext) -> Place:
        """The place of a path, absolute or from the conversation's folder.

        Raises:
            ToolError: it is outside of what is granted, or goes through a link.
        """
        wanted = Path(os.path.normpath(context.folder / path))
        place = self._place(wanted, context)
        try:
            real = Path(os.path.realpath(place.path))
        except ValueError as error:
            raise ToolError("A path has no zero byte.") from error
        if not place.own and real.is_relative_to(self._hidden):
            raise ToolError("Portal's own folder is closed to tools.")
        if real != place.path:
            raise ToolError(f"{path} leads through a link; name what it leads to ({real}), if that is allowed.")
        return place

    def file(self, path: str, context: ToolContext, *, largest: int) -> Place:
        """A regular file that is there, can be read, and has at most so many bytes. Raises ToolError."""
        place = self.at(path, context)
        try:
            opened = place.open()
        except OSError as error:
            raise ToolError(f"The file {path!r} cannot be read: {error.strerror}.") from error
        seen = os.fstat(opened)
        os.close(opened)
        if not stat.S_ISREG(seen.st_mode):
            raise ToolError(f"{path!r} is not a file.")
        if seen.st_size > largest:
            raise ToolError(f"{path!r} is larger than {largest:,} bytes.")
        return place

    def target(self, path: str, context: ToolContext) -> Place:
        """A place that may be changed: not what git would run or believe. Raises ToolError."""
        place = self.at(path, context)
        if ".git" in place.relative.parts:
            raise ToolError("What is in .git belongs to git: use its tools.")
        if not place.own and self._hidden.is_relative_to(place.path):
            raise ToolError("Portal's own folder is in it, and closed to tools.")
        return place

    def _place(self, wanted: Path, context: ToolContext) -> Place:
        roots = [context.folder, *sorted(self.granted, key=lambda folder: -len(folder.parts))]
        for root in roots:
            for base in (root, root.resolve()):
                if wanted.is_relative_to(base):
                    own = root == context.folder
                    return Place(root.resolve(), wanted.relative_to(base), own, None if own else self._hidden)
        allowed = ", ".join(map(str, self.granted)) or "no others are granted (the setting tools.folders)"
        raise ToolError(f"{wanted} is not in a folder that tools may use: the conversation's own (.), {allowed}.")


def granted(settings: Settings) -> Folders:
    """The folders of the settings, without Portal's own."""
    return Folders(folders=settings.tools.folders, hidden=settings.data_dir)


def keep(context: ToolContext, name: str, data: bytes) -> ToolFile:
    """A file made for the user, also kept in the conversation's folder, so that other tools can go on with it."""
    return keep_in(context.folder, name, data)


def keep_in(folder: Path, name: str, data: bytes) -> ToolFile:
    """A file in a folder. Raises ToolError."""
    plain = Path(name.replace("\0", "")).name.strip(". ") or "file"
    try:
        Place(folder.resolve(), Path(plain), own=True).write(data)
    except OSError as error:
        raise ToolError(f"{plain!r} cannot be written: {error.strerror}.") from error
    kind = mimetypes.guess_type(plain)[0] or "application/octet-stream"
    return ToolFile(name=plain, content_type=kind, data=data)


def _make(name: str, folder: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=folder)


def _mode(name: str, folder: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
