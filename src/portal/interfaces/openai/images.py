"""`/v1/images`: pictures made, edited and varied, whole or as a stream with previews."""

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from time import perf_counter

import orjson
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.core.clock import micros, seconds
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.media import MOST_PICTURES, MediaJob, Order, Picture, Progress, Studio
from portal.core.ports import Files, UsageLog
from portal.core.records import FileRecord, UsageRecord
from portal.core.terms import counted
from portal.core.tokens import estimate
from portal.errors import BadRequest, Conflict, MediaError, NotFound, PortalError
from portal.interfaces.late import LateRouter
from portal.interfaces.openai.errors import DIALECT
from portal.interfaces.openai.image_request import CreateImage, EditImage, VaryImage, read_form
from portal.interfaces.openai.validation import check, missing, parse_json
from portal.interfaces.wire import ClientGone, EventStream, header_value, json_response, while_there
from portal.media.pictures import Format, converted

_DAY = 86_400_000_000
"""For so long a picture is kept that came with a request."""


@dataclass(kw_only=True)
class _Call:
    """One request under way."""

    owner: str
    body: CreateImage
    base: str
    kind: str
    """`image_generation` or `image_edit`: the first word of its events."""
    jobs: Sequence[MediaJob] = ()
    ended: dict[str, MediaJob] = field(default_factory=dict)
    began: float = field(default_factory=perf_counter)
    created_at: int = field(default_factory=micros)

    @property
    def format(self) -> Format:
        return self.body.output_format or "png"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"X-Portal-Model": header_value(self.jobs[0].recipe)} if self.jobs else {}

    @property
    def status(self) -> str:
        done = len(self.ended) == len(self.jobs) and all(one.status == "done" for one in self.ended.values())
        return "completed" if done else "failed"

    def facts(self, job: MediaJob, result: JsonObject | None = None) -> JsonObject:
        """What every answer and event says of the pictures."""
        size = result or {"width": job.values.get("width"), "height": job.values.get("height")}
        asked = self.body.size or "auto"
        return {
            "background": self.body.background or "opaque",
            "output_format": self.format,
            "quality": self.body.quality or "auto",
            "size": f"{size['width']}x{size['height']}" if size.get("width") and size.get("height") else asked,
        }

    def usage(self) -> JsonObject:
        """Portal counts words; a picture has no tokens here."""
        tokens = estimate(self.body.prompt)
        details = {"text_tokens": tokens, "image_tokens": 0}
        return {"input_tokens": tokens, "input_tokens_details": details, "output_tokens": 0, "total_tokens": tokens}


class _Door:
    """The endpoints."""

    def __init__(self, *, studio: Studio, files: Files, usage: UsageLog, keep_alive: float) -> None:
        self._studio = studio
        self._files = files
        self._usage = usage
        self._keep_alive = keep_alive

    async def generate(self, request: Request) -> Response:
        """Make pictures from words."""
        body = check(CreateImage, parse_json(await request.body()))
        return await self._answered(request, body, body.order(), "image_generation")

    async def edit(self, request: Request) -> Response:
        """Change a picture, where a mask is transparent; or make one of several."""
        return await self._from_form(request, EditImage, {"image": MOST_PICTURES, "mask": 1})

    async def vary(self, request: Request) -> Response:
        """Make pictures like a picture."""
        return await self._from_form(request, VaryImage, {"image": 1})

    async def _from_form(self, request: Request, model: type[CreateImage], fields: Mapping[str, int]) -> Response:
        """`fields`: those with pictures, and how many of each."""
        sent = await read_form(request)
        try:
            body, owner, pictures = sent.body(model), request.state.caller.owner, dict[str, str]()
            for field_, most in fields.items():
                for name, upload in sent.pictures(field_, most=most).items():
                    pictures[name] = await self._taken(owner, upload, name)
            if "image" not in pictures:
                raise missing("image")
        finally:
            await sent.form.close()
        return await self._answered(request, body, body.order(pictures), "image_edit")

    async def _taken(self, owner: str, upload: UploadFile, name: str) -> str:
        """Kept for a while: a job that goes on after a restart needs it again."""
        now = micros()
        record = FileRecord(
            id=new_id("file"),
            owner=owner,
            filename=f"{name}.png",
            purpose="vision",
            size=0,
            sha256="",
            content_type="application/octet-stream",
            created_at=now,
            expires_at=now + _DAY,
        )
        return (await self._files.create(record, _chunks(await upload.read()))).id

    async def _answered(self, request: Request, body: CreateImage, order: Order, kind: str) -> Response:
        if body.background == "transparent" and body.output_format == "jpeg":
            raise BadRequest("JPEG has no transparent background.", param="background", code="invalid_value")
        call = _Call(owner=request.state.caller.owner, body=body, base=str(request.base_url).rstrip("/"), kind=kind)
        call.jobs = await self._studio.order(call.owner, order)
        if body.stream:
            return EventStream(
                self._frames(call), headers=call.headers, on_gone=lambda: None, keep_alive=self._keep_alive
            )
        try:
            data = await while_there(request.receive, self._whole(call))
        except ClientGone:
            return Response(status_code=499)
        facts = call.facts(call.jobs[0], next(iter(call.ended[call.jobs[0].id].results), None))
        told = {"created": seconds(call.created_at), "data": data, **facts, "usage": call.usage()}
        return json_response(told, headers=call.headers)

    async def _whole(self, call: _Call) -> list[JsonObject]:
        try:
            for job in call.jobs:
                async for progress in self._studio.follow(call.owner, job.id):
                    call.ended[job.id] = progress.job
                _sound(call.ended[job.id])
            return [await self._told(call, one) for job in call.ended.values() for one in job.results]
        finally:
            await self._over(call)

    async def _told(self, call: _Call, result: JsonObject) -> JsonObject:
        if call.body.response_format != "url":
            return {"b64_json": _base64((await self._picture(call, result)).data)}
        file_id = result["file_id"]
        if result["content_type"] != f"image/{call.format}" or call.body.output_compression is not None:
            file_id = await self._as_asked(call, result)
        return {"url": f"{call.base}/v1/files/{file_id}/content"}

    async def _as_asked(self, call: _Call, result: JsonObject) -> str:
        """The same picture as a file of the format that was asked for."""
        record, picture = await self._files.get(call.owner, result["file_id"]), await self._picture(call, result)
        made = FileRecord(
            id=new_id("file"),
            owner=call.owner,
            filename=picture.name,
            purpose=record.purpose,
            size=0,
            sha256="",
            content_type=picture.content_type,
            created_at=micros(),
        )
        return (await self._files.create(made, _chunks(picture.data))).id

    async def _picture(self, call: _Call, result: JsonObject) -> Picture:
        """A result in the format that was asked for."""
        data = b"".join([chunk async for chunk in self._files.content(call.owner, result["file_id"])])
        picture = Picture(data=data, content_type=result["content_type"], name=result["filename"])
        return await converted(picture, call.format, call.body.output_compression)

    # ------------------------------------------------------------------ stream

    async def _frames(self, call: _Call) -> AsyncGenerator[bytes, None]:
        try:
            for job in call.jobs:
                async with aclosing(self._job_frames(call, job)) as frames:
                    async for frame in frames:
                        yield frame
        except PortalError as error:
            yield _event("error", {"type": "error", **orjson.loads(DIALECT.error_body(error))})
        finally:
            await self._over(call)

    async def _job_frames(self, call: _Call, job: MediaJob) -> AsyncGenerator[bytes, None]:
        wanted, sent, seen = call.body.partial_images or 0, 0, 0
        async for progress in self._studio.follow(call.owner, job.id):
            call.ended[job.id] = progress.job
            due = progress.job.progress >= (sent + 1) / (wanted + 2)
            if sent < wanted and progress.preview is not None and progress.previews > seen and due:
                yield await _partial(call, progress, sent)
                sent, seen = sent + 1, progress.previews
        done = _sound(call.ended[job.id])
        for result in done.results:
            kind = f"{call.kind}.completed"
            picture = _base64((await self._picture(call, result)).data)
            facts = {**call.facts(done, result), "created_at": seconds(micros()), "usage": call.usage()}
            yield _event(kind, {"type": kind, "b64_json": picture, **facts})

    async def _over(self, call: _Call) -> None:
        """Whoever left wants nothing more made; what it came to is counted."""
        for job in call.jobs:
            if call.ended.get(job.id, job).status in ("queued", "running"):
                with suppress(Conflict, NotFound):
                    await self._studio.cancel(call.owner, job.id)
        self._usage.begun()
        self._usage.record(
            UsageRecord(
                id=new_id("call"),
                owner=call.owner,
                door="images",
                model=call.jobs[0].recipe,
                backend=call.jobs[0].engine,
                created_at=call.created_at,
                input_tokens=estimate(call.body.prompt),
                output_tokens=0,
                estimated=True,
                milliseconds=round((perf_counter() - call.began) * 1000),
                status=call.status,
                credential=counted(),
            )
        )


def _sound(job: MediaJob) -> MediaJob:
    """Raises MediaError for a job that did not come to a picture."""
    if job.problem is not None:
        raise job.problem
    return job


async def _partial(call: _Call, progress: Progress, index: int) -> bytes:
    assert progress.preview is not None
    picture = progress.preview
    with suppress(BadRequest, MediaError):  # a preview in another format is better than none
        picture = await converted(picture, call.format)
    kind = f"{call.kind}.partial_image"
    facts = {**call.facts(progress.job), "partial_image_index": index, "created_at": seconds(micros())}
    return _event(kind, {"type": kind, "b64_json": _base64(picture.data), **facts})


def _event(kind: str, data: JsonObject) -> bytes:
    return f"event: {kind}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


def image_routes(*, studio: Studio, files: Files, usage: UsageLog, keep_alive: float) -> Sequence[BaseRoute]:
    """The routes of the Images API."""
    door = _Door(studio=studio, files=files, usage=usage, keep_alive=keep_alive)
    router = LateRouter(tags=["images"])
    add = router.add_api_route
    add("/v1/images/generations", door.generate, methods=["POST"], name="create_image")
    add("/v1/images/edits", door.edit, methods=["POST"], name="edit_image")
    add("/v1/images/variations", door.vary, methods=["POST"], name="vary_image")
    return router.routes
