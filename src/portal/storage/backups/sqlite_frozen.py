"""A SQLite database held still while others go on writing, so that its file can be copied as fast as any file.

A reader that begins when everything in the WAL has been brought over reads the main file alone, and as long as it reads
no checkpoint may touch that file: what others commit meanwhile waits in the WAL.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import apsw

from portal.errors import StorageError
from portal.storage.sqlite_errors import translated

ATTEMPTS = 100
_PAUSE = 0.1
_BUSY_MILLISECONDS = 10_000

TABLES = """
SELECT name FROM pragma_table_list
WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"""
"""Those that hold what was said, without the ones that a virtual table keeps for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """How the database is, for as long as it is held."""

    file: BinaryIO
    """The main file, whole by itself."""
    size: int
    schema: int
    rows: Mapping[str, int]
    """Of each table."""


@contextmanager
def frozen(path: Path) -> Iterator[Frozen]:
    """Hold the database at `path`, in a process that has it open nowhere else: closing a file of one's own takes
    SQLite's locks on it away. Raises StorageError.
    """
    with path.open("rb", buffering=0) as file:  # closed last, for the same reason
        try:
            reader = _reader(path)
        except (apsw.Error, OSError) as error:
            raise translated(error) from error
        try:
            pages, page_size = reader.pragma("page_count"), reader.pragma("page_size")
            yield Frozen(
                file=cast(BinaryIO, file),
                size=pages * page_size,
                schema=reader.pragma("user_version"),
                rows=row_counts(reader),
            )
        finally:
            reader.close()


def row_counts(connection: apsw.Connection) -> dict[str, int]:
    """Of each table, by name."""
    names = [str(name) for (name,) in connection.execute(TABLES)]
    return {name: cast(int, connection.execute(f'SELECT COUNT(*) FROM "{name}"').get) for name in names}


def _reader(path: Path) -> apsw.Connection:
    """Reading since a moment at which the WAL held nothing that the file does not."""
    keeper, reader = _connected(path), _connected(path)
    try:
        for _ in range(ATTEMPTS):
            keeper.execute("PRAGMA wal_checkpoint(PASSIVE)")
            keeper.execute("BEGIN IMMEDIATE")  # nobody commits between the next two lines
            _, in_wal, brought_over = reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()[0]
            if in_wal == brought_over:
                reader.execute("BEGIN")
                reader.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()
                return reader
            keeper.execute("ROLLBACK")
            time.sleep(_PAUSE)  # somebody still reads an older state
        reader.close()
    finally:
        keeper.close()
    raise StorageError("The database is being read all the time; try again in a quieter moment.")


def _connected(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(_BUSY_MILLISECONDS)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection
