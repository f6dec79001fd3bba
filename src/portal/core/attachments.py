"""Uploaded files in a turn: replaced by their content, for the owner who has them, just before a model sees them."""

import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from portal.core.items import Item, JsonObject
from portal.core.ports import Files
from portal.errors import BadRequest, NotFound

_IMAGE_LIMIT = 20 * 2**20
_TEXT_LIMIT = 2 * 2**20


@dataclass(frozen=True, slots=True)
class Shelved:
    """The files of a conversation that are searched rather than shown."""

    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by id."""

    def has(self, file_id: object, content: bytes | None) -> bool:
        """Whether a part of an item, by its file or by what it brings, is one of them."""
        if file_id or not self.files:
            return file_id in self.files
        return content is not None and hashlib.sha256(content).hexdigest() in self.files.values()


@dataclass(frozen=True, slots=True)
class Brought:
    """An attached file."""

    name: str
    content: bytes | None = None
    """None of one that is too large to be told."""
    text: str | None = None
    """None of one that is too large, or no text."""


NOTHING = Shelved()
_Told: TypeAlias = Callable[[str, JsonObject, Shelved], Awaitable[JsonObject]]


class Attachments:
    """Resolves `file_id` and `file_data` parts."""

    def __init__(self, *, files: Files) -> None:
        self._files = files

    async def recalled(self, owner: str, items: Iterable[Item], shelved: Shelved = NOTHING) -> list[Item]:
        """Like `resolve`, for what was said before: a file that was deleted since, or cannot be told any more, leaves a
        note in its place, for the conversation goes on without it."""
        return [await self._item(owner, item, shelved, self._or_note) for item in items]

    async def _or_note(self, owner: str, part: JsonObject, shelved: Shelved) -> JsonObject:
        name = part.get("filename") or part.get("file_id") or "file"
        try:
            return await self._part(owner, part, shelved)
        except NotFound:
            return {"type": "input_text", "text": f"(The file {name} was deleted.)"}
        except BadRequest:
            return {"type": "input_text", "text": f"(What the file {name} says is not kept here any more.)"}

    async def resolve(self, owner: str, items: Iterable[Item], shelved: Shelved = NOTHING) -> list[Item]:
        """The same items with every attached file in place: images as data URLs, text files as text, and of those that
        are `shelved` that they are there.

        Raises:
            NotFound: a file is not this owner's.
            BadRequest: a file is neither a picture nor text, or too large to read into a prompt.
        """
        return [await self._item(owner, item, shelved, self._part) for item in items]

    async def listed(self, owner: str, file_ids: Iterable[str], shelved: Shelved) -> list[str]:
        """What files say that stand for themselves, in no message; of one that cannot be told, why."""
        return [await self._alone(owner, one, shelved) for one in file_ids]

    async def _alone(self, owner: str, file_id: str, shelved: Shelved) -> str:
        part = {"type": "input_file", "file_id": file_id}
        try:
            if file_id in shelved.files:
                return _among_sources((await self._files.get(owner, file_id)).filename)
            return _told(await self.brought(owner, part), part, shelved)
        except NotFound:
            return f"(The file {file_id} was deleted.)"
        except BadRequest as error:
            return f"({error.message})"

    @staticmethod
    async def _item(owner: str, item: Item, shelved: Shelved, told: _Told) -> Item:
        name, parts = parts_of(item)
        if parts is None:
            return item
        return {**item, name: [await told(owner, part, shelved) for part in parts]}

    async def _part(self, owner: str, part: JsonObject, shelved: Shelved) -> JsonObject:
        if part["type"] == "input_image" and not part.get("image_url"):
            return await self._image(owner, part)
        if part["type"] == "input_file":
            return {"type": "input_text", "text": _told(await self.brought(owner, part), part, shelved)}
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

    async def brought(self, owner: str, part: JsonObject) -> Brought:
        """The file of an `input_file`. Raises NotFound, and BadRequest where it names none."""
        if part.get("file_id"):
            record = await self._files.get(owner, part["file_id"])
            if record.size > _TEXT_LIMIT:
                return Brought(record.filename)
            name, content = record.filename, await self._read(owner, record.id, _TEXT_LIMIT, record.filename)
        elif part.get("file_data"):
            name, content = part.get("filename") or "file", _decode(part["file_data"])
        else:
            raise BadRequest("An input_file needs a file_id or file_data; files are not fetched by URL.", param="input")
        return Brought(name, content, None if len(content) > _TEXT_LIMIT else _text_of(content))

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


def parts_of(item: Item) -> tuple[str, list[JsonObject] | None]:
    """The field that may hold attachments, and its parts."""
    name = "output" if item["type"] == "function_call_output" else "content"
    parts = item.get(name)
    return name, parts if isinstance(parts, list) else None


def _text_of(content: bytes) -> str | None:
    """None where it is not UTF-8 text."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _told(file: Brought, part: JsonObject, shelved: Shelved) -> str:
    if shelved.has(part.get("file_id"), file.content):
        return _among_sources(file.name)
    if file.text is not None:
        return fenced(file.name, file.text)
    if file.content is None or len(file.content) > _TEXT_LIMIT:
        raise _too_large(file.name, _TEXT_LIMIT)
    raise _no_text(file.name)


def _among_sources(name: str) -> str:
    return f"(The file {name} is attached. What it says to the question is among the sources.)"


def as_text(name: str, content: bytes) -> str:
    """A text file as a model reads it, named and fenced.

    Raises:
        BadRequest: it is not UTF-8 text.
    """
    text = _text_of(content)
    if text is None:
        raise _no_text(name)
    return fenced(name, text)


def fenced(name: str, text: str) -> str:
    """A file's text as a model reads it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"File {name}:\n{fence}\n{text}\n{fence}"


def _no_text(name: str) -> BadRequest:
    return BadRequest(
        f"The file {name!r} is not text. Here only pictures and text files can be told; in a conversation, and in "
        "knowledge, documents are read.",
        param="input",
        code="unsupported_file",
    )
