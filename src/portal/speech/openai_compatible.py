"""Any server with OpenAI's audio endpoints: Kokoro, Speaches, LocalAI, vLLM, wrappers of other engines, services."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import orjson

from portal.core.items import JsonObject
from portal.core.model import RawRequest
from portal.core.ports import Forwarding
from portal.core.speech import Heard, Listening, Utterance, Voice
from portal.core.wav import header
from portal.errors import BackendRejected, SettingsError
from portal.settings.speech import SpeechEngineSettings
from portal.speech.multipart import form
from portal.speech.ports import Around, Piece
from portal.speech.served import Served
from portal.speech.verbose import heard_in

_RATE = 16_000
_LISTS = ("/audio/voices", "/audio/speech/voices", "/voices")
"""Where servers of different makes list their voices."""
_SPEAKS_PLAINLY = ("voices", "data")


class OpenAICompatible:
    """Implements Voicing and Hearing."""

    longest = 4096
    takes = frozenset({".flac", ".m4a", ".mp3", ".mp4", ".mpeg", ".mpga", ".oga", ".ogg", ".wav", ".webm"})

    def __init__(
        self,
        *,
        name: str,
        server: Forwarding,
        speech: Sequence[str] = (),
        transcription: Sequence[str] = (),
        clones: bool = False,
    ) -> None:
        self.name = name
        self.clones = clones
        self._served = Served(name=name, server=server)
        self._speech = speech
        self._transcription = transcription
        self._voices: dict[str, Sequence[Voice]] = {}

    def refusal(self) -> str:
        """None: whether a server answers shows when it is asked."""
        return ""

    def speaks(self) -> Sequence[str]:
        """See Voicing."""
        return self._speech

    def hears(self) -> Sequence[str]:
        """See Hearing."""
        return self._transcription

    async def voices(self, model: str) -> Sequence[Voice]:
        """As the server lists them, where it does; asked for once."""
        if model not in self._voices:
            self._voices[model] = await self._listed(model)
        return self._voices[model]

    async def _listed(self, model: str) -> Sequence[Voice]:
        for path in _LISTS:
            try:
                answer = await self._served.json(RawRequest(method="GET", path=path))
            except BackendRejected:
                continue
            if voices := voices_in(answer, model):
                return voices
        return ()

    async def speak(self, said: Utterance) -> AsyncGenerator[bytes, None]:
        """See Voicing."""
        body: JsonObject = {"model": said.model, "input": said.text, "response_format": said.format}
        if said.voice or not said.sample:
            body["voice"] = said.voice or "alloy"
        if said.sample:  # as vLLM's server takes it, whatever model it has
            body |= {"task_type": "Base", "ref_audio": said.sample}
            body |= {"ref_text": said.sample_text} if said.sample_text else {}
        if said.speed != 1.0:
            body["speed"] = said.speed
        if said.instructions:
            body["instructions"] = said.instructions
        request = RawRequest(method="POST", path="/audio/speech", body=orjson.dumps(body))
        async with aclosing(self._served.stream(request)) as sound:
            async for piece in sound:
                yield piece

    async def hear(self, piece: Piece, wanted: Listening) -> AsyncGenerator[Heard, None]:
        """See Hearing. A server that has no segments is asked for the text alone."""
        try:
            answer = await self._heard(piece, wanted, "verbose_json")
        except BackendRejected as error:
            if error.status not in (400, 415, 422):
                raise
            answer = await self._heard(piece, wanted, "json")
        for heard in heard_in(answer):
            yield heard

    async def _heard(self, piece: Piece, wanted: Listening, shape: str) -> object:
        fields = [("model", wanted.model), ("response_format", shape), ("temperature", f"{wanted.temperature:g}")]
        if wanted.language and not wanted.translate:
            fields.append(("language", wanted.language))
        if wanted.prompt:
            fields.append(("prompt", wanted.prompt))
        if shape == "verbose_json" and not wanted.translate:
            grains = ("segment", "word") if wanted.words else ("segment",)
            fields += [("timestamp_granularities[]", grain) for grain in grains]
        data = piece.data if piece.suffix else header(_RATE, len(piece.data)) + piece.data
        body, kind = form(fields, data, f"recording{piece.suffix or '.wav'}")
        path = "/audio/translations" if wanted.translate else "/audio/transcriptions"
        answer: object = await self._served.json(RawRequest(method="POST", path=path, body=body, content_type=kind))
        return answer


def voices_in(answer: object, model: str) -> Sequence[Voice]:
    """From a list of names or of objects, bare or under a name; none for anything else."""
    if isinstance(answer, dict):
        answer = next((answer[name] for name in _SPEAKS_PLAINLY if name in answer), None)
    found = []
    for row in answer if isinstance(answer, list) else ():
        told = row if isinstance(row, dict) else {"id": row}
        name = told.get("id") or told.get("voice_id") or told.get("name")
        if isinstance(name, str) and name:
            language = told.get("language")
            found.append(Voice(name, model, language if isinstance(language, str) else "", str(told.get("name") or "")))
    return found


def create(config: SpeechEngineSettings, around: Around) -> OpenAICompatible:
    """From the settings. Raises SettingsError."""
    if not config.url:
        raise SettingsError("speech.engines: an openai_compatible engine needs its `url`.")
    if not (config.speech or config.transcription):
        raise SettingsError("speech.engines: name the models of this server under `speech` or `transcription`.")
    return OpenAICompatible(
        name=config.name or "openai_compatible",
        server=around.server(config),
        speech=config.speech,
        transcription=config.transcription,
        clones=config.clones,
    )
