"""Piper: small neural voices, as a program of its own or as its HTTP server; Portal holds nothing of it."""

import json
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import orjson

from portal.core import wav
from portal.core.model import RawRequest
from portal.core.speech import Utterance, Voice
from portal.errors import BackendError
from portal.settings.speech import SpeechEngineSettings
from portal.speech.encoded import encoded
from portal.speech.ports import Around
from portal.speech.sentences import sentences
from portal.speech.served import Served
from portal.speech.spoken import spoken

MODEL = "piper"
INSTALL = "install the program `piper` beside Portal, such as with `pipx install piper-tts`"
_USUAL_RATE = 22_050


class PiperProgram:
    """Implements Voicing over the program. Every text is a run: a sentence a line."""

    longest = 0
    clones = False

    def __init__(self, *, name: str, program: Path | None, folder: Path) -> None:
        self.name = name
        self._program = program
        self._folder = folder

    def refusal(self) -> str:
        """See Voicing."""
        if not self._found():
            return f"piper is not installed: {INSTALL}."
        if not self._files():
            return f"There is no voice of piper in {self._folder}: put one there, its .onnx and its .onnx.json."
        return ""

    def _found(self) -> str | None:
        return shutil.which(self._program or "piper")

    def _files(self) -> Sequence[Path]:
        return sorted(self._folder.glob("*.onnx"))

    def speaks(self) -> Sequence[str]:
        """See Voicing."""
        return [MODEL]

    async def voices(self, model: str, *, anew: bool = False) -> Sequence[Voice]:
        """Those in the folder, whose names begin with their language."""
        return [Voice(file.stem, MODEL, _language(file.stem)) for file in self._files()]

    async def speak(self, said: Utterance) -> AsyncGenerator[bytes, None]:
        """See Voicing."""
        voice = self._folder / f"{said.voice}.onnx"
        pace = ["--length_scale", f"{1 / said.speed:.3f}"] if said.speed != 1.0 else []
        command = [self._found() or "piper", "--model", str(voice), "--output_raw", *pace]
        text = "".join(f"{sentence}\n" for sentence in sentences(said.text))
        rate = _rate(voice)
        sound = spoken(command, name="piper", text=text, rate=rate, wanted=said.format, headed=False)
        async with aclosing(sound) as pieces:
            async for piece in pieces:
                yield piece


class PiperServer:
    """Implements Voicing over the HTTP server. Every sentence is a request, so that the first one is soon heard."""

    longest = 0
    clones = False

    def __init__(self, *, name: str, served: Served, url: str) -> None:
        self.name = name
        self._served = served
        self._url = url.rstrip("/")
        self._voices: Sequence[Voice] = ()

    def refusal(self) -> str:
        """None: whether a server answers shows when it is asked."""
        return ""

    def speaks(self) -> Sequence[str]:
        """See Voicing."""
        return [MODEL]

    async def voices(self, model: str, *, anew: bool = False) -> Sequence[Voice]:
        """As the server lists them."""
        if anew or not self._voices:
            told = await self._served.json(RawRequest(method="GET", path=f"{self._url}/voices"))
            names = told if isinstance(told, dict) else {}
            self._voices = [Voice(name, MODEL, _language(name)) for name in names]
        return self._voices

    async def speak(self, said: Utterance) -> AsyncGenerator[bytes, None]:
        """See Voicing."""
        async with aclosing(self._samples(said)) as samples:
            rate = int.from_bytes((await anext(samples))[24:28], "little")
            async with aclosing(encoded(samples, rate=rate, wanted=said.format)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _samples(self, said: Utterance) -> AsyncGenerator[bytes, None]:
        """The head of the first sentence's WAV, then the samples of all."""
        begun = False
        for sentence in sentences(said.text):
            body = {"text": sentence, "voice": said.voice, "length_scale": round(1 / said.speed, 3)}
            request = RawRequest(method="POST", path=f"{self._url}/", body=orjson.dumps(body))
            head: bytes | None = b""
            async with aclosing(self._served.stream(request)) as sound:
                async for piece in sound:
                    before, (head, samples) = (head or b"") + piece, wav.after_head(head, piece)
                    if head is None and not begun:
                        begun = True
                        yield before[:44]
                    if samples:
                        yield samples
            if head is not None:
                raise BackendError("piper answered something that is no WAV.")


def _language(voice: str) -> str:
    """`en-us` of `en_US-amy-medium`."""
    return voice.split("-")[0].replace("_", "-").lower()


def _rate(voice: Path) -> int:
    try:
        told = json.loads(voice.with_name(f"{voice.name}.json").read_text(encoding="utf-8"))
        return int(told["audio"]["sample_rate"])
    except (OSError, ValueError, KeyError, TypeError):
        return _USUAL_RATE


def create(config: SpeechEngineSettings, around: Around) -> PiperProgram | PiperServer:
    """From the settings: with a `url` the server, else the program."""
    name = config.name or "piper"
    if config.url:
        return PiperServer(name=name, served=Served(name=name, server=around.server(config)), url=config.url)
    folder = config.folder.expanduser() if config.folder else around.models / "piper"
    return PiperProgram(name=name, program=config.program, folder=folder)
