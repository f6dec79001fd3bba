"""Tasks that one turn gives to another workspace: a turn within a tool call, of which only its usage is stored."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from portal.core.ask import override
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject, text_of
from portal.core.ports import Models
from portal.core.preparation import Turn
from portal.core.run import Run
from portal.core.scene import tainted_at
from portal.core.tools import ToolContext, ToolResult
from portal.errors import PortalError, ToolError

DOOR = "workspace"
"""As which such turns are accounted for."""


class SubTurns:
    """Implements SubAgent. One level deep: who was given a task gives none."""

    def __init__(self, *, start: Callable[[Turn], Awaitable[Run]], models: Models) -> None:
        """`start` is the agent's."""
        self._start = start
        self._models = models

    async def ask(self, context: ToolContext, workspace: str, task: str) -> ToolResult:
        """See SubAgent."""
        if context.inside:
            raise ToolError("You were given this task yourself: do it, or say in your answer what is missing.")
        names = [one.name for one in self._models.workspaces(context.owner)]
        if workspace not in names:
            raise ToolError(f"There is no workspace {workspace!r}. There are: {', '.join(names)}.")
        if override([{"role": "user", "content": task}]):
            raise ToolError("A task cannot name its model: leave @model out.")
        try:
            run = await self._start(_turn(context, workspace, task))
        except PortalError as error:
            raise ToolError(error.message) from error
        try:
            async for event in run.events():
                if event["type"] == "response.output_item.added" and event["item"]["type"] == "mcp_call":
                    context.report(f"{workspace}: {event['item']['name']}")
            return _result(workspace, await run.ended())
        finally:
            run.cancel()


def _turn(context: ToolContext, workspace: str, task: str) -> Turn:
    said = {"type": "message", "id": new_id("msg"), "role": "user", "status": "completed"}
    return Turn(
        owner=context.owner,
        model=workspace,
        input=[{**said, "content": [{"type": "input_text", "text": task}]}],
        door=DOOR,
        store=False,
        private=True,
        asks=False,
        parent=context,
    )


def _result(workspace: str, response: JsonObject) -> ToolResult:
    output: Sequence[Item] = response["output"]
    usage = response["usage"] or {"total_tokens": 0}
    calls = [item for item in output if item["type"] == "mcp_call"]
    said = [text_of(item) for item in output if item["type"] == "message"]
    answer, ended = (said[-1] if said else ""), _ended(response)
    return ToolResult(
        text="\n\n".join(part for part in (answer, ended, _signature(workspace, calls)) if part),
        failed=response["status"] != "completed" and not answer,
        untrusted=tainted_at(output) is not None,
        kept=[file for item in calls for file in item.get("portal:files", ())],
        tokens=usage["total_tokens"],
    )


def _ended(response: JsonObject) -> str:
    """What there is to say of an answer that did not simply end."""
    if response["status"] == "completed":
        return ""
    reason = (response["error"] or {}).get("message") or (response["incomplete_details"] or {}).get("reason")
    return f"It did not get to its end: {reason}."


def _signature(workspace: str, calls: Sequence[Item]) -> str:
    """Who answered, and what was really done for it."""
    made = Counter(item["name"] + ("" if item["status"] == "completed" else " (failed)") for item in calls)
    used = ", ".join(f"{name} x {count}" if count > 1 else name for name, count in made.items())
    return f"[Answer of {workspace}; tools it used: {used or 'none'}]"
