"""The folder that backups go to by themselves: names, what is there and too old; what became of the last one."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import orjson

from portal.core.clock import now
from portal.errors import BackupUnusable
from portal.storage.backups.containers import SUFFIX, UNFINISHED, is_sealed, read_head
from portal.storage.backups.manifest import HEAD_NAME, Head

STATUS_NAME = "last-backup.json"
_OWN = re.compile(rf"portal-\d{{8}}-\d{{6}}{re.escape(SUFFIX)}")
"""Names that Portal gives; others it never deletes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """One backup; without a head it cannot be used, and `problem` says why."""

    path: Path
    size: int
    """Bytes; 0 of a folder."""
    sealed: bool = False
    head: Head | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a backup."""

    at: str
    """When it ended, UTC."""
    path: str
    error: str = ""
    """Why there is none; empty when all is well."""
    size: int = 0
    seconds: float = 0.0


def new_name() -> str:
    """For a backup that is made now."""
    return f"portal-{now():%Y%m%d-%H%M%S}{SUFFIX}"


def shelved(folder: Path) -> list[Shelved]:
    """Backups in a folder, the newest first. Raises OSError."""
    found = [one for one in folder.iterdir() if one.suffix == SUFFIX or (one / HEAD_NAME).is_file()]
    looked_at = [_look(one) for one in found]
    return sorted(looked_at, key=lambda one: (one.head.created_at if one.head else "", one.path.name), reverse=True)


def _look(path: Path) -> Shelved:
    size = path.stat().st_size if path.is_file() else 0
    try:
        return Shelved(path=path, size=size, sealed=is_sealed(path), head=read_head(path))
    except (BackupUnusable, OSError) as error:
        return Shelved(path=path, size=size, problem=str(error))


def newest_own(found: Sequence[Shelved]) -> datetime | None:
    """When the newest of those was made that Portal named itself; one from the future, of a clock that was wrong, says
    nothing."""
    made = [datetime.fromisoformat(one.head.created_at) for one in found if one.head and _OWN.fullmatch(one.path.name)]
    return max((one for one in made if one <= now()), default=None)


def prune(folder: Path, keep: int) -> Sequence[Path]:
    """Delete all but the newest of those that Portal named itself, and what was left of broken ones; what was deleted.

    For whoever makes them, while none is being made. Raises OSError.
    """
    there = list(folder.iterdir())
    own = sorted(one for one in there if _OWN.fullmatch(one.name))
    broken = [one for one in there if _OWN.fullmatch(one.name.removesuffix(UNFINISHED)) and one not in own]
    gone = [*own[:-keep], *broken]
    for one in gone:
        one.unlink()
    return gone


def note(data_dir: Path, outcome: Outcome) -> None:
    """Remember it, for `portal doctor` and the page. Raises OSError."""
    draft = data_dir / f"{STATUS_NAME}.unfinished"
    draft.write_bytes(orjson.dumps(asdict(outcome)))
    draft.chmod(0o600)
    draft.replace(data_dir / STATUS_NAME)


def last(data_dir: Path) -> Outcome | None:
    """What was remembered; nothing where none was made, or the file is not one of ours."""
    try:
        return Outcome(**orjson.loads((data_dir / STATUS_NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
