"""What was heard, in each of the forms in which OpenAI's API answers."""

import zlib
from collections.abc import Callable, Mapping, Sequence

import orjson
from starlette.responses import PlainTextResponse, Response

from portal.core import subtitles
from portal.core.items import JsonObject
from portal.core.speech import Listening, Segment, Transcript
from portal.interfaces.wire import json_response

DIARIZED = "diarized_json"
SHAPES = ("json", "text", "srt", "verbose_json", "vtt", DIARIZED)
_USUAL_RATIO = 1.0


def shaped(
    made: Transcript, wanted: Listening, shape: str, grains: Sequence[str], headers: Mapping[str, str]
) -> Response:
    """The whole answer."""
    plain = _PLAIN.get(shape)
    if plain is not None:
        return PlainTextResponse(plain(made), headers=headers)
    body = {"text": made.text, "usage": usage(made.duration)}
    if shape == DIARIZED:
        segments = [spoken(number, one) for number, one in enumerate(made.segments)]
        told = {"task": "transcribe", "duration": round(made.duration, 3), **body, "segments": segments}
        return json_response(told, headers=headers)
    return json_response(body if shape == "json" else {**_verbose(made, wanted, grains), **body}, headers=headers)


_PLAIN: Mapping[str, Callable[[Transcript], str]] = {
    "text": lambda made: f"{made.text}\n",
    "srt": lambda made: subtitles.srt(made.segments),
    "vtt": lambda made: subtitles.vtt(made.segments),
}


def usage(seconds: float) -> JsonObject:
    """By the length of the recording."""
    return {"type": "duration", "seconds": max(0, round(seconds))}


def spoken(number: int, one: Segment) -> JsonObject:
    """A segment with who says it, as an object of an answer and as an event."""
    times = {"start": one.start, "end": one.end}
    return {"type": "transcript.text.segment", "id": _id(number), **times, "text": one.text, "speaker": one.speaker}


def delta(text: str, segment: int | None = None) -> bytes:
    """The event with more text, of a segment with its number where speakers are told apart."""
    of = {} if segment is None else {"segment_id": _id(segment)}
    return _event({"type": "transcript.text.delta", "delta": text, **of})


def said_by(number: int, one: Segment) -> bytes:
    """The event with a segment and who says it."""
    return _event(spoken(number, one))


def done(text: str, seconds: float) -> bytes:
    """The last event."""
    return _event({"type": "transcript.text.done", "text": text, "usage": usage(seconds)})


def progress(seconds: float, duration: float) -> bytes:
    """Portal's own, for those who asked for it: how far it is."""
    return _event({"type": "portal:transcript.progress", "seconds": round(seconds, 3), "duration": round(duration, 3)})


def _id(number: int) -> str:
    return f"seg_{number + 1:03}"


def _event(event: JsonObject) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(event)


def _verbose(made: Transcript, wanted: Listening, grains: Sequence[str]) -> JsonObject:
    body: JsonObject = {
        "task": "translate" if wanted.translate else "transcribe",
        "language": made.language or wanted.language or "unknown",
        "duration": round(made.duration, 3),
    }
    if "word" in grains:
        body["words"] = [
            {"word": word.word, "start": word.start, "end": word.end} for one in made.segments for word in one.words
        ]
    if "segment" in grains or not grains:
        body["segments"] = [_segment(number, one, wanted) for number, one in enumerate(made.segments)]
    return body


def _segment(number: int, one: Segment, wanted: Listening) -> JsonObject:
    """Clients count on every field; what an engine does not tell is 0."""
    return {
        "id": number,
        "seek": round(one.start * 100),
        "start": one.start,
        "end": one.end,
        "text": one.text,
        "tokens": [],
        "temperature": wanted.temperature,
        "avg_logprob": one.confidence or 0.0,
        "compression_ratio": _ratio(one.text),
        "no_speech_prob": one.silence or 0.0,
    }


def _ratio(text: str) -> float:
    """High where a text repeats itself, as models do that heard nothing."""
    data = text.encode("utf-8")
    return round(len(data) / len(zlib.compress(data)), 3) if data else _USUAL_RATIO
