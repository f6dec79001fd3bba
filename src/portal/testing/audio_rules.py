"""The fields of OpenAI's audio endpoints, and what they refuse."""

import io
import wave
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from portal.testing.openai_rules import Check, Endpoint, Refused

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")
KINDS: Mapping[str, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_SUPPORTED = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
_MAGIC: Mapping[str, Sequence[bytes]] = {
    "flac": (b"fLaC",),
    "wav": (b"RIFF",),
    "ogg": (b"OggS",),
    "oga": (b"OggS",),
    "mp3": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
    "webm": (b"\x1aE\xdf\xa3",),
}
_LARGEST = 25 * 2**20
_SHAPES = ("json", "text", "srt", "verbose_json", "vtt")
DIARIZED = "diarized_json"
_UNCUT = 30
"""Seconds of a recording that speakers are told apart in without a word on how it is cut."""
_FIELDS = frozenset({"model", "prompt", "response_format", "temperature"})
_LARGEST_FIELD = 8 * 2**20
_LISTS = ("timestamp_granularities[]", "known_speaker_names[]", "known_speaker_references[]")
_MORE = _FIELDS | {"language", "stream", "include[]", "chunking_strategy", *_LISTS}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SPEECH: Mapping[str, tuple[str, Check]] = {
    "model": ("a string", _is_text),
    "input": ("a string", _is_text),
    "voice": ("a string", _is_text),
    "instructions": ("a string", _is_text),
    "response_format": ("a string", _is_text),
    "speed": ("a decimal", _is_number),
    "stream_format": ("a string", _is_text),
}
SPEECH = Endpoint(_SPEECH, ("model", "input", "voice"))
_CLONED: Mapping[str, tuple[str, Check]] = {
    **dict.fromkeys(("task_type", "ref_audio", "ref_text"), ("a string", _is_text)),
    "x_vector_only_mode": ("a boolean", lambda value: isinstance(value, bool)),
}
CLONING = Endpoint({**_SPEECH, **_CLONED}, ("model", "input"))
"""Of a server that imitates voices, as vLLM's does."""


@dataclass(slots=True)
class Upload:
    """A recording as it came in, and the form's other fields."""

    name: str
    content: bytes
    fields: Mapping[str, str]
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def grains(self) -> Sequence[str]:
        """Whose times are wanted."""
        return self.lists.get("timestamp_granularities[]", ())

    @property
    def known(self) -> Sequence[str]:
        """Names of speakers."""
        return self.lists.get("known_speaker_names[]", ())

    @property
    def shape(self) -> str:
        """Of the answer."""
        return self.fields.get("response_format") or "json"

    @property
    def seconds(self) -> float:
        """Of a WAV; of anything else as its size has it at 16 kB a second."""
        try:
            with wave.open(io.BytesIO(self.content)) as sound:
                return float(sound.getnframes() / sound.getframerate())
        except (wave.Error, EOFError):
            return len(self.content) / 16_000


async def upload(content_type: str, raw: bytes, *, translates: bool, diarizes: str = "") -> Upload:
    """The form, checked; `diarizes` as of AudioServer. Raises Refused."""
    if not content_type.startswith("multipart/form-data"):
        raise Refused(f"Unsupported content type: '{content_type}'.", status=415)

    async def stream() -> AsyncGenerator[bytes, None]:
        yield raw

    try:
        headers = Headers({"content-type": content_type})
        form = await MultiPartParser(headers, stream(), max_part_size=_LARGEST_FIELD).parse()
    except MultiPartException as error:
        raise Refused(f"We could not parse the form of your request: {error.message}") from error
    fields, lists = dict[str, str](), dict[str, list[str]]()
    more = _MORE | ({"diarize"} if diarizes == "verbose_json" else set())
    for name, value in form.multi_items():
        if name == "file":
            continue
        if name not in (_FIELDS if translates else more):
            raise Refused(f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
        if not isinstance(value, str):
            raise Refused(f"Invalid type for '{name}'.", code="invalid_type", param=name)
        if name in _LISTS:
            lists.setdefault(name, []).append(value)
        else:
            fields[name] = value
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refused("Missing required parameter: 'file'.", code="missing_required_parameter", param="file")
    made = Upload(file.filename or "", await file.read(), fields, lists)
    _check(made, [*_SHAPES, DIARIZED] if diarizes == DIARIZED else _SHAPES)
    if made.shape == DIARIZED:
        _check_diarized(made)
    return made


def _check_diarized(made: Upload) -> None:
    if "prompt" in made.fields:
        raise Refused("Prompt is not supported for diarization models.", param="prompt")
    if "chunking_strategy" not in made.fields and made.seconds > _UNCUT:
        raise Refused("chunking_strategy is required for diarization models.", param="chunking_strategy")
    if len(made.known) != len(made.lists.get("known_speaker_references[]", ())):
        raise Refused("Each known speaker needs a reference.", param="known_speaker_names")


def _check(made: Upload, shapes: Sequence[str]) -> None:
    if not made.fields.get("model"):
        raise Refused("Missing required parameter: 'model'.", code="missing_required_parameter", param="model")
    ending = made.name.rsplit(".", 1)[-1].lower()
    if ending not in _SUPPORTED:
        raise Refused(f"Unrecognized file format. Supported formats: {list(_SUPPORTED)}", param="file")
    if len(made.content) > _LARGEST:
        raise Refused("Maximum content size limit (26214400) exceeded", status=413)
    if ending in _MAGIC and not made.content.startswith(tuple(_MAGIC[ending])):
        raise Refused("The audio file could not be decoded or its format is not supported.", param="file")
    if made.shape not in shapes:
        raise Refused(f"Invalid value: '{made.shape}'.", code="invalid_value", param="response_format")
    if made.fields["model"].startswith("gpt-4o") and made.shape not in ("json", "text", DIARIZED):
        raise Refused(
            f"response_format '{made.shape}' is not compatible with model '{made.fields['model']}'. Use 'json' or "
            "'text' instead.",
            code="unsupported_value",
            param="response_format",
        )
    if made.grains and made.shape != "verbose_json":
        raise Refused("timestamp_granularities need verbose_json.", param="timestamp_granularities")
    if not 0 <= float(made.fields.get("temperature") or 0) <= 1:
        raise Refused("Invalid 'temperature'.", code="invalid_value", param="temperature")


def check_speech(body: dict[str, object], voices: Sequence[str], formats: Collection[str] = KINDS) -> None:
    """What only the values show; `formats` are those that the server makes. Raises Refused."""
    text, speed, shape = str(body["input"]), body.get("speed", 1), body.get("response_format") or "mp3"
    if not text or len(text) > 4096:
        code = "string_too_short" if not text else "string_above_max_length"
        raise Refused("Invalid 'input': 1 to 4096 characters.", code=code, param="input")
    sample = str(body.get("ref_audio") or "")
    if sample and not sample.startswith("data:audio/"):
        raise Refused("ref_audio is not an audio data URL.", code="invalid_value", param="ref_audio")
    if body.get("task_type") == "Base" and not sample:
        raise Refused("Base task requires 'ref_audio' for voice cloning", code="invalid_value", param="ref_audio")
    if sample and not body.get("ref_text") and not body.get("x_vector_only_mode"):
        raise Refused(
            "Base task requires non-empty 'ref_text' (transcript of the reference audio) unless 'x_vector_only_mode' "
            "is enabled",
            code="invalid_value",
            param="ref_text",
        )
    if body.get("voice") not in ((*voices, None) if sample else voices):
        raise Refused(f"Invalid value: '{body.get('voice')}'.", code="invalid_value", param="voice")
    if shape not in formats:
        raise Refused(f"Invalid value: '{shape}'.", code="invalid_value", param="response_format")
    if not isinstance(speed, int | float) or not 0.25 <= speed <= 4:
        raise Refused("Invalid 'speed': 0.25 to 4.", code="invalid_value", param="speed")
    if body.get("stream_format", "audio") not in ("audio", "sse"):
        raise Refused("Invalid value.", code="invalid_value", param="stream_format")
