"""What a server tidies up, now and every few hours."""

import asyncio
import logging
import os
import re
import shutil
import tempfile
from pathlib import Path

from portal.core.clock import micros
from portal.errors import StorageError
from portal.settings.live import Current
from portal.storage.open import Storage

log = logging.getLogger(__name__)

_SECONDS = 6 * 3600.0
_DAY_MICROS = 86_400 * 1_000_000
_TEMPORARY = re.compile("portal-(heard|import|read|sandbox|skills)-[a-z0-9_]{8}")


async def keep_house(storage: Storage, current: Current) -> None:
    """Really delete what was deleted long enough ago, and what nobody can reach."""
    while True:
        now, settings = micros(), current.settings
        try:
            await storage.conversations.purge(now - settings.turns.keep_deleted_days * _DAY_MICROS)
            await storage.forget_old(settings.retention)
            await storage.sweep()
            await storage.traces.expire(now - settings.telemetry.keep_days * _DAY_MICROS)
        except (StorageError, OSError):
            log.exception("what is to be forgotten could not be: it will be tried again")
        await asyncio.sleep(_SECONDS)


async def keep_folders(storage: Storage, work: Path) -> None:
    """The same of the folders that tools worked in on this server, which no other one can reach."""
    while True:
        try:
            await sweep_folders(storage, work, micros())
            await asyncio.to_thread(sweep_temporary, Path(tempfile.gettempdir()), micros())
        except (StorageError, OSError):
            log.exception("folders that nobody needs could not be deleted: it will be tried again")
        await asyncio.sleep(_SECONDS)


async def sweep_folders(storage: Storage, work: Path, now: int) -> None:
    """Delete the folders that tools worked in whose conversation is really gone, or whose answer nobody kept; not those
    that were used within a day."""
    unused = await asyncio.to_thread(_unused, work, now - _DAY_MICROS)
    for folder in unused:
        if not await storage.exists(folder.name):
            await asyncio.to_thread(shutil.rmtree, folder, onerror=_told)


def sweep_temporary(place: Path, now: int) -> None:
    """Delete the temporary folders of a server that was killed, recordings among them: those of Portal's own names that
    are a day old."""
    for folder in _unused(place, now - _DAY_MICROS):
        if _TEMPORARY.fullmatch(folder.name) and os.access(folder, os.W_OK):
            shutil.rmtree(folder, onerror=_told)


def _unused(work: Path, before: int) -> list[Path]:
    if not work.is_dir():
        return []
    folders = [one for one in work.iterdir() if one.is_dir() and not one.is_symlink()]
    return [one for one in folders if one.stat().st_mtime_ns // 1000 < before]


def _told(_: object, path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
    log.warning("%s cannot be deleted: %s", path, error[1])
