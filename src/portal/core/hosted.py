"""OpenAI's hosted tool `image_generation`: Portal's own picture tools, their pictures told as its items.

The items stand beside the calls that made them. What is stored names the pictures' files; the doors of that API put
the pictures themselves in, as its clients expect.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from portal.core.decision import Route
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.media import ANY_RECIPE, Picture
from portal.core.recorder import Recorder
from portal.core.run import Run
from portal.core.tools import ToolContext
from portal.errors import BadRequest

TYPE = "image_generation"
CALL = "image_generation_call"
FILE = "portal:file_id"
TOOLS = ("make_image", "edit_image")
_WISHES = {"model": "workflow", "size": "size", "quality": "quality", "background": "background"}
"""What a client may ask of every picture, and what the picture tools call it."""


def image_generation(request: JsonObject) -> bool:
    """Whether a Responses request brings the tool and lets it be used."""
    return request.get("tool_choice") != "none" and _tool(request) is not None


def _tool(request: JsonObject) -> JsonObject | None:
    return next((tool for tool in request.get("tools") or () if tool.get("type") == TYPE), None)


def _wishes(tool: JsonObject) -> Mapping[str, str]:
    """What it leaves to nobody else; OpenAI's own models mean any."""
    told = {ours: tool[name] for name, ours in _WISHES.items() if tool.get(name) not in (None, "auto", "standard")}
    if ANY_RECIPE.fullmatch(told.get("workflow", "")):
        del told["workflow"]
    return told


def allowed(route: Route, request: JsonObject) -> Route:
    """The same route. Raises BadRequest where a plain model would be given the tool."""
    if route.workspace is None and image_generation(request):
        raise BadRequest(
            "image_generation is Portal's own tool: ask a workspace, such as auto-image; a plain model gets your own "
            "tools only.",
            param="tools",
            code="unsupported_value",
        )
    return route


class Drawing:
    """The pictures of one call, for whom they are the hosted tool's; for anybody else it does nothing."""

    def __init__(self, *, recorder: Recorder, run: Run, tool: str, arguments: str) -> None:
        self._recorder = recorder
        self._run = run
        request = run.record.request
        self._asked = tool in TOOLS and image_generation(request)
        hosted = (_tool(request) or {}) if self._asked else {}
        self._wanted = hosted.get("partial_images") or 0
        self._wishes = _wishes(hosted)
        self._sent = 0
        self._item: Item = {"type": CALL, "id": new_id("ig"), "status": "generating", "result": None}
        self._prompt = json.loads(arguments).get("prompt", "") if self._asked else ""
        self._position: int | None = None

    def within(self, context: ToolContext) -> ToolContext:
        """The same call, which shows its previews here and knows what the client wants of its pictures."""
        return replace(context, preview=self.preview, wishes=self._wishes)

    async def begin(self) -> None:
        """Say that a picture is on its way."""
        if self._asked:
            self._position = await self._recorder.open(self._run, self._item)

    def preview(self, picture: Picture, share: float) -> None:
        """Show it as it looks now, as often as was asked for: evenly over the work."""
        if self._position is None or self._sent == self._wanted or share < (self._sent + 1) / (self._wanted + 2):
            return
        self._run.remark(
            f"response.{CALL}.partial_image",
            item_id=self._item["id"],
            output_index=self._position,
            partial_image_index=self._sent,
            partial_image_b64=base64.b64encode(picture.data).decode("ascii"),
            output_format=picture.content_type.removeprefix("image/"),
        )
        self._sent += 1

    async def end(self, files: Sequence[JsonObject]) -> None:
        """The call is over: an item for each picture among its files, or one that failed."""
        if self._position is None:
            return
        made = [file for file in files if file["content_type"].startswith("image/")]
        first = self._made(made[0]) if made else {"status": "failed"}
        await self._recorder.end(self._run, self._position, {**self._item, **first})
        for file in made[1:]:
            await self._recorder.add(self._run, {**self._item, "id": new_id("ig"), **self._made(file)})

    def _made(self, file: JsonObject) -> JsonObject:
        kind = file["content_type"].removeprefix("image/")
        return {"status": "completed", "revised_prompt": self._prompt, "output_format": kind, FILE: file["file_id"]}
