"""Portal itself as a tool server: what a client may do with it, for whoever its key stands for."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from portal.core.arguments import read_arguments
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.policy import Rules, Wish
from portal.core.ports import Conversations
from portal.core.records import ConversationRecord
from portal.core.terms import usable
from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult, ToolSpec, failure, sound
from portal.interfaces.mcp.runs import Runs
from portal.interfaces.mcp.serving import Asker, Identity, Question

IDENTITY = Identity(
    name="portal",
    title="Portal",
    instructions="A person's private AI platform. ask has one of its workspaces answer, with its own models, tools, "
    "documents and memory. search_knowledge looks into the person's documents, recall_memories into what is known of "
    "them. make_image, make_video and make_music have its engines work. find_tools and run_tool use any other tool of "
    "Portal's; where a person has to allow that, they are asked.",
)
_OWN = "auto"
_ASK = ToolSpec(
    name="ask",
    title="Ask Portal",
    description="Have a workspace of Portal answer: it has models, tools, documents and memory of its own. The answer "
    "is kept as a conversation, whose id comes with it; name that to go on.",
    parameters={
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "The question or task"},
            "workspace": {"type": "string", "description": "Its name, as list_workspaces tells it; auto chooses"},
            "conversation": {"type": "string", "description": "Id of the conversation to go on with: conv_..."},
        },
        "required": ["text"],
    },
    risk="network",
    toolset="portal",
    untrusted=True,
)
_RUN = ToolSpec(
    name="run_tool",
    title="Run a tool",
    description="Run one of Portal's tools, as find_tools tells them. What changes something may need a person's yes.",
    parameters={
        "type": "object",
        "properties": {
            "tool": {"type": "string", "description": "Its name"},
            "arguments": {"type": "object", "description": "Its arguments, as its parameters say"},
            "workspace": {"type": "string", "description": "In whose name it runs; auto by default"},
        },
        "required": ["tool"],
    },
    risk="network",
    toolset="portal",
    untrusted=True,
)
_RESULT = ToolSpec(
    name="get_result",
    title="Get a result",
    description="Tell what came of an answer or a tool that waited for a person.",
    parameters={
        "type": "object",
        "properties": {"id": {"type": "string", "description": "As ask or run_tool told it: resp_..."}},
        "required": ["id"],
    },
    risk="read",
    toolset="portal",
    untrusted=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """What a client's calls are held to."""

    rules: Rules
    off: Sequence[str]
    """Patterns of tools that nobody gets."""
    folder: Path
    timeout: float


class PortalOffer:
    """Implements Offer. Its own tools do no more than a key may do over the API anyway, but a person is asked before
    one spends, as for those of run_tool, which go by the policies."""

    def __init__(
        self,
        *,
        runs: Runs,
        conversations: Conversations,
        toolsets: Callable[[], Sequence[Toolset]],
        within: Within,
        changed: Callable[[str, str], None],
    ) -> None:
        """`toolsets` are made when they are first wanted; `changed` is told owner and conversation."""
        self._runs = runs
        self._conversations = conversations
        self._make = toolsets
        self._within = within
        self._changed = changed
        self._made: Sequence[Toolset] | None = None

    async def _toolsets(self) -> Sequence[Toolset]:
        if self._made is None:
            self._made = await asyncio.to_thread(self._make)
        return self._made

    async def tools(self, asker: Asker) -> Sequence[ToolSpec]:
        """See Offer. Whether ask and run_tool may do what they are asked is seen where that is done."""
        own = (spec for toolset in await self._toolsets() for spec in toolset.tools())
        listed = [_ASK, *(spec for spec in own if usable(spec)), _RUN, _RESULT]
        off = self._within.off
        return [one for one in listed if not any(fnmatchcase(name, p) for p in off for name in (one.name, one.toolset))]

    async def call(self, spec: ToolSpec, arguments: JsonObject, asker: Asker) -> ToolResult | Question:
        """See Offer."""
        owner = asker.request.state.caller.owner
        read = read_arguments(json.dumps(arguments), spec.parameters)
        if asker.answer is not None and (spec.name in (_ASK.name, _RUN.name) or spec.risk == "spend"):
            return await self._runs.go_on(owner, asker.answer, asker)
        if spec.name == _ASK.name:
            return await self._ask(owner, asker, **read)
        if spec.name == _RUN.name:
            return await self._run(owner, asker, **read)
        if spec.name == _RESULT.name:
            return await self._runs.result(owner, read["id"])
        return await self._own(owner, spec, read, asker)

    async def _ask(
        self, owner: str, asker: Asker, text: str, workspace: str = _OWN, conversation: str = ""
    ) -> ToolResult | Question:
        if not conversation:
            conversation = await self._begun(owner, workspace)
        asker.report(f"in the conversation {conversation}")
        return await self._runs.ask(owner, workspace, text, conversation, asker)

    async def _begun(self, owner: str, workspace: str) -> str:
        now = micros()
        record = ConversationRecord(id=new_id("conv"), owner=owner, created_at=now, updated_at=now, model=workspace)
        await self._conversations.create(record)
        self._changed(owner, record.id)
        return record.id

    async def _run(
        self, owner: str, asker: Asker, tool: str, arguments: JsonObject | None = None, workspace: str = _OWN
    ) -> ToolResult | Question:
        return await self._runs.errand(owner, workspace, tool, arguments or {}, asker)

    async def _own(self, owner: str, spec: ToolSpec, arguments: JsonObject, asker: Asker) -> ToolResult | Question:
        folder = self._within.folder
        wish = Wish(
            spec=spec, arguments=arguments, owner=owner, workspace=_OWN, conversation_id=None, folder=str(folder)
        )
        verdict = self._within.rules.verdict(wish, ())
        if verdict.action == "deny":
            return failure(f"Not allowed: {verdict.why}")
        if verdict.action == "ask" and spec.risk == "spend":
            return await self._runs.errand(owner, _OWN, spec.name, arguments, asker)
        context = ToolContext(
            owner=owner, call_id=new_id("mcp"), response_id="", workspace=_OWN, folder=folder, report=asker.report
        )
        toolset = next(one for one in await self._toolsets() if any(each.name == spec.name for each in one.tools()))
        limit = spec.timeout or self._within.timeout
        try:
            async with asyncio.timeout(limit):
                return sound(await toolset.call(spec.name, arguments, context))
        except TimeoutError:
            return failure(f"It did not end within {limit:g} seconds.")
