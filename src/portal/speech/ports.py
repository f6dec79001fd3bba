"""What an engine is to this room. A module named by the `kind` of the settings has `create(config, around)`."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from portal.core.ports import Forwarding
from portal.core.speech import Heard, Listening, Utterance, Voice
from portal.settings.speech import SpeechEngineSettings

NO_SPEAKERS = "diarization_unavailable"
"""The code of the error where nobody tells speakers apart."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a recording that is short enough to be held in memory."""

    data: bytes
    suffix: str = ""
    """Of the file whose bytes these are; empty for bare samples: 16 bits, one channel, 16 kHz."""


@runtime_checkable
class Voicing(Protocol):
    """An engine that speaks."""

    name: str
    longest: int
    """Characters of one call, at most; 0 for any number."""
    clones: bool
    """Whether it imitates the voice of a recording that comes with the text."""

    def refusal(self) -> str:
        """Why it cannot speak now, and the step that changes it; empty where it can. Cheap."""

    def speaks(self) -> Sequence[str]:
        """Its models that speak."""

    async def voices(self, model: str, *, anew: bool = False) -> Sequence[Voice]:
        """The usual one first; none where the engine does not tell. What a server told before is enough unless it is
        to be asked `anew`. Raises BackendError."""

    def speak(self, said: Utterance) -> AsyncGenerator[bytes, None]:
        """In the format that is asked for. `said.model` and, where voices are told, `said.voice` are its own."""


@runtime_checkable
class Hearing(Protocol):
    """An engine that listens."""

    name: str
    takes: frozenset[str]
    """Suffixes of files that it takes as they are, where they are short."""

    def diarizes(self, model: str) -> bool:
        """Whether this model of its tells speakers apart."""

    def refusal(self) -> str:
        """See Voicing."""

    def hears(self) -> Sequence[str]:
        """Its models that listen."""

    def hear(self, piece: Piece, wanted: Listening) -> AsyncGenerator[Heard, None]:
        """What is said in it; times from its beginning. `wanted.model` is its own."""


Engine = Voicing | Hearing


@dataclass(frozen=True, slots=True)
class Around:
    """What engines are made with."""

    server: Callable[[SpeechEngineSettings], Forwarding]
    """Whatever leads to the server of an engine that is one."""
    models: Path
    """Portal's own folder of models for speech."""
