"""Proposals after a turn, for whoever turned them on: seen among the memories, and used only once they are accepted."""

import asyncio
import logging

from portal.core.decision import Route
from portal.core.memories import Said
from portal.core.recall import Seeking
from portal.memory.asked import wish_of
from portal.memory.keeper import Keeper
from portal.memory.small_model import SmallModel

log = logging.getLogger(__name__)

_SHORTEST, _LONGEST = 15, 4000
_CONFIDENCE = 0.6


class Proposals:
    """See Learning."""

    def __init__(self, *, keeper: Keeper, model: SmallModel) -> None:
        self._keeper = keeper
        self._model = model
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, group: asyncio.TaskGroup, seeking: Seeking, route: Route) -> None:
        """See Learning."""
        apt = seeking.kept and not seeking.private and seeking.workspace.memory and route.backend.kind != "guide"
        if apt and _SHORTEST <= len(seeking.text) <= _LONGEST and wish_of(seeking.text) is None:
            task = group.create_task(self._quietly(seeking, route))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """See Learning."""
        for task in self._tasks:
            task.cancel()

    async def _quietly(self, seeking: Seeking, route: Route) -> None:
        try:
            if (await self._keeper.switches(seeking.owner)).propose:
                await self._propose(seeking, route)
        except Exception:  # a proposal is never worth the server
            log.info("nothing is proposed", exc_info=True, extra={"response": seeking.response_id})

    async def _propose(self, seeking: Seeking, route: Route) -> None:
        for text in await self._model.proposed(seeking.owner, seeking.text, route):
            said = Said(
                owner=seeking.owner,
                text=text,
                source=seeking.response_id,
                confidence=_CONFIDENCE,
                status="proposed",
            )
            await self._keeper.remember(said)
