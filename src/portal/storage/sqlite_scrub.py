"""Leave nothing of what was deleted in a SQLite file.

`secure_delete` zeroes what is deleted, but not the copies that moving rows from page to page left behind in the unused
middle of pages; nor is the WAL empty. Those middles mean nothing to SQLite, so zeroing them can break nothing, whenever
it is interrupted; it is done while nobody can write and nothing is left in the WAL.
"""

from collections.abc import Iterator
from pathlib import Path

import apsw

ATTEMPTS = 5
_READERS_MILLISECONDS = 200
"""How long to wait for readers: whoever empties the WAL keeps everybody else from writing meanwhile."""
_TREES = (2, 5, 10, 13)
_INNER = (2, 5)
_AT_ONCE = 256
"""Pages read in one piece."""
_MOST = 2**25
"""From so many pages on, the first byte of a page that is no tree (of a page's number) may look like a tree's."""


def scrub(connection: apsw.Connection, path: Path, vfs: str | None, busy_milliseconds: int) -> None:
    """Raises apsw.Error. The connection is one of the caller's own, and may write."""
    for _ in range(ATTEMPTS):
        connection.set_busy_timeout(_READERS_MILLISECONDS)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.set_busy_timeout(busy_milliseconds)
        file = apsw.VFSFile(vfs or "", str(path), [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE, 0])
        try:
            soiled = list(_soiled(file))
            if not soiled or _zero(connection, file, path, soiled):
                return
        finally:
            file.xClose()


def _zero(connection: apsw.Connection, file: apsw.VFSFile, path: Path, numbers: list[int]) -> bool:
    """Whether it could be done: somebody may have written since the WAL was empty."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if path.with_name(f"{path.name}-wal").stat().st_size:
            return False
        size = _page_size(file)
        for number in numbers:
            start, end = _middle(file.xRead(size, number * size), number)
            file.xWrite(bytes(end - start), number * size + start)
        file.xSync(apsw.SQLITE_SYNC_FULL)
        # A commit, for whoever has these pages in memory to read them again.
        (version,) = connection.execute("PRAGMA user_version").fetchall()[0]
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return True


def _soiled(file: apsw.VFSFile) -> Iterator[int]:
    """Pages (0-based) with something in their unused middle."""
    size = _page_size(file)
    count = file.xFileSize() // size
    for first in range(0, count if count < _MOST else 0, _AT_ONCE):
        read = file.xRead(size * min(_AT_ONCE, count - first), first * size)
        for at in range(0, len(read), size):
            if read[at] in _TREES or first + at == 0:
                number = first + at // size
                page = read[at : at + size]
                start, end = _middle(page, number)
                if page.count(0, start, end) != end - start:
                    yield number


def _page_size(file: apsw.VFSFile) -> int:
    size = int.from_bytes(file.xRead(2, 16), "big")
    return 65536 if size == 1 else size


def _middle(page: bytes, number: int) -> tuple[int, int]:
    """From the end of a tree page's list of cells to its first cell; nothing of any other page."""
    head = 0 if number else 100
    if page[head] not in _TREES:
        return 0, 0
    start = head + (12 if page[head] in _INNER else 8) + 2 * int.from_bytes(page[head + 3 : head + 5], "big")
    end = int.from_bytes(page[head + 5 : head + 7], "big") or 65536
    return (start, end) if start <= end <= len(page) else (0, 0)
