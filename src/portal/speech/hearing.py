"""Transcriber over all the engines there are: short files go to an engine as they are, long ones piece by piece."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from portal.core.speech import Heard, Listening, Segment, SpeechModel, Word
from portal.errors import BadRequest
from portal.speech import decoding
from portal.speech.choosing import Choice
from portal.speech.cutting import Cut, pieces
from portal.speech.ports import NO_SPEAKERS, Hearing, Piece

KNOWN = re.compile(r"whisper-1|gpt-(4o-)?(mini-)?transcribe(-diarize)?(-[\d-]+)?")
"""OpenAI's own, which many programs name without asking: here they mean the usual model."""
NOTHING = "Nothing here can write down speech: the manual's page on speech says how it can."
_SHORT = 4 * 2**20
"""Bytes of a file that an engine gets as it is."""
_WHOLE = 24 * 2**20
"""Bytes of a recording that an engine gets whole, where it is to tell speakers apart."""
_TAIL = 400
"""Characters of what was said before that an engine is reminded of."""
DIARIZING = (
    "Name a server that does in `[[speech.engines]]`, with `diarizes = true`; the manual's page on speech says which."
)


class Listener:
    """Implements Transcriber."""

    def __init__(
        self, *, engines: Callable[[], Sequence[Hearing]], model: str = "", language: str = "", step: str = NOTHING
    ) -> None:
        """`engines`: those there are now, the usual one first; `model` and `language` are what nobody has to name;
        `step` says what to do where there is no engine."""
        self._step = step
        self._engines = engines
        self._model = model
        self._language = language

    def _choice(self, *, diarizing: bool = False) -> Choice[Hearing]:
        ready = [engine for engine in self._engines() if not engine.refusal()]
        offers = [
            (engine, SpeechModel(name, engine.name, "transcription")) for engine in ready for name in engine.hears()
        ]
        if diarizing:  # whoever tells speakers apart is the usual one then
            offers.sort(key=lambda offer: not offer[0].diarizes(offer[1].id))
        return Choice(offers, usual="" if diarizing else self._model, known=KNOWN)

    def refusal(self) -> str:
        """See Transcriber."""
        if self._choice().models:
            return ""
        return next((why for engine in self._engines() if (why := engine.refusal())), self._step)

    def models(self) -> Sequence[SpeechModel]:
        """See Transcriber."""
        return self._choice().models

    async def transcribe(self, recording: Path, wanted: Listening) -> AsyncGenerator[Heard, None]:
        """See Transcriber."""
        engine, model = self._choice(diarizing=wanted.speakers).of(wanted.model, self.refusal())
        if wanted.speakers and not engine.diarizes(model.id):
            message = f"{engine.name} does not tell speakers apart. {DIARIZING}"
            raise BadRequest(message, param="response_format", code=NO_SPEAKERS)
        asked = replace(wanted, model=model.id, language=wanted.language or self._language)
        if (size := await asyncio.to_thread(_size, recording)) == 0:
            raise BadRequest("The file is empty.", code="invalid_file")
        if size <= (_WHOLE if wanted.speakers else _SHORT) and recording.suffix.lower() in engine.takes:
            data = await asyncio.to_thread(recording.read_bytes)
            hearing = engine.hear(Piece(data, recording.suffix.lower()), asked)
        elif wanted.speakers:
            hearing = engine.hear(Piece(await decoding.small(recording, _WHOLE), ".ogg"), asked)
        else:
            hearing = _piecewise(engine, recording, asked)
        async with aclosing(hearing) as all_of_it:
            async for heard in all_of_it:
                yield heard


def _size(recording: Path) -> int:
    return recording.stat().st_size if recording.is_file() else 0


async def _piecewise(engine: Hearing, recording: Path, wanted: Listening) -> AsyncGenerator[Heard, None]:
    told, tail = decoding.Decoded(), ""
    async with aclosing(decoding.samples(recording, told)) as samples, aclosing(pieces(samples)) as cuts:
        async for cut in cuts:
            end = cut.start + cut.seconds
            if cut.samples:
                prompt = f"{wanted.prompt} {tail}".strip()
                async with aclosing(engine.hear(Piece(cut.samples), replace(wanted, prompt=prompt))) as hearing:
                    async for heard in hearing:
                        if heard.segment is not None:
                            moved = _moved(heard.segment, cut)
                            tail = f"{tail} {moved.text}"[-_TAIL:]
                            yield Heard(moved, seconds=moved.end, duration=max(told.duration, moved.end))
            yield Heard(None, seconds=end, duration=max(told.duration, end))


def _moved(segment: Segment, cut: Cut) -> Segment:
    """To where its piece is in the whole; an engine that gave no end means all of the piece."""
    end = min(segment.end or cut.seconds, cut.seconds)
    words = [
        Word(word.word, round(word.start + cut.start, 3), round(word.end + cut.start, 3)) for word in segment.words
    ]
    start = min(segment.start, end)
    return replace(segment, start=round(start + cut.start, 3), end=round(end + cut.start, 3), words=words)
