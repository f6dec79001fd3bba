"""Speaking and listening, put together: engines of the settings, of the model servers there are, and espeak-ng."""

import importlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from portal.backends import openai_compatible
from portal.core.health import Condition, Health, State
from portal.core.ports import Forwarding, Models
from portal.core.speech import Speech, Transcriber
from portal.errors import ModelNotFound, SettingsError
from portal.settings import BackendSettings, Settings
from portal.settings.speech import SpeechEngineSettings
from portal.speech import decoding
from portal.speech.espeak_ng import EspeakNg
from portal.speech.faster_whisper import found as whispers
from portal.speech.faster_whisper import step
from portal.speech.hearing import Listener
from portal.speech.openai_compatible import OpenAICompatible
from portal.speech.piper import PiperProgram
from portal.speech.ports import Around, Engine, Hearing, Voicing
from portal.speech.speaking import Speaking

KINDS = ("espeak_ng", "faster_whisper", "openai_compatible", "piper", "whisper_cpp")


def open_speech(
    settings: Settings,
    models: Models | None,
    stack: AsyncExitStack,
    transcriber: Transcriber | None = None,
    health: Health | None = None,
) -> Speech:
    """Connections end with the stack. Without `models` the engines are those of the settings and of this machine. For
    tests, `transcriber` is used in place of the engines. `health` is to know of those of the settings.

    Raises:
        SettingsError: the settings name an engine that cannot be.
    """

    def server(config: SpeechEngineSettings) -> Forwarding:
        made = _backend(settings, config)
        stack.push_async_callback(made.aclose)
        return made

    named, found = _named(settings, server), _found(settings)
    if health is not None:
        health.add(lambda: map(_condition, named))
    served = None if models is None else _Served(models)

    def engines() -> Sequence[Engine]:
        return [*named, *(served.engines() if served else ()), *found]

    return Speech(speaker=_speaking(settings, engines), transcriber=transcriber or _listener(settings, engines))


def _speaking(settings: Settings, engines: Callable[[], Sequence[Engine]]) -> Speaking:
    wanted = settings.speech
    return Speaking(
        engines=lambda: [one for one in engines() if isinstance(one, Voicing)],
        model=wanted.model,
        voice=wanted.voice,
        longest=wanted.longest,
    )


def _listener(settings: Settings, engines: Callable[[], Sequence[Engine]]) -> Listener:
    wanted = settings.speech
    return Listener(
        engines=lambda: [one for one in engines() if isinstance(one, Hearing)],
        model=wanted.transcription,
        language=wanted.language,
        step=step(settings.data_dir / "speech"),
    )


def _backend(settings: Settings, config: SpeechEngineSettings) -> openai_compatible.OpenAICompatible:
    """What leads to a server, with the deadlines of model servers."""
    key = config.api_key.get_secret_value() if config.api_key else None
    name = config.name or config.kind
    server = BackendSettings(kind="openai_compatible", url=config.url, name=name, api_key=key)
    return openai_compatible.create(server, settings)


def _named(settings: Settings, server: Callable[[SpeechEngineSettings], Forwarding]) -> Sequence[Engine]:
    """Those of the settings."""
    around = Around(server=server, models=settings.data_dir / "speech")
    return [_created(config, around) for config in settings.speech.engines]


def _condition(one: Engine) -> Condition:
    refusal = one.refusal()
    state: State = "degraded" if refusal else "ok"
    return Condition(kind="speech_engine", name=one.name, state=state, detail=refusal)


def _found(settings: Settings) -> Sequence[Engine]:
    """What is on this machine by itself, the best voice first."""
    folder = settings.data_dir / "speech"
    piper = PiperProgram(name="piper", program=None, folder=folder / "piper")
    return [*whispers(folder), piper, EspeakNg(name="espeak_ng", program=None)]


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


def readiness(settings: Settings) -> Sequence[tuple[str, bool, str]]:
    """For each feature whether it is ready on this machine, and by what, or the step that makes it so. Servers of the
    settings count as ready; those found beside Portal are not looked for."""
    engines = [*_named(settings, lambda config: _backend(settings, config)), *_found(settings)]
    speaker, listener = _speaking(settings, lambda: engines), _listener(settings, lambda: engines)
    told = []
    for feature, port in (("Speech", speaker), ("Transcription", listener)):
        refusal = port.refusal()
        names = ", ".join(model.id for model in port.models())
        told.append((feature, not refusal, refusal or f"ready ({names})"))
    told.append(("Reading recordings", not decoding.refusal(), decoding.refusal() or "ready"))
    return told
