"""What of a data folder goes into a backup, beside the database: everything but what is made or fetched anew."""

import fnmatch
import os
from collections.abc import Iterator, Set
from pathlib import Path

from portal.settings import Settings

DATABASE_NAME = "portal.db"
CONFIG_NAME = "portal.toml"
SECRETS_NAME = "secrets.json"
KEY_NAME, KEY_ELSEWHERE = "seal.key", "seal.keyring"
"""The sealing key, or the mark that a keyring has it."""

ASIDE = "before-restore-"
"""Beginning of the name of the folder that keeps what a restore replaced."""
RESTORING = ".restoring"
"""What a restore is putting together; it stands in a data folder only while one is under way, or was interrupted."""

LEFT_OUT = (
    f"{DATABASE_NAME}*",
    "portal.lock",
    "portal.log*",
    "server.json*",
    "last-backup.json",
    "backups",
    "models",
    "speech",
    f"{ASIDE}*",
    RESTORING,
    "*.unfinished",
)
"""Patterns of names at the top of the data folder."""


def data_files(settings: Settings, *, secrets: bool, key: bool = True) -> Iterator[tuple[str, Path]]:
    """Path in the data folder, and where it is: files and symbolic links, in order of their names. `key` says whether
    what tells of the sealing key is among them."""
    root, skipped = settings.data_dir, _elsewhere(settings)
    if settings.config is not None and settings.config.is_file():
        yield CONFIG_NAME, settings.config
        skipped.add(root / CONFIG_NAME)
    if not secrets:
        skipped.add(root / SECRETS_NAME)
    if not key:
        skipped |= {root / KEY_NAME, root / KEY_ELSEWHERE}
    yield from files_of(root, skipped)


def files_of(root: Path, skipped: Set[Path] = frozenset()) -> Iterator[tuple[str, Path]]:
    """The same of any data folder; without the database."""
    for path in sorted(root.iterdir()):
        if not is_left_out(path.name):
            yield from ((one.relative_to(root).as_posix(), one) for one in _below(path, skipped))


def is_left_out(name: str) -> bool:
    """Of what stands at the top of the data folder."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in LEFT_OUT)


def _elsewhere(settings: Settings) -> set[Path]:
    """Folders that the settings name, which may be in the data folder: models, and the backups themselves."""
    named = (settings.embedded.models_dir, settings.backup.folder)
    return {path.expanduser().absolute() for path in named if path is not None}


def _below(path: Path, skipped: Set[Path]) -> Iterator[Path]:
    """Regular files and links, never what a link leads to."""
    if path in skipped:
        return
    if path.is_symlink() or path.is_file():
        yield path
    elif path.is_dir():
        for one in sorted(os.listdir(path)):
            yield from _below(path / one, skipped)
