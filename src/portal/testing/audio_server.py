"""A strict stand-in of a server with OpenAI's audio endpoints: its fields, forms, errors and events; no inference.

    async with AudioServer(models=["whisper-1", "tts-1"]) as server:
        server.answer("Hello there.", "How are you?")      # the segments of the next transcription

Steering and records are those of ModelServer; without a script a transcription tells how long the recording is. Speech
is a tone of 0.06 seconds a word; formats but `wav` and `pcm` need ffmpeg. `voices` are those there are; with `lists`
they are told at `/v1/audio/voices`, as many local servers do; with `clones` it takes `ref_audio`, as vLLM's does. With
`diarizes` it tells speakers apart, who take turns: in `diarized_json`, as OpenAI does, or in `verbose_json` where it is
asked to `diarize`, as others do. `wav` is what small servers do that make nothing else: they refuse other formats, or
send it whatever they were asked for.
Models whose names begin with `gpt-4o` have no segments.
"""

import asyncio
import base64
import json
import math
import shutil
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from aiohttp import web

from portal.core.speech import Segment
from portal.core.subtitles import srt, vtt
from portal.testing.audio_rules import CLONING, DIARIZED, KINDS, SPEECH, VOICES, Upload, check_speech, upload
from portal.testing.model_server import Answer
from portal.testing.openai_rules import Refused
from portal.testing.openai_server import OpenAIServer

_RATE = 24_000


class AudioServer(OpenAIServer):
    """OpenAI's audio endpoints on loopback, beside its others."""

    def __init__(
        self,
        *,
        models: Sequence[str] = ("whisper-1", "tts-1"),
        voices: Sequence[str] = VOICES,
        lists: bool = False,
        clones: bool = False,
        diarizes: Literal["", "diarized_json", "verbose_json"] = "",
        wav: Literal["", "only", "always"] = "",
        api_key: str | None = None,
    ) -> None:
        super().__init__(models=models, api_key=api_key)
        self.uploads: list[Upload] = []
        self.voices = list(voices)
        self._lists = lists
        self._speech = CLONING if clones else SPEECH
        self._diarizes = diarizes
        self._wav = wav

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """With those for sound."""
        return [
            *super().routes(),
            web.post("/v1/audio/transcriptions", self._listen),
            web.post("/v1/audio/translations", self._listen),
            web.post("/v1/audio/speech", self._speak),
            web.get("/v1/audio/voices", self._told),
        ]

    async def _told(self, request: web.Request) -> web.Response:
        if not self._lists:
            return web.json_response({"detail": "Not Found"}, status=404)
        return web.json_response({"voices": [{"id": name, "name": name.title()} for name in self.voices]})

    # ------------------------------------------------------------------ listening

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        translates = request.path.endswith("translations")
        try:
            self._admit(request)
            kind = request.headers.get("Content-Type", "")
            made = await upload(kind, await request.read(), translates=translates, diarizes=self._diarizes)
            if made.fields["model"] not in self.models:
                raise Refused(f"The model '{made.fields['model']}' does not exist.", code="model_not_found", status=404)
        except Refused as refused:
            return self._refused(refused)
        self.uploads.append(made)
        answer = self._answers.popleft() if self._answers else Answer(text=[f"{made.seconds:.1f} seconds."])
        if answer.status >= 400:
            return self.failing(answer)
        segments = _segments(answer.text, made.seconds, words="word" in made.grains)
        if made.shape == DIARIZED or "diarize" in made.fields:
            for number, row in enumerate(segments):
                row["speaker"] = (made.known or "AB")[number % len(made.known or "AB")]
        streams = made.fields.get("stream") == "true" and made.fields["model"] != "whisper-1"
        if streams:
            return await self.play(request, answer, _events(answer.text, made.seconds))
        text, shape = _shaped(made, segments, translates=translates)
        return await self.play(request, _headed(answer, shape), [text.encode()])

    # ------------------------------------------------------------------ speaking

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        try:
            body = self._checked(request, self._speech)
            check_speech(body, self.voices, ("wav",) if self._wav == "only" else KINDS)
        except Refused as refused:
            return self._refused(refused)
        answer = self._answers.popleft() if self._answers else Answer()
        if answer.status >= 400:
            return self.failing(answer)
        shape = "wav" if self._wav else body.get("response_format") or "mp3"
        sound = await _encoded(_tone(len(body["input"].split()) * 0.06 / body.get("speed", 1)), shape)
        pieces = [sound[at : at + 4096] for at in range(0, len(sound), 4096)]
        if body.get("stream_format") == "sse":
            return await self.play(request, answer, _spoken(pieces))
        return await self.play(request, _headed(answer, KINDS[shape]), pieces)


def _headed(answer: Answer, kind: str) -> Answer:
    return replace(answer, headers={"Content-Type": kind, **answer.headers})


def _segments(texts: Sequence[str], seconds: float, *, words: bool) -> list[dict[str, Any]]:
    """The recording's time shared out evenly, among segments and among the words of each."""
    share = seconds / max(len(texts), 1)
    made = []
    for number, text in enumerate(texts):
        start, said = number * share, text.split()
        step = share / max(len(said), 1)
        row = {"id": number, "start": start, "end": start + share, "text": text, "avg_logprob": -0.2}
        row |= {"seek": 0, "tokens": [], "temperature": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.01}
        if words:
            row["words"] = [
                {"word": word, "start": start + at * step, "end": start + (at + 1) * step}
                for at, word in enumerate(said)
            ]
        made.append(row)
    return made


def _shaped(made: Upload, segments: list[dict[str, Any]], *, translates: bool) -> tuple[str, str]:
    text = " ".join(row["text"] for row in segments)
    if made.shape in ("text", "srt", "vtt"):
        rows = [Segment(start=row["start"], end=row["end"], text=row["text"]) for row in segments]
        told = {"text": f"{text}\n", "srt": srt(rows), "vtt": vtt(rows)}
        return told[made.shape], "text/plain; charset=utf-8"
    if made.shape == DIARIZED:
        answer = {"task": "transcribe", "duration": made.seconds, "text": text}
        return json.dumps({**answer, "segments": [_spoken_by(row) for row in segments]}), "application/json"
    body: dict[str, Any] = {"text": text, "usage": {"type": "duration", "seconds": math.ceil(made.seconds)}}
    if made.shape == "verbose_json":
        words = [word for row in segments for word in row.pop("words", ())]
        task = "translate" if translates else "transcribe"
        body |= {"task": task, "language": "english", "duration": made.seconds}
        if made.grains in ([], ["segment"]) or "segment" in made.grains:
            body["segments"] = segments
        if "word" in made.grains:
            body["words"] = words
    return json.dumps(body), "application/json"


def _spoken_by(row: dict[str, Any]) -> dict[str, Any]:
    told = {name: row[name] for name in ("start", "end", "text", "speaker")}
    return {"type": "transcript.text.segment", "id": f"seg_{row['id']}", **told}


def _events(texts: Sequence[str], seconds: float) -> list[bytes]:
    deltas = [{"type": "transcript.text.delta", "delta": text} for text in texts]
    usage = {"type": "duration", "seconds": math.ceil(seconds)}
    done = {"type": "transcript.text.done", "text": "".join(texts), "usage": usage}
    return [b"data: %b\n\n" % json.dumps(event).encode() for event in (*deltas, done)]


def _spoken(pieces: Sequence[bytes]) -> list[bytes]:
    events: list[dict[str, Any]] = [
        {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()} for piece in pieces
    ]
    events.append({"type": "speech.audio.done", "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})
    return [b"data: %b\n\n" % json.dumps(event).encode() for event in events]


def _tone(seconds: float) -> bytes:
    count = int(seconds * _RATE)
    return struct.pack(f"<{count}h", *(int(9000 * math.sin(at * math.tau * 220 / _RATE)) for at in range(count)))


async def _encoded(samples: bytes, shape: str) -> bytes:
    sizes = (len(samples) + 36, 16, 1, 1, _RATE, _RATE * 2, 2, 16, len(samples))
    head = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", sizes[0], b"WAVEfmt ", *sizes[1:8], b"data", sizes[8])
    if shape in ("pcm", "wav"):
        return samples if shape == "pcm" else head + samples
    kind = {"opus": "ogg", "aac": "adts"}.get(shape, shape)
    process = await asyncio.create_subprocess_exec(
        *(shutil.which("ffmpeg") or "ffmpeg", "-loglevel", "error", "-f", "wav", "-i", "pipe:0"),
        *(*(("-c:a", "libopus") if shape == "opus" else ()), "-f", kind, "pipe:1"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    made, _ = await process.communicate(head + samples)
    return made
