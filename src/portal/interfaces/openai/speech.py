"""`/v1/audio/speech` and the voices: text in, sound out as it is made."""

import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from portal.core.ports import UsageLog
from portal.core.speech import CONTENT_TYPES, Speaker, Utterance
from portal.core.tokens import estimate
from portal.errors import PortalError
from portal.interfaces.late import LateRouter
from portal.interfaces.openai.errors import error_frame
from portal.interfaces.openai.schema import CreateSpeech
from portal.interfaces.openai.sounding import Call
from portal.interfaces.openai.validation import check, parse_json
from portal.interfaces.wire import KEEP_ALIVE, EventStream, json_response


class _Door:
    """The endpoints."""

    def __init__(self, *, speaker: Speaker, usage: UsageLog, keep_alive: float) -> None:
        self._speaker = speaker
        self._usage = usage
        self._keep_alive = keep_alive

    async def create(self, request: Request) -> Response:
        """Say a text."""
        body = check(CreateSpeech, parse_json(await request.body()))
        said = Utterance(
            text=body.input,
            model=body.model,
            voice=body.voice if isinstance(body.voice, str) else body.voice.id if body.voice else "",
            language=body.language,
            speed=body.speed,
            instructions=body.instructions,
            format=body.response_format,
            sample=body.ref_audio,
            sample_text=body.ref_text,
        )
        call = Call(self._usage, request.state.caller.owner, "speech")
        sound = self._sound(said, call)
        try:
            first = await anext(sound, b"")  # a failure before it is an answer of its own
        except BaseException:
            await sound.aclose()
            raise
        if body.stream_format == "sse":
            frames = _frames(first, sound, said.text)
            return EventStream(frames, headers=call.headers, on_gone=lambda: None, keep_alive=self._keep_alive)
        return StreamingResponse(_rest(first, sound), headers=call.headers, media_type=CONTENT_TYPES[said.format])

    async def _sound(self, said: Utterance, call: Call) -> AsyncGenerator[bytes, None]:
        with call.of(said.model, self._speaker.models()):
            async with aclosing(self._speaker.speak(said)) as sound:
                async for piece in sound:
                    call.answering()
                    yield piece
            call.completed()

    async def voices(self, request: Request) -> Response:
        """The voices of one model or of all, also under the name by which other programs look for them."""
        voices = await self._speaker.voices(request.query_params.get("model") or "")
        data = [
            {"id": one.id, "object": "voice", "model": one.model, "language": one.language or None, "name": one.name}
            for one in voices
        ]
        known = [{"id": one.id, "name": one.name or one.id} for one in voices]
        return json_response({"object": "list", "data": data, "voices": known})


async def _rest(first: bytes, sound: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Breaking off where the engine does: whoever listens sees that it is not whole."""
    async with aclosing(sound):
        yield first
        async for piece in sound:
            yield piece


async def _frames(first: bytes, sound: AsyncGenerator[bytes, None], text: str) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(_rest(first, sound)) as pieces:
            async for piece in pieces:
                yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode("ascii")})
    except PortalError as error:
        yield error_frame(error)
        return
    tokens = estimate(text)
    usage = {"input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens, "portal:estimated": True}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(event: dict[str, object]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(event)


def speech_routes(*, speaker: Speaker, usage: UsageLog, keep_alive: float = KEEP_ALIVE) -> Sequence[BaseRoute]:
    """The routes that speak."""
    door = _Door(speaker=speaker, usage=usage, keep_alive=keep_alive)
    router = LateRouter(tags=["audio"])
    router.add_api_route("/v1/audio/speech", door.create, methods=["POST"], name="create_speech")
    router.add_api_route("/v1/audio/voices", door.voices, methods=["GET"], name="list_voices")
    return router.routes
