"""Turns under way, watched and stopped from outside: those of this server, and through its peers those of others."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from time import monotonic

from portal.core.events import Event
from portal.core.items import TERMINAL, JsonObject
from portal.core.peers import TERMINAL_EVENTS, Peers
from portal.core.ports import Responses
from portal.core.records import ResponseRecord
from portal.core.responses import rebuilt, stored_resource
from portal.core.run import Run
from portal.errors import StorageError

_PATIENCE = 60.0
"""Seconds for which somebody who watches a turn elsewhere waits for a database that is away."""
_PAUSE = 0.5
_MOMENTS = 5.0


class Watching:
    """Looks at the runs of an agent."""

    def __init__(
        self, *, responses: Responses, peers: Peers | None, runs: Mapping[str, Run], beginning: Mapping[str, Run]
    ) -> None:
        """`runs` and `beginning` are the agent's own, which it goes on changing. Without `peers` it is alone."""
        self._responses, self._peers = responses, peers
        self._runs, self._beginning = runs, beginning

    def _of(self, owner: str, response_id: str) -> Run | None:
        run = self._runs.get(response_id)
        return run if run is not None and run.record.owner == owner else None

    async def attach(self, owner: str, response_id: str, starting_after: int = -1) -> AsyncGenerator[Event, None]:
        """See Agent.attach."""
        run = self._of(owner, response_id)
        if run is not None:
            async for event in run.events(starting_after):
                yield event
            return
        turn = await self._responses.get(owner, response_id)
        for event in rebuilt(turn, starting_after):
            yield event
            starting_after = event["sequence_number"]
        if self._peers is not None and turn.response.status not in TERMINAL:
            async for event in self._follow(self._peers, owner, response_id, starting_after):
                yield event

    async def _follow(self, peers: Peers, owner: str, response_id: str, after: int) -> AsyncGenerator[Event, None]:
        """What comes live, and whenever that has a gap what the table has."""
        reached = monotonic()
        while True:
            try:
                async for event in peers.live(response_id, after):
                    yield event
                    after = event["sequence_number"]
                    if event["type"] in TERMINAL_EVENTS:
                        return
                turn = await self._responses.get(owner, response_id)
                reached = monotonic()
            except StorageError:
                if monotonic() - reached > _PATIENCE:
                    raise
                await asyncio.sleep(_PAUSE)
                continue
            for event in rebuilt(turn, after):
                yield event
                after = event["sequence_number"]
            if turn.response.status in TERMINAL:
                return

    async def ended(self, owner: str, response_id: str) -> None:
        """Wait for the end of a turn, wherever it runs. Raises NotFound."""
        run = self._of(owner, response_id)
        if run is not None:
            await run.ended()
            return
        async for _ in self.attach(owner, response_id):
            pass

    async def runs_anywhere(self, owner: str, response_ids: Collection[str]) -> Collection[str]:
        """Those of these that are under way."""
        here = {one for one in response_ids if self._of(owner, one) is not None}
        others = set(response_ids) - here
        return here | set(await self._peers.turns.among(owner, others)) if self._peers and others else here

    async def overtakes(self, before: ResponseRecord | None, *, patient: bool) -> bool:
        """Whether what follows this response comes too early, since another server runs it still. With `patient` its
        end, which is a matter of moments once its questions are stored, is waited for."""
        peers = self._peers
        if peers is None or before is None or before.status in TERMINAL:
            return False
        if await peers.turns.where(before.id) in (None, peers.turns.me()):
            return False
        if not patient:
            return True
        try:
            async with asyncio.timeout(_MOMENTS):
                await self.ended(before.owner, before.id)
        except TimeoutError:
            return True
        return False

    async def cancel(self, owner: str, response_id: str) -> JsonObject:
        """See Agent.cancel."""
        run = self._of(owner, response_id)
        if run is not None:
            run.cancel()
            return await run.ended()
        turn = await self._responses.get(owner, response_id)
        if self._peers is not None and await self._peers.cancel(owner, response_id):
            await self.ended(owner, response_id)
            turn = await self._responses.get(owner, response_id)
        return stored_resource(turn)

    async def cancel_all(self, owner: str, conversation_ids: Collection[str] | None) -> None:
        """Stop what runs for somebody, in these conversations or in any, and wait for its end."""

        def concerns(run: Run) -> bool:
            inside = conversation_ids is None or run.record.conversation_id in conversation_ids
            return inside and run.record.owner == owner

        concerned = [run for run in (*self._beginning.values(), *self._runs.values()) if concerns(run)]
        for run in concerned:
            run.cancel()
        for run in concerned:
            if run.id in self._runs:  # one that is just beginning may never begin
                await self.cancel(owner, run.id)
        if self._peers is not None:
            for response_id in await self._peers.turns.of(owner, conversation_ids):
                await self.cancel(owner, response_id)

    async def delete(self, owner: str, response_id: str) -> None:
        """See Agent.delete."""
        run = self._of(owner, response_id)
        if (run is not None and run.stored) or (run is None and self._peers is not None):
            await self.cancel(owner, response_id)
        await self._responses.delete(owner, response_id)
