"""What is said in a recording or film, as text or as subtitles."""

from contextlib import aclosing
from dataclasses import replace
from pathlib import PurePath
from typing import Annotated, Literal

from portal.core import subtitles
from portal.core.speech import Listening, Segment, Transcriber
from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult
from portal.errors import PortalError, ToolError
from portal.tools.families import Needs
from portal.tools.folders import Folders, granted, keep
from portal.tools.function import Functions, tool

_LARGEST = 8 * 2**30


class Transcripts:
    """The tool."""

    def __init__(self, *, transcriber: Transcriber, folders: Folders) -> None:
        self._transcriber = transcriber
        self._folders = folders

    @tool(risk="read", scopes={"path": "path"}, untrusted=True, timeout=6 * 3600)
    async def transcribe_recording(
        self,
        path: Annotated[str, "A sound file or film"],
        context: ToolContext,
        language: Annotated[str, "The language that is spoken, such as en; empty finds it out"] = "",
        form: Annotated[
            Literal["text", "timestamps", "srt", "vtt"], "text, text with times, or subtitles as a file"
        ] = "text",
        translate: Annotated[bool, "Into English"] = False,
        speakers: Annotated[bool, "Who says what, where an engine tells speakers apart"] = False,
    ) -> ToolResult:
        """Write down what is said in a recording or film (speech to text), also as subtitles (SRT or VTT)."""
        if translate and speakers:
            raise ToolError("Speakers are told apart in the language that is spoken only.")
        place = self._folders.file(path, context, largest=_LARGEST)
        segments: list[Segment] = []
        wanted = Listening(language=language, translate=translate, speakers=speakers)
        try:
            async with aclosing(self._transcriber.transcribe(place.path, wanted)) as hearing:
                async for heard in hearing:
                    if heard.segment is not None and heard.segment.text.strip():
                        segments.append(heard.segment)
                    if heard.duration:
                        context.report(f"{subtitles.minute(heard.seconds)} of {subtitles.minute(heard.duration)}")
        except PortalError as error:
            raise ToolError(error.message) from error
        if not segments:
            return ToolResult(text="Nothing is said in this recording.")
        return _result([_named(one) for one in segments], form, PurePath(path).stem, context)


def _result(segments: list[Segment], form: str, name: str, context: ToolContext) -> ToolResult:
    if form in ("text", "timestamps"):
        timed = form == "timestamps"
        lines = [f"[{subtitles.minute(one.start)}] {one.text}" if timed else one.text for one in segments]
        apart = timed or any(one.speaker for one in segments)
        return ToolResult(text=("\n" if apart else " ").join(lines))
    made = (subtitles.srt if form == "srt" else subtitles.vtt)(segments)
    file = keep(context, f"{name}.{form}", made.encode("utf-8"))
    return ToolResult(text=f"Made {file.name} with {len(segments)} subtitles.", files=(file,))


def _named(one: Segment) -> Segment:
    """With who says it before what is said."""
    return replace(one, text=f"{one.speaker}: {one.text.strip()}") if one.speaker else one


def create(needs: Needs) -> Toolset | None:
    """The family `transcription`."""
    if needs.speech is None:
        return None
    made = Transcripts(transcriber=needs.speech.transcriber, folders=granted(needs.settings))
    return Functions("transcription", [made.transcribe_recording])
