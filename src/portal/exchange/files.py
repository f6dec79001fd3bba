"""Files of an export on their way in: named harmlessly, of the type that they are, each stored once."""

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from contextlib import ExitStack

from portal.core.clock import micros
from portal.core.exchange import derived_id
from portal.core.ports import Files
from portal.core.records import FileRecord
from portal.errors import BadRequest, Conflict, NotFound, StorageFull
from portal.exchange.archive import LARGEST_FILE, Archive
from portal.exchange.shape import Attached
from portal.exchange.tally import Tally
from portal.exchange.tree import Kept

_CHUNK = 2**18
_LONGEST_NAME = 200
_TRIES = 8
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png", ".png"),
    (b"\xff\xd8\xff", "image/jpeg", ".jpg"),
    (b"GIF8", "image/gif", ".gif"),
    (b"RIFF", "image/webp", ".webp"),
    (b"%PDF-", "application/pdf", ".pdf"),
)
_ABSENT = "it is not in the export"


class Arrived:
    """The files of one import."""

    def __init__(self, *, files: Files, archive: Archive, owner: str, source: str, tally: Tally, dry: bool) -> None:
        self._files, self._archive, self._tally, self._dry = files, archive, tally, dry
        self._owner, self._source = owner, source
        self.kept: dict[str, Kept] = {}

    async def take(self, one: Attached, moment: int | None, *, file_id: str = "") -> Kept:
        """Store it unless it is there; `moment` dates what has no time of its own. A file that cannot be had is said to
        be missing. Raises StorageFull where the disk is full."""
        if one.key in self.kept:
            return self.kept[one.key]
        self._tally.find("files")
        name = plain_name(one.filename)
        try:
            kept = await self._stored(one, name, one.created or moment or 0, file_id)
        except (BadRequest, NotFound) as error:
            kept = Kept("", name, "", error.message.rstrip("."))
        except StorageFull as error:
            if error.code != "file_quota_reached":
                raise
            kept = Kept("", name, "", "your files may take no more room")
        if not kept.id:
            self._tally.leave("files", name, kept.reason)
        self.kept[one.key] = kept
        return kept

    async def _stored(self, one: Attached, name: str, moment: int, file_id: str) -> Kept:
        if one.content is None and not one.member:
            return Kept("", name, "", _ABSENT)
        kind, name = self._typed(one, name)
        if self._dry:
            self._tally.take("files", new=1)
            return Kept(derived_id("file", moment, one.key), name, kind)
        for number in range(_TRIES):
            own = file_id if file_id and not number else self._id(moment, one.key, number)
            if await self._there(own):
                self._tally.take("files", known=1)
                return Kept(own, name, kind)
            record = FileRecord(
                id=own,
                owner=self._owner,
                filename=name,
                purpose=one.purpose,
                size=0,
                sha256="",
                content_type=kind,
                created_at=min(moment or micros(), micros()),
            )
            try:
                await self._files.create(record, self._content(one))
            except Conflict:  # half of one that came before is still there, or somebody else's
                continue
            self._tally.take("files", new=1)
            return Kept(own, name, kind)
        return Kept("", name, "", "its id is in use")

    def _id(self, moment: int, key: str, number: int) -> str:
        return derived_id("file", moment, self._owner, self._source, key, str(number))

    async def _there(self, file_id: str) -> bool:
        try:
            await self._files.get(self._owner, file_id)
        except NotFound:
            return False
        return True

    def _typed(self, one: Attached, name: str) -> tuple[str, str]:
        """What it is: what it begins with, then what it is called or said to be. A name without an ending gets one."""
        if one.content is not None:
            head = one.content[:16]
        else:
            with self._archive.open(one.member, LARGEST_FILE) as file:
                head = file.read(16)
        guessed = mimetypes.guess_type(name)[0]
        for magic, kind, ending in _MAGIC:
            if head.startswith(magic):
                return kind, name if guessed == kind else f"{name.removesuffix('.dat')}{ending}"
        said = one.content_type.lower() if _is_type(one.content_type) else ""
        return guessed or said or "application/octet-stream", name

    async def _content(self, one: Attached) -> AsyncIterator[bytes]:
        if one.content is not None:
            yield one.content
            return
        with ExitStack() as stack:
            file = stack.enter_context(self._archive.open(one.member, LARGEST_FILE))
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk


def plain_name(name: str) -> str:
    """A name without folders, signs that do not print, or too many letters."""
    printable = "".join(sign for sign in name.replace("\\", "/") if sign.isprintable())
    last = printable.rstrip("/").rsplit("/", 1)[-1].strip()
    return last[-_LONGEST_NAME:] if last.strip(".") else "file"


def _is_type(said: str) -> bool:
    kind, _, inner = said.partition("/")
    return bool(inner) and all(
        part.replace("-", "").replace(".", "").replace("+", "").isalnum() for part in (kind, inner)
    )
