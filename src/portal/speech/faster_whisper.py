"""faster-whisper in this process (extra `speech`): Whisper by CTranslate2, and Silero's model that knows speech."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portal.core.speech import Heard, Listening, Segment, Word
from portal.errors import BackendError, BadRequest, NoModel, SettingsError
from portal.extras import add_command
from portal.settings.speech import SpeechEngineSettings
from portal.speech.decoding import RATE
from portal.speech.ports import Around, Piece
from portal.speech.threads import in_thread

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

_PREFIX = "faster-whisper-"
_WEIGHTS = "model.bin"


def installed() -> bool:
    """Whether the package is there."""
    return find_spec("faster_whisper") is not None


class FasterWhisper:
    """Implements Hearing. The model is loaded when it is first used, and one piece is heard at a time."""

    takes: frozenset[str] = frozenset()

    def __init__(
        self, *, name: str, model: str, folder: Path, device: str = "auto", compute_type: str = "default"
    ) -> None:
        """`folder` is where Portal keeps models by their names; `model` is one of them, or a folder of its own."""
        self.name = name
        self._model = model
        self._folder = folder
        self._device = device
        self._compute_type = compute_type
        self._loaded: WhisperModel | None = None
        self._turn = asyncio.Lock()

    def refusal(self) -> str:
        """See Hearing."""
        return "" if installed() else f"faster-whisper is not installed: `{add_command('speech')}`."

    def hears(self) -> Sequence[str]:
        """See Hearing."""
        name = Path(self._model).name
        return [name if name.startswith(_PREFIX) else _PREFIX + name]

    def diarizes(self, model: str) -> bool:
        """See Hearing."""
        return False

    async def hear(self, piece: Piece, wanted: Listening) -> AsyncGenerator[Heard, None]:
        """See Hearing. Each segment is a step in a thread; who closes this waits for the step under way, no longer."""
        async with self._turn:
            try:
                steps = await in_thread(self._begin, piece.data, wanted)
                while (heard := await in_thread(next, steps, None)) is not None:
                    yield heard
            except (RuntimeError, MemoryError) as error:
                raise BackendError(f"{self.name} failed: {error}") from error

    def _begin(self, samples: bytes, wanted: Listening) -> Iterator[Heard]:
        import numpy as np

        if self._loaded is None:
            self._loaded = self._load()
        sound = np.frombuffer(samples[: len(samples) // 2 * 2], np.int16).astype(np.float32) / 32768.0
        try:
            segments, told = self._loaded.transcribe(
                sound,
                language=wanted.language.split("-")[0] or None,
                task="translate" if wanted.translate else "transcribe",
                initial_prompt=wanted.prompt or None,
                temperature=wanted.temperature or (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
                word_timestamps=wanted.words,
                vad_filter=True,
            )
        except ValueError as error:  # such as a language that it does not know
            raise BadRequest(f"{self.name}: {error}", param="language", code="invalid_value") from error
        return _heard(segments, told.language, len(sound) / RATE)

    def _load(self) -> "WhisperModel":
        """From this machine alone. Raises NoModel."""
        from faster_whisper import WhisperModel

        own = self._folder / self._model
        place = str(own) if (own / _WEIGHTS).is_file() else self._model
        try:
            return WhisperModel(place, device=self._device, compute_type=self._compute_type, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise NoModel(
                f"The model {self._model!r} is not on this machine, or cannot be loaded ({str(error)[:200]}). "
                f"To get it: hf download Systran/faster-whisper-{Path(self._model).name} --local-dir '{own}'"
            ) from error


def _heard(segments: Any, language: str, duration: float) -> Iterator[Heard]:
    for one in segments:
        words = [Word(word.word.strip(), float(word.start), float(word.end)) for word in one.words or ()]
        made = Segment(
            start=float(one.start),
            end=float(one.end),
            text=one.text.strip(),
            words=words,
            language=language,
            confidence=one.avg_logprob,
            silence=one.no_speech_prob,
        )
        yield Heard(made, seconds=made.end, duration=duration)


def step(folder: Path) -> str:
    """The quickest one to writing down speech, from where this machine is."""
    package = "" if installed() else f"`{add_command('speech')}`, and then "
    place = folder / "small"
    return (
        f"Nothing here can write down speech. The quickest step: {package}hf download Systran/faster-whisper-small "
        f"--local-dir '{place}' (half a gigabyte), and restart Portal. The manual's page on speech has other ways."
    )


def found(folder: Path) -> Sequence[FasterWhisper]:
    """One for each model in Portal's folder, the smallest name first."""
    if not installed():
        return ()
    models = sorted(weights.parent.name for weights in folder.glob(f"*/{_WEIGHTS}"))
    return [FasterWhisper(name="faster_whisper", model=model, folder=folder) for model in models]


def create(config: SpeechEngineSettings, around: Around) -> FasterWhisper:
    """From the settings. Raises SettingsError."""
    if not config.model:
        raise SettingsError("speech.engines: a faster_whisper engine needs its `model`, such as small, or a folder.")
    return FasterWhisper(
        name=config.name or "faster_whisper",
        model=str(Path(config.model).expanduser()) if "/" in config.model else config.model,
        folder=around.models,
        device=config.device,
        compute_type=config.compute_type,
    )
