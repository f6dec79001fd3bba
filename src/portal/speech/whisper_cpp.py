"""whisper.cpp's server, which has one model and an endpoint of its own."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any
from unicodedata import east_asian_width

from portal.core.items import JsonObject
from portal.core.model import RawRequest
from portal.core.speech import Heard, Listening
from portal.core.wav import header
from portal.errors import SettingsError
from portal.settings.speech import SpeechEngineSettings
from portal.speech.decoding import RATE
from portal.speech.multipart import form
from portal.speech.ports import Around, Piece
from portal.speech.served import Served
from portal.speech.verbose import heard_in

MODEL = "whisper.cpp"


class WhisperCpp:
    """Implements Hearing. It gets WAV of 16 kHz, which it takes without help."""

    takes: frozenset[str] = frozenset()

    def __init__(self, *, name: str, served: Served, url: str) -> None:
        self.name = name
        self._served = served
        self._url = f"{url.rstrip('/')}/inference"

    def refusal(self) -> str:
        """None: whether a server answers shows when it is asked."""
        return ""

    def hears(self) -> Sequence[str]:
        """See Hearing."""
        return [MODEL]

    def diarizes(self, model: str) -> bool:
        """See Hearing."""
        return False

    async def hear(self, piece: Piece, wanted: Listening) -> AsyncGenerator[Heard, None]:
        """See Hearing."""
        fields = [
            ("response_format", "verbose_json"),
            ("temperature", f"{wanted.temperature:g}"),
            ("language", wanted.language or "auto"),
            ("translate", "true" if wanted.translate else "false"),
            ("no_language_probabilities", "true"),  # which would take it another look at the sound
        ]
        if wanted.prompt:
            fields.append(("prompt", wanted.prompt))
        body, kind = form(fields, header(RATE, len(piece.data)) + piece.data, "recording.wav")
        answer = await self._served.json(RawRequest(method="POST", path=self._url, body=body, content_type=kind))
        for heard in heard_in(_worded(answer)):
            yield heard


def _worded(answer: Any) -> Any:
    """The same with words where it has tokens, which it calls words."""
    for row in (answer.get("segments") or ()) if isinstance(answer, dict) else ():
        if isinstance(row, dict) and isinstance(row.get("words"), list):
            row["words"] = _joined(row["words"])
    return answer


def _joined(tokens: Sequence[Any]) -> Sequence[JsonObject]:
    """A token without a space before it goes on the word, but for scripts that have none; one without times is left
    out."""
    words: list[JsonObject] = []
    for token in tokens:
        if not isinstance(token, dict) or not isinstance(token.get("word"), str) or "start" not in token:
            continue
        first = token["word"][:1]
        begins = first.isspace() or (first.isalnum() and east_asian_width(first) in "WF")
        if words and not begins:
            words[-1] |= {"word": words[-1]["word"] + token["word"], "end": token.get("end")}
        else:
            words.append(token)
    return words


def create(config: SpeechEngineSettings, around: Around) -> WhisperCpp:
    """From the settings. Raises SettingsError."""
    if not config.url:
        raise SettingsError("speech.engines: a whisper_cpp engine needs its `url`, such as http://127.0.0.1:8080.")
    name = config.name or "whisper_cpp"
    return WhisperCpp(name=name, served=Served(name=name, server=around.server(config)), url=config.url)
