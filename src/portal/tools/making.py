"""What the tools for pictures, videos and music share: an order, its progress told, its files brought back.

Their risk is `spend`: they take minutes of the engine. While every engine is one's own, nothing is paid and nothing
leaves the network, so they count as harmless: nobody is asked, unless the conversation has read what strangers wrote.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from portal.core.clock import micros
from portal.core.hosted import CALL, FILE
from portal.core.ids import new_id
from portal.core.items import Item
from portal.core.media import Kind, MediaJob, Order, Progress, Recipe, Studio, Value
from portal.core.ports import Files
from portal.core.records import FileRecord
from portal.core.tools import ToolContext, ToolResult, ToolSpec
from portal.errors import PortalError, ToolError
from portal.tools.function import Functions

LAST = "last"
Inputs = dict[str, str | int | float | bool]
Wishes = dict[str, Value | None]
_SIZE = re.compile(r"(\d{2,5}) ?[x×*] ?(\d{2,5})")
_DATA = re.compile(r"data:(image/[a-z+.-]+);base64,(.+)", re.DOTALL)
_PICTURES = 3
"""Inputs for pictures beyond which wanted ones that only go on counting (`image4`) are not listed."""
_COUNTED = re.compile(r"image\d+")
_DAY = 86_400_000_000
_SPARE = 60.0
"""Seconds that a call may take beyond its job's time, so that the job ends first."""


class Making(Functions):
    """A family that makes one kind of thing."""

    def __init__(
        self, name: str, kind: Kind, functions: Sequence[Callable[..., Any]], *, studio: Studio | None, files: Files
    ) -> None:
        """Without a studio it has no tools."""
        super().__init__(name, functions if studio else [])
        self._kind = kind
        self._given = studio
        self._files = files

    @property
    def studio(self) -> Studio:
        """Who makes it."""
        assert self._given is not None
        return self._given

    def tools(self) -> Sequence[ToolSpec]:
        """Harmless while every engine is one's own; a job has its own time."""
        return [
            replace(spec, harmless=self.studio.local, timeout=self.studio.patience + _SPARE)
            if spec.risk == "spend"
            else spec
            for spec in super().tools()
        ]

    async def listed(self) -> str:
        """The workflows, for a model."""
        recipes = await self.studio.recipes(self._kind)
        return "\n".join(_line(one) for one in recipes) or "There is no engine for this. Connect ComfyUI."

    async def made(
        self,
        context: ToolContext,
        workflow: str,
        values: Mapping[str, Value | None],
        pictures: Mapping[str, str] | None = None,
        inputs: Inputs | None = None,
    ) -> ToolResult:
        """Order it, wait for it, bring it. Raises ToolError."""
        given = {name: value for name, value in values.items() if value not in (None, "")}
        wishes = dict(context.wishes)
        named = wishes.pop("workflow", "")
        asked = {**size_of(wishes.pop("size", "")), **wishes}
        try:
            found = {name: await self._picture(context, one) for name, one in (pictures or {}).items() if one}
            order = Order(
                kind=self._kind,
                recipe=workflow if found else named or workflow,
                values={**given, **(inputs or {}), **asked},
                pictures=found,
                call_id=context.call_id,
            )
            jobs = await self.studio.order(context.owner, order)
        except PortalError as error:
            raise ToolError(error.message) from error
        ended = await self._ended(context, jobs)
        problem = next((job.problem for job in ended if job.problem is not None), None)
        if problem is not None:
            raise ToolError(problem.message) from problem
        files = [file for job in ended for file in job.results]
        return ToolResult(text=f"Made with {ended[0].recipe} ({_told(ended[0])}). The person sees it.", kept=files)

    async def _ended(self, context: ToolContext, jobs: Sequence[MediaJob]) -> Sequence[MediaJob]:
        """Each as it ended. Whoever stops the call stops the jobs, but not a server that is about to end."""
        ended: dict[str, MediaJob] = {}
        try:
            for number, job in enumerate(jobs, 1):
                seen = 0
                async for progress in self.studio.follow(context.owner, job.id):
                    ended[job.id] = progress.job
                    context.report(_said(progress, number, len(jobs)))
                    if number == 1 and progress.preview is not None and progress.previews > seen:
                        seen = progress.previews
                        context.preview(progress.preview, progress.job.progress)
        except asyncio.CancelledError:
            if not self.studio.closing:
                for job in jobs:
                    with suppress(PortalError):
                        await self.studio.cancel(context.owner, job.id)
            raise
        return [ended[job.id] for job in jobs]

    async def _picture(self, context: ToolContext, named: str) -> str:
        """The file id of a picture: of this id, or the newest of the conversation. Raises ToolError."""
        if named != LAST:
            return named
        for item in reversed(context.earlier()):
            for found in _pictures(item):
                sent = _DATA.fullmatch(found)
                return await self._kept(context.owner, sent[1], sent[2]) if sent else found
        raise ToolError("There is no picture in this conversation yet: ask the person for one.")

    async def _kept(self, owner: str, content_type: str, data: str) -> str:
        """A picture that came inside a message, as a file for as long as a job may need it."""
        try:
            content = base64.b64decode(data, validate=True)
        except (ValueError, binascii.Error) as error:
            raise ToolError("The picture of the message cannot be read.") from error
        now = micros()
        record = FileRecord(
            id=new_id("file"),
            owner=owner,
            filename="picture",
            purpose="vision",
            size=0,
            sha256="",
            content_type=content_type,
            created_at=now,
            expires_at=now + _DAY,
        )
        return (await self._files.create(record, _whole(content))).id


def size_of(size: str) -> Mapping[str, Value]:
    """Width and height of words such as `1024x768`. Raises ToolError."""
    if not size.strip():
        return {}
    found = _SIZE.fullmatch(size.strip().lower())
    if found is None:
        raise ToolError("size is WIDTHxHEIGHT in pixels, such as 1024x768.")
    return {"width": int(found[1]), "height": int(found[2])}


def _pictures(item: Item) -> Iterator[str]:
    """File ids and data URLs of the pictures of an item, the newest first."""
    if item["type"] == CALL and item.get(FILE):
        yield item[FILE]
    elif item["type"] == CALL and item.get("result"):
        yield f"data:image/{item.get('output_format') or 'png'};base64,{item['result']}"
    for file in reversed(item.get("portal:files") or ()):
        if str(file.get("content_type", "")).startswith("image/"):
            yield file["file_id"]
    content = item.get("content")
    for part in reversed(content if isinstance(content, list) else []):
        if part.get("type") == "input_image":
            found = part.get("file_id") or part.get("image_url")
            if isinstance(found, str) and not found.startswith("http"):
                yield found


def _line(one: Recipe) -> str:
    listed = [
        name
        for place, name in enumerate(one.pictures)
        if place < _PICTURES or name in one.needed or not _COUNTED.fullmatch(name)
    ]
    pictures = [f"{name} (a picture{'' if name in one.needed else ', if wanted'})" for name in listed]
    inputs = ", ".join([*pictures, *one.inputs])
    state = f"ready; inputs: {inputs}" if one.ready else f"not ready: {one.needs}"
    return f"{one.name}: {one.description or one.title} [{state}]"


def _told(job: MediaJob) -> str:
    """The settings that matter for making it again."""
    known = ("seed", "width", "height", "seconds", "steps")
    return ", ".join(f"{name} {job.values[name]}" for name in known if name in job.values) or "its own settings"


def _said(progress: Progress, number: int, of: int) -> str:
    job = progress.job
    which = f"{number} of {of}: " if of > 1 else ""
    if job.status == "queued":
        return f"{which}waits for its turn"
    share = f"{round(job.progress * 100)} %"
    return f"{which}{share}, {job.detail}" if job.detail else f"{which}{share}"


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data
