"""Whether a backup is whole: each file against its checksum, and the database opened and gone through."""

import shutil
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

import apsw

from portal.core.clock import micros
from portal.errors import BackupUnusable
from portal.storage.backups.containers import UNFINISHED, Entry, copied, place, read_head, reading, stored
from portal.storage.backups.data_files import DATABASE_NAME
from portal.storage.backups.manifest import (
    HEAD_NAME,
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    changed,
    cut_short,
    decoded_head,
    decoded_manifest,
)
from portal.storage.backups.sqlite_frozen import row_counts
from portal.storage.migrate import packaged
from portal.storage.sqlite import APPLICATION_ID

_LONGEST_LIST = 2**28
PREFIX = "backup-"
"""Of folders in which a database is unpacked or copied."""
_DAY = 86_400_000_000

Keep = Callable[[str], bool]
"""Whether a file is to be written, by its path."""


def check_backup(path: Path, password: str | None, scratch: Path) -> Manifest:
    """Everything in it, without leaving anything; its database is unpacked into `scratch` where it is not a file.

    Raises BackupUnusable and OSError.
    """
    if path.is_dir():
        manifest = unpack(path, None, None, keep=lambda name: False)
        check_database(path / DATABASE_NAME, manifest)
        return manifest
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep(scratch)
    folder = Path(mkdtemp(prefix=PREFIX, suffix=UNFINISHED, dir=scratch))
    try:
        manifest = unpack(path, password, folder, keep=lambda name: name == DATABASE_NAME, durable=False)
        check_database(folder / DATABASE_NAME, manifest)
    finally:
        shutil.rmtree(folder)
    return manifest


def sweep(scratch: Path) -> None:
    """What was left by a check or a copy that was killed yesterday or before."""
    for folder in scratch.glob(f"{PREFIX}*{UNFINISHED}"):
        if micros() - folder.stat().st_mtime_ns // 1000 > _DAY:
            shutil.rmtree(folder)


def unpack(
    path: Path, password: str | None, folder: Path | None, *, keep: Keep = lambda name: True, durable: bool = True
) -> Manifest:
    """Read a whole backup and compare it with its list; write the files that `keep` wants below `folder`.

    Raises BackupUnusable, also for what a newer Portal made before anything is written, NotInstalled and OSError.
    """
    if read_head(path).schema > packaged("sqlite")[-1].version:
        raise BackupUnusable(
            f"This backup was made by Portal {read_head(path).portal}, which is newer than this one. "
            "Update Portal, then restore."
        )
    found: dict[str, FileEntry] = {}
    links: dict[str, str] = {}
    manifest = None
    with reading(path, password) as entries:
        for entry in entries:
            if manifest is not None:
                raise changed("there is something after its end")
            if entry.name == MANIFEST_NAME:
                manifest = decoded_manifest(_whole(entry))
            elif entry.link is not None:
                links[entry.name] = entry.link
            elif entry.name == HEAD_NAME:
                decoded_head(_whole(entry))
            else:
                found[entry.name] = _one(entry, folder if keep(entry.name) else None, durable)
    if manifest is None:
        raise cut_short()
    _compare(manifest, found, links)
    if folder is not None:
        _link(folder, {name: target for name, target in links.items() if keep(name)})
    return manifest


def _whole(entry: Entry) -> bytes:
    if entry.source is None or entry.size > _LONGEST_LIST:
        raise changed(f"{entry.name} is no list")
    return entry.source.read(entry.size)


def _one(entry: Entry, folder: Path | None, durable: bool) -> FileEntry:
    source = entry.source or BytesIO()
    if not _within(entry.name):
        raise changed(f"the name {entry.name!r} leads elsewhere")
    if folder is None:
        return copied(source, entry.size, len)
    return stored(folder, entry.name, source, entry.size, executable=entry.executable, durable=durable)


def _compare(manifest: Manifest, found: Mapping[str, FileEntry], links: Mapping[str, str]) -> None:
    for name, entry in manifest.files.items():
        if name not in found:
            raise changed(f"{name} is missing")
        if found[name] != entry:
            raise changed(f"{name} is not as it was")
    if stray := found.keys() - manifest.files.keys():
        raise changed(f"{min(stray)} was put in")
    if links != manifest.links:
        raise changed("its links are not as they were")


def _link(folder: Path, links: Mapping[str, str]) -> None:
    """Last, so that nothing was written through one of them."""
    for name, target in links.items():
        if not _within(name) or any((folder / parent).is_symlink() for parent in PurePosixPath(name).parents):
            raise changed(f"the name {name!r} leads elsewhere")
        place(folder, name).symlink_to(target)


def _within(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and "\0" not in name


def check_database(path: Path, manifest: Manifest | None) -> int:
    """Go through a database that nobody uses, without changing it; its schema. With a manifest, count its rows.

    Raises BackupUnusable.
    """
    try:
        connection = apsw.Connection(
            f"file:{_quoted(path)}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
        try:
            return _checked(connection, manifest)
        finally:
            connection.close()
    except apsw.Error as error:
        raise changed(f"the database in it cannot be read ({error})") from error


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _checked(connection: apsw.Connection, manifest: Manifest | None) -> int:
    schema = int(connection.pragma("user_version"))
    if connection.pragma("application_id") != APPLICATION_ID:
        raise changed("the database in it is of another program")
    for (finding,) in connection.execute("PRAGMA integrity_check(1)"):
        if finding != "ok":
            raise changed(f"the database in it is damaged ({finding})")
    for table, *_ in connection.execute("PRAGMA foreign_key_check"):
        raise changed(f"rows of {table} point at nothing")
    if manifest is not None and (schema, row_counts(connection)) != (manifest.head.schema, manifest.rows):
        raise changed("the database in it has other rows than were counted")
    return schema
