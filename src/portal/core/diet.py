"""A conversation that has outgrown its model's window: the oldest turns become a summary, kept as a compaction item."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from portal.core.completion import Completions
from portal.core.ids import new_id
from portal.core.model import ChatMessage, ModelRequest, Progress
from portal.core.ports import Sealer
from portal.core.preparation import Prepared
from portal.core.recorder import Recorder
from portal.core.run import Run
from portal.core.story import COVERS
from portal.core.tokens import estimate_messages
from portal.errors import BackendError

log = logging.getLogger(__name__)

_PROMPT = (
    "Summarise the conversation above so that it can go on without it. Keep every fact, name, number, decision, open "
    "question and promise, and what tools found; leave out pleasantries. Write only the summary."
)


class Diet:
    """Summarises."""

    def __init__(self, *, completions: Completions, sealer: Sealer, recorder: Recorder) -> None:
        self._completions = completions
        self._sealer = sealer
        self._recorder = recorder

    async def shorten(self, run: Run, prepared: Prepared) -> None:
        """Let a summary stand for the oldest turns, so that the newest take half of the room. Where nobody can write
        one, the model is told what fits, as it would have been."""
        story, room = prepared.story, prepared.room
        since = story.cut(room // 2)
        if since == 0:
            return
        run.progress(Progress("thinking", "summarising the beginning of this conversation"))
        try:
            summary = await self._summary(prepared, story.before(since))
        except BackendError:
            log.warning("a long conversation could not be summarised", exc_info=True, extra={"response": run.id})
            return
        sealed = self._sealer.seal(summary)
        item = {"type": "compaction", "id": new_id("cmp"), "encrypted_content": sealed}
        await self._recorder.add(run, {**item, COVERS: story.turns[since - 1][0]})
        prepared.call.retell(prepared.retold(since, summary))
        if prepared.call.dropped == 0 and run.record.decision is not None:
            told = {name: value for name, value in run.record.decision.items() if name != "dropped_messages"}
            run.record = replace(run.record, decision=told)

    async def _summary(self, prepared: Prepared, messages: Sequence[ChatMessage]) -> str:
        """Of messages that are too many to be read at once: piece by piece, each with the summary of those before."""
        summary, route = prepared.story.summary, prepared.call.route
        for piece in _pieces(messages, prepared.room * 3 // 4):
            earlier = [{"role": "system", "content": f"Summary of what came before:\n{summary}"}] if summary else []
            told = [*earlier, *piece, {"role": "user", "content": _PROMPT}]
            request = ModelRequest(model=route.model.id, messages=told)
            summary, _ = await self._completions.complete(route, request, owner=prepared.record.owner, door="compact")
        return summary


def _pieces(messages: Sequence[ChatMessage], tokens: int) -> list[list[ChatMessage]]:
    """As plain text, so that no call is parted from its result in a way that a server refuses."""
    pieces: list[list[ChatMessage]] = [[]]
    left = tokens
    for message in messages:
        plain = _plain(message, tokens)
        left -= estimate_messages([plain])
        if left < 0 and pieces[-1]:
            pieces.append([])
            left = tokens - estimate_messages([plain])
        pieces[-1].append(plain)
    return pieces


def _plain(message: ChatMessage, tokens: int) -> ChatMessage:
    """A message as text, no longer than fits."""
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "\n".join(str(part.get("text", "(a picture)")) for part in content)
    called = "".join(f"\n(calls {call['function']['name']})" for call in message.get("tool_calls") or ())
    if message["role"] == "tool":
        content = f"(result of a tool) {content}"
    role = "assistant" if message["role"] == "tool" else message["role"]
    return {"role": role, "content": f"{content}{called}"[: 3 * tokens]}
