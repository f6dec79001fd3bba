"""Speech: what is to be said, what was heard, and the two ports behind which engines stand."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

SoundFormat: TypeAlias = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
"""As OpenAI names them; `pcm` is 16 bits, little-endian, one channel, 24 kHz."""
FORMATS: Sequence[SoundFormat] = ("mp3", "opus", "aac", "flac", "wav", "pcm")
CONTENT_TYPES: dict[SoundFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
PCM_RATE = 24_000


@dataclass(frozen=True, slots=True)
class SpeechModel:
    """A model of an engine that speaks or listens."""

    id: str
    engine: str
    """Name of the engine, or of the model server that has it."""
    kind: Literal["speech", "transcription"]


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a speech model."""

    id: str
    model: str
    language: str = ""
    """Such as `en` or `en-gb`; empty where the engine does not say."""
    name: str = ""
    """In words, where the engine has some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What is to be said, and how."""

    text: str
    model: str = ""
    """Empty for the usual one."""
    voice: str = ""
    """Empty for the usual one."""
    language: str = ""
    """Where no voice is named: one that speaks this is chosen."""
    speed: float = 1.0
    instructions: str = ""
    """How to speak, for engines that follow words about it."""
    format: SoundFormat = "mp3"
    sample: str = ""
    """A recording whose voice is to be imitated, as a `data:audio/...` URL."""
    sample_text: str = ""
    """What is said in it, which makes the likeness better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """How a recording is to be written down."""

    model: str = ""
    """Empty for the usual one."""
    language: str = ""
    """Such as `en`; empty lets the engine find out."""
    prompt: str = ""
    """Names and words that are likely to come."""
    temperature: float = 0.0
    words: bool = False
    """Whether the times of single words are wanted."""
    translate: bool = False
    """Into English."""
    speakers: bool = False
    """Whether it matters who says what."""
    known: Sequence[tuple[str, str]] = ()
    """Names of speakers, each with a recording of the voice as a `data:audio/...` URL."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word and when it was said, in seconds."""

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of what was said; times in seconds from the recording's beginning."""

    start: float
    end: float
    text: str
    words: Sequence[Word] = ()
    language: str = ""
    """As the engine heard it; empty where it does not say."""
    confidence: float | None = None
    """The mean log probability of its tokens."""
    silence: float | None = None
    """How likely nothing was said at all."""
    speaker: str = ""
    """Who says it, as the engine calls them; empty where it does not tell."""


@dataclass(frozen=True, slots=True)
class Heard:
    """How far a recording is written down: the next segment, where there is one, and what is known of the whole."""

    segment: Segment | None = None
    seconds: float = 0.0
    """Done so far."""
    duration: float = 0.0
    """Of the whole; 0 where it is not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What was said in a recording."""

    segments: Sequence[Segment] = field(default_factory=tuple)
    duration: float = 0.0
    language: str = ""

    @property
    def text(self) -> str:
        """All of it as one text."""
        return " ".join(part for segment in self.segments if (part := segment.text.strip()))


class Speaker(Protocol):
    """Text to speech."""

    def refusal(self) -> str:
        """Why nothing can be said here, and the step that changes it; empty where it can."""

    def models(self) -> Sequence[SpeechModel]:
        """Those that can speak, in memory; the usual one first."""

    async def voices(self, model: str = "") -> Sequence[Voice]:
        """Of one model, or of all that answer; the usual one of each first. Raises ModelNotFound, BackendError."""

    def speak(self, said: Utterance) -> AsyncGenerator[bytes, None]:
        """The sound, piece by piece as it is made. Closing the iterator stops the engine.

        Raises:
            BadRequest: there is nothing to say, it is too long, there is no such voice, with the nearest names, or
                nothing here imitates voices.
            ModelNotFound: there is no such model.
            NoModel: nothing here can speak, with what to do.
            BackendError: the engine failed or is away.
        """


class Transcriber(Protocol):
    """Speech to text."""

    def refusal(self) -> str:
        """Why nothing can be written down here, and the step that changes it; empty where it can."""

    def models(self) -> Sequence[SpeechModel]:
        """Those that can listen, in memory; the usual one first."""

    def transcribe(self, recording: Path, wanted: Listening) -> AsyncGenerator[Heard, None]:
        """What is said in a recording or film, as it is found out, in bounded memory however long that is. Closing the
        iterator stops the work.

        Raises:
            BadRequest: the file is empty, damaged, or has no sound; or nothing here tells speakers apart.
            ModelNotFound: there is no such model.
            NoModel: nothing here can listen, with what to do.
            BackendError: the engine failed or is away.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """Both."""

    speaker: Speaker
    transcriber: Transcriber

    def models(self) -> Sequence[SpeechModel]:
        """Of both, in memory."""
        return [*self.speaker.models(), *self.transcriber.models()]


async def whole(hearing: AsyncGenerator[Heard, None]) -> Transcript:
    """All of it. Raises what `transcribe` raises."""
    segments, duration = [], 0.0
    async for heard in hearing:
        duration = max(duration, heard.duration, heard.seconds)
        if heard.segment is not None:
            segments.append(heard.segment)
    language = next((segment.language for segment in segments if segment.language), "")
    return Transcript(segments=segments, duration=duration, language=language)
