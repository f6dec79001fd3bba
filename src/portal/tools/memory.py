"""Tools of the user's memory: keep something, look things up there and in past conversations, forget."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from portal.core.clock import micros
from portal.core.memories import Kind, Memory, MemoryRecord, PastTurn, Said, Switches, Wanted
from portal.core.tools import ToolContext, ToolResult, ToolSpec
from portal.errors import PortalError, ToolError
from portal.tools.families import Needs
from portal.tools.function import Functions, tool

_ME = re.compile(
    r"\b(?:i|i['’]\w+|my|we|our|ich|mein\w*|wir|unser\w*|je|j['’]\w+|mon|ma|mes|nous|notre|nos|yo|mi|mis|soy|tengo|vivo|"
    r"nosotros|nuestr[oa]s?|me)\b",
    re.IGNORECASE,
)
_SAID = re.compile(r"[^.!?\n]+(?=[.!\n]|$)")
"""Sentences that are no questions."""
_READ = 2000
_FOUND = 8
_TURNS = 4
_EXCERPT = 900


def create(needs: Needs) -> "MemoryTools":
    """The family; empty where there is no memory."""
    return MemoryTools(needs.memory)


class MemoryTools(Functions):
    """The tools."""

    def __init__(self, memory: Memory | None) -> None:
        super().__init__("memory", [self.remember, self.recall_memories, self.forget_memory] if memory else [])
        self._given = memory

    def tools(self) -> Sequence[ToolSpec]:
        """A model is shown `remember` when people speak of themselves: what is said in passing names no tool."""
        return [replace(spec, fits=_of_oneself) if spec.name == "remember" else spec for spec in super().tools()]

    @property
    def _memory(self) -> Memory:
        assert self._given is not None
        return self._given

    @tool(risk="write", harmless=True, idempotent=True, title="Remember")
    async def remember(
        self,
        text: Annotated[str, "One thing in one sentence, as the user would say it, such as: I am allergic to nuts"],
        context: ToolContext,
        kind: Annotated[Kind | None, "What it is; left out, its words decide"] = None,
        only_here: Annotated[bool, "Whether it holds in this workspace alone"] = False,
        happened: Annotated[str, "Day of what happened, as 2026-03-31, if the user said when"] = "",
    ) -> str:
        """Remember a lasting fact or preference of the user, or something that happened to them. What it contradicts
        is replaced. Not for what only this conversation needs."""
        await self._on(context.owner)
        said = Said(
            owner=context.owner,
            text=text,
            kind=kind,
            scope=f"workspace:{context.workspace}" if only_here else "user",
            source=context.response_id,
            happened_at=_read(happened) if happened else None,
            confidence=0.9,
        )
        try:
            kept = await self._memory.remember(said)
        except PortalError as error:
            raise ToolError(error.message) from error
        instead = "".join(f'\nIt takes the place of: "{one.text}"' for one in kept.superseded)
        return f"{'Remembered' if kept.new else 'Known already'} as {kept.memory.id}.{instead}"

    @tool(risk="read", title="Recall memories")
    async def recall_memories(
        self,
        query: Annotated[str, "What to look for; empty for the newest"],
        context: ToolContext,
        since: Annotated[str, "Only from this day on, as 2026-03-01"] = "",
        until: Annotated[str, "Only before this day"] = "",
        where: Annotated[Literal["everywhere", "memories", "conversations"], "Where to look"] = "everywhere",
    ) -> ToolResult:
        """Look up what you remember of the user, and what was said in earlier conversations with them."""
        switches = await self._on(context.owner)
        first, last = (_read(day) if day else None for day in (since, until))
        found: list[MemoryRecord] = []
        turns: list[PastTurn] = []
        if where != "conversations":
            wanted = Wanted(since=first, until=last)
            known = await self._memory.search(context.owner, query, wanted, limit=_FOUND * 2)
            found = [one for one in known if one.scope in _scopes(context)][:_FOUND]
        if where != "memories" and switches.conversations:
            turns = [*await self._memory.past(context.owner, query, since=first, until=last, limit=_TURNS + 1)]
            turns = [turn for turn in turns if turn.response_id != context.response_id][:_TURNS]
        lines = [f"{one.id}: {one.text} ({one.kind}, {_day(one.when)})" for one in found]
        lines += [f"\n[{_day(turn.created_at)}, {turn.title or 'untitled'}]\n{turn.text[:_EXCERPT]}" for turn in turns]
        text = "\n".join(lines) or "Nothing is remembered about that."
        return ToolResult(text=text, untrusted=any(turn.untrusted for turn in turns))

    @tool(risk="write", title="Forget a memory")
    async def forget_memory(
        self, memory_id: Annotated[str, "Its id, as recall_memories gives it: mem_..."], context: ToolContext
    ) -> str:
        """Delete a memory with its history, for good. Find it with recall_memories first."""
        await self._on(context.owner)
        gone = await self._memory.forget(context.owner, [memory_id])
        if not gone:
            raise ToolError(f"There is no memory {memory_id!r}: look it up with recall_memories.")
        return "Forgotten."

    async def _on(self, owner: str) -> Switches:
        """How memory is set. Raises ToolError where it is off."""
        switches = await self._memory.switches(owner)
        if not switches.enabled:
            raise ToolError("The user has turned memory off; they can turn it on among the settings.")
        return switches


def _of_oneself(text: str) -> bool:
    """Whether a request tells something of whoever makes it, and not only asks."""
    return any(_ME.search(said) for said in _SAID.findall(text[:_READ]))


def _scopes(context: ToolContext) -> tuple[str, ...]:
    return "user", f"workspace:{context.workspace}", f"conversation:{context.conversation_id}"


def _read(day: str) -> int:
    try:
        return micros(datetime.fromisoformat(day).astimezone())
    except (ValueError, OverflowError) as error:
        raise ToolError(f"{day!r} is no day, such as 2026-03-31.") from error


def _day(stored: int) -> str:
    return datetime.fromtimestamp(stored / 1_000_000, UTC).astimezone().date().isoformat()
