"""Reading zip and tar archives of strangers: nothing leaves the target folder, and nothing unpacks without end."""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Protocol, cast

from portal.errors import ToolError
from portal.tools.folders import Place

MOST_FILES = 10_000
_PIECE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry. `kind` is file, folder, or what else is never unpacked."""

    name: str
    size: int
    kind: str


class Archive(Protocol):
    """A zip or tar file that is open for reading."""

    def members(self) -> Iterator[Member]:
        """In their order."""

    def open(self, name: str) -> IO[bytes]:
        """The content of a file."""


class _Zip:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def members(self) -> Iterator[Member]:
        for one in self._file.infolist():
            link = stat.S_ISLNK(one.external_attr >> 16)
            yield Member(
                name=one.filename, size=one.file_size, kind="link" if link else "folder" if one.is_dir() else "file"
            )

    def open(self, name: str) -> IO[bytes]:
        return self._file.open(name)


class _Tar:
    def __init__(self, file: tarfile.TarFile) -> None:
        self._file = file

    def members(self) -> Iterator[Member]:
        for one in self._file:
            kind = "file" if one.isreg() else "folder" if one.isdir() else "link" if one.issym() else "special"
            yield Member(name=one.name, size=one.size, kind=kind)

    def open(self, name: str) -> IO[bytes]:
        opened = self._file.extractfile(name)
        if opened is None:
            raise ToolError(f"{name!r} is not a file.")
        return opened


class _Careful:
    """A stream for tarfile, which would read a header of any size into memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.tell, self.seek, self._read = stream.tell, stream.seek, stream.read

    def read(self, size: int) -> bytes:
        if size > 8 * _PIECE:
            raise ToolError("This archive has a header that is far too large; it is damaged, or meant to do harm.")
        return self._read(size)


@contextmanager
def opened(file: IO[bytes], name: str) -> Iterator[Archive]:
    """The archive in a file. Raises ToolError for what is none, is damaged, or wants a password."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as packed:
                yield _Zip(packed)
        else:
            with _unpacked(file) as stream, tarfile.open(fileobj=cast("IO[bytes]", _Careful(stream)), mode="r:") as tar:
                yield _Tar(tar)
    except _UNREADABLE as error:
        raise ToolError(f"{name!r} cannot be read as a zip or tar archive: {error}") from error
    except OSError as error:
        raise ToolError(f"{name!r} cannot be unpacked: {error}") from error


_UNREADABLE = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, RuntimeError)


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    file.seek(0)
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(file))
    if start.startswith(b"BZh"):
        return bz2.open(file)
    return lzma.open(file) if start.startswith(b"\xfd7zXZ") else file


def unpack(archive: Archive, at: Callable[[str], Place], *, most_bytes: int) -> tuple[int, list[str]]:
    """Write the files to where `at` says, as new ones; how many, and the names of what is left out: links, special
    files, what leads outside, and what git would believe. Raises ToolError for too much, and what is there already."""
    written, left_out, room = 0, [], most_bytes
    for number, one in enumerate(archive.members(), 1):
        if number > MOST_FILES:
            raise ToolError(f"This archive has more than {MOST_FILES:,} entries; {written} files are unpacked.")
        name = _inside(one.name)
        if one.kind == "file" and name:
            room -= _copy(archive.open(one.name), at(name), room, most_bytes)
            written += 1
        elif one.kind != "folder":
            left_out.append(one.name)
    return written, left_out


def _inside(name: str) -> str:
    """The name as a path below the target, or nothing where it would lead outside or into git's own."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or {"..", ".git"} & {*path.parts} or (path.parts and ":" in path.parts[0]) or "\0" in name:
        return ""
    return str(path) if path.parts else ""


def _copy(content: IO[bytes], target: Place, room: int, most: int) -> int:
    """Write it and count its bytes, whatever its entry said about its size."""
    size = 0
    try:
        with content, os.fdopen(target.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL, make=True), "wb") as file:
            while piece := content.read(_PIECE):
                size += len(piece)
                if size > room:
                    raise ToolError(f"This archive unpacks to more than {most:,} bytes; it was stopped.")
                file.write(piece)
    except FileExistsError as error:
        raise ToolError(f"{target.shown} exists already; unpack into another folder.") from error
    except ToolError:
        target.remove()
        raise
    return size
