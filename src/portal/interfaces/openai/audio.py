"""`/v1/audio/transcriptions` and `/v1/audio/translations`: recordings in, text out, as a whole or as it is heard."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path, PurePath

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.core.ports import UsageLog
from portal.core.speech import Heard, Listening, Transcriber, whole
from portal.errors import BadRequest, PortalError
from portal.interfaces.late import LateRouter
from portal.interfaces.openai.errors import error_frame
from portal.interfaces.openai.forms import read_form
from portal.interfaces.openai.sounding import Call
from portal.interfaces.openai.transcripts import DIARIZED, SHAPES, delta, done, progress, said_by, shaped
from portal.interfaces.openai.validation import missing, one_of, wrong_type
from portal.interfaces.wire import KEEP_ALIVE, ClientGone, EventStream, while_there

_GRAINS = ("word", "segment")
_KNOWN = 4
"""Speakers whose voices may be named, as OpenAI has it."""
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request as it was read."""

    wanted: Listening
    shape: str
    grains: Sequence[str]
    stream: bool
    tells: bool
    """Whether Portal's own events are wanted."""


class _Door:
    """The endpoints."""

    def __init__(self, *, transcriber: Transcriber, usage: UsageLog, keep_alive: float) -> None:
        self._transcriber = transcriber
        self._usage = usage
        self._keep_alive = keep_alive

    async def transcribe(self, request: Request) -> Response:
        """Write down what is said in a recording."""
        return await self._answer(request, translate=False)

    async def translate(self, request: Request) -> Response:
        """Write down in English what is said in a recording."""
        return await self._answer(request, translate=True)

    async def _answer(self, request: Request, *, translate: bool) -> Response:
        form = await read_form(request, "Recordings")
        try:
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                raise missing("file")
            asked = _asked(request, form, translate=translate)
            folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="portal-heard-")
            recording = Path(folder, f"recording{_ending(upload)}")
            try:
                await asyncio.to_thread(_copy, upload, recording)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        finally:
            await form.close()
        call = Call(self._usage, request.state.caller.owner, "transcription")
        hearing = self._hearing(recording, asked.wanted, call)
        if asked.stream:
            return await self._streamed(hearing, asked, call)
        try:
            made = await while_there(request.receive, _whole(hearing))
        except ClientGone:
            return Response(status_code=499)
        return shaped(made, asked.wanted, asked.shape, asked.grains, call.headers)

    async def _hearing(self, recording: Path, wanted: Listening, call: Call) -> AsyncGenerator[Heard, None]:
        """What is heard; its end, whatever it is, is the end of the file and of the call."""
        try:
            with call.of(wanted.model, self._transcriber.models()):
                async with aclosing(self._transcriber.transcribe(recording, wanted)) as hearing:
                    async for heard in hearing:
                        yield heard
                call.completed()
        finally:
            await asyncio.to_thread(shutil.rmtree, recording.parent, ignore_errors=True)

    async def _streamed(self, hearing: AsyncGenerator[Heard, None], asked: _Asked, call: Call) -> Response:
        """A failure before the first of it is heard is an answer of its own."""
        try:
            first = await anext(hearing, None)
        except BaseException:
            await hearing.aclose()
            raise
        frames = _frames(first, hearing, asked)
        return EventStream(frames, headers=call.headers, on_gone=lambda: None, keep_alive=self._keep_alive)


async def _whole(hearing: AsyncGenerator[Heard, None]):  # type: ignore[no-untyped-def]
    async with aclosing(hearing):
        return await whole(hearing)


async def _frames(
    first: Heard | None, hearing: AsyncGenerator[Heard, None], asked: _Asked
) -> AsyncGenerator[bytes, None]:
    said, seconds, count = "", 0.0, 0
    async with aclosing(hearing):
        try:
            async for heard in _again(first, hearing):
                seconds = max(seconds, heard.duration, heard.seconds)
                if heard.segment is not None and (text := heard.segment.text.strip()):
                    more = f" {text}" if said else text
                    said += more
                    yield delta(more, count if asked.wanted.speakers else None)
                    if asked.wanted.speakers:
                        yield said_by(count, heard.segment)
                    count += 1
                if asked.tells:
                    yield progress(heard.seconds, heard.duration)
        except PortalError as error:
            yield error_frame(error)
            return
        yield done(said, seconds)


async def _again(first: Heard | None, rest: AsyncGenerator[Heard, None]) -> AsyncIterator[Heard]:
    if first is not None:
        yield first
        async for heard in rest:
            yield heard


def _ending(upload: UploadFile) -> str:
    """By which engines know what they get; none of a name that is no usual one."""
    ending = PurePath(upload.filename or "").suffix
    return ending if _ENDING.fullmatch(ending) else ""


def _copy(upload: UploadFile, recording: Path) -> None:
    upload.file.seek(0)
    with recording.open("wb") as file:
        shutil.copyfileobj(upload.file, file, 2**20)


def _asked(request: Request, form: FormData, *, translate: bool) -> _Asked:
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    if not fields.get("model"):
        raise missing("model")
    shape = fields.get("response_format") or "json"
    shapes = SHAPES[:-1] if translate else SHAPES
    if shape not in shapes:
        raise one_of(shapes, shape, "response_format")
    grains = _grains(form, shape)
    wanted = Listening(
        model=fields["model"],
        language="" if translate else fields.get("language", "").strip().lower(),
        prompt=fields.get("prompt", ""),
        temperature=_temperature(fields.get("temperature") or "0"),
        words="word" in grains,
        translate=translate,
        speakers=shape == DIARIZED,
        known=_known(form),
    )
    tells = request.query_params.get("portal_events") == "1"
    return _Asked(wanted, shape, grains, _flag(fields.get("stream") or "false"), tells)


def _known(form: FormData) -> Sequence[tuple[str, str]]:
    """Names of speakers with recordings of them."""
    names, samples = (
        [str(one) for key in (f"{field}[]", field) for one in form.getlist(key)]
        for field in ("known_speaker_names", "known_speaker_references")
    )
    if len(names) != len(samples) or len(names) > _KNOWN:
        raise BadRequest(
            f"Each of 'known_speaker_names' needs one of 'known_speaker_references'; at most {_KNOWN} are taken.",
            param="known_speaker_names",
            code="invalid_value",
        )
    for sample in samples:
        if not sample.startswith("data:audio/"):
            raise BadRequest(
                "Each of 'known_speaker_references' is a short recording as a data:audio/...;base64, URL.",
                param="known_speaker_references",
                code="invalid_value",
            )
    return list(zip(names, samples, strict=True))


def _grains(form: FormData, shape: str) -> Sequence[str]:
    sent = [*form.getlist("timestamp_granularities[]"), *form.getlist("timestamp_granularities")]
    grains = [str(one) for one in sent]
    for grain in grains:
        if grain not in _GRAINS:
            raise one_of(_GRAINS, grain, "timestamp_granularities")
    if grains and shape != "verbose_json":
        raise BadRequest(
            "Timestamps are only there in response_format=verbose_json.",
            param="timestamp_granularities",
            code="invalid_value",
        )
    return grains


def _temperature(sent: str) -> float:
    try:
        value = float(sent)
    except ValueError as error:
        raise wrong_type("temperature", "a decimal", sent) from error
    if not 0 <= value <= 1:
        raise BadRequest(
            f"Invalid 'temperature': expected 0 to 1, but got {sent} instead.",
            param="temperature",
            code="invalid_value",
        )
    return value


def _flag(sent: str) -> bool:
    if sent.lower() not in ("true", "false", "1", "0"):
        raise wrong_type("stream", "a boolean", sent)
    return sent.lower() in ("true", "1")


def audio_routes(*, transcriber: Transcriber, usage: UsageLog, keep_alive: float = KEEP_ALIVE) -> Sequence[BaseRoute]:
    """The routes that listen."""
    door = _Door(transcriber=transcriber, usage=usage, keep_alive=keep_alive)
    router = LateRouter(tags=["audio"])
    add = router.add_api_route
    add("/v1/audio/transcriptions", door.transcribe, methods=["POST"], name="create_transcription")
    add("/v1/audio/translations", door.translate, methods=["POST"], name="create_translation")
    return router.routes
