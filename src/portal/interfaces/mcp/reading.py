"""The tools by which MCP clients look around in a Portal: its workspaces, its conversations, its other tools."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated

from portal.core.items import Item, text_of
from portal.core.ports import Conversations, Models
from portal.core.records import Filters
from portal.core.scene import tainted_at
from portal.core.terms import usable
from portal.core.toolbox import Toolbox
from portal.core.tools import ToolContext, ToolResult
from portal.core.workspaces import Workspace
from portal.errors import PortalError, ToolError
from portal.interfaces.web.ports import ConversationSearch
from portal.tools.function import Functions, tool

_MOST = 50
_TURNS = 20
_EACH = 6000


class Reading:
    """The tools."""

    def __init__(
        self, *, models: Models, conversations: Conversations, search: ConversationSearch, toolbox: Toolbox
    ) -> None:
        self._models = models
        self._conversations = conversations
        self._search = search
        self._toolbox = toolbox

    def toolset(self) -> Functions:
        """All of them."""
        tools: Sequence[Callable[..., object]] = [
            self.list_workspaces, self.list_conversations, self.read_conversation, self.find_tools,
        ]  # fmt: skip
        return Functions("portal", tools)

    @tool(risk="read", title="List workspaces")
    async def list_workspaces(self, context: ToolContext) -> str:
        """List the workspaces that ask can name, with what each is for."""
        return "\n".join(f"{one.name}: {one.description}" for one in self._models.workspaces(context.owner))

    @tool(risk="read", title="List conversations")
    async def list_conversations(
        self,
        context: ToolContext,
        query: Annotated[str, "Words to look for; empty for the newest"] = "",
        limit: Annotated[int, "How many at most"] = 20,
    ) -> str:
        """List the user's conversations in Portal, newest first, or those that are about something."""
        limit = max(1, min(limit, _MOST))
        page = await self._search.find(context.owner, query, Filters(), limit=limit, cursor=None)
        lines = [
            f"{one.id}\t{_day(one.updated_at)}\t{one.title or 'untitled'}\t{one.snippet}".rstrip() for one in page.data
        ]
        return "\n".join(lines) or "There are none."

    @tool(risk="read", title="Read a conversation")
    async def read_conversation(
        self,
        context: ToolContext,
        conversation: Annotated[str, "Its id, as list_conversations gives it: conv_..."],
        before: Annotated[str, "Id of the response before which to read on, as the last page told"] = "",
    ) -> ToolResult:
        """Read what was said in a conversation, its newest turns first asked for."""
        try:
            page = await self._conversations.turns(context.owner, conversation, before=before or None, limit=_TURNS)
        except PortalError as error:
            raise ToolError(error.message) from error
        items = [stored.item for turn in page.data for stored in turn.items]
        lines = [told for told in map(_told, items) if told]
        if page.next:
            lines.insert(0, f"(Earlier turns: before={page.next})")
        return ToolResult(text="\n\n".join(lines) or "It is empty.", untrusted=tainted_at(items) is not None)

    @tool(risk="read", title="Find tools")
    async def find_tools(
        self,
        context: ToolContext,
        query: Annotated[str, "What is to be done, in a few words"],
        workspace: Annotated[str, "As whose tools to look"] = "auto",
    ) -> str:
        """Find tools of Portal's that fit a task, with their parameters. run_tool runs them."""
        await self._toolbox.ready()
        offer = await self._toolbox.offer(_workspace(self._models, context.owner, workspace), query, may=usable)
        found = [known[1] for name in (offer.names() if offer else ()) if offer and (known := offer.get(name))]
        return (
            "\n\n".join(f"{one.name} ({one.risk}): {one.description}\n{one.parameters}" for one in found)
            or "None fits."
        )


def _workspace(models: Models, owner: str, name: str) -> Workspace:
    known = models.workspaces(owner)
    for one in known:
        if one.name == name:
            return one
    raise ToolError(f"There is no workspace {name!r}. There are: {', '.join(one.name for one in known)}.")


def _told(item: Item) -> str:
    if item["type"] == "message":
        return f"[{item['role']}] {text_of(item)[:_EACH]}"
    if item["type"] == "mcp_call":
        return f"[tool {item['name']}] {str(item.get('output') or item.get('error') or '')[: _EACH // 4]}"
    return ""


def _day(stored: int) -> str:
    return datetime.fromtimestamp(stored / 1_000_000, UTC).astimezone().date().isoformat()
