"""What a Portal tells of itself, put together: its figures, and how it is at the moment."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

from portal import __version__
from portal.core.backlog import Waiting
from portal.core.bus import Bus
from portal.core.clock import micros, seconds
from portal.core.consumption import Consumption
from portal.core.items import JsonObject
from portal.core.journal import Note
from portal.core.records import Page
from portal.core.supervisor import Supervisor
from portal.errors import StorageError
from portal.observability.figures import Family, gauge
from portal.observability.gauges import backlog_families, channel_families, part_families, server_families
from portal.observability.journal import Journal
from portal.observability.levels import Levels
from portal.observability.meters import Meters
from portal.observability.process import Process
from portal.routing.registry import Registry
from portal.storage.open import Storage

_PATIENCE = 3.0
"""Seconds that the database has to count what waits."""


@dataclass(slots=True, kw_only=True)
class Observing:
    """What looks at the parts when somebody asks."""

    meters: Meters
    process: Process
    storage: Storage
    registry: Registry
    bus: Bus
    supervisor: Supervisor
    journal: Journal
    levels: Levels
    channels: Callable[[], Sequence[JsonObject]] = tuple
    """Tells of the chat platforms."""
    tool_servers: Callable[[], Sequence[JsonObject]] = tuple
    """Tells of the servers of tools."""
    calls: Callable[[], int] = int
    """How many model calls are under way."""

    @property
    def consumption(self) -> Consumption:
        """See Activity."""
        return self.storage.consumption

    def servers(self) -> Sequence[JsonObject]:
        """See server_families; without usual places where nobody was ever found."""
        return [
            {
                "name": one.name,
                "up": one.status == "up" or one.models > 0,
                "running": one.running,
                "queued": one.queued,
                "max_concurrency": one.max_concurrency,
                "across_servers": one.across_servers,
                "running_elsewhere": one.running_elsewhere,
                "breakers": [
                    {"model": model, "state": state} for model, state in self.registry.breakers(one.name).items()
                ],
                "held": self.registry.held(one.name),
            }
            for one in self.registry.status()
            if one.status != "waiting" or one.models
        ]

    async def families(self) -> Iterable[Family]:
        """A source of Metrics. A database that does not answer is told of, and keeps nothing else from being told."""
        waiting = await self._waiting()
        backlog = [*backlog_families(waiting)] if waiting else []
        database = self.storage.database.dialect
        return [
            gauge("portal_build_info", "What runs here.", ([("version", __version__), ("database", database)], 1)),
            *self.meters.families(),
            *server_families(self.servers()),
            *channel_families(self.channels()),
            *part_families(self.supervisor.parts()),
            gauge("portal_database_up", "Whether the database answers.", ((), int(bool(backlog)))),
            *backlog,
            gauge("portal_event_streams", "Pages and programs that listen to what changes.", ((), self.bus.listening)),
            *self.process.families(),
        ]

    async def now(self) -> JsonObject:
        """See Activity."""
        waiting = await self._waiting()
        return {
            "at": seconds(micros()),
            "calls": self.calls(),
            "servers": self._servers(),
            "channels": self._channels(waiting),
            "tool_servers": [
                {name: one.get(name) for name in ("name", "title", "status", "detail")} for one in self.tool_servers()
            ],
            "waiting": {name: n for name, n in asdict(waiting).items() if name != "unsent"} if waiting else None,
            "database": {
                "kind": self.storage.database.dialect,
                "answers": waiting is not None,
                "batches": spread(self.meters.batches),
            },
            "loop": spread(self.meters.delays),
            "process": self.process.reading(),
            "listening": self.bus.listening,
        }

    async def _waiting(self) -> Waiting | None:
        """None where the database does not answer, or not soon."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self.storage.backlog.waiting()
        except (StorageError, TimeoutError):
            return None

    async def events(self, *, kind: str, text: str, limit: int, cursor: str | None) -> Page[Note]:
        """See Activity."""
        return await self.storage.notes.list(kind=kind, text=text, limit=limit, cursor=cursor)

    def _servers(self) -> Sequence[JsonObject]:
        told = {one.name: one for one in self.registry.status()}
        shown = ("kind", "url", "status", "error", "models")
        return [{**one, **{name: getattr(told[one["name"]], name) for name in shown}} for one in self.servers()]

    def _channels(self, waiting: Waiting | None) -> Sequence[JsonObject]:
        unsent = {one.channel: one.count for one in waiting.unsent} if waiting else {}
        return [{**one, "unsent": unsent.get(one["name"], 0)} for one in self.channels()]


def listening(stack: AsyncExitStack) -> Journal:
    """An event log that hears from now on until the stack is closed."""
    journal = Journal()
    journal.begin()
    stack.callback(journal.end)
    return journal


def spread(values: Iterable[float]) -> JsonObject:
    """{median, p99, worst} in seconds; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return {"median": None, "p99": None, "worst": None}
    last = len(ordered) - 1
    return {"median": ordered[last // 2], "p99": ordered[round(last * 0.99)], "worst": ordered[last]}
