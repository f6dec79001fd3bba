"""Tools that make videos, by ComfyUI."""

from typing import Annotated

from portal.core.media import Studio
from portal.core.ports import Files
from portal.core.tools import ToolContext, ToolResult
from portal.tools.families import Needs
from portal.tools.function import tool
from portal.tools.making import Inputs, Making, size_of


def create(needs: Needs) -> "VideoTools":
    """The family."""
    return VideoTools(studio=needs.media, files=needs.files)


class VideoTools(Making):
    """The tools."""

    def __init__(self, *, studio: Studio | None, files: Files) -> None:
        super().__init__("video", "video", [self.make_video, self.list_video_workflows], studio=studio, files=files)

    @tool(risk="spend", title="Make a video")
    async def make_video(
        self,
        prompt: Annotated[str, "What is seen and how it moves: subject, movement, camera, light, style"],
        context: ToolContext,
        image: Annotated[str, "File id of a picture to set in motion; `last` is the newest of this conversation"] = "",
        seconds: Annotated[float | None, "How long; a few seconds take minutes to make"] = None,
        size: Annotated[str, "WIDTHxHEIGHT in pixels"] = "",
        negative: Annotated[str, "What must not be in it"] = "",
        seed: int | None = None,
        workflow: Annotated[str, "Name of a workflow; left out, the best that is ready"] = "",
        inputs: Annotated[Inputs, "Further named inputs of the workflow"] = {},  # noqa: B006 -- a schema
    ) -> ToolResult:
        """Make a short video: film, clip or animation from a description, or set a picture in motion."""
        values = {"prompt": prompt, "seconds": seconds, "negative": negative, "seed": seed, **size_of(size)}
        return await self.made(context, workflow, values, {"image": image}, inputs)

    @tool(risk="read", title="List video workflows")
    async def list_video_workflows(self) -> str:
        """List the workflows for videos: which are ready, their inputs, and what the others lack."""
        return await self.listed()
