"""Leave nothing of what was deleted in a SQLite file.

`secure_delete` zeroes what is deleted, but not the copies that moving rows from page to page left behind in the unused
middle of pages; nor is the WAL empty. Those middles mean nothing to SQLite, so zeroing them can break nothing, whenever
it is interrupted; it is done while nobody can write and nothing is left in the WAL. All of it is done in steps: others
write between them.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apsw

ATTEMPTS = 20
"""How often a step is tried that others get in the way of."""
_READERS_MILLISECONDS = 40
"""How long to wait for readers: whoever empties the WAL keeps everybody else from writing meanwhile."""
_TREES = (2, 5, 10, 13)
_INNER = (2, 5)
_AT_ONCE = 256
"""Pages read in one piece."""
_LOOKED_AT = 4096
"""Pages looked at in one step."""
_ZEROED = 128
"""Pages zeroed in one step."""
_MOST = 2**25
"""From so many pages on, the first byte of a page that is no tree (of a page's number) may look like a tree's."""


class Scrubbing:
    """One pass over a file: `step` while `going`."""

    def __init__(self, connect: Callable[[], apsw.Connection], path: Path, vfs: str | None) -> None:
        """`connect` makes a connection that may write."""
        self._connect, self._path, self._vfs = connect, path, vfs
        self._next, self._soiled = 0, list[int]()
        self._tries = 0
        self.going, self.done = True, False
        """Whether there is more to do; whether nothing is left."""

    def step(self) -> None:
        """A few pages. Raises apsw.Error, OSError."""
        if self._next and not self._soiled:
            return self._look()
        connection = self._connect()
        try:
            emptied = _emptied(connection, self._path)
            if emptied and self._soiled and _zero(connection, self._path, self._vfs, self._soiled[:_ZEROED]):
                self._soiled = self._soiled[_ZEROED:]
                self._tries = 0
                _emptied(connection, self._path)
        finally:
            connection.close()
        if emptied and not self._next:
            return self._look()
        self._tries += 1
        self.going = self._tries <= ATTEMPTS

    def _look(self) -> None:
        file = _opened(self._path, self._vfs)
        try:
            count = file.xFileSize() // _page_size(file)
            last = min(self._next + _LOOKED_AT, count)
            self._soiled = list(_soiled(file, self._next, last)) if count < _MOST else []
        finally:
            file.xClose()
        self._next = last
        self._tries = 0
        self.done = last == count and not self._soiled
        self.going = not self.done


def _emptied(connection: apsw.Connection, path: Path) -> bool:
    """Whether nothing is left in the WAL; most of it is brought over while others write."""
    busy = connection.pragma("busy_timeout")
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    connection.set_busy_timeout(_READERS_MILLISECONDS)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.set_busy_timeout(busy)
    return not path.with_name(f"{path.name}-wal").stat().st_size


def _opened(path: Path, vfs: str | None) -> apsw.VFSFile:
    return apsw.VFSFile(vfs or "", str(path), [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE, 0])


def _zero(connection: apsw.Connection, path: Path, vfs: str | None, numbers: Sequence[int]) -> bool:
    """Whether it could be done: somebody may have written since the WAL was empty."""
    file = _opened(path, vfs)
    try:
        connection.execute("BEGIN IMMEDIATE")
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
        file.xClose()
    return True


def _soiled(file: apsw.VFSFile, start: int, end: int) -> Iterator[int]:
    """Pages (0-based) with something in their unused middle."""
    size = _page_size(file)
    for first in range(start, end, _AT_ONCE):
        read = file.xRead(size * min(_AT_ONCE, end - first), first * size)
        for at in range(0, len(read), size):
            if read[at] in _TREES or first + at == 0:
                number = first + at // size
                page = read[at : at + size]
                begin, over = _middle(page, number)
                if page.count(0, begin, over) != over - begin:
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
