"""Tools that make pictures, videos and music: as those of the stores, with what they made brought to the client."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import mcp_types as types

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.records import FileRecord
from portal.core.tools import ToolContext, ToolFile, ToolResult, ToolSpec
from portal.interfaces.mcp.content import answered
from portal.interfaces.mcp.serving import Asker, Outcome
from portal.shipped.bounds import folder_of, linked
from portal.shipped.face import Face
from portal.shipped.relay import Running
from portal.shipped.stores import StoreTools
from portal.tools.folders import granted, keep_in

if TYPE_CHECKING:
    from portal.app.stores import Stores
    from portal.settings import Settings

_STORED, _FILES = "file_", "/v1/files/"
_PICTURES = {
    "image": "The picture: its path, or the file id of one that was made here",
    "mask": "The same of a picture that is transparent where it is to be changed",
    "second": "The same of a second picture to take from, where the workflow has `image2`",
}
"""Arguments that name a picture: there is no conversation here that it could be in."""
_LARGEST = 64 * 2**20
_DAY = 86_400
"""Seconds for which a picture to start from is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file of a job's."""

    file_id: str
    name: str
    content_type: str
    data: bytes


class StudioTools(StoreTools):
    """Implements Offer."""

    def __init__(
        self, face: Face, settings: "Settings", running: Running, *, folders: Sequence[Path], read_only: bool
    ) -> None:
        """`folders` are those that a person gave: what is made lies in the first one."""
        super().__init__(face, settings, running, read_only=read_only)
        self._folder = folder_of(face, settings, folders)
        self._turn = asyncio.Lock()

    @cached_property
    def _specs(self) -> Sequence[ToolSpec]:
        """Known without opening anything."""
        from portal.media.engines import engines
        from portal.media.studio import MediaStudio
        from portal.tools.families import Needs

        settings, nothing = self._settings, cast(Any, None)
        found = engines(settings.media, data_dir=settings.data_dir, discovery=settings.discovery.enabled)
        studio = MediaStudio(jobs=nothing, files=nothing, engines=found, settings=settings.media, changed=nothing)
        needs = Needs(settings=settings, sandbox=nothing, fetcher=nothing, files=nothing, media=studio)
        made = [import_module(f"portal.tools.{name}").create(needs) for name in self._face.makes]
        return [_by_path(spec) for toolset in made for spec in toolset.tools()]

    def _opened(self) -> "AbstractAsyncContextManager[Stores]":
        from portal.app.stores import open_studio

        return open_studio(self._settings)

    async def _relayed(self, spec: ToolSpec, arguments: JsonObject, asker: Asker) -> Outcome:
        given = {
            name: await self._relay.upload(Path(value).name, self._read(value), keep=_DAY)
            for name, value in self._paths(arguments).items()
        }
        outcome = await super()._relayed(spec, {**arguments, **given}, asker)
        return await self._fetched(outcome, asker) if isinstance(outcome, types.CallToolResult) else outcome

    async def _fetched(self, result: types.CallToolResult, asker: Asker) -> types.CallToolResult:
        """With its files in place of links into Portal."""
        made, rest = list[Made](), list[types.ContentBlock]()
        for block in result.content:
            if not isinstance(block, types.ResourceLink) or not block.uri.startswith(_FILES):
                rest.append(block)
                continue
            file_id, kind = block.uri.removeprefix(_FILES).partition("/")[0], block.mime_type or ""
            data = await self._relay.download(block.uri)
            made.append(Made(file_id=file_id, name=block.name, content_type=kind, data=data))
        content = [*rest, *answered(self._brought(made, asker)).content] if made else rest
        return result.model_copy(update={"content": content})

    async def _own(self, spec: ToolSpec, arguments: JsonObject, asker: Asker) -> ToolResult:
        """One call at a time has the database; the engine would do one after another, too."""
        async with self._turn:
            return await super()._own(spec, arguments, asker)

    async def _called(self, stores: "Stores", spec: ToolSpec, read: JsonObject, asker: Asker) -> ToolResult:
        given = {name: await self._stored(stores, value) for name, value in self._paths(read).items()}
        result = await super()._called(stores, spec, {**read, **given}, asker)
        made = [
            Made(
                file_id=one["file_id"],
                name=one["filename"],
                content_type=one["content_type"],
                data=b"".join([chunk async for chunk in stores.files.content(stores.owner, one["file_id"])]),
            )
            for one in result.kept
        ]
        if not made:
            return result
        brought = self._brought(made, asker)
        return replace(result, text=f"{result.text}\n{brought.text}", files=brought.files, kept=brought.kept)

    def _brought(self, made: Sequence[Made], asker: Asker) -> ToolResult:
        """The files in the server's folder, and their ids, by which other tools take them."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = [self._kept(one) for one in made]
        near = asker.request is None
        lines = [
            f"{self._folder / file.name if near else file.name} (file id {one.file_id})"
            for one, file in zip(made, files, strict=True)
        ]
        result = ToolResult(text="\n".join(lines), files=files)
        return linked(result, self._folder) if near else result

    def _kept(self, made: Made) -> ToolFile:
        return replace(keep_in(self._folder, self._free(made), made.data), content_type=made.content_type)

    def _free(self, made: Made) -> str:
        """A name that no other file has: the same words make many pictures."""
        name = Path(made.name)
        return f"{name.stem}-{made.file_id[-6:]}{name.suffix}" if (self._folder / name).exists() else made.name

    @staticmethod
    def _paths(arguments: JsonObject) -> Mapping[str, str]:
        """The arguments that name a picture by its path."""
        named = {name: arguments.get(name) for name in _PICTURES}
        return {
            name: one for name, one in named.items() if isinstance(one, str) and one and not one.startswith(_STORED)
        }

    def _read(self, path: str) -> bytes:
        """Raises ToolError."""
        context = ToolContext(owner="", call_id="", response_id="", workspace="", folder=self._folder)
        return granted(self._settings).file(path, context, largest=_LARGEST).read()

    async def _stored(self, stores: "Stores", path: str) -> str:
        now = micros()
        record = FileRecord(
            id=new_id("file"),
            owner=stores.owner,
            filename=Path(path).name,
            purpose="vision",
            size=0,
            sha256="",
            content_type="application/octet-stream",
            created_at=now,
            expires_at=now + _DAY * 1_000_000,
        )
        return (await stores.files.create(record, _whole(self._read(path)))).id


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _by_path(spec: ToolSpec) -> ToolSpec:
    """With words for its pictures that fit a client without a conversation: the newest of it is nothing here."""
    parameters = spec.parameters
    properties, required = dict(parameters["properties"]), list(parameters.get("required", ()))
    for name in _PICTURES.keys() & properties.keys():
        property_: dict[str, Any] = {**properties[name], "description": _PICTURES[name]}
        if property_.get("default"):
            del property_["default"]
            required.append(name)
        properties[name] = property_
    return replace(spec, parameters={**parameters, "properties": properties, "required": required})
