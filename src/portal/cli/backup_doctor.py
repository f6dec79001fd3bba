"""Whether there is a backup, and a recent one where the settings want some."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from portal.cli.finding import Finding
from portal.cli.options import called_as
from portal.core.clock import now

if TYPE_CHECKING:
    from portal.settings import Settings
    from portal.storage.backups.shelf import Shelved

LATE = 2
"""So many times the wanted pause since the newest one is too long."""


def backup_findings(settings: "Settings") -> Iterator[Finding]:
    """Of the folder of backups, and of the last one that was tried."""
    from portal.storage.backups.data_files import RESTORING
    from portal.storage.backups.shelf import last

    if (settings.data_dir / RESTORING).exists():
        yield Finding("bad", "A restore was interrupted", f"{called_as()} restore --finish", "backup")
    outcome = last(settings.data_dir)
    if outcome is not None and outcome.error:
        mend = f"Mend that, then: {called_as()} backup FOLDER"
        yield Finding("bad", f"The last backup failed at {outcome.at[:16]}: {outcome.error}", mend, "backup")
    if settings.backup.folder is not None:
        yield _newest(settings)
    elif outcome is None and (settings.database or (settings.data_dir / "portal.db").exists()):
        yield Finding("note", "No backup was ever made", f"{called_as()} backup FOLDER", "backup")
    elif outcome is not None and not outcome.error:
        yield Finding("good", f"The last backup was made at {outcome.at[:16]}: {outcome.path}", check="backup")


def _newest(settings: "Settings") -> Finding:
    from portal.storage.backups.shelf import shelved

    folder = (settings.backup.folder or settings.data_dir).expanduser()
    try:
        found = [one for one in shelved(folder) if one.head and _made(one) <= now()] if folder.exists() else []
    except OSError as error:
        mend = f"Make '{folder}' readable for you, or name another in backup.folder"
        return Finding("bad", f"The folder of backups cannot be read: {error}", mend, "backup")
    if not found:
        return Finding("note", f"There is no backup in {folder} yet; a running Portal makes one every "
                       f"{settings.backup.every:g} hours")  # fmt: skip
    made = max(map(_made, found))
    late = now() - made > LATE * timedelta(hours=settings.backup.every)
    return Finding(
        "bad" if late else "good",
        f"The newest backup in {folder} is of {made:%Y-%m-%d %H:%M} UTC"
        + (", which is too old" if late else f"; {len(found)} are there"),
        f"Have Portal run: {called_as()} up; if it does, why is in: {called_as()} logs",
        "backup",
    )


def _made(one: "Shelved") -> datetime:
    return datetime.fromisoformat(one.head.created_at) if one.head else now()
