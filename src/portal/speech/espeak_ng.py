"""espeak-ng: a small program that speaks more than a hundred languages by rules, at once and without a model."""

import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from portal.core.speech import Utterance, Voice
from portal.errors import BackendError
from portal.settings.speech import SpeechEngineSettings
from portal.speech.ports import Around
from portal.speech.programs import Flow, ProgramError
from portal.speech.spoken import spoken

MODEL = "espeak-ng"
INSTALL = "`apt install espeak-ng`, `brew install espeak-ng` or `winget install espeak-ng`"
_RATE = 22_050
_USUAL, _SLOWEST, _FASTEST = 175, 80, 700
"""Words a minute; the program goes no slower, and no faster is understood."""
_FIRST = "en-us"


class EspeakNg:
    """Implements Voicing."""

    longest = 0
    clones = False

    def __init__(self, *, name: str, program: Path | None) -> None:
        self.name = name
        self._program = program
        self._voices: Sequence[Voice] = ()

    def refusal(self) -> str:
        """See Voicing."""
        return "" if self._found() else f"espeak-ng is not installed: {INSTALL}, and it speaks at once."

    def _found(self) -> str | None:
        return shutil.which(self._program or "espeak-ng")

    def speaks(self) -> Sequence[str]:
        """See Voicing."""
        return [MODEL]

    async def voices(self, model: str, *, anew: bool = False) -> Sequence[Voice]:
        """By language, as the program lists them; asked for once."""
        if not self._voices:
            flow, listed = Flow([self._found() or MODEL, "--voices"]), b""
            try:
                async with aclosing(flow.output()) as output:
                    async for chunk in output:
                        listed += chunk
            except ProgramError as error:
                raise BackendError(f"espeak-ng does not list its voices: {error}.") from error
            self._voices = listed_voices(listed.decode("utf-8", "replace"))
        return self._voices

    async def speak(self, said: Utterance) -> AsyncGenerator[bytes, None]:
        """See Voicing."""
        pace = round(min(max(_USUAL * said.speed, _SLOWEST), _FASTEST))
        command = [
            self._found() or MODEL,
            "-v",
            said.voice or _FIRST,
            "-s",
            str(pace),
            "-b",
            "1",
            "--stdin",
            "--stdout",
        ]
        sound = spoken(command, name="espeak-ng", text=said.text, rate=_RATE, wanted=said.format, headed=True)
        async with aclosing(sound) as pieces:
            async for piece in pieces:
                yield piece


def listed_voices(table: str) -> Sequence[Voice]:
    """Of `espeak-ng --voices`: each language once, the usual one first."""
    found: dict[str, Voice] = {}
    for line in table.splitlines()[1:]:
        columns = line.split(maxsplit=5)
        if len(columns) >= 5:
            language = columns[1]
            found.setdefault(language, Voice(language, MODEL, language, columns[3].replace("_", " ")))
    return sorted(found.values(), key=lambda voice: voice.id != _FIRST)


def create(config: SpeechEngineSettings, around: Around) -> EspeakNg:
    """From the settings."""
    return EspeakNg(name=config.name or "espeak_ng", program=config.program)
