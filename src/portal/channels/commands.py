"""What can be asked for with a slash, the same in every channel."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from portal.channels import words
from portal.channels.linking import Linking
from portal.core.agent import Agent
from portal.core.ask import Ask
from portal.core.bus import Bus
from portal.core.channel_stores import ChatRecord, Chats
from portal.core.channels import COMMANDS, Button, Content, Message
from portal.core.clock import micros
from portal.core.memories import Memory, Said, Wanted
from portal.core.ports import Conversations, Models
from portal.core.toolbox import Toolbox
from portal.core.workspaces import Workspace
from portal.errors import NotFound, PortalError

_COMMAND = re.compile(r"/([a-z]+)(?:@\w+)?(?:\s+(.*))?", re.DOTALL | re.IGNORECASE)
_KNOWN = frozenset(command.name for command in COMMANDS)
_MENTIONED = re.compile(rf"`/({'|'.join(_KNOWN)})\b")
_OFFERED = 12
_TURNS = 1000


def command_in(text: str) -> tuple[str, str] | None:
    """Name and argument of the command that a message is; None for one that is none."""
    said = _COMMAND.fullmatch(text.strip())
    if said is None or said[1].lower() not in _KNOWN:
        return None
    return said[1].lower(), (said[2] or "").strip()


def spelled(text: str, slash: str) -> str:
    """Portal's words, with commands as they are begun there."""
    return _MENTIONED.sub(lambda found: f"`{slash}{found[1]}", text)


class Commands:
    """Runs them. They raise PortalError."""

    def __init__(
        self,
        *,
        agent: Agent,
        chats: Chats,
        conversations: Conversations,
        models: Models,
        toolbox: Toolbox,
        memory: Memory,
        linking: Linking,
        bus: Bus,
        health: Callable[[], Sequence[str]],
    ) -> None:
        """`health` tells how Portal is, in lines."""
        self._agent = agent
        self._chats = chats
        self._conversations = conversations
        self._models = models
        self._toolbox = toolbox
        self._memory = memory
        self._linking = linking
        self._bus = bus
        self._health = health

    async def run(self, name: str, argument: str, *, chat: ChatRecord, event: Message) -> Content:
        """What is answered to it."""
        simple: dict[str, Callable[[ChatRecord, str], Awaitable[Content]]] = {
            "help": self._help,
            "new": self._new,
            "model": self._model,
            "workspace": self._workspace,
            "tools": self._tools,
            "memory": self._memories,
            "stop": self._stop,
            "stats": self._stats,
            "health": self._how,
        }
        if name in ("start", "link"):
            if argument:
                return await self._linking.redeem(event.place, event.sender, argument)
            return Content(text=words.WELCOME if name == "start" else words.LINKED_ALREADY)
        return await simple[name](chat, argument)

    async def choose(self, value: str, chat: ChatRecord) -> Content:
        """A button of `model` or `workspace` was pressed."""
        for name in (*self._workspaces(chat.owner), *self._plain()):
            if _token(name) == value:
                return await self._use(chat, name)
        raise NotFound("What was chosen is not there any more.")

    async def _help(self, chat: ChatRecord, argument: str) -> Content:
        lines = [f"`/{command.name}`: {command.does}" for command in COMMANDS]
        return Content(text="\n".join([words.HELP, "", *lines]))

    async def _new(self, chat: ChatRecord, argument: str) -> Content:
        await self._chats.save(replace(chat, conversation_id=None, changed_at=micros()), before=chat)
        return Content(text=words.NEW)

    async def _stop(self, chat: ChatRecord, argument: str) -> Content:
        if chat.conversation_id is None:
            return Content(text=words.NOTHING_RUNS)
        head = (await self._conversations.get(chat.owner, chat.conversation_id)).head
        if head is None or not await self._agent.runs_anywhere(chat.owner, [head]):
            return Content(text=words.NOTHING_RUNS)
        await self._agent.cancel(chat.owner, head)
        return Content(text=words.STOPPED)

    async def _model(self, chat: ChatRecord, argument: str) -> Content:
        return await self._choice(chat, argument, self._plain(), "model")

    async def _workspace(self, chat: ChatRecord, argument: str) -> Content:
        return await self._choice(chat, argument, self._workspaces(chat.owner), "workspace")

    async def _choice(self, chat: ChatRecord, argument: str, names: Sequence[str], kind: str) -> Content:
        if argument:
            exact = [name for name in names if name.casefold() == argument.casefold()]
            if not exact:
                raise NotFound(f"There is no {kind} {argument!r}. There are: {', '.join(names) or 'none'}.")
            return await self._use(chat, exact[0])
        rows = [[Button(action="choose", value=_token(name), label=name)] for name in names[:_OFFERED]]
        more = f"\n\n{len(names) - _OFFERED} more: `/{kind} NAME`." if len(names) > _OFFERED else ""
        return Content(text=words.CHOOSE.format(kind=kind, name=chat.model or "auto") + more, buttons=rows)

    async def _use(self, chat: ChatRecord, name: str) -> Content:
        await self._chats.save(replace(chat, model=name, changed_at=micros()), before=chat)
        return Content(text=words.CHOSEN.format(name=name))

    def _plain(self) -> Sequence[str]:
        return [model.id for model in self._models.list() if "chat" in model.capabilities]

    def _workspaces(self, owner: str) -> Sequence[str]:
        """Those for which a model is there."""
        return [one.name for one in self._models.workspaces(owner) if self._serves(one, owner)]

    def _serves(self, workspace: Workspace, owner: str) -> bool:
        needs = frozenset({"chat", "vision"} if workspace.task == "vision" else {"chat"})
        try:
            self._models.route(Ask(model=workspace.name, owner=owner, needs=needs))
        except PortalError:
            return False
        return True

    async def _tools(self, chat: ChatRecord, argument: str) -> Content:
        await self._toolbox.ready()
        lines = []
        for toolset in self._toolbox.toolsets():
            names = [f"`{spec.name}`" for spec in self._toolbox.usable(toolset)]
            if names:
                lines.append(f"**{toolset.name}**: {', '.join(names)}")
        return Content(text="\n\n".join(lines) or words.NO_TOOLS)

    async def _memories(self, chat: ChatRecord, argument: str) -> Content:
        if not chat.place.direct:
            return Content(text=words.MEMORY_ALONE)
        if argument:
            await self._memory.remember(Said(owner=chat.owner, text=argument))
            return Content(text=words.REMEMBERED)
        found = await self._memory.search(chat.owner, "", Wanted(status="active"), limit=20)
        lines = [f"- {memory.text}" for memory in found]
        return Content(text="\n".join(lines) or words.NO_MEMORIES)

    async def _stats(self, chat: ChatRecord, argument: str) -> Content:
        if chat.conversation_id is None:
            return Content(text=words.NO_STATS)
        page = await self._conversations.turns(chat.owner, chat.conversation_id, limit=_TURNS)
        usage = [turn.response.usage for turn in page.data if turn.response.usage]
        tokens = sum(one["total_tokens"] for one in usage)
        return Content(text=words.STATS.format(turns=len(page.data), tokens=tokens, model=chat.model or "auto"))

    async def _how(self, chat: ChatRecord, argument: str) -> Content:
        return Content(text="\n".join(self._health()))


def _token(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
