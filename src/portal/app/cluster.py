"""Several servers on one PostgreSQL, put together: this one's place among them, what they tell each other, and what
each reads again when another one changed it. On SQLite a server is alone, and none of this is there."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import orjson

from portal import __version__
from portal.core.agent import Agent
from portal.core.asking import Questions
from portal.core.bus import Bus
from portal.core.clock import seconds
from portal.core.counts import Counts
from portal.core.duty import Duty
from portal.core.health import Condition
from portal.core.items import JsonObject
from portal.core.peers import Notices, Peers
from portal.core.supervisor import Supervisor
from portal.errors import PortalError, StorageError
from portal.routing.shared_line import SharedLines
from portal.settings import Settings
from portal.settings.alike import differing, marks_of
from portal.settings.live import Current
from portal.storage.open import Storage
from portal.storage.running import StoredRunning

if TYPE_CHECKING:
    from portal.storage.lease import Lease, Other
    from portal.storage.notices import PostgresNotices

log = logging.getLogger(__name__)

_LOOK = 5.0
"""Seconds between two looks for turns that nobody runs."""
SECRETS = "secrets"
_OF_ONE_SERVER = frozenset({"health.changed", "server.stopping", "embedded.progress", "pull.progress"})
"""What is published of one server only: its health, and what it installs."""
_COUNT = 0.5
"""Seconds between two messages about what was counted."""
_AGAIN = 1.0
_SKEW = 10.0
"""Seconds that clocks may differ before it is told; nothing between servers depends on them."""
_PAUSE = 0.2
"""Seconds within which what is to be read again is read once."""

Renewal = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Cluster:
    """What the parts of a server need of the others."""

    duty: Duty = field(default_factory=Duty)
    peers: Peers | None = None
    notices: Notices | None = None
    questions: Questions | None = None
    running: StoredRunning | None = None
    counts: Counts | None = None
    tasks: asyncio.TaskGroup | None = None
    """For short work beside requests."""
    _hurried: dict[str, Callable[[], None]] = field(default_factory=dict)
    _renewals: dict[str, Renewal] = field(default_factory=dict)
    _stale: set[str] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _buried: asyncio.Event = field(default_factory=asyncio.Event)
    _marked: tuple[Settings | None, JsonObject] = (None, {})
    fenced: Callable[[], None] = lambda: None
    """Called when the others took this server for gone."""
    lines: SharedLines | None = None
    """Limits of model servers that hold for several servers together."""
    lease: "Lease | None" = None
    """This server's place among the others."""
    current: Current | None = None
    """What this server is set to."""

    async def members(self) -> Sequence[JsonObject]:
        """Every server on the database, as the page's routes show them; none on SQLite. Raises StorageError."""
        if self.running is None:
            return []
        leader = await self.running.leader()
        return [
            {
                "id": one.id,
                "object": "portal.server",
                "version": one.version,
                "host": one.host,
                "pid": one.pid,
                "url": one.url,
                "started_at": seconds(one.started_at),
                "quiet": round(one.quiet, 1),
                "here": one.id == self.running.me(),
                "leads": one.id == leader,
            }
            for one in await self.running.instances()
        ]

    def renew(self, renewals: Mapping[str, Renewal]) -> None:
        """When another server publishes an event of this kind, or may have: do this."""
        self._renewals.update(renewals)

    def resign(self) -> None:
        """This server is about to end: another one should do what one does for all."""
        if self.lease is not None:
            self.lease.resign()

    def check(self) -> Iterable[Condition]:
        """See HealthCheck."""
        if self.lease is None:
            return
        if not self.lease.joined:
            why = f"The others cannot see this server, and may end what it has under way: {self.lease.trouble}"
            remedy = "Look to the database server; Portal goes on by itself when it is well."
            yield Condition(kind="servers", state="degraded", detail=why, remedy=remedy)
            return
        if abs(skew := self.lease.skew) > _SKEW:
            word = "before" if skew > 0 else "behind"
            why = f"The clock of this machine is {abs(skew):.0f} seconds {word} the database's."
            yield Condition(kind="clock", state="degraded", detail=why, remedy="Have both set their clocks by NTP.")
        odd = [line for one in self.lease.others if (line := self._differs(one))]
        leads = "This one leads." if self.duty.held else ""
        remedy = "Bring all servers to one version, with the same settings." if odd else ""
        yield Condition(
            kind="servers", state="note" if odd else "ok", detail=" ".join([leads, *odd]).strip(), remedy=remedy
        )

    def _differs(self, other: "Other") -> str:
        """In what, in a sentence."""
        where = f"The server on {other.host} (process {other.pid})"
        if other.version != __version__:
            return f"{where} has version {other.version}, this one {__version__}."
        theirs = orjson.loads(other.settings or "{}")
        names = differing(self.marks(), theirs)
        return f"{where} has other settings: {', '.join(names)}." if names else ""

    def marks(self) -> JsonObject:
        """Of the settings that are in force; see marks_of."""
        if self.current is not None and self.current.settings is not self._marked[0]:
            self._marked = self.current.settings, marks_of(self.current.settings)
        return self._marked[1]

    def works(self, name: str, hurry: Callable[[], None]) -> None:
        """This server can do that work, and is told so when there is some."""
        self._hurried[name] = hurry

    def hurry(self, name: str) -> None:
        """There is such work, for whichever server does it."""
        if name in self._hurried:
            self._hurried[name]()
        if self.notices is not None and not self.duty.held:
            self.notices.tell("hurry", {"work": name})

    def hurried(self, name: str) -> None:
        """Another server has work of this kind for whoever does it."""
        if name in self._hurried and self.duty.held:
            self._hurried[name]()

    def heard(self, kind: str) -> None:
        """Another server has published such an event."""
        if kind in self._renewals:
            self._stale.add(kind)
            self._news.set()

    def missed(self) -> None:
        """Anything may have been published."""
        self._stale.update(self._renewals)
        self._news.set()

    def buried(self) -> None:
        """Another server is gone."""
        self._buried.set()

    async def keep_fresh(self) -> None:
        """Until it is cancelled: read again what others changed."""
        while True:
            await self._news.wait()
            await asyncio.sleep(_PAUSE)
            self._news.clear()
            stale, self._stale = self._stale, set()
            for kind in sorted(stale, key=lambda kind: kind != SECRETS):  # which others are made with
                try:
                    await self._renewals[kind]()
                except PortalError as error:
                    log.warning("%s could not be read again: %s", kind, error)
                    self._stale.add(kind)
            if self._stale:
                self._news.set()
                await asyncio.sleep(_AGAIN)

    async def count_together(self) -> None:
        """Until it is cancelled: tell the others what was counted here, and add what they counted."""
        counts, notices = self.counts, self.notices
        assert counts is not None
        assert notices is not None

        def heard(sender: str, body: JsonObject) -> None:
            for one in body["counts"]:
                counts.elsewhere(*one)

        notices.on("counts", heard)
        while True:
            await asyncio.sleep(_COUNT)
            if taken := counts.take():
                notices.tell("counts", {"counts": taken})

    async def end_left(self, storage: Storage, bus: Bus) -> None:
        """Until it is cancelled: turns whose server is gone are ended as incomplete, and their watchers told."""
        assert self.peers is not None
        while True:
            mine = await self._due()
            try:
                ended = await storage.turn_log.recover() if mine else ()
                if ended:
                    log.warning("%d answers of a server that is gone were kept as incomplete", len(ended))
                    self.peers.tell_ended(ended)
                    for owner, fields in await _told(storage, ended):
                        bus.publish(owner, "conversation.changed", **fields)
            except StorageError:
                log.exception("turns of a server that is gone could not be ended: it will be tried again")

    async def _due(self) -> bool:
        """After one was buried, or for the one with the duty now and then."""
        try:
            async with asyncio.timeout(_LOOK):
                await self._buried.wait()
        except TimeoutError:
            return self.duty.held
        self._buried.clear()
        return True


_TOLD = "SELECT id, owner, conversation_id, status FROM responses WHERE id = :id AND conversation_id IS NOT NULL"


async def _told(storage: Storage, response_ids: Sequence[str]) -> list[tuple[str, JsonObject]]:
    """Whom to tell of what."""
    found = [row for one in response_ids for row in await storage.database.fetch(_TOLD, id=one)]
    return [
        (row["owner"], {"id": row["conversation_id"], "response_id": row["id"], "status": row["status"]})
        for row in found
    ]


async def group_on(stack: AsyncExitStack) -> asyncio.TaskGroup:
    """A group that ends with the stack, and does not wrap what else goes wrong there."""
    tasks = await asyncio.TaskGroup().__aenter__()
    stack.push_async_callback(tasks.__aexit__, None, None, None)
    return tasks


async def open_cluster(
    settings: Settings, storage: Storage, bus: Bus, supervisor: Supervisor, stack: AsyncExitStack
) -> Cluster:
    """This server's place among the others, until the stack is closed. Raises StorageError."""
    if storage.database.dialect == "sqlite":
        return Cluster()
    from portal.storage.lease import About, Lease
    from portal.storage.notices import PostgresNotices
    from portal.storage.shared_calls import PostgresCalls

    fence, duty = storage.fence, Duty(held=False)
    host, port = settings.server.host, settings.server.port
    cluster = Cluster(duty=duty, current=Current(settings))

    def about() -> About:
        marks = orjson.dumps(cluster.marks()).decode()
        return About(version=__version__, url=f"http://{host}:{port}" if port else "", settings=marks)

    lease = cluster.lease = Lease(url=settings.database, about=about, fence=fence, duty=duty)
    await lease.join()
    stack.push_async_callback(lease.leave)
    running = StoredRunning(database=storage.database, fence=fence)
    notices = PostgresNotices(url=settings.database, me=lambda: fence.instance)
    tasks = await group_on(stack)
    cluster.peers, cluster.notices = Peers(notices=notices, turns=running), notices
    cluster.questions, cluster.running = Questions(notices=notices, tasks=tasks), running
    cluster.counts, cluster.tasks = Counts(), tasks
    calls = PostgresCalls(url=settings.database, me=lambda: fence.instance)
    cluster.lines = SharedLines(calls=calls, notices=notices, servers=lambda: len(lease.others) + 1)
    lease.on_buried = cluster.buried
    lease.on_fenced = lambda: cluster.fenced()
    _tell_around(cluster, bus, notices)
    supervisor.keep_on(
        stack,
        place_among_the_servers=lease.run,
        notices_between_servers=notices.run,
        limits_of_model_servers_together=cluster.lines.run,
        what_other_servers_change=cluster.keep_fresh,
        counting_with_other_servers=cluster.count_together,
    )
    return cluster


def _tell_around(cluster: Cluster, bus: Bus, notices: "PostgresNotices") -> None:
    """What is published on one server is published on all of them."""

    def relay(owner: str | None, kind: str, fields: JsonObject) -> None:
        if kind not in _OF_ONE_SERVER:
            notices.tell("published", {"owner": owner, "kind": kind, "fields": fields})

    def published(sender: str, body: JsonObject) -> None:
        bus.relayed(body["owner"], body["kind"], body["fields"])
        cluster.heard(body["kind"])

    def gap() -> None:
        bus.resync()
        cluster.missed()

    bus.relay, notices.on_gap = relay, gap
    notices.on("published", published)
    notices.on("hurry", lambda _, body: cluster.hurried(body["work"]))


def attend(
    cluster: Cluster, agent: Agent, storage: Storage, bus: Bus, supervisor: Supervisor, stack: AsyncExitStack
) -> None:
    """From now on other servers may watch and stop this one's turns."""
    if cluster.peers is None:
        return
    cluster.fenced = agent.disown
    supervisor.keep_on(
        stack,
        answers_watched_elsewhere=partial(cluster.peers.run, agent.running),
        answers_of_servers_that_are_gone=partial(cluster.end_left, storage, bus),
    )
