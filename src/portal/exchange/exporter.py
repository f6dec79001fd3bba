"""Hands out all that a person has, as a zip that is made while it is sent: nothing of it is put together first."""

import asyncio
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import IO, Any, cast

import orjson

from portal.core.clock import micros, now
from portal.core.collections import Collections, DocumentRecord, Documents
from portal.core.exchange import Arriving, Departures
from portal.core.items import JsonObject
from portal.core.memories import Memories, Wanted
from portal.core.ports import Conversations, Files, Folders, SavedWorkspaces, Users
from portal.core.records import ConversationRecord, FileRecord
from portal.core.schedules import Schedules
from portal.errors import NotFound
from portal.exchange import lines
from portal.exchange.files import plain_name
from portal.exchange.markdown import as_markdown, file_name
from portal.exchange.own import MANIFEST
from portal.redaction import redacted

FORMAT = 1
"""Of the export: a later one that an older Portal cannot read has a higher number."""
_AT_ONCE = 50
_PIECE = 2**17
_PACKED = ("image/", "video/", "audio/", "application/zip", "application/x-7z", "application/gzip")
"""What deflate makes no smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """Where it all is."""

    departures: Departures
    conversations: Conversations
    files: Files
    folders: Folders
    memories: Memories
    workspaces: SavedWorkspaces
    collections: Collections
    documents: Documents
    schedules: Schedules
    users: Users


class Exporter:
    """Makes exports. `redact` takes keys, tokens and passwords out of a text."""

    def __init__(self, *, belongings: Belongings, redact: Callable[[str], str], version: str) -> None:
        self._of, self._redact, self._version = belongings, redact, version

    async def export(self, owner: str) -> AsyncGenerator[bytes, None]:
        """A zip. Closing the iterator ends the work."""
        sink = _Sink()
        async with AsyncExitStack() as stack:
            archive = zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_DEFLATED, compresslevel=6)
            stack.callback(_abandon, archive)
            making = _Making(archive, sink)
            async for piece in self._pieces(owner, making):
                yield piece
            archive.close()
            yield sink.taken()

    async def _pieces(self, owner: str, making: "_Making") -> AsyncIterator[bytes]:
        of, counts = self._of, making.counts
        person = await of.users.get(owner)
        paths: dict[str, str] = {}
        async for piece in self._list(making, "files", self._files(owner, paths)):
            yield piece
        ids: list[str] = []
        for name, found in (
            ("conversations", self._conversations(owner, ids)),
            ("responses", self._responses(owner, ids)),
            ("folders", self._folders(owner)),
            ("memories", self._memories(owner)),
            ("workspaces", self._workspaces(owner)),
            ("collections", self._collections(owner)),
            ("schedules", self._schedules(owner)),
            ("keys", self._keys(owner)),
        ):
            async for piece in self._list(making, name, found):
                yield piece
        for conversation_id in ids:
            async for piece in self._readable(owner, conversation_id, making, paths):
                yield piece
        for file_id, path in paths.items():
            async for piece in self._content(owner, file_id, path, making):
                yield piece
        manifest = {
            "object": "portal.export",
            "format": FORMAT,
            "portal": self._version,
            "created_at": lines.when(micros()),
            "owner": lines.person(person),
            "counts": counts,
        }
        async for piece in making.member(MANIFEST, _once(_json(self._clean(manifest)))):
            yield piece

    def _clean(self, value: Any) -> Any:
        return redacted(value, self._redact)

    def file_name(self, record: ConversationRecord) -> str:
        """What one conversation as Markdown is called."""
        return file_name(replace(record, title=self._redact(record.title)))

    def _path(self, record: FileRecord) -> str:
        """Where a file is in the zip: as its line says, which is cleaned, too."""
        start = f"files/{record.id[-8:]}-"
        path = start + plain_name(self._redact(record.filename))
        return path if self._redact(path) == path else f"{start}file"

    async def _list(self, making: "_Making", name: str, found: AsyncIterator[JsonObject]) -> AsyncIterator[bytes]:
        async def encoded() -> AsyncIterator[bytes]:
            async for one in found:
                making.counts[name] = making.counts.get(name, 0) + 1
                yield await asyncio.to_thread(lambda value: _json(self._clean(value)) + b"\n", one)

        async for piece in making.member(f"{name}.jsonl", encoded()):
            yield piece

    async def _files(self, owner: str, paths: dict[str, str]) -> AsyncIterator[JsonObject]:
        after: str | None = None
        while True:
            page = await self._of.files.list(owner, limit=_AT_ONCE, after=after, ascending=True)
            for record in page.data:
                paths[record.id] = self._path(record)
                yield lines.file(record, paths[record.id])
            if (after := page.next) is None:
                return

    async def _conversations(self, owner: str, ids: list[str]) -> AsyncIterator[JsonObject]:
        while found := await self._of.departures.conversations(owner, after=ids[-1] if ids else ""):
            for record in found:
                ids.append(record.id)
                yield lines.conversation(record)

    async def _responses(self, owner: str, ids: list[str]) -> AsyncIterator[JsonObject]:
        for conversation_id in [*ids, None]:
            async for one in self.turns(owner, conversation_id):
                yield lines.response(one)

    async def turns(self, owner: str, conversation_id: str | None) -> AsyncIterator[Arriving]:
        """All responses of a conversation, or those in none, oldest first."""
        ids = await self._of.departures.order(owner, conversation_id)
        for start in range(0, len(ids), _AT_ONCE):
            for one in await self._of.departures.turns(owner, ids[start : start + _AT_ONCE]):
                yield one

    async def _folders(self, owner: str) -> AsyncIterator[JsonObject]:
        for record in await self._of.folders.list(owner):
            yield lines.folder(record)

    async def _memories(self, owner: str) -> AsyncIterator[JsonObject]:
        cursor: str | None = None
        while True:
            page = await self._of.memories.list(owner, Wanted(status=None), limit=200, cursor=cursor)
            for record in page.data:
                yield lines.memory(record)
            if (cursor := page.next) is None:
                return

    async def _workspaces(self, owner: str) -> AsyncIterator[JsonObject]:
        for record in await self._of.workspaces.all():
            if record.owner == owner:
                yield lines.workspace(record)

    async def _collections(self, owner: str) -> AsyncIterator[JsonObject]:
        after: str | None = None
        while True:
            page = await self._of.collections.list(owner, limit=_AT_ONCE, after=after, ascending=True)
            for record in page.data:
                yield lines.collection(record, [one async for one in self._documents(owner, record.id)])
            if (after := page.next) is None:
                return

    async def _documents(self, owner: str, collection_id: str) -> AsyncIterator[DocumentRecord]:
        after: str | None = None
        while True:
            try:
                page = await self._of.documents.list(owner, collection_id, limit=_AT_ONCE, after=after, ascending=True)
            except NotFound:
                return  # deleted meanwhile
            for record in page.data:
                yield record
            if (after := page.next) is None:
                return

    async def _schedules(self, owner: str) -> AsyncIterator[JsonObject]:
        for record in await self._of.schedules.list(owner):
            yield lines.schedule(record)

    async def _keys(self, owner: str) -> AsyncIterator[JsonObject]:
        for record in await self._of.users.credentials(owner, "key"):
            yield lines.key(record)

    async def _readable(
        self, owner: str, conversation_id: str, making: "_Making", paths: dict[str, str]
    ) -> AsyncIterator[bytes]:
        try:
            record = await self._of.conversations.get(owner, conversation_id)
        except NotFound:
            return  # deleted meanwhile
        async for piece in making.member(
            f"conversations/{self.file_name(record)}", self.markdown(owner, record, paths), moment=record.updated_at
        ):
            yield piece

    async def markdown(
        self, owner: str, record: ConversationRecord, paths: dict[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """One conversation as Markdown; `paths` say where its files are."""
        turns = [one async for one in self.turns(owner, record.id)]
        for part in as_markdown(record, turns, paths or {}):
            yield self._redact(part).encode("utf-8", "replace")

    async def single(self, owner: str, record: ConversationRecord) -> AsyncIterator[bytes]:
        """One conversation as JSON, which can be brought in again: by its owner as the very same."""
        head, whose = _json(self._clean(lines.conversation(record))), _json({"id": owner})
        yield b'{"object":"portal.conversation.export","format":1,"owner":' + whose
        yield b',"conversation":' + head + b',"responses":['
        first = True
        async for one in self.turns(owner, record.id):
            yield (b"" if first else b",") + _json(self._clean(lines.response(one)))
            first = False
        yield b"]}\n"

    async def _content(self, owner: str, file_id: str, path: str, making: "_Making") -> AsyncIterator[bytes]:
        try:
            record = await self._of.files.get(owner, file_id)
        except NotFound:
            return
        content = self._of.files.content(owner, file_id)
        packed = record.content_type.startswith(_PACKED)
        async for piece in making.member(path, content, packed=packed, moment=record.created_at, size=record.size):
            yield piece


class _Making:
    """A zip under way."""

    def __init__(self, archive: zipfile.ZipFile, sink: "_Sink") -> None:
        self._archive, self._sink = archive, sink
        self.counts: dict[str, int] = {}

    async def member(
        self,
        name: str,
        content: AsyncIterator[bytes],
        *,
        packed: bool = False,
        moment: int | None = None,
        size: int = 2**32,
    ) -> AsyncIterator[bytes]:
        """One file of it; the bytes of the zip as they come. `packed` is not made smaller once more."""
        stamp = now() if moment is None else datetime.fromtimestamp(moment / 1_000_000, UTC)
        info = zipfile.ZipInfo(name, max(stamp, _OLDEST).timetuple()[:6])
        info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        with self._archive.open(info, "w", force_zip64=size >= 2**31) as file:
            waiting = bytearray()
            async for chunk in content:
                waiting += chunk
                if len(waiting) >= _PIECE:
                    await asyncio.to_thread(file.write, bytes(waiting))
                    waiting.clear()
                    yield self._sink.taken()
            await asyncio.to_thread(file.write, bytes(waiting))
        yield self._sink.taken()


_OLDEST = datetime(1980, 1, 1, tzinfo=UTC)


class _Sink:
    """What a zip is written to: bytes that are taken away as they come."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._place = 0

    def write(self, data: bytes) -> int:
        """See BinaryIO."""
        self._waiting.append(bytes(data))
        self._place += len(data)
        return len(data)

    def tell(self) -> int:
        """See BinaryIO."""
        return self._place

    def flush(self) -> None:
        """See BinaryIO."""

    def seekable(self) -> bool:
        """See BinaryIO."""
        return False

    def taken(self) -> bytes:
        """What has come since the last time."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data


def _abandon(archive: zipfile.ZipFile) -> None:
    """Of one that is not at its end, nobody wants the end."""
    archive.fp = None


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=str)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
