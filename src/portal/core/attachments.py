"""Uploaded files in a turn: replaced by their content, for the owner who has them, just before a model sees them."""

import base64
import binascii
from collections.abc import Iterable

from portal.core.items import Item, JsonObject
from portal.core.ports import Files
from portal.errors import BadRequest, NotFound

_IMAGE_LIMIT = 20 * 2**20
_TEXT_LIMIT = 2 * 2**20


class Attachments:
    """Resolves `file_id` and `file_data` parts."""

    def __init__(self, *, files: Files) -> None:
        self._files = files

    async def recalled(self, owner: str, items: Iterable[Item]) -> list[Item]:
        """Like `resolve`, for what was said before: a file deleted since leaves a note in its place.

        Raises:
            BadRequest: as `resolve`.
        """
        kept = [await self._without_missing(owner, item) for item in items]
        return await self.resolve(owner, kept)

    async def _without_missing(self, owner: str, item: Item) -> Item:
        name, parts = _parts(item)
        if parts is None:
            return item
        return {**item, name: [await self._or_note(owner, part) for part in parts]}

    async def _or_note(self, owner: str, part: JsonObject) -> JsonObject:
        if part["type"] not in ("input_file", "input_image") or not part.get("file_id"):
            return part
        try:
            await self._files.get(owner, part["file_id"])
        except NotFound:
            return {"type": "input_text", "text": f"(The file {part.get('filename') or part['file_id']} was deleted.)"}
        return part

    async def resolve(self, owner: str, items: Iterable[Item]) -> list[Item]:
        """The same items with every attached file in place: images as data URLs, text files as text.

        Raises:
            NotFound: a file is not this owner's.
            BadRequest: a file is neither a picture nor text, or too large to read into a prompt.
        """
        return [await self._item(owner, item) for item in items]

    async def _item(self, owner: str, item: Item) -> Item:
        name, parts = _parts(item)
        if parts is None:
            return item
        return {**item, name: [await self._part(owner, part) for part in parts]}

    async def _part(self, owner: str, part: JsonObject) -> JsonObject:
        if part["type"] == "input_image" and not part.get("image_url"):
            return await self._image(owner, part)
        if part["type"] == "input_file":
            name, content = await self._file(owner, part)
            return {"type": "input_text", "text": as_text(name, content)}
        return part

    async def _image(self, owner: str, part: JsonObject) -> JsonObject:
        if not part.get("file_id"):
            raise BadRequest("An input_image needs an image_url or a file_id.", param="input")
        record = await self._files.get(owner, part["file_id"])
        if not record.content_type.startswith("image/"):
            raise BadRequest(f"The file {record.filename!r} is not a picture.", param="input", code="invalid_image")
        content = await self._read(owner, part["file_id"], _IMAGE_LIMIT, record.filename)
        encoded = base64.b64encode(content).decode("ascii")
        return {**part, "image_url": f"data:{record.content_type};base64,{encoded}"}

    async def _file(self, owner: str, part: JsonObject) -> tuple[str, bytes]:
        if part.get("file_id"):
            record = await self._files.get(owner, part["file_id"])
            return record.filename, await self._read(owner, part["file_id"], _TEXT_LIMIT, record.filename)
        if part.get("file_data"):
            name, content = part.get("filename") or "file", _decode(part["file_data"])
            if len(content) > _TEXT_LIMIT:
                raise _too_large(name, _TEXT_LIMIT)
            return name, content
        raise BadRequest("An input_file needs a file_id or file_data; files are not fetched by URL.", param="input")

    async def _read(self, owner: str, file_id: str, limit: int, name: str) -> bytes:
        content = bytearray()
        async for chunk in self._files.content(owner, file_id):
            content += chunk
            if len(content) > limit:
                raise _too_large(name, limit)
        return bytes(content)


def _too_large(name: str, limit: int) -> BadRequest:
    return BadRequest(f"The file {name!r} is over {limit // 2**20} MB.", param="input", code="file_too_large")


def _decode(data: str) -> bytes:
    """Base64, with or without a `data:` URL around it."""
    encoded = data.split(",", 1)[1] if data.startswith("data:") and "," in data else data
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise BadRequest("file_data is not base64.", param="input") from error


def _parts(item: Item) -> tuple[str, list[JsonObject] | None]:
    """The field that may hold attachments, and its parts."""
    name = "output" if item["type"] == "function_call_output" else "content"
    parts = item.get(name)
    return name, parts if isinstance(parts, list) else None


def as_text(name: str, content: bytes) -> str:
    """A text file as a model reads it, named and fenced.

    Raises:
        BadRequest: it is not UTF-8 text.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BadRequest(
            f"The file {name!r} is not text. This version reads pictures and text files.",
            param="input",
            code="unsupported_file",
        )
    fence = "```"
    while fence in text:
        fence += "`"
    return f"File {name}:\n{fence}\n{text}\n{fence}"
