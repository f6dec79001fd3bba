"""Conversation titles: the question's first words at once, then a few words by the model, in the background."""

import asyncio
import logging
import re
from collections.abc import Coroutine, Sequence
from typing import Literal

from portal.core.bus import Bus
from portal.core.completion import Completions
from portal.core.decision import Route
from portal.core.items import Item, text_of
from portal.core.model import ModelRequest
from portal.core.ports import Conversations
from portal.core.records import ConversationRecord
from portal.errors import Conflict

log = logging.getLogger(__name__)

_LONGEST = 60
_EXCERPT = 1500
_DEADLINE = 60.0
_FRAME = " \t\"'“”„«»*#`."
_MARKS = re.compile(r"```\w*|\*\*|`|^[#>]+ ", re.MULTILINE)
_PROMPT = (
    "Give this conversation a title of at most six words, in its own language. "
    "Answer with the title alone, without quotes."
)


class Titles:
    """Titles conversations that have none of the user's own."""

    def __init__(self, *, conversations: Conversations, bus: Bus, completions: Completions, by_model: bool) -> None:
        """`by_model` off leaves it at the question's first words."""
        self._conversations = conversations
        self._bus = bus
        self._completions = completions
        self._by_model = by_model
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, group: asyncio.TaskGroup, conversation: ConversationRecord, inputs: Sequence[Item]) -> None:
        """Give a conversation without a title the first words of its question, as a task of `group`."""
        if not conversation.title:
            words = first_words(_texts(inputs, "user"))
            self._own(group.create_task(self._quietly(self._set(conversation, words, "none"))))

    def improve(
        self,
        group: asyncio.TaskGroup,
        conversation: ConversationRecord,
        inputs: Sequence[Item],
        outputs: Sequence[Item],
        route: Route,
    ) -> None:
        """Unless it has a title, let the model of `route` find better words, as a task of `group`."""
        if conversation.title_source != "none" or not self._by_model or route.backend.kind == "guide":
            return
        exchange = (_texts(inputs, "user"), _texts(outputs, "assistant"))
        self._own(group.create_task(self._quietly(self._improve(conversation, exchange, route))))

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Give up what is under way; first words stay."""
        for task in self._tasks:
            task.cancel()

    @staticmethod
    async def _quietly(work: Coroutine[None, None, None]) -> None:
        try:
            async with asyncio.timeout(_DEADLINE):
                await work
        except Exception:  # a title is never worth the server
            log.info("a conversation keeps the title it has", exc_info=True)

    async def _improve(self, conversation: ConversationRecord, exchange: tuple[str, str], route: Route) -> None:
        request = _request(route.model.id, *exchange)
        answer, _ = await self._completions.complete(route, request, owner=conversation.owner, door="title")
        await self._set(conversation, tidy(answer), "model")

    async def _set(self, conversation: ConversationRecord, title: str, source: Literal["none", "model"]) -> None:
        if not title:
            return
        try:
            await self._conversations.entitle(conversation.owner, conversation.id, title, source)
        except Conflict:  # its user was quicker
            return
        self._bus.publish(conversation.owner, "conversation.changed", id=conversation.id, title=title)


def _request(model: str, question: str, answer: str) -> ModelRequest:
    excerpt = f"User: {question[:_EXCERPT]}\n\nAssistant: {answer[:_EXCERPT]}"
    messages = [{"role": "system", "content": _PROMPT}, {"role": "user", "content": excerpt}]
    return ModelRequest(model=model, messages=messages, parameters={"temperature": 0, "max_tokens": 400})


def _texts(items: Sequence[Item], role: str) -> str:
    return "\n".join(text_of(item) for item in items if item["type"] == "message" and item["role"] == role).strip()


def first_words(text: str) -> str:
    """The beginning of a text without Markdown's marks, at most 60 characters, cut between words."""
    line = " ".join(_MARKS.sub(" ", text).split()) or " ".join(text.split())
    if len(line) <= _LONGEST:
        return line
    cut = line[: _LONGEST - 1].rsplit(" ", 1)[0]
    return f"{cut}…"


def tidy(answer: str) -> str:
    """A title out of what a model said: its first line outside any <think> block, without quotes or marks."""
    visible = answer.rpartition("</think>")[2].partition("<think>")[0]  # some models open the block in their prompt
    lines = [line.strip() for line in visible.splitlines() if line.strip()]
    if not lines:
        return ""
    line = re.sub(r"^(title|titel)\s*:\s*", "", lines[0].strip(_FRAME), flags=re.IGNORECASE)
    return first_words(line.strip(_FRAME))
