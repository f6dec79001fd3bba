"""What a turn is told of the user's own before its model is called: all who recall are asked, side by side."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from portal.core.citations import Citations
from portal.core.model import ChatMessage
from portal.core.preparation import Prepared
from portal.core.recall import Recall, Recalled, Seeking
from portal.core.recorder import Recorder
from portal.core.run import Run
from portal.core.shelving import Shelf
from portal.core.tokens import estimate_messages
from portal.core.tracing import span

log = logging.getLogger(__name__)

_SHARE = 3
"""At most a third of the room for messages is told; less where the conversation needs more."""
_LEAST = 50
"""Tokens that are worth looking for anything."""


class Recollection:
    """Asks whoever recalls."""

    def __init__(self, *, recalls: Sequence[Recall], recorder: Recorder, shelf: Shelf, seconds: float) -> None:
        """A recall that takes more than so many seconds has found nothing."""
        self._shelf = shelf
        self._recalls = recalls
        self._recorder = recorder
        self._seconds = seconds

    async def tell(self, run: Run, prepared: Prepared) -> bool:
        """Show what was found, and tell it the model of the turn's call; whether strangers wrote some of it."""
        if prepared.seeking is None or not self._recalls:
            return False
        free = prepared.room - estimate_messages(prepared.call.request.messages)
        room = min(free, prepared.room // _SHARE) // len(self._recalls)
        if room < _LEAST:
            return False
        async with asyncio.TaskGroup() as group:
            for place in prepared.seeking.shelves:
                group.create_task(self._shelf.ready(prepared.seeking.owner, place))
        found = await self._found(replace(prepared.seeking, room=room))
        for item in (item for recalled in found for item in recalled.items):
            await self._recorder.add(run, item)
        citations = Citations([source for recalled in found for source in recalled.sources])
        text = "\n\n".join([*(one.text for one in found if one.text), *citations.told()])
        if text:
            run.assembler.citations = citations
            prepared.call.retell(_informed(prepared.call.messages, text))
        return any(recalled.untrusted for recalled in found)

    async def _found(self, seeking: Seeking) -> list[Recalled]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(recall, seeking)) for recall in self._recalls]
        return [task.result() for task in tasks]

    async def _one(self, recall: Recall, seeking: Seeking) -> Recalled:
        try:
            async with asyncio.timeout(self._seconds):
                with span("recall", recall.looks) as one:
                    found = await recall.recall(seeking)
                    one.note(found=len(found.sources) or len(found.items))
                    return found
        except Exception:  # an answer without what could be recalled is better than none
            log.warning("a turn is answered without recalling", exc_info=True, extra={"response": seeking.response_id})
            return Recalled()


def _informed(messages: Sequence[ChatMessage], text: str) -> list[ChatMessage]:
    """The same messages with this behind the instructions; one system message, since many models take only one."""
    first = messages[0]
    if first["role"] == "system" and isinstance(first["content"], str):
        return [{**first, "content": f"{first['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]
