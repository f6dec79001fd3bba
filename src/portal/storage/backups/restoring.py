"""Put a backup in place as a data folder: unpacked and checked first, then moved in.

Everything happens within the data folder, so that it may be the root of a volume. `.restoring` stands in it meanwhile;
with it nothing opens the database, and whatever interrupted a restore, `finish` undoes or completes it:

- `new/` alone: nothing was moved yet.
- `leaving`: the earlier data is on its way into the folder that this file names. It goes back.
- `arriving`: all of that is there. The rest of `new/` is moved in.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import apsw

from portal.core.clock import now
from portal.errors import BackupUnusable, StorageError
from portal.storage.backups.checking import check_database, unpack
from portal.storage.backups.containers import place, stored
from portal.storage.backups.data_files import ASIDE, DATABASE_NAME, RESTORING, files_of, is_left_out
from portal.storage.backups.manifest import HEAD_NAME, MANIFEST_NAME, Manifest
from portal.storage.data_folder import lock_data_folder, make_private_folder
from portal.storage.sqlite_errors import translated

_STAYS = ("portal.lock", "backups", "models", "speech", RESTORING)
"""What a restore leaves where it is: no backup has it."""


def restore(backup: Path, data_dir: Path, password: str | None, *, force: bool) -> tuple[Manifest | None, Path | None]:
    """What was in the backup (nothing is known of a plain data folder), and where the data before it is, if any.

    Raises:
        BackupUnusable: the backup is not whole, or of a newer Portal; the data folder is as it was.
        DataFolderBusy: a server runs there.
        StorageError: there is data already and `force` was not said; or the disk is full, or not writable.
    """
    if not backup.exists():
        raise StorageError(f"There is no {backup}")
    if data_dir.exists() and not data_dir.is_dir():
        raise StorageError(f"{data_dir} is not a folder")
    try:
        with lock_data_folder(data_dir, f"a restore (process {os.getpid()})"):
            finish(data_dir)
            if _present(data_dir) and not force:
                raise StorageError(
                    f"There is data in {data_dir} already. With --force it is put aside first; else name a new folder."
                )
            return _restore(backup, data_dir, password)
    except (OSError, apsw.Error) as error:
        raise translated(error) from error


def set_right(data_dir: Path) -> None:
    """Undo or complete what an interrupted restore left. Raises DataFolderBusy and StorageError."""
    try:
        with lock_data_folder(data_dir, f"a restore (process {os.getpid()})"):
            finish(data_dir)
    except OSError as error:
        raise translated(error) from error


def finish(data_dir: Path) -> None:
    """Undo or complete what an interrupted restore left; for whoever has the folder's lock. Raises OSError."""
    draft = data_dir / RESTORING
    leaving, new = draft / "leaving", draft / "new"
    if leaving.exists():
        aside = data_dir / leaving.read_text(encoding="utf-8")
        if aside.exists():
            _move(aside.iterdir(), data_dir)
            aside.rmdir()
    elif (draft / "arriving").exists():
        _move(new.iterdir(), data_dir)
    if draft.exists():
        shutil.rmtree(draft)


def _restore(backup: Path, data_dir: Path, password: str | None) -> tuple[Manifest | None, Path | None]:
    draft = data_dir / RESTORING
    make_private_folder(draft / "new")
    try:
        manifest = _unpacked(backup, password, draft / "new")
        os.sync()
        earlier = _present(data_dir)
        aside = _aside(data_dir) if earlier else None
        if aside:
            (draft / "named").write_text(aside.name, encoding="utf-8")
            (draft / "named").rename(draft / "leaving")
            _move(earlier, aside)
            (draft / "leaving").rename(draft / "arriving")
        else:
            (draft / "arriving").touch()
        os.sync()
    finally:
        finish(data_dir)
        os.sync()
    return manifest, aside


def _move(paths: Iterable[Path], folder: Path) -> None:
    for path in list(paths):
        path.rename(folder / path.name)


def _aside(data_dir: Path) -> Path:
    """A new folder."""
    name, number = f"{ASIDE}{now():%Y%m%d-%H%M%S}", 0
    while (folder := data_dir / (f"{name}-{number}" if number else name)).exists():
        number += 1
    make_private_folder(folder)
    return folder


def _present(data_dir: Path) -> list[Path]:
    """What is in the way."""
    return [one for one in data_dir.iterdir() if one.name not in _STAYS and not one.name.startswith(ASIDE)]


def _unpacked(backup: Path, password: str | None, new: Path) -> Manifest | None:
    """None for a plain data folder, such as the backups of earlier versions and what a restore put aside."""
    if backup.is_dir() and not (backup / HEAD_NAME).exists() and not (backup / MANIFEST_NAME).exists():
        _copy_plain(backup, new)
        check_database(new / DATABASE_NAME, None)
        return None
    manifest = unpack(backup, password, new, keep=_belongs)
    check_database(new / DATABASE_NAME, manifest)
    return manifest


def _belongs(name: str) -> bool:
    """Not what no backup of ours has: it would be in the way of what stays, or be taken for the database's."""
    return name == DATABASE_NAME or not is_left_out(name.partition("/")[0])


def _copy_plain(folder: Path, new: Path) -> None:
    if not (folder / DATABASE_NAME).exists():
        raise BackupUnusable(f"{folder} is not a backup of Portal: it has neither a {HEAD_NAME} nor a {DATABASE_NAME}.")
    database = [(name, folder / name) for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal") if (folder / name).exists()]
    for name, path in [*database, *files_of(folder)]:
        if path.is_symlink():
            place(new, name).symlink_to(os.readlink(path))
            continue
        with path.open("rb", buffering=0) as source:
            status = os.fstat(source.fileno())
            stored(new, name, source, status.st_size, executable=bool(status.st_mode & 0o100))
    connection = apsw.Connection(str(new / DATABASE_NAME), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
