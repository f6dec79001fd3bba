"""Follows the places that collections watch: what is new, changed, moved or gone there is so in the collection."""

import asyncio
import hashlib
import logging
import mimetypes
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from portal.core.clock import micros
from portal.core.collections import DocumentRecord, Documents, NewDocument, SourceRecord, Sources
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.outbound import OutboundRequest
from portal.core.ports import Files
from portal.core.records import FileRecord
from portal.core.tool_ports import Fetcher
from portal.errors import NotFound, PortalError, StorageError, ToolError
from portal.knowledge.folder import MOST, Seen, beginning, digest, look
from portal.knowledge.places import Grants

log = logging.getLogger(__name__)

_SECOND = 1_000_000
_CHUNK = 2**20
_ADDRESS_EVERY = 3600 * _SECOND
"""Between two looks at an address, at least."""
_ADDRESS_PAUSE = 60 * _SECOND
"""The same for those who ask for one."""
_LONGEST_PAUSE = 3600 * _SECOND
"""Between two looks at a place that fails."""
_OFTEN = 5.0
"""Seconds after which the list of places is read again."""
_LARGEST_PAGE = 64 * 2**20


class Watch:
    """Looks at every place when it is time."""

    def __init__(
        self,
        *,
        sources: Sources,
        documents: Documents,
        files: Files,
        fetcher: Callable[[], Fetcher],
        readable: Callable[[bytes, str], bool],
        interval: float,
        largest: int,
        own: Path,
        grants: Grants,
        longest: float = 600,
    ) -> None:
        """`readable` says by a file's beginning and name whether it is worth a try; `interval` is in seconds, `largest`
        in bytes; a look at one place takes `longest` seconds at most; what is in Portal's `own` folder is
        nobody's document."""
        self._sources, self._documents, self._files, self._fetcher = sources, documents, files, fetcher
        self._interval, self._largest = int(interval * _SECOND), largest
        self._readable, self._own, self._grants = readable, own, grants
        self._longest = longest
        self._refused: dict[str, int] = {}
        """What is not worth a try, and when it was changed."""
        self._called = asyncio.Event()
        self._owners: set[str] = set()
        """Who asked for a look."""
        self._asked: set[str] = set()
        """Ids of the places that are looked at for them, though it is not time."""

    def look(self, owner: str) -> None:
        """Look at all of this owner's places now; at addresses once a minute at most."""
        self._owners.add(owner)
        self._called.set()

    async def run(self) -> None:
        """Until cancelled."""
        now = None
        while True:
            self._called.clear()
            try:
                await self.once(now)
            except Exception:  # whatever it was, the next look may find out
                log.exception("watched places cannot be looked at: it will be tried again")
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._interval / _SECOND, _OFTEN)):
                    await self._called.wait()
            now = micros()

    async def once(self, now: int | None = None) -> None:
        """Look at those that are due by now, or asked for; at all without it. Raises StorageError."""
        fault: Exception | None = None
        for source in [*await self._sources.due(now), *await self._called_for(now)]:
            try:
                await self._look(source)
            except Exception as error:  # whatever it was, it is not the fault of the others
                fault = error
        if fault is not None:
            raise fault

    async def _called_for(self, now: int | None) -> Sequence[SourceRecord]:
        """Those that somebody asked for, and that are not due."""
        owners, self._owners = self._owners, set()
        if now is None or not (owners or self._asked):
            return []
        later = [one for one in await self._sources.due(None) if one.next_at > now]
        self._asked = {one.id for one in later if one.owner in owners or one.id in self._asked}
        asked = [one for one in later if one.id in self._asked and _may_be_asked(one, now)]
        self._asked -= {one.id for one in asked}
        return asked

    async def _look(self, source: SourceRecord) -> None:
        every = self._interval if source.kind == "folder" else max(_ADDRESS_EVERY, self._interval)
        failures, began = 0, micros()
        try:
            async with asyncio.timeout(self._longest):
                state = await (self._folder(source) if source.kind == "folder" else self._address(source))
            error, state = "", {**_kept(source), **state}
        except (OSError, PortalError) as problem:
            if isinstance(problem, StorageError):
                raise
            error = str(problem) or f"It took longer than {self._longest:,.0f} seconds: the next look goes on."
            failures = int(source.state.get("failures", 0)) + 1
            state = {**source.state, "failures": failures}
        pause = min(every * 2**failures, max(_LONGEST_PAUSE, every))
        await self._sources.looked(replace(source, checked_at=began, next_at=began + pause, error=error, state=state))

    async def _folder(self, source: SourceRecord) -> JsonObject:
        """Raises OSError where the folder cannot be read, Forbidden where it may not be any more: then nothing is known
        to be gone."""
        await asyncio.to_thread(self._grants.check_again, source)
        looked = await asyncio.to_thread(look, Path(source.place), self._largest, self._own)
        documents = await self._documents_of(source)
        known = {one.place: one for one in documents}
        gone = {path: one for path, one in known.items() if not looked.may_hold(path)}
        unwanted = await self._sources.removed(source.owner, source.id)
        left_out = looked.too_large
        for seen in looked.found.values():
            before = known.get(seen.path)
            if before is None or (before.modified, before.size) != (seen.modified, seen.size):
                try:
                    if before is not None or not await self._is_unwanted(seen, unwanted):
                        left_out += not await self._take(source, seen, before, gone)
                except StorageError:
                    raise
                except (OSError, PortalError) as error:  # it has gone meanwhile, or is not for us: the others are
                    log.info("%s is left out: %s", seen.path, error)
                    left_out += 1
        state = {"files": len(looked.found), "left_out": left_out}
        if gone and len(gone) == len(known) and not source.state.get("emptied"):
            return {**state, "emptied": True}  # a disk that is not there now looks like that as well
        for one in documents:
            if one.place in gone:
                with suppress(NotFound):  # somebody else forgot it
                    await self._documents.remove(source.owner, one.collection_id, one.file_id, gone=True)
        return state

    async def _is_unwanted(self, seen: Seen, unwanted: Mapping[str, str]) -> bool:
        """Whether somebody removed it from the collection as it is."""
        if seen.path not in unwanted:
            return False
        if self._refused.get(seen.path) != seen.modified:
            if await asyncio.to_thread(digest, seen.path) != unwanted[seen.path]:
                return False
            self._refused[seen.path] = seen.modified
        return True

    async def _documents_of(self, source: SourceRecord) -> Sequence[DocumentRecord]:
        """Older versions first."""
        found = await self._documents.find(source.owner, source_id=source.id)
        return sorted(found, key=lambda one: (one.created_at, one.id))

    async def _take(
        self, source: SourceRecord, seen: Seen, before: DocumentRecord | None, gone: dict[str, DocumentRecord]
    ) -> bool:
        """A new or changed file: of one that is here already, only the place is noted. Whether it is one to read."""
        filename = Path(seen.path).name
        if before is None and not await self._worth(seen, filename):
            return False
        same = [one for one in (before, *gone.values()) if one is not None and one.size == seen.size]
        sha256 = await asyncio.to_thread(digest, seen.path) if same else ""
        for one in same:
            if one.sha256 == sha256:
                gone.pop(one.place, None)
                await self._documents.moved(
                    source.owner, one.id, place=seen.path, filename=filename, modified=seen.modified
                )
                return True
        arriving = NewFile(filename=filename, place=seen.path, modified=seen.modified)
        await self._bring(source, arriving, _content(seen.path))
        return True

    async def _worth(self, seen: Seen, filename: str) -> bool:
        """Whether something that is new here can be read at all."""
        if self._refused.get(seen.path) == seen.modified:
            return False
        if self._readable(await asyncio.to_thread(beginning, seen.path), filename):
            return True
        if len(self._refused) > MOST:
            self._refused.clear()
        self._refused[seen.path] = seen.modified
        return False

    async def _address(self, source: SourceRecord) -> JsonObject:
        """Raises ToolError where it cannot be fetched: what is known of it stays."""
        asked = {"if-none-match": str(source.state["etag"])} if source.state.get("etag") else {}
        largest = min(self._largest, _LARGEST_PAGE)
        request = OutboundRequest(url=source.place, headers=asked, largest=largest)
        answer = await self._fetcher().fetch(request)
        if answer.status == 304:
            return source.state
        if answer.status != 200:
            raise ToolError(f"{source.place} answered with status {answer.status}.")
        if answer.cut:
            raise ToolError(f"{source.place} is larger than {largest / 2**20:,.0f} MB.")
        before, unwanted = await self._documents_of(source), await self._sources.removed(source.owner, source.id)
        known = [unwanted.get(source.place), *(one.sha256 for one in before[-1:])]
        if hashlib.sha256(answer.body).hexdigest() not in known:
            kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
            arriving = NewFile(filename=name_of(answer.url, kind), place=source.place, content_type=kind)
            await self._bring(source, arriving, _whole(answer.body))
        return {"etag": answer.headers.get("etag", "")}

    async def _bring(self, source: SourceRecord, arriving: "NewFile", content: AsyncIterator[bytes]) -> None:
        """Keep it as a file, and let it be read; its older version answers until then."""
        guessed = mimetypes.guess_type(arriving.filename)[0]
        record = FileRecord(
            id=new_id("file"),
            owner=source.owner,
            filename=arriving.filename,
            purpose="user_data",
            size=0,
            sha256="",
            content_type=arriving.content_type or guessed or "application/octet-stream",
            created_at=micros(),
        )
        await self._files.create(record, content)
        new = NewDocument(file_id=record.id, place=arriving.place, modified=arriving.modified, source_id=source.id)
        try:
            await self._documents.add(source.owner, source.collection_id, [new])
        except NotFound:  # it is not followed any more
            await self._files.delete(source.owner, record.id)


def _may_be_asked(source: SourceRecord, now: int) -> bool:
    """Whether it may be looked at before its time."""
    return source.kind == "folder" or (source.checked_at or 0) + _ADDRESS_PAUSE <= now


def _kept(source: SourceRecord) -> JsonObject:
    """Of its state, what no look changes: who let it be followed."""
    return {"trusted": True} if source.state.get("trusted") else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file that a place has now."""

    filename: str
    place: str
    modified: int | None = None
    content_type: str = ""


def name_of(url: str, kind: str) -> str:
    """A file name for what an address gives."""
    address = urlsplit(url)
    name = unquote(address.path).rstrip("/").rsplit("/", 1)[-1]
    if Path(name).suffix and mimetypes.guess_type(name)[0]:
        return name
    return f"{name or address.hostname}{mimetypes.guess_extension(kind) or '.html'}"


async def _content(path: str) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(open, path, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body
