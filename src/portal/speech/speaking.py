"""Speaker over all the engines there are."""

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from portal.core import wav
from portal.core.speech import SpeechModel, Utterance, Voice
from portal.errors import BackendError, BadRequest, TooLarge
from portal.speech.choosing import Choice
from portal.speech.ports import Voicing
from portal.speech.sentences import parts
from portal.speech.voices import OPENAI, chosen

KNOWN = re.compile(r"tts-1(-hd)?(-\d+)?|gpt-4o-mini-tts(-[\d-]+)?")
"""OpenAI's own, which many programs name without asking: here they mean the usual model."""
NOTHING = (
    "Nothing here can speak. The quickest step: install espeak-ng (`apt install espeak-ng`, `brew install espeak-ng` "
    "or `winget install espeak-ng`); the manual's page on speech names voices that sound better."
)

CLONING = (
    "Name a server that does in `[[speech.engines]]`, with `clones = true`; the manual's page on speech says which."
)
NO_CLONING = "voice_cloning_unavailable"


class Speaking:
    """Implements Speaker."""

    def __init__(
        self, *, engines: Callable[[], Sequence[Voicing]], model: str = "", voice: str = "", longest: int = 100_000
    ) -> None:
        """`engines`: those there are now, the usual one first; `model` and `voice` are what nobody has to name."""
        self._engines = engines
        self._model = model
        self._voice = voice
        self._longest = longest

    def _choice(self, *, cloning: bool = False) -> Choice[Voicing]:
        ready = [engine for engine in self._engines() if not engine.refusal()]
        if cloning:  # whoever imitates voices is the usual one then
            ready.sort(key=lambda engine: not engine.clones)
        offers = [(engine, SpeechModel(name, engine.name, "speech")) for engine in ready for name in engine.speaks()]
        return Choice(offers, usual="" if cloning else self._model, known=KNOWN)

    def refusal(self) -> str:
        """See Speaker."""
        return "" if self._choice().models else NOTHING

    def models(self) -> Sequence[SpeechModel]:
        """See Speaker."""
        return self._choice().models

    async def voices(self, model: str = "") -> Sequence[Voice]:
        """See Speaker."""
        choice, found, away = self._choice(), list[Voice](), list[BackendError]()
        for engine, info in [
            choice.of(name, NOTHING) for name in ([model] if model else [one.id for one in choice.models])
        ]:
            try:
                found += await engine.voices(info.id, anew=True)
            except BackendError as error:  # one that is away does not hide the others'
                away.append(error)
        if away and not found:
            raise away[0]
        return found

    async def speak(self, said: Utterance) -> AsyncGenerator[bytes, None]:
        """See Speaker."""
        text = said.text.replace("\0", " ").strip()  # at which programs would end
        if not text:
            raise BadRequest("There is nothing to say: the text is empty.", param="input", code="empty_string")
        if len(text) > self._longest:
            raise TooLarge(
                f"The text has {len(text):,} characters; at most {self._longest:,} are spoken at once "
                "(the setting speech.longest).",
                code="text_too_long",
                param="input",
            )
        engine, model = self._choice(cloning=bool(said.sample)).of(said.model, NOTHING)
        if said.sample and not engine.clones:
            raise BadRequest(f"{engine.name} cannot imitate a voice. {CLONING}", param="ref_audio", code=NO_CLONING)
        asked = replace(said, text=text, model=model.id, voice=await self._voiced(engine, model.id, said))
        async with aclosing(_in_parts(engine, asked)) as sound:
            async for piece in sound:
                yield piece

    async def _voiced(self, engine: Voicing, model: str, said: Utterance) -> str:
        """The id of the voice; that of a recording has none."""
        if said.sample and said.voice.lower() in OPENAI | {""}:
            return ""
        try:
            return chosen(await engine.voices(model), said.voice, usual=self._voice, language=said.language)
        except BadRequest:  # it may be new
            known = await engine.voices(model, anew=True)
            return chosen(known, said.voice, usual=self._voice, language=said.language)


async def _in_parts(engine: Voicing, said: Utterance) -> AsyncGenerator[bytes, None]:
    """One sound, of however many calls the engine needs for it."""
    texts = parts(said.text, engine.longest)
    if len(texts) > 1 and said.format == "flac":
        raise BadRequest(
            f"{engine.name} takes {engine.longest} characters at once, and FLAC files cannot be joined: ask for "
            "another format.",
            param="response_format",
            code="text_too_long",
        )
    for number, text in enumerate(texts):
        sound = engine.speak(replace(said, text=text))
        async with aclosing(_headless(sound) if number and said.format == "wav" else sound) as pieces:
            async for piece in pieces:
                yield piece


async def _headless(sound: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """A WAV's samples, to go after those of another one."""
    head: bytes | None = b""
    async with aclosing(sound):
        async for piece in sound:
            head, samples = wav.after_head(head, piece)
            if samples:
                yield samples
