"""Any server with OpenAI's audio endpoints: Kokoro, Speaches, LocalAI, vLLM, wrappers of other engines, services."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import orjson

from portal.core.items import JsonObject
from portal.core.model import RawRequest
from portal.core.ports import Forwarding
from portal.core.speech import Heard, Listening, Utterance, Voice
from portal.core.wav import header
from portal.errors import BackendRejected, BadRequest, SettingsError
from portal.settings.speech import SpeechEngineSettings
from portal.speech.encoded import reencoded
from portal.speech.multipart import form
from portal.speech.ports import NO_SPEAKERS, Around, Piece
from portal.speech.served import Served
from portal.speech.verbose import heard_in

_RATE = 16_000
_LISTS = ("/audio/voices", "/audio/speech/voices", "/voices")
"""Where servers of different makes list their voices."""
_SPEAKS_PLAINLY = ("voices", "data")
_UNWILLING = (400, 415, 422)
"""What servers answer to a format that they do not have."""


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
        diarizes: bool = False,
    ) -> None:
        self.name = name
        self.clones = clones
        self._diarizes = diarizes
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

    def diarizes(self, model: str) -> bool:
        """See Hearing."""
        return self._diarizes or "diariz" in model.lower()

    async def voices(self, model: str, *, anew: bool = False) -> Sequence[Voice]:
        """As the server lists them, where it does."""
        if anew or model not in self._voices:
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
        """See Voicing. Some servers make WAV alone, whatever they are asked for: it becomes the format here."""
        async with aclosing(self._sound(said)) as sound:
            first = await anext(sound, b"")
            whole = _joined(first, sound)
            foreign = said.format != "wav" and first.startswith(b"RIFF")
            made = reencoded(whole, said.format) if foreign else whole
            async with aclosing(whole), aclosing(made) as pieces:
                async for piece in pieces:
                    yield piece

    async def _sound(self, said: Utterance) -> AsyncGenerator[bytes, None]:
        """As the server sends it: in the format that is asked for, or as WAV where it refuses that."""
        try:
            async with aclosing(self._served.stream(self._request(said))) as sound:
                async for piece in sound:
                    yield piece
        except BackendRejected as error:
            if said.format == "wav" or error.status not in _UNWILLING:
                raise
            plain = self._request(replace(said, format="wav"))
            async with aclosing(self._served.stream(plain)) as sound:
                async for piece in sound:
                    yield piece

    @staticmethod
    def _request(said: Utterance) -> RawRequest:
        body: JsonObject = {"model": said.model, "input": said.text, "response_format": said.format}
        if said.voice or not said.sample:
            body["voice"] = said.voice or "alloy"
        if said.sample:  # as vLLM's server takes it; without words by the voice's sound alone
            body |= {"task_type": "Base", "ref_audio": said.sample}
            body |= {"ref_text": said.sample_text} if said.sample_text else {"x_vector_only_mode": True}
        if said.speed != 1.0:
            body["speed"] = said.speed
        if said.instructions:
            body["instructions"] = said.instructions
        return RawRequest(method="POST", path="/audio/speech", body=orjson.dumps(body))

    async def hear(self, piece: Piece, wanted: Listening) -> AsyncGenerator[Heard, None]:
        """See Hearing. A server that has no segments is asked for the text alone; where speakers matter, for their
        names in either of the ways in which servers tell them."""
        first, second = ("diarized_json", "verbose_json") if wanted.speakers else ("verbose_json", "json")
        try:
            answer = await self._heard(piece, wanted, first)
        except BackendRejected as error:
            if error.status not in _UNWILLING:
                raise
            answer = await self._heard(piece, wanted, second)
        found = list(heard_in(answer))
        if wanted.speakers and any(one.segment and not one.segment.speaker for one in found):
            raise BadRequest(f"{self.name} did not tell who speaks.", param="response_format", code=NO_SPEAKERS)
        for heard in found:
            yield heard

    async def _heard(self, piece: Piece, wanted: Listening, shape: str) -> object:
        fields = [("model", wanted.model), ("response_format", shape), ("temperature", f"{wanted.temperature:g}")]
        if wanted.language and not wanted.translate:
            fields.append(("language", wanted.language))
        if wanted.speakers:
            fields += [("chunking_strategy", "auto")] if shape == "diarized_json" else [("diarize", "true")]
            for name, sample in wanted.known:
                fields += [("known_speaker_names[]", name), ("known_speaker_references[]", sample)]
        elif wanted.prompt:
            fields.append(("prompt", wanted.prompt))
        if shape == "verbose_json" and not wanted.translate:
            grains = ("segment", "word") if wanted.words else ("segment",)
            fields += [("timestamp_granularities[]", grain) for grain in grains]
        data = piece.data if piece.suffix else header(_RATE, len(piece.data)) + piece.data
        body, kind = form(fields, data, f"recording{piece.suffix or '.wav'}")
        path = "/audio/translations" if wanted.translate else "/audio/transcriptions"
        answer: object = await self._served.json(RawRequest(method="POST", path=path, body=body, content_type=kind))
        return answer


async def _joined(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    if first:
        yield first
    async for piece in rest:
        yield piece


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
        diarizes=config.diarizes,
    )
