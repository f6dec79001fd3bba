"""What apsw and the operating system say went wrong, as our exceptions."""

from collections.abc import Callable, Sequence

import apsw

from portal.errors import DatabaseUnreadable, IndexDamaged, StorageError, StorageFull

_KINDS: Sequence[tuple[tuple[type[Exception], ...], Callable[[str], StorageError], str]] = (
    ((apsw.FullError,), StorageFull, "The disk is full, nothing was stored: {}"),
    (
        (apsw.NotADBError, apsw.CorruptError, apsw.FormatError, apsw.CantOpenError, apsw.PermissionsError),
        DatabaseUnreadable,
        "The database cannot be read: {}",
    ),
    ((apsw.ReadOnlyError, PermissionError, IsADirectoryError), DatabaseUnreadable, "The database is not writable: {}"),
    ((apsw.BusyError, apsw.LockedError), StorageError, "Another program keeps the database busy: {}"),
)


def translated(error: Exception) -> StorageError:
    """Our exception for one of apsw's or the operating system's."""
    if isinstance(error, OSError) and error.errno == 28:
        return StorageFull(f"The disk is full, nothing was stored: {error}")
    if getattr(error, "extendedresult", None) == apsw.SQLITE_IOERR_SHMSIZE:
        return StorageFull(f"The disk is full, nothing was stored: {error}")
    if getattr(error, "extendedresult", None) == apsw.SQLITE_CORRUPT_VTAB:
        return _because(IndexDamaged(f"An index of words is damaged: {error}"), error)
    for kinds, ours, words in _KINDS:
        if isinstance(error, kinds):
            return _because(ours(words.format(error)), error)
    return _because(StorageError(f"The database failed: {error}"), error)


def _because(ours: StorageError, error: Exception) -> StorageError:
    ours.__cause__ = error
    return ours
