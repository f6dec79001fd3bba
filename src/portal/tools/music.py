"""Tools that make music, by ComfyUI or a music server."""

from typing import Annotated

from portal.core.media import Studio
from portal.core.ports import Files
from portal.core.tools import ToolContext, ToolResult
from portal.tools.families import Needs
from portal.tools.function import tool
from portal.tools.making import Inputs, Making


def create(needs: Needs) -> "MusicTools":
    """The family."""
    return MusicTools(studio=needs.media, files=needs.files)


class MusicTools(Making):
    """The tools."""

    def __init__(self, *, studio: Studio | None, files: Files) -> None:
        super().__init__("music", "music", [self.make_music, self.list_music_workflows], studio=studio, files=files)

    @tool(risk="spend", title="Make music")
    async def make_music(
        self,
        prompt: Annotated[str, "Style, instruments, mood, tempo, voice, as tags or words"],
        context: ToolContext,
        lyrics: Annotated[str, "Words to be sung, with [verse] and [chorus]; left out, it is instrumental"] = "",
        seconds: Annotated[float | None, "How long"] = None,
        seed: int | None = None,
        workflow: Annotated[str, "Name of a workflow; left out, the best that is ready"] = "",
        inputs: Annotated[Inputs, "Further named inputs of the workflow"] = {},  # noqa: B006 -- a schema
    ) -> ToolResult:
        """Make music: compose and play a song, melody, loop or sound effect from a description, sung if there are
        lyrics."""
        values = {"prompt": prompt, "lyrics": lyrics, "seconds": seconds, "seed": seed}
        return await self.made(context, workflow, values, inputs=inputs)

    @tool(risk="read", title="List music workflows")
    async def list_music_workflows(self) -> str:
        """List the workflows for music: which are ready, their inputs, and what the others lack."""
        return await self.listed()
