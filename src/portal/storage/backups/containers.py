"""The two forms of a backup, written and read as a stream of named files: a folder, or one file.

The one file is a plain tar that any program unpacks, or that tar sealed under a password.
"""

import hashlib
import logging
import os
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, cast

from portal.errors import BackupUnusable
from portal.storage.backups.manifest import (
    HEAD_NAME,
    MANIFEST_NAME,
    FileEntry,
    Head,
    Manifest,
    changed,
    cut_short,
    decoded_head,
    encoded_head,
)
from portal.storage.backups.sealing import MAGIC, Opener, Sealer, sealed_head
from portal.storage.data_folder import make_private_file, make_private_folder

log = logging.getLogger(__name__)

SUFFIX = ".portal-backup"
"""Of backups that are one file."""
UNFINISHED = ".unfinished"
"""Of what is still being made."""
AT_ONCE = 2**20
_LONGEST_HEAD = 2**16


def copied(source: BinaryIO, size: int, write: Callable[[memoryview], int]) -> FileEntry:
    """Exactly so many bytes: of a file that grows meanwhile no more, of one that shrinks the rest as zeros.

    Each piece is hashed in a thread beside while it is written.
    """
    buffer, digest, left = memoryview(bytearray(min(AT_ONCE, size))), hashlib.sha256(), size
    read_into: Callable[[memoryview], int] = source.readinto  # type: ignore[attr-defined]
    with ThreadPoolExecutor(1, thread_name_prefix="portal-hash") as beside:
        while left:
            piece = buffer[: min(left, AT_ONCE)]
            _fill(piece, read_into)
            hashing = beside.submit(digest.update, piece)
            written = 0
            while written < len(piece):
                written += write(piece[written:])
            hashing.result()
            left -= len(piece)
    return FileEntry(size, digest.hexdigest())


def _fill(piece: memoryview, read_into: Callable[[memoryview], int]) -> None:
    filled = 0
    while filled < len(piece):
        count = read_into(piece[filled:])
        if not count:
            log.warning("a file became shorter while it was copied; the rest of it is zeros")
            piece[filled:] = bytes(len(piece) - filled)
            return
        filled += count


class Writer(Protocol):
    """Takes what goes into a backup."""

    def add(self, name: str, source: BinaryIO, size: int, *, executable: bool = False) -> FileEntry:
        """Store so many bytes of `source` under a path with `/`."""

    def link(self, name: str, target: str) -> None:
        """Store a symbolic link."""


class FolderWriter:
    """Into a folder of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        make_private_folder(root)

    def add(self, name: str, source: BinaryIO, size: int, *, executable: bool = False) -> FileEntry:
        """See Writer."""
        return stored(self._root, name, source, size, executable=executable)

    def link(self, name: str, target: str) -> None:
        """See Writer."""
        place(self._root, name).symlink_to(target)


def stored(root: Path, name: str, source: BinaryIO, size: int, *, executable: bool, durable: bool = True) -> FileEntry:
    """A new private file below `root`, durable."""
    path = place(root, name)
    make_private_file(path)
    with path.open("wb", buffering=0) as file:
        entry = copied(source, size, file.write)
        if executable:
            path.chmod(0o700)
        if durable:
            os.fsync(file.fileno())
    return entry


def place(root: Path, name: str) -> Path:
    """Where it belongs below `root`; the folders on the way there are made, private."""
    path = root / name
    for folder in reversed(path.relative_to(root).parents):
        make_private_folder(root / folder)
    return path


class _Whole:
    """A file that is written without a buffer: all of what is handed over, or an error where the disk is full."""

    def __init__(self, file: FileIO) -> None:
        self._file, self.tell = file, file.tell

    def write(self, data: bytes | memoryview) -> int:
        """All of it. Raises OSError."""
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        return len(data)


class TarWriter:
    """Into one stream."""

    def __init__(self, tar: tarfile.TarFile, stream: BinaryIO) -> None:
        """`tar` writes to the stream."""
        self._tar, self._stream = tar, stream

    def add(self, name: str, source: BinaryIO, size: int, *, executable: bool = False) -> FileEntry:
        """See Writer."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o700 if executable else 0o600
        self._tar.addfile(member)
        entry = copied(source, size, self._content)
        if padding := -size % tarfile.BLOCKSIZE:
            self._content(memoryview(bytes(padding)))
        return entry

    def _content(self, data: memoryview) -> int:
        """Past the tar, which would read it in small pieces."""
        count = self._stream.write(data)
        self._tar.offset += count
        return count

    def link(self, name: str, target: str) -> None:
        """See Writer."""
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(member)


@contextmanager
def writing(draft: Path, head: Head, password: str | None, *, folder: bool) -> Iterator[Writer]:
    """A writer of a new backup at `draft`, which is durable and whole once the context is left without an error.

    Raises NotInstalled (a password without its extra) and OSError.
    """
    if folder:
        writer = FolderWriter(draft)
        _small(writer, HEAD_NAME, encoded_head(head))
        yield writer
        return
    make_private_folder(draft.parent)
    make_private_file(draft)
    with draft.open("wb", buffering=0) as file:
        sealer = Sealer(_Whole(file), head, password) if password else None
        stream = cast(BinaryIO, sealer or _Whole(file))
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            packing = TarWriter(tar, stream)
            _small(packing, HEAD_NAME, encoded_head(head))
            yield packing
        if sealer:
            sealer.close()
        os.fsync(file.fileno())


def _small(writer: Writer, name: str, content: bytes) -> None:
    writer.add(name, BytesIO(content), len(content))


def add_manifest(writer: Writer, manifest: Manifest) -> None:
    """The last thing that is written."""
    _small(writer, MANIFEST_NAME, manifest.encoded())


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a backup: a file that is to be read before the next entry is asked for, or a link."""

    name: str
    size: int
    source: BinaryIO | None
    link: str | None = None
    executable: bool = False


def is_sealed(path: Path) -> bool:
    """Whether reading this needs a password. Raises OSError."""
    if path.is_dir():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_head(path: Path) -> Head:
    """What a backup says at its beginning. Raises BackupUnusable and OSError."""
    if path.is_dir():
        head = path / HEAD_NAME
        if not head.exists():
            raise BackupUnusable(f"{path} is not a backup of Portal: it has no {HEAD_NAME}.")
        return decoded_head(head.read_bytes())
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            file.seek(0)
            return sealed_head(file)
    with reading(path, None) as entries:
        return _first(path, entries)


def _first(path: Path, entries: Iterator[Entry]) -> Head:
    for entry in entries:
        if entry.name == HEAD_NAME and entry.source and entry.size < _LONGEST_HEAD:
            return decoded_head(entry.source.read(entry.size))
        break
    raise BackupUnusable(f"{path} is not a backup of Portal.")


def reading(path: Path, password: str | None) -> AbstractContextManager[Iterator[Entry]]:
    """Everything in a backup, in order. Raises BackupUnusable, also while it is read, NotInstalled and OSError."""
    return _folder(path) if path.is_dir() else _file(path, password)


@contextmanager
def _folder(path: Path) -> Iterator[Iterator[Entry]]:
    yield _of_folder(path)


def _of_folder(root: Path) -> Iterator[Entry]:
    found = sorted(one for one in root.rglob("*") if one.is_symlink() or not one.is_dir())
    for one in sorted(found, key=lambda each: each == root / MANIFEST_NAME):
        name = one.relative_to(root).as_posix()
        if one.is_symlink():
            yield Entry(name, 0, None, link=os.readlink(one))
            continue
        with one.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            yield Entry(name, status.st_size, cast(BinaryIO, file), executable=bool(status.st_mode & 0o100))


@contextmanager
def _file(path: Path, password: str | None) -> Iterator[Iterator[Entry]]:
    with path.open("rb", buffering=AT_ONCE) as file:
        stream: BinaryIO = file
        mode: Literal["r|", "r:"] = "r:"
        if file.read(len(MAGIC)) == MAGIC:
            if not password:
                raise BackupUnusable("This backup is under a password; name a file with it by --password-file.")
            stream, mode = cast(BinaryIO, Opener(_rewound(stream), password)), "r|"
        else:
            file.seek(0)
        try:
            with tarfile.open(fileobj=stream, mode=mode, bufsize=AT_ONCE) as tar:
                yield _of_tar(tar)
        except tarfile.ReadError as error:
            raise cut_short() if "end of data" in str(error) else _no_tar(path, error) from error
        except tarfile.TarError as error:
            raise changed(str(error)) from error


def _rewound(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file


def _no_tar(path: Path, error: Exception) -> BackupUnusable:
    return BackupUnusable(f"{path} is not a backup of Portal, or it was damaged ({error}).")


def _of_tar(tar: tarfile.TarFile) -> Iterator[Entry]:
    for member in tar:
        if member.issym():
            yield Entry(member.name, 0, None, link=member.linkname)
        elif member.isfile():
            source = cast(BinaryIO, tar.extractfile(member))
            yield Entry(member.name, member.size, source, executable=bool(member.mode & 0o100))
        else:
            raise changed(f"{member.name} is neither a file nor a link")
