"""Zip archives, opened with bounds: how many files they hold and how much each one unpacks to."""

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator

from portal.errors import BadRequest

MOST_FILES = 10_000
LARGEST = 256 * 2**20
"""Bytes that one part of a document may unpack to."""
MOST = 512 * 2**20
"""Bytes that all that is read of an archive may unpack to."""


class Archive:
    """An archive's files by name. Raises BadRequest if it is none."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError) as error:
            raise damaged(error) from error
        self._infos = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
        self._room = MOST
        if len(self._infos) > MOST_FILES:
            raise BadRequest(
                f"It holds more than {MOST_FILES:,} files: unpack it and add a folder.", code="invalid_file"
            )

    def names(self) -> Iterator[str]:
        """In the order they were packed."""
        yield from self._infos

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self._infos

    def read(self, name: str, largest: int = LARGEST) -> bytes:
        """One file. Raises BadRequest when it is missing, damaged, encrypted or too large."""
        info = self._infos.get(name)
        if info is None:
            raise damaged(f"it has no {name}")
        if info.flag_bits & 1:
            raise BadRequest("It is encrypted: save it without a password and add it again.", code="invalid_file")
        room = min(largest, self._room)
        if info.file_size > room:  # no more than it says there is ever unpacked
            raise BadRequest(f"It unpacks to more than {room:,} bytes, so it was not read.", code="invalid_file")
        try:
            data = self._zip.read(info)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, ValueError, OSError) as error:
            raise damaged(error) from error
        self._room -= len(data)
        return data


def damaged(what: object) -> BadRequest:
    """The error for a file that is not what it should be."""
    return BadRequest(f"The file is damaged ({what}): open it and save it again.", code="invalid_file")
