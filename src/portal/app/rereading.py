"""Reads the settings again when their files change, and puts in force what can be without a restart.

What is wrong is refused whole: the old settings stay, and the log, the health and the page say why and where.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from portal.app.ground import Ground
from portal.app.live import Commit
from portal.core.audit import line
from portal.core.clock import micros
from portal.core.health import Condition
from portal.core.rereading import Reread
from portal.errors import PortalError, SettingsError, StorageError
from portal.security.guards import refuse
from portal.settings import Settings, settings_files
from portal.settings.lines import line_of
from portal.settings.live import LIVE, Current, changed, with_these

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks at the files. One that changed is read when a second look finds it as the first did: an
editor may be in the middle of it."""
Prepare: TypeAlias = Callable[[Settings, Sequence[str]], Sequence[Commit]]
Seen: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """Other files than those of the settings, and what is done when they change; what it raises is told."""

    files: Callable[[], Iterable[Path]]
    renew: Callable[[], None]


def rereading_in(ground: Ground, read: Callable[[], Settings] | None) -> "Rereading":
    """Watches where `read` says how to; else only reads what is in force."""
    storage, current = ground.storage, ground.current

    async def told(reread: Reread) -> None:
        detail = {"applied": list(reread.applied), "restart": list(reread.waiting), "problem": reread.problem}
        ground.bus.publish(None, "health.changed")
        try:
            owner = await storage.users.owner()
            await storage.audit.record(line(owner.id, "settings.read", "settings", detail))
        except StorageError:
            log.exception("that the settings were read could not be recorded")

    rereading = Rereading(read=read or (lambda: current.settings), current=current, told=told)
    ground.health.add(rereading.check)
    if read is not None:
        ground.keep_going(settings=rereading.run)
    return rereading


class Rereading:
    """Implements Rereads."""

    def __init__(
        self,
        *,
        read: Callable[[], Settings],
        current: Current,
        told: Callable[[Reread], Awaitable[None]],
        every: float = EVERY,
    ) -> None:
        """`read` gives the settings as they would be at a start; `told` is called after each reading; `every` is in
        seconds."""
        self._read, self._current, self._told, self._every = read, current, told, every
        self.prepare: Prepare = lambda new, names: ()
        """Makes what changed settings are about, to be put in force."""
        self._others: list[Watched] = []
        self._reading, self._asked = asyncio.Lock(), asyncio.Event()
        self._last = Reread(at=micros())
        self._had = [path for path in settings_files(current.settings) if path.exists()]

    @property
    def last(self) -> Reread:
        """See Rereads."""
        return self._last

    def watch(self, other: Watched) -> None:
        """Look at these files as well."""
        self._others.append(other)

    async def run(self) -> None:
        """Look at the files, until cancelled."""
        known: dict[Watched | None, Seen] = {one: _seen(self._files(one)) for one in (None, *self._others)}
        moving: set[Watched | None] = set()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._asked.wait()
            if self._asked.is_set():
                self._asked.clear()
                await self.now()
            for one in (None, *self._others):
                now = _seen(self._files(one))
                if now != known.setdefault(one, now):
                    known[one] = now
                    moving.add(one)
                elif one in moving:
                    moving.remove(one)
                    await self._changed(one)

    def hurry(self) -> None:
        """Let `run` read them at once."""
        self._asked.set()

    def _files(self, other: Watched | None) -> Iterable[Path]:
        return settings_files(self._current.settings) if other is None else other.files()

    async def _changed(self, other: Watched | None) -> None:
        if other is None:
            await self.now()
            return
        try:
            other.renew()
        except PortalError as error:
            log.error("%s", error.message)

    async def now(self) -> Reread:
        """See Rereads."""
        async with self._reading:
            self._last = await self._reread()
            await self._told(self._last)
        return self._last

    async def _reread(self) -> Reread:
        try:
            self._all_there()
            new = await asyncio.to_thread(self._read)
            refuse(new, tuple)
            names = changed(self._current.settings, new)
            live = [name for name in names if name in LIVE]
            commits = self.prepare(new, live)
        except PortalError as error:
            problem = self._placed(error.message)
            log.error("the settings are refused, the old ones stay in force: %s", problem)
            return replace(self._last, at=micros(), problem=problem, applied=())
        self._current.settings = with_these(self._current.settings, new, live)
        for commit in commits:
            await commit()
        self._had = [path for path in settings_files(new) if path.exists()]
        waiting = [name for name in names if name not in LIVE]
        if live:
            log.info("changed settings are in force: %s", ", ".join(live), extra={"event": "settings"})
        if waiting:
            log.warning("changed settings need a restart: %s", ", ".join(waiting), extra={"event": "settings"})
        return Reread(at=micros(), applied=live, waiting=waiting)

    def _all_there(self) -> None:
        """A file that has gone is more likely being moved about than meant to be all defaults."""
        gone = next((path for path in self._had if not path.exists()), None)
        if gone is not None:
            raise SettingsError(f"The settings file {gone} is gone: put it back, or restart Portal to go on without it")

    def _placed(self, message: str) -> str:
        """With the line, where the message names a setting of the file and no line."""
        path = settings_files(self._current.settings)[0]
        if "line " in message:
            return message
        try:
            line = line_of(path.read_text(encoding="utf-8"), message.partition(":")[0].split("."))
        except (OSError, UnicodeDecodeError):
            return message
        return message if line is None else f"{message} ({path}, line {line})"

    def check(self) -> Iterable[Condition]:
        """See HealthCheck."""
        if self.last.problem:
            yield Condition(
                kind="settings",
                state="degraded",
                detail=f"The old ones stay in force: {self.last.problem}",
                remedy="Mend the file; Portal reads it by itself. To try it: portal config check",
            )
        elif self.last.waiting:
            names = ", ".join(self.last.waiting)
            yield Condition(
                kind="settings",
                state="note",
                detail=f"Changed settings need a restart: {names}.",
                remedy="portal down, then portal up",
            )
        else:
            yield Condition(kind="settings")


def _seen(files: Iterable[Path]) -> Seen:
    """What tells one state of files from another."""
    return tuple(_of(path) for path in files)


def _of(path: Path) -> object:
    try:
        found = os.stat(path)
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode
