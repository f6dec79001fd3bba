"""An export as it comes: a zip, or one file. Files in it are read by name, within bounds, and never unpacked to a path:
what a name says matters to nobody."""

import io
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import quote

from portal.errors import BadRequest

if TYPE_CHECKING:
    import apsw

MOST_MEMBERS = 200_000
LARGEST_DIRECTORY = 64 * 2**20
"""Bytes of the list of what a zip holds, which is read at once."""
LARGEST_TEXT = 8 * 2**30
"""Bytes that one list of conversations may unpack to; it is read a piece at a time."""
LARGEST_FILE = 512 * 2**20
"""Bytes that a picture or document may unpack to."""
LARGEST_ROW = 2**27
"""Bytes of one row of a database."""
_MOST_PACKED = 1100
"""Deflate makes a thousandth of what it is given at the very best."""
_END = b"PK\x05\x06"
_END_SIZE = 22
_LONGEST_COMMENT = 65_535
SQLITE = b"SQLite format 3\0"
UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError, OSError)


class Archive:
    """One upload. Use it as a context, in one thread at a time."""

    def __init__(self, path: Path, filename: str) -> None:
        """Raises BadRequest for a zip that is damaged, or holds more than is read."""
        self.path, self.filename = path, filename
        self.size = path.stat().st_size
        with path.open("rb") as file:
            self.head = file.read(16)
        self._zip: zipfile.ZipFile | None = None
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self._short: dict[str, str] = {}
        self._reading: list[_Counted] = []
        self._rows = 0
        if self.head[:2] == b"PK":
            self._open_zip()

    def _open_zip(self) -> None:
        if _directory(self.path, self.size) > LARGEST_DIRECTORY:
            raise BadRequest("The zip lists more files than an export has.", code="invalid_file")
        try:
            self._zip = zipfile.ZipFile(self.path)
        except (*UNREADABLE, ValueError) as error:
            raise BadRequest(f"The zip is damaged: {error}. Fetch the export again.", code="invalid_file") from error
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        if len(infos) > MOST_MEMBERS:
            raise BadRequest(f"The zip holds more than {MOST_MEMBERS:,} files.", code="invalid_file")
        self._infos = {info.filename: info for info in infos}
        for name in self._infos:
            self._short.setdefault(PurePosixPath(name).name, name)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()

    @property
    def is_zip(self) -> bool:
        """Whether it is one."""
        return self._zip is not None

    @property
    def is_database(self) -> bool:
        """Whether it is an SQLite database."""
        return self.head == SQLITE

    @property
    def progress(self) -> float:
        """How much of it has been read, 0 to 1, as far as that can be told."""
        total = sum(info.file_size for info in self._infos.values() if info.filename.endswith((".json", ".jsonl")))
        return min(self.count / max(total or self.size, 1), 1.0)

    @property
    def count(self) -> int:
        """Bytes that have been read, unpacked."""
        return self._rows + sum(one.count for one in self._reading)

    def count_row(self, size: int) -> None:
        """So many bytes of the database have been read."""
        self._rows += size

    def names(self) -> Sequence[str]:
        """Of all files in it, in the order they were packed; of a single file its own."""
        return list(self._infos) if self._zip is not None else [self.filename]

    def find(self, name: str) -> str | None:
        """The file that is called so, in whichever folder of the zip."""
        return self._short.get(name)

    def size_of(self, name: str) -> int:
        """Bytes, unpacked."""
        return self._infos[name].file_size if name in self._infos else self.size

    @contextmanager
    def open(self, name: str, largest: int = LARGEST_TEXT) -> Iterator[BinaryIO]:
        """A file to be read. Raises BadRequest where it is not there, encrypted, damaged, or packed too tightly to be
        what it says."""
        if self._zip is None:
            with self.path.open("rb") as file:
                yield self._counted(file)
            return
        info = self._infos.get(name)
        if info is None:
            raise BadRequest(f"There is no {name!r} in the zip.", code="invalid_file")
        if info.flag_bits & 1:
            raise BadRequest("The zip is encrypted: save it without a password.", code="invalid_file")
        if info.file_size > largest or info.file_size > max(info.compress_size, 2**10) * _MOST_PACKED:
            raise BadRequest(
                f"{name} would unpack to {info.file_size:,} bytes, so it is not read.", code="invalid_file"
            )
        try:
            with self._zip.open(info) as member:
                yield self._counted(cast(BinaryIO, member))
        except UNREADABLE as error:
            raise BadRequest(f"{name} in the zip is damaged: {error}.", code="invalid_file") from error

    def _counted(self, file: BinaryIO) -> BinaryIO:
        counted = _Counted(file)
        self._reading.append(counted)
        return cast(BinaryIO, counted)

    def read(self, name: str, largest: int) -> bytes:
        """A whole file. Raises BadRequest."""
        with self.open(name, largest) as file:
            return file.read(largest + 1)

    @contextmanager
    def database(self) -> "Iterator[apsw.Connection]":
        """The SQLite database that the file is, to be read only, and with nothing in it believed. Raises BadRequest."""
        import apsw

        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(f"file:{quote(str(self.path.absolute()))}?mode=ro&immutable=1", flags=flags)
        try:
            for rule in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
                connection.execute(f"PRAGMA {rule}")
            connection.limit(apsw.SQLITE_LIMIT_LENGTH, LARGEST_ROW)
            yield connection
        except apsw.Error as error:
            raise BadRequest(f"The database cannot be read: {error}.", code="invalid_file") from error
        finally:
            connection.close()


class _Counted(io.RawIOBase):
    """A file that knows how much of it was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """See BinaryIO."""
        data = self._file.read(size)
        self.count += len(data)
        return data


def _directory(path: Path, size: int) -> int:
    """How long a zip's list of files says it is: it is looked at before anything reads it."""
    with path.open("rb") as file:
        file.seek(max(size - _END_SIZE - _LONGEST_COMMENT, 0), os.SEEK_SET)
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_SIZE:
        return 0
    (length,) = struct.unpack_from("<L", tail, at + 12)
    if length != 0xFFFFFFFF:
        return int(length)
    locator = tail.rfind(b"PK\x06\x06", 0, at)
    if locator < 0 or len(tail) < locator + 56:
        return 0
    return int(struct.unpack_from("<Q", tail, locator + 40)[0])
