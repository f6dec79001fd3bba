"""The other servers on the same database: turns that run there are watched and stopped from here, and the other way
round. The tables hold the truth; notices say at once what a look at them would show a little later."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from portal.core.events import Event
from portal.core.ids import uuid7
from portal.core.items import JsonObject
from portal.core.run import Run
from portal.errors import StorageError

log = logging.getLogger(__name__)

TERMINAL_EVENTS = frozenset({"response.completed", "response.failed", "response.incomplete"})

RENEW = 5.0
"""Seconds between two looks of a watcher at the table, and between two signs that it still watches."""
_LAPSE = 3 * RENEW
_PAUSE = 0.5
"""Seconds until the table is read again where a turn is nowhere to be found."""
_MOST = 400
"""Events that are sent in one go; whoever is further behind reads the table first."""
_WAITING = 1000
"""Messages that a watcher may be behind."""

Heard = Callable[[str, JsonObject], None]
"""Takes who sent a notice, and what it says. Must not wait."""


class Notices(Protocol):
    """Messages between the servers. What cannot be delivered is lost: each must be able to do without."""

    def on(self, kind: str, heard: Heard) -> None:
        """Call this for each notice of that kind from another server."""

    def tell(self, kind: str, body: JsonObject, to: str = "") -> None:
        """Send to one server or to all others; never waits."""

    async def say(self, kind: str, body: JsonObject, to: str = "") -> None:
        """The same; awaited means that the database has it. Raises StorageError."""


class RunningTurns(Protocol):
    """Turns that some server runs, as the table has them."""

    def me(self) -> str:
        """This server's id."""

    async def where(self, response_id: str) -> str | None:
        """Which server runs it; None when it does not run any more."""

    async def of(self, owner: str, conversation_ids: Collection[str] | None) -> Sequence[str]:
        """What runs for somebody, in these conversations or in any."""

    async def among(self, owner: str, response_ids: Collection[str]) -> Collection[str]:
        """Those of these that run."""

    async def stop(self, owner: str, response_id: str) -> str | None:
        """Write down that it is to be stopped; which server runs it, if any does."""

    async def to_stop(self) -> Sequence[str]:
        """Of this server's turns those that somebody wants stopped."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where calls are in a line that several servers share; a place is how many calls are before one."""

    before: Mapping[str, int]
    """The places of this server's calls."""
    others: Sequence[int]
    """Those of the other servers' calls."""
    changed: bool
    """Whether it was not so before."""


class SharedCalls(Protocol):
    """The calls of model servers whose limit holds for several servers together. Those of a server that is gone go with
    it."""

    async def settle(self, backend: str, calls: Sequence[str]) -> Standing:
        """From now on these, in this order, are the calls of this server there, and no others; new ones come last.
        Raises StorageError within seconds."""

    async def aclose(self) -> None:
        """Until it is asked again."""


class Peers:
    """Both ends: what this server asks of others, and what it does when it is asked."""

    def __init__(self, *, notices: Notices, turns: RunningTurns) -> None:
        self._notices = notices
        self.turns = turns
        self._running: Callable[[str], Run | None] = lambda response_id: None
        self._watched: dict[str, tuple[str, asyncio.Queue[JsonObject]]] = {}
        self._forwarding: dict[str, asyncio.Task[None]] = {}
        self._until: dict[str, float] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self, running: Callable[[str], Run | None]) -> None:
        """Until it is cancelled: answer the others about the turns that `running` finds here."""
        self._running = running
        for kind, heard in (
            ("watch", self._watch),
            ("unwatch", self._unwatch),
            ("events", self._events),
            ("ended", self._ended),
            ("stop", self._stop),
        ):
            self._notices.on(kind, heard)
        async with asyncio.TaskGroup() as self._tasks:
            while True:
                await asyncio.sleep(RENEW / 2)
                self._lapse()
                with suppress(StorageError):  # as long as the database is away nobody can have asked
                    self._stop_all(await self.turns.to_stop())

    # ------------------------------------------------------------------ here, for others

    def _watch(self, sender: str, body: JsonObject) -> None:
        watch, response_id = body["watch"], body["id"]
        self._until[watch] = asyncio.get_running_loop().time() + _LAPSE
        if watch in self._forwarding:
            return
        run = self._running(response_id)
        if run is None or self._tasks is None:
            self._until.pop(watch, None)
            self._notices.tell("events", {"watch": watch, "gone": True}, sender)
            return
        task = self._tasks.create_task(self._forward(run, sender, watch, body["after"]))
        self._forwarding[watch] = task
        task.add_done_callback(lambda _: self._forget(watch))

    def _forget(self, watch: str) -> None:
        self._forwarding.pop(watch, None)
        self._until.pop(watch, None)

    def _unwatch(self, sender: str, body: JsonObject) -> None:
        task = self._forwarding.get(body["watch"])
        if task is not None:
            task.cancel()

    def _lapse(self) -> None:
        """Whoever did not say for long that they watch is gone."""
        now = asyncio.get_running_loop().time()
        for watch, until in list(self._until.items()):
            if until < now and watch in self._forwarding:
                self._forwarding[watch].cancel()

    async def _forward(self, run: Run, to: str, watch: str, after: int) -> None:
        """One message at a time, so that a slow database slows this down, and nothing piles up."""
        with suppress(StorageError):
            async for events in run.batches(after):
                if len(events) > _MOST:
                    await self._notices.say("events", {"watch": watch, "behind": True}, to)
                    return
                await self._notices.say("events", {"watch": watch, "events": events}, to)

    def _stop(self, sender: str, body: JsonObject) -> None:
        self._stop_all([body["id"]])

    def _stop_all(self, response_ids: Sequence[str]) -> None:
        for response_id in response_ids:
            run = self._running(response_id)
            if run is not None:
                run.cancel()

    # ------------------------------------------------------------------ elsewhere, from here

    async def live(self, response_id: str, after: int) -> AsyncGenerator[Event, None]:
        """Events above `after` of a turn that runs elsewhere, as they come there. Ends after the terminal one, and
        wherever the table has to be read before it can go on; then it has waited a little if that is due."""
        there = await self.turns.where(response_id)
        if there is None or there == self.turns.me():
            await asyncio.sleep(_PAUSE if there else 0)
            return
        watch, queue = uuid7(), asyncio.Queue[JsonObject](_WAITING)
        self._watched[watch] = response_id, queue
        try:
            while there is not None:
                await self._notices.say("watch", {"id": response_id, "watch": watch, "after": after}, there)
                until = asyncio.get_running_loop().time() + RENEW
                while (body := await _next(queue, until)) is not None:
                    for event in body.get("events", ()):
                        if event["sequence_number"] > after:
                            after = event["sequence_number"]
                            yield event
                    if "events" not in body:
                        await asyncio.sleep(_PAUSE if "gone" in body else 0)
                        return
                there = await self.turns.where(response_id)
        finally:
            del self._watched[watch]
            if there:
                self._notices.tell("unwatch", {"watch": watch}, there)

    def _events(self, sender: str, body: JsonObject) -> None:
        _, queue = self._watched.get(body["watch"], ("", None))
        if queue is None:
            return
        if queue.full():  # its client is slow: what it missed is in the table
            while not queue.empty():
                queue.get_nowait()
            body = {"behind": True}
        queue.put_nowait(body)

    def _ended(self, sender: str, body: JsonObject) -> None:
        self.ended(body["ids"])

    def ended(self, response_ids: Collection[str]) -> None:
        """These were ended for a server that is gone: whoever watches them reads the table."""
        for response_id, queue in self._watched.values():
            if response_id in response_ids and not queue.full():
                queue.put_nowait({"behind": True})

    def tell_ended(self, response_ids: Sequence[str]) -> None:
        """The same here and elsewhere."""
        self.ended(response_ids)
        self._notices.tell("ended", {"ids": list(response_ids)})

    async def cancel(self, owner: str, response_id: str) -> bool:
        """Have it stopped where it runs; whether it runs. Does not wait for its end."""
        there = await self.turns.stop(owner, response_id)
        if there:
            self._notices.tell("stop", {"id": response_id}, there)
        return there is not None


async def _next(queue: asyncio.Queue[JsonObject], until: float) -> JsonObject | None:
    """The next message; None when there is none until then, by the loop's clock."""
    try:
        async with asyncio.timeout_at(until):
            return await queue.get()
    except TimeoutError:
        return None
