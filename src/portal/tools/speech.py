"""Text spoken into a file, and the voices there are."""

import asyncio
import base64
import mimetypes
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import PurePath
from typing import Annotated, cast

from pydantic import Field

from portal.core.speech import FORMATS, Listening, SoundFormat, Speaker, Transcriber, Utterance, Voice, whole
from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult
from portal.core.wav import with_length
from portal.errors import PortalError, ToolError
from portal.tools.families import Needs
from portal.tools.folders import Folders, granted, keep
from portal.tools.function import Functions, tool

_LARGEST = 2**20
_SOUND = 256 * 2**20
_SAMPLE = 10 * 2**20
_SHOWN = 60


class Voices:
    """The tools."""

    def __init__(self, *, speaker: Speaker, transcriber: Transcriber, folders: Folders) -> None:
        self._speaker = speaker
        self._transcriber = transcriber
        self._folders = folders

    @tool(risk="read", scopes={"path": "path", "like": "path"}, timeout=1800)
    async def speak_text(
        self,
        context: ToolContext,
        text: Annotated[str, "What is to be said"] = "",
        path: Annotated[str, "Or a text file that is read aloud"] = "",
        language: Annotated[str, "The language of the text, such as en or de; it chooses the voice"] = "",
        voice: Annotated[str, "A voice of list_voices; empty for the usual one"] = "",
        speed: Annotated[float, "1 is the usual pace", Field(ge=0.25, le=4)] = 1.0,
        save_as: Annotated[str, "Name of the sound file: .mp3, .wav, .opus, .aac or .flac"] = "speech.mp3",
        like: Annotated[str, "A recording of the voice to imitate, of somebody who agreed to it"] = "",
        like_text: Annotated[str, "What is said in that recording, where it is known"] = "",
    ) -> ToolResult:
        """Read a text aloud into a sound file (text to speech)."""
        said = text or self._text(path, context)
        name = save_as if PurePath(save_as).suffix[1:].lower() in FORMATS else f"{save_as}.mp3"
        kind = cast(SoundFormat, PurePath(name).suffix[1:].lower())
        sample = await asyncio.to_thread(self._sample, like, context) if like else ""
        words = like_text or (await self._words(like, context) if like else "")
        asked = Utterance(
            text=said,
            voice=voice,
            language=language,
            speed=speed,
            format=kind,
            sample=sample,
            sample_text=words,
        )
        sound = bytearray()
        try:
            async with aclosing(self._speaker.speak(asked)) as pieces:
                async for piece in pieces:
                    sound += piece
                    context.report(f"{len(sound) // 1024} kB spoken")
                    if len(sound) > _SOUND:
                        raise ToolError("The sound is too long for one file: have it read in parts.")
        except PortalError as error:
            raise ToolError(error.message) from error
        return ToolResult(text=f"Made {name}.", files=(keep(context, name, with_length(bytes(sound))),))

    @tool(risk="read")
    async def list_voices(self, language: Annotated[str, "Only voices of this language, such as de"] = "") -> str:
        """List the voices that can read text aloud."""
        try:
            voices = await self._speaker.voices()
        except PortalError as error:
            raise ToolError(error.message) from error
        wanted = [voice for voice in voices if voice.language.lower().startswith(language.lower())]
        if not wanted:
            raise ToolError(self._speaker.refusal() or f"There is no voice of the language {language!r}.")
        more = [f"... and {len(wanted) - _SHOWN} more; name a language."] if len(wanted) > _SHOWN else []
        return "\n".join([*map(_told, wanted[:_SHOWN]), *more])

    def _text(self, path: str, context: ToolContext) -> str:
        if not path:
            raise ToolError("There is nothing to say: give `text` or `path`.")
        return self._folders.file(path, context, largest=_LARGEST).read().decode("utf-8", "replace")

    def _sample(self, path: str, context: ToolContext) -> str:
        kind = mimetypes.guess_type(path)[0] or ""
        if not kind.startswith("audio/"):
            raise ToolError("`like` is a recording: .wav, .mp3, .flac, .ogg or .m4a.")
        data = self._folders.file(path, context, largest=_SAMPLE).read()
        return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"

    async def _words(self, path: str, context: ToolContext) -> str:
        """What is said in the recording, where something here can listen: some engines want it of every sample."""
        if self._transcriber.refusal():
            return ""
        place = self._folders.file(path, context, largest=_SAMPLE)
        try:
            return (await whole(self._transcriber.transcribe(place.path, Listening()))).text
        except PortalError:  # the engine may do without
            return ""


def _told(voice: Voice) -> str:
    parts: Sequence[str] = [part for part in (voice.language, voice.name, f"of {voice.model}") if part]
    return f"{voice.id}: {', '.join(parts)}"


def create(needs: Needs) -> Toolset | None:
    """The family `speech`."""
    if needs.speech is None:
        return None
    ears = needs.speech.transcriber
    voices = Voices(speaker=needs.speech.speaker, transcriber=ears, folders=granted(needs.settings))
    return Functions("speech", [voices.speak_text, voices.list_voices])
