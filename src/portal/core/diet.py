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
from portal.core.summary import summarised
from portal.errors import BackendError

log = logging.getLogger(__name__)


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
        route, owner = prepared.call.route, prepared.record.owner

        async def tell(told: list[ChatMessage]) -> str:
            request = ModelRequest(model=route.model.id, messages=told)
            text, _ = await self._completions.complete(route, request, owner=owner, door="compact")
            return text

        return await summarised(messages, prepared.room * 3 // 4, tell, earlier=prepared.story.summary)
