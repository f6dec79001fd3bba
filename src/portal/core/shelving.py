"""Files of a conversation or its folder that its model cannot take in whole: put where their passages are found."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from portal.core.ask import Ask
from portal.core.attachments import Attachments, Shelved, parts_of
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.model import ModelInfo
from portal.core.ports import Files, Models
from portal.core.records import FileRecord, FolderRecord
from portal.core.tokens import estimate
from portal.core.window import room
from portal.errors import BadRequest, NotFound, PortalError

_SHARE = 2
"""At most half of the room for messages is given to files as they are."""
_FOLDERS_SHARE = 4
"""And a quarter to those of the conversation's folder."""
_USUAL = 8_192
"""Tokens of a window where it is not known which model will answer."""


class Shelf(Protocol):
    """Keeps the long files of a conversation, each with its passages."""

    async def of(self, owner: str, place: str) -> Mapping[str, str]:
        """SHA-256 by file id. `place` is a conversation, the first response of a chain in none, or a folder."""

    async def put(self, owner: str, place: str, file_ids: Sequence[str], *, chain: bool, name: str = "") -> None:
        """Let them be read; with `chain` they are kept for some time only. All of them are shown to their owner under
        the `name`, or that of the first file. Raises BadRequest for what nobody can read, NotFound."""

    async def drop(self, owner: str, place: str, file_ids: Collection[str]) -> None:
        """Keep them no more."""

    async def ready(self, owner: str, place: str) -> None:
        """Wait until all are read, for a bounded time."""


class Shelving:
    """Decides which files of a turn are too long."""

    def __init__(
        self,
        *,
        files: Files,
        attachments: Attachments,
        models: Models,
        shelf: Shelf,
        window: Callable[[ModelInfo], int],
    ) -> None:
        """`window` tells how many tokens a model really takes."""
        self._files, self._attachments, self._models = files, attachments, models
        self._shelf, self._window = shelf, window

    async def shelved(self, ask: Ask, place: str, items: Sequence[Item], *, chain: bool) -> Shelved:
        """What is searched: the files of before, and what of these items, which `ask` is about, is too long.

        Raises:
            NotFound: a file is not this owner's.
            BadRequest: nobody can read one.
        """
        known = Shelved(await self._shelf.of(ask.owner, place))
        parts = list(_files_in(items))
        long = await self._long(ask, known, parts, _SHARE) if parts else []
        if not long:
            return known
        await self._shelf.put(ask.owner, place, long, chain=chain)
        return Shelved(await self._shelf.of(ask.owner, place))

    async def of_folder(self, ask: Ask, folder: FolderRecord) -> Shelved:
        """The same of the files of a folder, for all chats in it; what nobody can read, or is gone, is left out."""
        kept = await self._shelf.of(ask.owner, folder.id)
        if gone := kept.keys() - set(folder.file_ids):
            await self._shelf.drop(ask.owner, folder.id, gone)
        known = Shelved({one: kept[one] for one in folder.file_ids if one in kept})
        new = [one for one in folder.file_ids if one not in kept]
        parts = [{"file_id": one} for one in new if await self._is_there(ask.owner, one)]
        long = await self._long(ask, known, parts, _FOLDERS_SHARE) if parts else []
        for one in long:
            with suppress(BadRequest, NotFound):
                await self._shelf.put(ask.owner, folder.id, [one], chain=False, name=folder.name)
        return Shelved(await self._shelf.of(ask.owner, folder.id)) if long else known

    async def _is_there(self, owner: str, file_id: str) -> bool:
        with suppress(NotFound):
            await self._files.get(owner, file_id)
            return True
        return False

    async def _long(self, ask: Ask, known: Shelved, parts: Sequence[JsonObject], share: int) -> list[str]:
        left, long = self._room(ask) // share, list[str]()
        for part in parts:
            brought = await self._attachments.brought(ask.owner, part)
            if known.has(part.get("file_id"), brought.content):
                continue
            needed = left + 1 if brought.text is None else estimate(brought.text)
            if needed <= left:
                left -= needed
            else:
                long.append(part.get("file_id") or await self._keep(ask.owner, brought.name, brought.content or b""))
        return long

    def _room(self, ask: Ask) -> int:
        """Tokens of the model that would answer, as far as can be told before the files are read."""
        try:
            window = self._window(self._models.route(ask).model)
        except PortalError:  # whoever asks is told when it is really chosen
            window = _USUAL
        return room(window, ask.parameters)

    async def _keep(self, owner: str, name: str, content: bytes) -> str:
        async def whole() -> AsyncIterator[bytes]:
            yield content

        record = FileRecord(
            id=new_id("file"),
            owner=owner,
            filename=name,
            purpose="conversation",  # goes with it, for nobody uploaded it
            size=0,
            sha256="",
            content_type="application/octet-stream",
            created_at=micros(),
        )
        return (await self._files.create(record, whole())).id


def _files_in(items: Sequence[Item]) -> Iterator[JsonObject]:
    for item in items:
        for part in parts_of(item)[1] or ():
            if part["type"] == "input_file" and (part.get("file_id") or part.get("file_data")):
                yield part
