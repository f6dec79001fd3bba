"""What a tool brought, bounded for the model: long text becomes a file, files become the user's."""

import re
from collections.abc import AsyncIterator

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.ports import Files
from portal.core.records import FileRecord
from portal.core.tools import ToolFile, ToolResult
from portal.errors import StorageError

_CHUNK = 2**20
_HEAD = 3
"""Of four parts that a model sees of long output, those from the beginning."""
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Outputs:
    """Keeps results."""

    def __init__(self, *, files: Files, longest: int) -> None:
        """`longest` is how many characters of a result a model sees."""
        self._files = files
        self._longest = longest

    async def kept(self, owner: str, tool: str, result: ToolResult) -> tuple[str, list[JsonObject]]:
        """The text for the model, and the files: {file_id, filename, content_type, size}. What cannot be kept is said:
        the tool has done its work."""
        made, text, notes = list(result.files), result.text, list[str]()
        if len(text) > self._longest:
            name = f"{tool}.txt"
            made.append(ToolFile(name=name, content_type="text/plain", data=text.encode("utf-8", "replace")))
            text = self._cut(text, name)
        files = list(result.kept)
        for file in made:
            try:
                files.append(await self._store(owner, file))
            except StorageError as error:
                notes.append(f"\n[File {file.name} could not be kept: {error.message}]")
        notes += [f"\n[File {one['filename']}: {one['file_id']}]" for one in files]
        return _UNWRITABLE.sub("\ufffd", text + "".join(notes)), files

    def _cut(self, text: str, name: str) -> str:
        head = self._longest * _HEAD // 4
        tail = self._longest - head
        note = f"[... {len(text) - head - tail} characters left out; all of it is in {name} ...]"
        return f"{text[:head]}\n{note}\n{text[-tail:]}"

    async def _store(self, owner: str, made: ToolFile) -> JsonObject:
        record = FileRecord(
            id=new_id("file"),
            owner=owner,
            filename=_UNWRITABLE.sub("\ufffd", made.name),
            purpose="user_data",
            size=0,
            sha256="",
            content_type=_UNWRITABLE.sub("\ufffd", made.content_type),
            created_at=micros(),
        )
        stored = await self._files.create(record, _chunks(made.data))
        return {
            "file_id": stored.id,
            "filename": stored.filename,
            "content_type": stored.content_type,
            "size": stored.size,
        }


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]
