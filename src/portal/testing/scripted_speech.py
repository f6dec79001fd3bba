"""A transcriber that hears what a test says, and keeps what it was given."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from portal.core.speech import Heard, Listening, Segment, SpeechModel


class ScriptedTranscriber:
    """Implements Transcriber: every recording says these texts, ten seconds each; without any, what its bytes say."""

    def __init__(self, *texts: str, refusal: str = "") -> None:
        self.texts: Sequence[str] = texts
        self.recordings: list[tuple[str, bytes]] = []
        """Name and bytes of each, in order."""
        self._refusal = refusal

    def refusal(self) -> str:
        """See Transcriber."""
        return self._refusal

    def models(self) -> Sequence[SpeechModel]:
        """See Transcriber."""
        return [SpeechModel("scripted", "scripted", "transcription")]

    async def transcribe(self, recording: Path, wanted: Listening) -> AsyncGenerator[Heard, None]:
        """See Transcriber."""
        content = await asyncio.to_thread(recording.read_bytes)
        self.recordings.append((recording.name, content))
        texts = self.texts or [content.decode()]
        duration = 10.0 * len(texts)
        for number, text in enumerate(texts):
            segment = Segment(start=10.0 * number, end=10.0 * (number + 1), text=text)
            yield Heard(segment, seconds=segment.end, duration=duration)
