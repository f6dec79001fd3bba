"""What a backup says of itself: a head at its beginning, and at its very end a list of everything in it.

Both are JSON. A backup without the list was cut short; whatever does not fit the list was changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from portal.errors import BackupUnusable

FORMAT = 1
"""Of backups as this Portal writes them; higher ones it does not read."""
HEAD_NAME = "portal-backup.json"
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Readable without the password."""

    portal: str
    """Version that made it."""
    schema: int
    """Of the database in it; 0 when it holds none."""
    created_at: str
    """UTC, such as 2026-11-26T21:30:00+00:00."""
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Size in bytes, SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that is in a backup."""

    head: Head
    secrets: bool
    """Whether the API keys of other servers are in it."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Of each table of the database."""
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    """By path in the data folder, with `/`."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links, by path, and where they point."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())

    def encoded(self) -> bytes:
        """As JSON."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def encoded_head(head: Head) -> bytes:
    """As JSON."""
    return orjson.dumps(head)


def decoded_head(content: bytes) -> Head:
    """Raises BackupUnusable: it is no head, or one of a newer Portal."""
    try:
        read = orjson.loads(content)
        head = Head(**{name: read[name] for name in ("portal", "schema", "created_at", "format")})
    except (ValueError, KeyError, TypeError) as error:
        raise BackupUnusable(f"This is not a backup of Portal, or its beginning is damaged ({error}).") from error
    if not isinstance(head.format, int) or not isinstance(head.schema, int) or head.format > FORMAT:
        raise BackupUnusable(
            f"This backup was made by Portal {head.portal}, which is newer than this one. Update Portal, then restore."
        )
    return head


def decoded_manifest(content: bytes) -> Manifest:
    """Raises BackupUnusable: it is no manifest."""
    try:
        read: dict[str, Any] = orjson.loads(content)
        return Manifest(
            head=decoded_head(orjson.dumps(read["head"])),
            secrets=bool(read["secrets"]),
            rows={str(name): int(count) for name, count in read["rows"].items()},
            files={str(name): FileEntry(int(one["size"]), str(one["sha256"])) for name, one in read["files"].items()},
            links={str(name): str(target) for name, target in read["links"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise changed("its list of what is in it cannot be read") from error


def changed(what: str) -> BackupUnusable:
    """A backup that is not as it was made."""
    return BackupUnusable(f"This backup was changed or damaged: {what}. Nothing was put in place; use another backup.")


def cut_short() -> BackupUnusable:
    """A backup whose end is missing."""
    return BackupUnusable(
        "This backup was cut short: its end is missing. Nothing was put in place; copy it again, or use another one."
    )
