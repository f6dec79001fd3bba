"""Imports as jobs: an upload waits in a file of the data folder, is looked through, and is stored once its owner says
so. Of one person one is worked on at a time, by whichever server, and of a few people at once; what a stopped server
left is gone on with at the next start. Each of several servers works on what was uploaded to itself."""

import asyncio
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from portal.core.bus import Bus
from portal.core.clock import micros
from portal.core.exchange import GOING, SOURCES, Claims, ImportRecord, Imports, Source, Status
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.errors import BadRequest, Conflict, NotFound, PortalError, StorageError, StorageFull, TooLarge
from portal.exchange.archive import Archive
from portal.exchange.files import plain_name
from portal.exchange.importer import Home, Importer
from portal.exchange.line import Line
from portal.exchange.recognise import reader, recognised

log = logging.getLogger(__name__)

_EVERY = 0.5
"""Seconds between two words about how far it is."""
_SPARE = 256 * 2**20
"""Bytes that stay free on the disk."""
_AGAIN = 1.0
"""Seconds after which is looked again whether another server is at its end with somebody's."""
_WAITS = 2 * 86_400 * 1_000_000
"""Microseconds that an upload waits for its owner's word."""
_MOST_OPEN = 5
_PEOPLE = 4
"""Whose imports are worked on at once."""
_ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
_GONE = "The upload is not there any more: bring the file in again. What was stored already is not stored twice."
_FAULT = "Portal failed to read this file; its log has the details. What was stored stays."


class ImportJobs:
    """Everybody's imports."""

    def __init__(
        self,
        *,
        imports: Imports,
        claims: Claims,
        home: Home,
        bus: Bus,
        folder: Path,
        largest: int,
        login: Callable[[str], Awaitable[str]],
        alone: bool = True,
    ) -> None:
        """`folder` is this server's alone; `largest` is how many bytes an upload may have; `login` tells the sign-in
        name of a person, empty for none. Not `alone`, what is not in the folder may be in another server's."""
        self._imports, self._claims, self._home, self._bus = imports, claims, home, bus
        self._folder, self._largest, self._login = folder, largest, login
        self._alone = alone
        self._line = Line()
        self._arriving: dict[str, str] = {}
        """Uploads whose record is not there yet, and whose they are."""
        self._called: set[str] = set()
        """What waits in the queue or is worked on."""

    async def add(
        self,
        owner: str,
        content: AsyncIterator[bytes],
        *,
        filename: str,
        source: str = "",
        dry_run: bool = False,
        start: bool = False,
    ) -> ImportRecord:
        """Keep an upload, and begin to look through it, or with `start` to store it at once.

        Raises:
            BadRequest: there is no such source.
            Conflict: too many imports of theirs are not at their end.
            TooLarge, StorageFull: there is no room for it.
        """
        if source and source not in SOURCES:
            raise BadRequest(f"There is no source {source!r}: it is {', '.join(SOURCES)}.", param="from")
        identity, now = new_id("import"), micros()
        before = {other for other, whose in self._arriving.items() if whose == owner}
        self._arriving[identity] = owner
        try:
            await self._check_open(owner, before)
            size = await self._kept(self._folder / identity, content)
            record = ImportRecord(
                id=identity,
                owner=owner,
                filename=plain_name(filename),
                size=size,
                created_at=now,
                changed_at=now,
                source=source,
                dry_run=dry_run,
                status="importing" if start and not dry_run else "reading",
            )
            if not await self._imports.add(record, most=_MOST_OPEN):  # others came to another server meanwhile
                await asyncio.to_thread((self._folder / identity).unlink, missing_ok=True)
                raise _too_many()
        finally:
            self._arriving.pop(identity, None)
        self._call(record)
        return record

    async def _check_open(self, owner: str, before: Set[str]) -> None:
        """Raises Conflict where it is one too many. Those `before` it may be at their end, or listed, meanwhile."""
        listed = {one.id for one in await self._imports.list(owner) if one.status in (*GOING, "ready")}
        if len(listed | before) >= _MOST_OPEN:
            raise _too_many()

    async def list(self, owner: str) -> Sequence[ImportRecord]:
        """Newest first."""
        return await self._imports.list(owner)

    async def get(self, owner: str, import_id: str) -> ImportRecord:
        """Raises NotFound."""
        return await self._imports.get(owner, import_id)

    async def start(self, owner: str, import_id: str) -> ImportRecord:
        """Store what was looked through. Raises NotFound, or Conflict for one that does not wait for this."""
        record = await self._imports.get(owner, import_id)
        if record.status != "ready":
            raise Conflict("This import does not wait to be started.", code="import_not_ready")
        record = await self._saved(record, was="ready", status="importing", progress=0.0)
        self._call(record)
        return record

    async def delete(self, owner: str, import_id: str) -> None:
        """Stop it, and forget the upload and what was said of it; what is stored stays. Raises NotFound."""
        await self._imports.delete(owner, import_id)
        await asyncio.to_thread((self._folder / import_id).unlink, missing_ok=True)
        self._bus.publish(owner, "import.deleted", id=import_id)

    async def run(self) -> None:
        """For a server, in a task of its own, until it is cancelled."""
        await self.look()
        async with asyncio.TaskGroup() as group:
            for _ in range(_PEOPLE):
                group.create_task(self._go_on())

    async def _go_on(self) -> None:
        while True:
            async with self._line.turn() as (owner, import_id):
                if await self._one(owner, import_id):
                    self._called.discard(import_id)
                    continue
                await asyncio.sleep(_AGAIN)
            self._line.join(owner, import_id)

    async def _one(self, owner: str, import_id: str) -> bool:
        """Whether its turn had come: no other server works on an import of theirs."""
        claim = f"importing:{owner}"
        try:
            if not await self._claims.take(claim):
                return False
            try:
                record = await self._imports.get(owner, import_id)
                if record.status in GOING:
                    await self._work(record)
            finally:
                with suppress(StorageError):  # it is this server's still, and goes with it
                    await self._claims.drop(claim)
        except NotFound:
            (self._folder / import_id).unlink(missing_ok=True)
        except StorageError:
            log.exception("import %s: what came of it could not be noted", import_id)
        return True

    async def look(self) -> None:
        """Go on with what is open and was uploaded here, and delete what belongs to nothing: at the start, and when
        another server has started or deleted one."""
        try:
            here = await asyncio.to_thread(_uploads, self._folder)
            arriving = set(self._arriving)
            waiting = await self._imports.open()
            for record in waiting:
                await self._look_at(record, here=record.id in here)
        except StorageError:
            log.exception("imports that were under way could not be looked up")
            return
        await asyncio.to_thread(_swept, self._folder, here - arriving - {one.id for one in waiting})

    async def _look_at(self, record: ImportRecord, *, here: bool) -> None:
        late = record.changed_at < micros() - _WAITS
        with suppress(NotFound):
            if not here and (self._alone or late):
                await self._ended(record, "failed", problem=_GONE)
            elif here and late and record.status == "ready":
                await self._ended(record, "failed", problem="It waited too long.")
            elif here and record.status != "ready" and record.id not in self._called:
                self._enqueue(record)

    def _enqueue(self, record: ImportRecord) -> None:
        self._called.add(record.id)
        self._line.join(record.owner, record.id)

    async def _work(self, record: ImportRecord) -> None:
        try:
            await self._through(record)
        except NotFound:
            raise
        except PortalError as error:
            await self._ended(record, "failed", problem=error.message)
        except FileNotFoundError:
            await self._ended(record, "failed", problem=_GONE)
        except _ODD:
            log.exception("import %s failed", record.id)
            await self._ended(record, "failed", problem=_FAULT)

    async def _through(self, record: ImportRecord) -> None:
        path = self._folder / record.id
        archive = await asyncio.to_thread(Archive, path, record.filename)
        with archive:
            asked = next((one for one in SOURCES if one == record.source), None)
            source: Source = asked if asked is not None else await asyncio.to_thread(recognised, archive)
            record = await self._saved(record, source=source)
            pace = _Pace()

            async def told() -> None:
                if pace.due():
                    await self._saved(record, progress=archive.progress, report=importer.tally.report())

            importer = Importer(
                home=self._home,
                archive=archive,
                export=reader(archive, source, owner=record.owner, login=await self._login(record.owner)),
                import_id=record.id,
                owner=record.owner,
                source=source,
                dry=record.status == "reading",
                told=told,
            )
            await importer.run()
        report = importer.tally.report()
        if record.status == "reading" and not record.dry_run:
            await self._saved(record, status="ready", progress=1.0, report=report)
            return
        await self._ended(record, "done", report=report)

    async def _ended(
        self, record: ImportRecord, status: str, *, problem: str = "", report: JsonObject | None = None
    ) -> None:
        try:
            newest = await self._imports.get(record.owner, record.id)
            kept = newest.report if report is None else report
            progress = 1.0 if status == "done" else newest.progress
            await self._saved(newest, status=status, problem=problem, report=kept, progress=progress)
        finally:
            (self._folder / record.id).unlink(missing_ok=True)

    async def _saved(self, record: ImportRecord, *, was: Status | None = None, **changes: object) -> ImportRecord:
        changed = replace(record, **changes, changed_at=micros())  # type: ignore[arg-type]
        await self._imports.save(changed, was=was)
        self._bus.publish(record.owner, "import.changed", id=record.id, status=changed.status)
        return changed

    def _call(self, record: ImportRecord) -> None:
        """Have it worked on: here, or by the server that has the upload, which hears of the change."""
        if self._alone or (self._folder / record.id).is_file():
            self._enqueue(record)
        self._bus.publish(record.owner, "import.changed", id=record.id, status=record.status)

    async def _kept(self, path: Path, content: AsyncIterator[bytes]) -> int:
        """How many bytes came. What breaks off leaves nothing."""
        size, whole = 0, False
        try:
            file = await asyncio.to_thread(_opened, path)
            self._check_room()
            with file:
                async for chunk in content:
                    size += len(chunk)
                    if size > self._largest:
                        raise TooLarge(f"An import has {self._largest:,} bytes at most (server.max_import).")
                    if size // _SPARE != (size - len(chunk)) // _SPARE:
                        self._check_room()
                    await asyncio.to_thread(file.write, chunk)
            whole = True
        except OSError as error:
            raise StorageFull(f"The upload could not be kept: {error.strerror}.") from error
        finally:
            if not whole:
                await asyncio.to_thread(path.unlink, missing_ok=True)
        return size

    def _check_room(self) -> None:
        if shutil.disk_usage(self._folder).free < 2 * _SPARE:
            raise StorageFull("The disk is nearly full: make room before you bring something in.")


class _Pace:
    """Says now and then that it is time for a word."""

    def __init__(self) -> None:
        self._next = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _EVERY
        return True


def _too_many() -> Conflict:
    return Conflict(
        f"You have {_MOST_OPEN} imports that are sent, under way or looked through: wait for one to end, or start or "
        "delete one that was looked through, then bring this file in again.",
        code="too_many_imports",
    )


def _opened(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _uploads(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("import_*")} if folder.is_dir() else set()


def _swept(folder: Path, names: set[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
