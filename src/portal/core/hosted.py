"""OpenAI's hosted tool `image_generation`: Portal's own picture tools, their pictures told as its items.

The items stand beside the calls that made them and hold the pictures whole, as clients of that API expect.
"""

import base64
import json
from collections.abc import Sequence

from portal.core.decision import Route
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.ports import Files
from portal.errors import BadRequest

TYPE = "image_generation"
CALL = "image_generation_call"
TOOLS = ("make_image", "edit_image")


def image_generation(request: JsonObject) -> bool:
    """Whether a Responses request brings the tool and lets it be used."""
    tools = request.get("tools") or ()
    return request.get("tool_choice") != "none" and any(tool.get("type") == TYPE for tool in tools)


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


async def picture_items(files: Files, owner: str, made: Sequence[JsonObject], arguments: str) -> list[Item]:
    """An item for each picture among the files of a call. Raises NotFound for one that was deleted just now."""
    prompt = json.loads(arguments).get("prompt", "")
    return [
        {
            "type": CALL,
            "id": new_id("ig"),
            "status": "completed",
            "result": base64.b64encode(await _whole(files, owner, file["file_id"])).decode("ascii"),
            "revised_prompt": prompt,
            "output_format": file["content_type"].removeprefix("image/"),
            "portal:file_id": file["file_id"],
        }
        for file in made
        if file["content_type"].startswith("image/")
    ]


async def _whole(files: Files, owner: str, file_id: str) -> bytes:
    return b"".join([chunk async for chunk in files.content(owner, file_id)])
