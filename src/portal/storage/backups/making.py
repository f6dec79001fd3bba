"""Make a backup of a data folder, also beside a running server; half a one never looks like a whole one."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from portal import __version__
from portal.core.clock import now
from portal.errors import PortalError, StorageError
from portal.settings import Settings
from portal.storage.backups.checking import check_backup
from portal.storage.backups.containers import SUFFIX, UNFINISHED, Writer, add_manifest, writing
from portal.storage.backups.data_files import DATABASE_NAME, KEY_NAME, data_files
from portal.storage.backups.manifest import FileEntry, Head, Manifest
from portal.storage.backups.sqlite_frozen import Frozen, frozen
from portal.storage.data_folder import flush
from portal.storage.sqlite_errors import translated

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a backup is to be."""

    target: Path
    """A new folder, or a new file whose name ends in .portal-backup."""
    password: str | None = None
    secrets: bool = False
    """With the API keys of other servers."""
    key: bytes | None = None
    """The sealing key, where the data folder does not have it; only under a password."""


def make_backup(settings: Settings, wanted: Wanted) -> Manifest:
    """Write it; not yet read back, which `verify_backup` does. Only in a process that has the database open nowhere.

    Raises:
        StorageError: nothing is left of it.
        NotInstalled: a password needs an extra that is not there.
    """
    target = wanted.target.absolute()
    folder = target.suffix != SUFFIX
    _refuse(settings, target, folder=folder, password=wanted.password)
    draft = target.with_name(target.name + UNFINISHED)
    try:
        _remove(draft)
        with _database(settings, wanted) as held:
            head = Head(portal=__version__, schema=held.schema, created_at=now().isoformat(timespec="seconds"))
            with writing(draft, head, wanted.password, folder=folder) as writer:
                manifest = _fill(writer, settings, wanted, held, head)
        draft.rename(target)
        flush(target.parent)
    except OSError as error:
        raise StorageError(f"The backup could not be written: {error}") from error
    finally:
        _remove(draft)
    return manifest


def verify_backup(target: Path, password: str | None, scratch: Path) -> Manifest:
    """Read back what was written and open the database in it, a copy of which is put into `scratch` where need be.

    Raises:
        BackupUnusable: it is not whole.
        StorageError: it cannot be read.
    """
    try:
        return check_backup(target, password, scratch)
    except OSError as error:
        raise translated(error) from error


@contextmanager
def _database(settings: Settings, wanted: Wanted) -> Iterator[Frozen]:
    if not settings.database:
        with frozen(settings.data_dir / DATABASE_NAME) as held:
            yield held
        return
    from portal.storage.backups.postgres_frozen import copied_out

    with copied_out(settings.database, settings.data_dir, secrets=wanted.secrets) as path, frozen(path) as held:
        yield held


def _refuse(settings: Settings, target: Path, *, folder: bool, password: str | None) -> None:
    if not settings.database and not (settings.data_dir / DATABASE_NAME).exists():
        raise StorageError(f"There is no database in {settings.data_dir}")
    if target.exists():
        raise StorageError(f"{target} exists already; name a new one")
    if folder and password:
        raise PortalError(f"Only a backup that is one file can have a password; let its name end in {SUFFIX}")


def _fill(writer: Writer, settings: Settings, wanted: Wanted, held: Frozen, head: Head) -> Manifest:
    """The database first: what else is there is then at least as new."""
    files: dict[str, FileEntry] = {DATABASE_NAME: writer.add(DATABASE_NAME, held.file, held.size)}
    links: dict[str, str] = {}
    if wanted.key is not None:
        files[KEY_NAME] = writer.add(KEY_NAME, BytesIO(wanted.key), len(wanted.key))
    for name, path in data_files(settings, secrets=wanted.secrets, key=wanted.key is None):
        try:
            if path.is_symlink():
                links[name] = os.readlink(path)
                continue
            with path.open("rb", buffering=0) as source:
                status = os.fstat(source.fileno())
                files[name] = writer.add(name, source, status.st_size, executable=bool(status.st_mode & 0o100))
        except FileNotFoundError:
            log.info("%s went while the backup was made", name)
    for name, target in links.items():
        writer.link(name, target)
    manifest = Manifest(head=head, secrets=wanted.secrets, rows=held.rows, files=files, links=links)
    add_manifest(writer, manifest)
    return manifest


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft)
    elif os.path.lexists(draft):  # else its folder may be none, which unlink() would tell as an error of its own
        draft.unlink(missing_ok=True)
