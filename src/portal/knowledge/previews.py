"""Glimpses of files: a small picture of a picture or of a PDF's first page, a PDF's pages, and what a document says."""

import asyncio
import io
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from portal.core.documents import Extracted
from portal.core.ports import Files
from portal.core.records import FileRecord
from portal.errors import NotFound, TooLarge

_SIDE = 480
_MOST_PIXELS = 60_000_000
_LARGEST_PICTURE = 64 * 2**20
_LARGEST_DOCUMENT = 100 * 2**20
_KEPT = 200
_PDF = "application/pdf"
_PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff"}
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
_DPI, _DPI_TO_READ = 80, 110


class Reader(Protocol):
    """Reads what a file says."""

    async def read(self, file: Path | bytes, name: str, content_type: str = "") -> Extracted:
        """Raises BadRequest, TooLarge, BackendError."""

    async def draw(self, file: Path, page: int, dpi: int) -> bytes:
        """A PNG of a page of a PDF, counted from 1; nothing where there is none."""


class Previews:
    """Glimpses of an owner's files. Small pictures are remembered by what the file holds."""

    def __init__(self, *, files: Files, reader: Reader, longest: int = 200_000) -> None:
        """`longest` is how many characters of a document are shown."""
        self._files, self._reader, self._longest = files, reader, longest
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._busy = asyncio.Semaphore(2)

    async def thumbnail(self, owner: str, file_id: str) -> tuple[str, bytes]:
        """What names its version, and a PNG.

        Raises:
            NotFound: there is no such file, or none can be made of it.
        """
        record = await self._files.get(owner, file_id)
        if record.sha256 not in self._kept:
            made = await self._made(record)
            self._kept[record.sha256] = made
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(record.sha256)
        return record.sha256, self._kept[record.sha256]

    async def page(self, owner: str, file_id: str, number: int) -> tuple[str, bytes]:
        """What names its version, and a PNG of a page of a PDF, large enough to be read.

        Raises:
            NotFound: there is no such file or page, or none can be drawn.
        """
        record = await self._files.get(owner, file_id)
        drawn = b""
        if record.content_type == _PDF and record.size <= _LARGEST_DOCUMENT:
            drawn = await self._with(record, lambda place: self._reader.draw(place, number, _DPI_TO_READ))
        if not drawn:
            raise NotFound("There is no picture of this page.")
        return f"{record.sha256}-{number}", drawn

    async def text(self, owner: str, file_id: str) -> tuple[str, bool]:
        """What a document says as Markdown, and whether that is all.

        Raises:
            NotFound, BadRequest, TooLarge, BackendError: why there is none.
        """
        record = await self._files.get(owner, file_id)
        if record.size > _LARGEST_DOCUMENT:
            raise TooLarge("This file is too large to be shown here; download it.")
        with TemporaryDirectory() as folder:
            place = Path(folder) / "file"
            await self._written(record, place)
            found = await self._reader.read(place, record.filename, record.content_type)
        text = _markdown(found)
        return text[: self._longest], len(text) <= self._longest

    async def _made(self, record: FileRecord) -> bytes:
        pdf = record.content_type == _PDF
        most = _LARGEST_DOCUMENT if pdf else _LARGEST_PICTURE
        if record.size > most or not (pdf or record.content_type in _PICTURES):
            raise NotFound("There is no small picture of this file.")
        made = await self._with(record, self._of_first_page if pdf else _of_picture)
        if not made:
            raise NotFound("There is no small picture of this file.")
        return made

    async def _with(self, record: FileRecord, draw: Callable[[Path], Awaitable[bytes]]) -> bytes:
        """What is drawn of a file's content on the disk."""
        async with self._busy:
            with TemporaryDirectory() as folder:
                place = Path(folder) / "file"
                await self._written(record, place)
                return await draw(place)

    async def _of_first_page(self, place: Path) -> bytes:
        page = await self._reader.draw(place, 1, _DPI)
        return await asyncio.to_thread(_smaller, io.BytesIO(page)) if page else b""

    async def _written(self, record: FileRecord, place: Path) -> None:
        with place.open("wb") as file:
            async for chunk in self._files.content(record.owner, record.id):
                await asyncio.to_thread(file.write, chunk)


def _markdown(found: Extracted) -> str:
    """The text, whose tables become tables of Markdown."""
    parts: list[str] = []
    at = 0
    for block in found.blocks:
        if block.kind == "table":
            parts += [found.text[at : block.start], _table(found.text[block.start : block.end])]
            at = block.end
    return "".join([*parts, found.text[at:]])


def _table(text: str) -> str:
    first, *rest = text.strip("\n").split("\n")
    if first.lstrip().startswith("|"):
        return text
    rule = " | ".join("---" for _ in first.split(" | "))
    return "\n".join(f"| {line} |" for line in (first, rule, *rest))


async def _of_picture(place: Path) -> bytes:
    return await asyncio.to_thread(_smaller, place)


def _smaller(picture: Path | io.BytesIO) -> bytes:
    """Empty where it is no picture, or the library is missing."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        return b""
    try:
        with Image.open(picture, formats=_FORMATS) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return b""
            opened.draft("RGB", (_SIDE, _SIDE))
            turned = ImageOps.exif_transpose(opened)
            turned.thumbnail((_SIDE, _SIDE))
            out = io.BytesIO()
            turned.convert("RGBA" if turned.mode in ("P", "LA", "RGBA", "PA") else "RGB").save(out, "PNG")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    return out.getvalue()
