"""The long files of conversations and folders: each one that has some has a collection of its own for them."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from portal.core.clock import micros
from portal.core.collections import CollectionRecord, Collections, Documents, NewDocument
from portal.core.ids import new_id
from portal.core.ports import Files
from portal.core.speech import Transcriber
from portal.errors import BadRequest, NotFound
from portal.knowledge.extract_kind import HEAD, kind_of

_AT_ONCE = 1000
_DAYS = 30
"""How long the files of a chain that is no conversation are kept without use."""
_PAUSE = 2.0
"""Seconds after which is looked again, though nothing was told: another server may be reading."""


class ConversationShelf:
    """Implements Shelf."""

    def __init__(
        self,
        *,
        collections: Collections,
        documents: Documents,
        files: Files,
        transcriber: Transcriber,
        seconds: float,
    ) -> None:
        """`seconds` are waited for what is being read, at most."""
        self._transcriber = transcriber
        self._collections, self._documents, self._files = collections, documents, files
        self._seconds = seconds
        self._news = asyncio.Event()
        self._placing = asyncio.Lock()
        """Of several turns that bring files at once the first one makes the collection."""

    async def of(self, owner: str, place: str) -> Mapping[str, str]:
        """See Shelf."""
        one = await self._collections.of_conversation(owner, place)
        if one is None or not one.counts.total:
            return {}
        page = await self._documents.list(owner, one.id, limit=_AT_ONCE)
        return {record.file_id: record.sha256 for record in page.data}

    async def put(self, owner: str, place: str, file_ids: Sequence[str], *, chain: bool, name: str = "") -> None:
        """See Shelf."""
        names = [await self._checked(owner, one) for one in file_ids]
        async with self._placing:
            one = await self._collections.of_conversation(owner, place) or await self._made(
                owner, place, name or Path(names[0]).name, chain=chain
            )
        await self._documents.add(owner, one.id, [NewDocument(file_id=file_id) for file_id in file_ids])

    async def drop(self, owner: str, place: str, file_ids: Collection[str]) -> None:
        """See Shelf."""
        one = await self._collections.of_conversation(owner, place)
        if one is None:
            return
        for file_id in file_ids:
            with suppress(NotFound):  # another turn was first
                await self._documents.remove(owner, one.id, file_id, gone=True)

    async def _made(self, owner: str, place: str, name: str, *, chain: bool) -> CollectionRecord:
        now = micros()
        made = CollectionRecord(
            id=new_id("vs"),
            owner=owner,
            name=name,
            created_at=now,
            last_active_at=now,
            expires_days=_DAYS if chain else None,
            conversation_id=place,
        )
        await self._collections.create(made)
        return made

    async def ready(self, owner: str, place: str) -> None:
        """See Shelf."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                while await self._waits(owner, place):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_PAUSE):
                            await self._news.wait()

    def tell(self) -> None:
        """Some document is further than it was."""
        self._news.set()

    async def _waits(self, owner: str, place: str) -> bool:
        self._news.clear()
        one = await self._collections.of_conversation(owner, place)
        return one is not None and one.counts.in_progress > 0

    async def _checked(self, owner: str, file_id: str) -> str:
        """Its name. Raises BadRequest where nobody can read it."""
        record = await self._files.get(owner, file_id)
        head = b""
        async for piece in self._files.content(owner, file_id):
            head = piece[:HEAD]
            break
        recorded = kind_of(head, record.filename, record.content_type)[0] == "recording"
        if recorded and (why := self._transcriber.refusal()):
            raise BadRequest(f"{record.filename!r} is a recording. {why}", code="unsupported_file")
        return record.filename
