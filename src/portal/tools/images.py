"""Tools that make pictures, by ComfyUI or an image server."""

from typing import Annotated, Literal

from portal.core.media import Studio
from portal.core.ports import Files
from portal.core.tools import ToolContext, ToolResult
from portal.tools.families import Needs
from portal.tools.function import tool
from portal.tools.making import LAST, Inputs, Making, Wishes, size_of

_WORKFLOW = "Name of a workflow; left out, the best that is ready"
_INPUTS = "Further named inputs of the workflow"


def create(needs: Needs) -> "ImageTools":
    """The family."""
    return ImageTools(studio=needs.media, files=needs.files)


class ImageTools(Making):
    """The tools."""

    def __init__(self, *, studio: Studio | None, files: Files) -> None:
        super().__init__(
            "images", "image", [self.make_image, self.edit_image, self.list_image_workflows], studio=studio, files=files
        )

    @tool(risk="spend", title="Make a picture")
    async def make_image(
        self,
        prompt: Annotated[str, "All that is to be seen: subject, surroundings, light, colours, viewpoint, style"],
        context: ToolContext,
        negative: Annotated[str, "What must not be in it"] = "",
        size: Annotated[str, "WIDTHxHEIGHT in pixels, such as 1024x768"] = "",
        count: Annotated[int, "How many"] = 1,
        quality: Literal["", "low", "high"] = "",
        seed: Annotated[int | None, "The same seed with the same words makes the same picture"] = None,
        workflow: Annotated[str, _WORKFLOW] = "",
        inputs: Annotated[Inputs, _INPUTS] = {},  # noqa: B006 -- a schema
    ) -> ToolResult:
        """Make a picture: draw, paint or generate an image, photo, illustration or logo from a description."""
        wishes: Wishes = {"prompt": prompt, "negative": negative, "count": count, "quality": quality, "seed": seed}
        return await self.made(context, workflow, {**wishes, **size_of(size)}, inputs=inputs)

    @tool(risk="spend", title="Change a picture")
    async def edit_image(
        self,
        prompt: Annotated[str, "What the picture is to show afterwards, or what to change"],
        context: ToolContext,
        image: Annotated[str, "File id of the picture; `last` is the newest of this conversation"] = LAST,
        mask: Annotated[str, "File id of a picture that is transparent where it is to be changed"] = "",
        second: Annotated[str, "File id of a second picture to take from, where the workflow has `image2`"] = "",
        strength: Annotated[float | None, "From 0, as it is, to 1, all new"] = None,
        count: Annotated[int, "How many"] = 1,
        seed: int | None = None,
        workflow: Annotated[str, _WORKFLOW] = "",
        inputs: Annotated[Inputs, _INPUTS] = {},  # noqa: B006 -- a schema
    ) -> ToolResult:
        """Change a picture: edit, retouch, restyle or vary an image or photo, paint within a mask, put two together."""
        values = {"prompt": prompt, "strength": strength, "count": count, "seed": seed}
        return await self.made(context, workflow, values, {"image": image, "image2": second, "mask": mask}, inputs)

    @tool(risk="read", title="List picture workflows")
    async def list_image_workflows(self) -> str:
        """List the workflows for pictures: which are ready, their inputs, and what the others lack."""
        return await self.listed()
