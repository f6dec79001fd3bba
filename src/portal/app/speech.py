"""Speaking and listening, put together: engines of the settings, of the model servers there are, and espeak-ng."""

import importlib
from collections.abc import Sequence
from contextlib import AsyncExitStack

from portal.backends.kinds import create_backend
from portal.core.ports import Forwarding, Models
from portal.core.speech import Speech, Transcriber
from portal.errors import ModelNotFound, SettingsError
from portal.settings import Settings
from portal.settings.speech import SpeechEngineSettings
from portal.speech.espeak_ng import EspeakNg
from portal.speech.faster_whisper import found
from portal.speech.hearing import Listener
from portal.speech.openai_compatible import OpenAICompatible
from portal.speech.piper import PiperProgram
from portal.speech.ports import Around, Engine, Hearing, Voicing
from portal.speech.speaking import Speaking

KINDS = ("espeak_ng", "faster_whisper", "openai_compatible", "piper", "whisper_cpp")


def open_speech(
    settings: Settings, models: Models, stack: AsyncExitStack, transcriber: Transcriber | None = None
) -> Speech:
    """Connections end with the stack. For tests, `transcriber` is used in place of the engines.

    Raises:
        SettingsError: the settings name an engine that cannot be.
    """

    def server(config: SpeechEngineSettings) -> Forwarding:
        key = config.api_key.get_secret_value() if config.api_key else None
        name = config.name or config.kind
        made = create_backend(kind="openai_compatible", url=config.url, name=name, api_key=key, settings=settings)
        stack.push_async_callback(made.aclose)
        assert isinstance(made, Forwarding)
        return made

    folder = settings.data_dir / "speech"
    named = [_created(config, Around(server=server, models=folder)) for config in settings.speech.engines]
    piper = PiperProgram(name="piper", program=None, folder=folder / "piper")
    espeak = EspeakNg(name="espeak_ng", program=None)
    whispers = found(folder)
    served = _Served(models)

    def voicing() -> Sequence[Voicing]:
        return [*(one for one in named if isinstance(one, Voicing)), *served.engines(), piper, espeak]

    def hearing() -> Sequence[Hearing]:
        return [*(one for one in named if isinstance(one, Hearing)), *whispers, *served.engines()]

    wanted = settings.speech
    return Speech(
        speaker=Speaking(engines=voicing, model=wanted.model, voice=wanted.voice, longest=wanted.longest),
        transcriber=transcriber or Listener(engines=hearing, model=wanted.transcription, language=wanted.language),
    )


def _created(config: SpeechEngineSettings, around: Around) -> Engine:
    if config.kind not in KINDS:
        raise SettingsError(
            f"There is no kind of speech engine called {config.kind!r}. Known kinds: {', '.join(KINDS)}."
        )
    made: Engine = importlib.import_module(f"portal.speech.{config.kind}").create(config, around)
    return made


class _Served:
    """The model servers that have models which speak or listen, as engines; made anew where those change."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._made: dict[tuple[str, tuple[str, ...], tuple[str, ...]], OpenAICompatible] = {}

    def engines(self) -> Sequence[OpenAICompatible]:
        """In the order of the servers."""
        able: dict[str, tuple[list[str], list[str]]] = {}
        for model in self._models.list():
            for number, capability in enumerate(("speech", "transcription")):
                if capability in model.capabilities:
                    able.setdefault(model.backend, ([], []))[number].append(model.id)
        made = {}
        for name, (speech, transcription) in able.items():
            key = (name, tuple(speech), tuple(transcription))
            engine = self._made.get(key) or self._engine(name, *key[1:])
            if engine is not None:
                made[key] = engine
        self._made = made
        return list(made.values())

    def _engine(self, name: str, speech: tuple[str, ...], transcription: tuple[str, ...]) -> OpenAICompatible | None:
        try:
            server, _ = self._models.find((speech + transcription)[0])
        except ModelNotFound:
            return None
        if not isinstance(server, Forwarding) or server.api != "openai":
            return None
        return OpenAICompatible(name=name, server=server, speech=speech, transcription=transcription)
