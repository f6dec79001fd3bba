"""Backups that a running server makes: by itself as the settings say, and when it is asked. Each is made by a process
of its own, see `storage/backups/sqlite_frozen.py`; so it also takes no memory and no time of this one."""

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

from portal.core.clock import now
from portal.core.items import JsonObject
from portal.errors import Conflict, StorageError
from portal.settings import Settings
from portal.settings.live import Current
from portal.storage.backups.shelf import Shelved, last, new_name, newest_own, prune, shelved
from portal.storage.data_folder import make_private_folder

log = logging.getLogger(__name__)

_FAILED = "THE BACKUP FAILED, the next try is in %s: %s"

AFTER_START = 60.0
"""Seconds in which nothing is made, so that a start is quick."""
AGAIN = timedelta(hours=1)
"""Until the next try after one that failed."""
_SHOWN = 20
_LOOK = 60.0
"""Seconds between two looks at what is due."""


class ServerBackups:
    """The Backups port. `run` makes what is due."""

    def __init__(self, *, current: Current, after_start: float = AFTER_START) -> None:
        self._current, self._after_start = current, after_start
        self._making = False
        self._failed_at: datetime | None = None

    @property
    def _settings(self) -> Settings:
        return self._current.settings

    @property
    def _folder(self) -> Path:
        return (self._settings.backup.folder or self._settings.data_dir / "backups").expanduser()

    @property
    def _every(self) -> timedelta:
        return timedelta(hours=self._settings.backup.every)

    async def run(self) -> None:
        """Make one whenever it is due, until cancelled; nothing as long as the settings name no folder."""
        await asyncio.sleep(self._after_start)
        while True:
            wanted = self._settings.backup.folder is not None
            wait = (await self._due() - now()).total_seconds() if wanted else _LOOK
            if wait > 0:
                await asyncio.sleep(min(wait, _LOOK))  # the settings may be others then
            elif not self._making:
                await self._made_or_told()
            else:
                await asyncio.sleep(1)

    async def make(self) -> JsonObject:
        """See Backups."""
        if self._making:
            raise Conflict("A backup is being made; wait until it is there.", code="backup_running")
        await self._make()
        return await self.status()

    async def status(self) -> JsonObject:
        """See Backups."""
        wanted, outcome = self._settings.backup, last(self._settings.data_dir)
        found = await asyncio.to_thread(_found, self._folder)
        scheduled = wanted.folder is not None
        return {
            "object": "portal.backups",
            "folder": str(self._folder),
            "scheduled": scheduled,
            "every": wanted.every,
            "keep": wanted.keep,
            "sealed": wanted.password is not None,
            "running": self._making,
            "last": asdict(outcome) if outcome else None,
            "next_at": (await self._due()).isoformat(timespec="seconds") if scheduled else None,
            "data": [_shown(one) for one in found[:_SHOWN]],
        }

    async def _due(self) -> datetime:
        if self._failed_at is not None:
            return self._failed_at + min(AGAIN, self._every)
        found = await asyncio.to_thread(_found, self._folder)
        made = newest_own(found)
        return made + self._every if made else now()

    async def _made_or_told(self) -> None:
        try:
            await self._make()
        except StorageError as error:
            log.error(_FAILED, min(AGAIN, self._every), error, extra={"event": "backup"})

    async def _make(self) -> None:
        self._making = True
        try:
            target = self._folder / new_name()
            await self._run_command(target)
            for gone in await asyncio.to_thread(prune, self._folder, self._settings.backup.keep):
                log.info("the backup %s is deleted: the setting backup.keep keeps %d", gone, self._settings.backup.keep)
            log.info("a backup was made and read back: %s", target, extra={"event": "backup"})
        except (OSError, StorageError) as error:
            self._failed_at = now()
            raise StorageError(f"The backup could not be made: {error}") from error
        else:
            self._failed_at = None
        finally:
            self._making = False

    async def _run_command(self, target: Path) -> None:
        make_private_folder(target.parent)
        process = await asyncio.create_subprocess_exec(
            *self._words(target),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        password = self._settings.backup.password
        try:
            _, said = await process.communicate((password.get_secret_value() if password else "").encode() + b"\n")
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)  # it removes what it began
                await process.wait()
        if process.returncode:
            raise StorageError(said.decode("utf-8", "replace").strip().removeprefix("Error: ") or "it ended early")

    def _words(self, target: Path) -> Sequence[str]:
        isolation = "-I" if sys.flags.isolated else "-P"
        words = [sys.executable, isolation, "-m", "portal", "backup", str(target), "--json"]
        words += ["--data-dir", str(self._settings.data_dir)]
        if self._settings.config is not None:
            words += ["--config", str(self._settings.config)]
        return [*words, "--password-file", "-"] if self._settings.backup.password else words


def _found(folder: Path) -> list[Shelved]:
    try:
        return shelved(folder)
    except OSError:
        return []


def _shown(one: Shelved) -> JsonObject:
    return {
        "name": one.path.name,
        "size": one.size,
        "sealed": one.sealed,
        "created_at": one.head.created_at if one.head else None,
        "version": one.head.portal if one.head else None,
        "problem": one.problem,
    }
