"""Which models are there: a snapshot in memory, and the loop that keeps it true.

    registry = Registry(settings=settings, on_change=publish)
    registry.add(backend, source="settings")
    await registry.refresh()            # ask all of them now, side by side
    group.create_task(registry.run())   # and go on asking
    backend, info = registry.find("qwen3:8b")

Use `info.id` in the request to that backend.
"""

import asyncio
import difflib
import itertools
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from portal.core.decision import Candidate
from portal.core.model import ModelInfo
from portal.core.ports import Backend
from portal.core.records import UsageRecord
from portal.errors import BackendTimeout, BackendUnavailable, Conflict, ModelNotFound, NotFound, PortalError
from portal.routing.breaker import State
from portal.routing.discovery import is_away
from portal.routing.families import Families, packaged
from portal.routing.gates import Gates, Resting, ServerGates
from portal.routing.pace import Paces
from portal.routing.renamed import Renamed
from portal.routing.shared_line import SharedLines
from portal.settings import Settings
from portal.settings.turns import FaultSettings

_log = logging.getLogger(__name__)
Source: TypeAlias = Literal["found", "settings", "page", "built-in"]
Status: TypeAlias = Literal["up", "down", "waiting"]
_LONGEST_PAUSE = 300.0
_SOON = 1.0
"""Seconds between two listings that calls bring about."""
AWAY = 5.0
"""Seconds after which a client may ask again for what a server that is away has."""
_GRACE = 3
"""Listings in a row that may come late, as from a server that is busy, before its models are taken as gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendStatus:
    """How one backend is doing. `waiting`: it has not answered yet, or is late; `error` says why, for a person."""

    name: str
    kind: str
    url: str
    status: Status
    error: str | None
    models: int
    source: Source
    running: int = 0
    """Calls under way."""
    queued: int = 0
    """Calls that wait for their turn."""
    max_concurrency: int = 0
    across_servers: bool = False
    """Whether that many run on it from all Portals together, at present."""
    running_elsewhere: int = 0
    """Of these the calls of other Portals, as of a moment ago."""
    resting: Sequence[Resting] = ()
    """Models that failed too often."""


@dataclass(slots=True)
class _Entry:
    backend: Backend
    source: Source
    gates: ServerGates
    status: Status = "waiting"
    error: str | None = None
    models: Sequence[ModelInfo] = ()
    known: frozenset[str] = frozenset()
    """The models it had when it answered last."""
    seen: bool = False
    failures: int = 0
    due: float = 0.0
    asked: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Registry:
    """What is there. `on_change` is called after the list of models or a backend's status changed."""

    def __init__(
        self,
        *,
        settings: Settings,
        families: Families | None = None,
        on_change: Callable[[], None] | None = None,
        on_wait: Callable[[str, float], None] = lambda server, seconds: None,
        shared: SharedLines | None = None,
    ) -> None:
        """`on_wait` is told of a server and how many seconds a call has waited for its turn there; for `shared` see
        Gates."""
        self.families = families or packaged()
        self._paces = Paces()
        self._interval = settings.discovery.interval
        self._timeout = settings.discovery.timeout
        self._on_change = on_change
        self._entries: dict[str, _Entry] = {}
        self._models: dict[str, tuple[Candidate, ...]] = {}
        self._gates = Gates(settings.faults, on_change=self._notify, on_gone=self._gone, on_wait=on_wait, shared=shared)
        self._wake = asyncio.Event()
        self._random = secrets.SystemRandom()

    def tune(self, *, interval: float, faults: FaultSettings) -> None:
        """Look every so many seconds, and hold by these gates, from now on."""
        self._interval = interval
        self._gates.tune(faults)
        self._wake.set()

    def add(
        self, backend: Backend, *, source: Source = "page", max_concurrency: int = 0, across_servers: bool = False
    ) -> None:
        """Take a backend in; it is asked at the next `refresh`, or by `run` at once. `max_concurrency` calls run on it
        together, 0 for any number; `across_servers` counts those of all Portals. Raises Conflict: the name is taken."""
        self.check_free(backend.name)
        gates = self._gates.open(backend.name, max_concurrency=max_concurrency, across_servers=across_servers)
        self._entries[backend.name] = _Entry(backend, source, gates)
        self._wake.set()

    def check_free(self, name: str) -> None:
        """Raises Conflict where a backend has this name."""
        if name in self._entries:
            raise Conflict(f"There is a model server called {name!r} already.", param="name")

    def free_name(self, kind: str) -> str:
        """A name for another backend of this kind: the kind, numbered when it is taken."""
        numbered = (f"{kind}-{number}" for number in itertools.count(2))
        return next(name for name in itertools.chain([kind], numbered) if name not in self._entries)

    async def remove(self, name: str) -> None:
        """Let a backend go and close it. Raises NotFound."""
        entry = self._entries.pop(name, None)
        if entry is None:
            raise NotFound(f"There is no model server called {name!r}.", param="name")
        self._gates.close(name)
        self._changed()
        await entry.backend.aclose()

    def list(self) -> Sequence[ModelInfo]:
        """All models, in the order of their backends."""
        return [servers[0].model for servers in self._models.values()]

    def find(self, model: str) -> tuple[Backend, ModelInfo]:
        """By id, by `backend/id`, with or without the tag `:latest`: on the first server that has it. Raises
        ModelNotFound with the nearest names."""
        first = self._servers(model)[0]
        return first.backend, first.model

    def candidates(self, model: str) -> tuple[Candidate, ...]:
        """The same on every server that has it: those that rest last, else the least busy first, of these those that
        have it in memory. Raises ModelNotFound."""
        servers = self._servers(model)
        return servers if len(servers) == 1 else tuple(sorted(servers, key=_load))

    def _servers(self, model: str) -> tuple[Candidate, ...]:
        for name in (model, f"{model}:latest", model.removesuffix(":latest")):
            if name in self._models:
                return self._models[name]
        server, _, rest = model.partition("/")
        entry = self._entries.get(server)
        for info in entry.models if entry else ():
            if entry and info.id == rest:
                return (_under(model, entry, info),)
        self.missed()
        for entry in self._entries.values():
            if entry.status != "up" and not entry.known.isdisjoint({model, f"{model}:latest"}):
                raise BackendUnavailable(f"The server of {model!r} is away. {entry.error}", retry_after=AWAY)
        raise ModelNotFound(model, self._nearest(model))

    def away(self) -> str:
        """Why no model of the user's own is there, where a server of theirs does not answer; else empty."""
        for entry in self._entries.values():
            if entry.status == "down" and (entry.known or entry.source in ("settings", "page")):
                return entry.error or f"{entry.backend.name} is away."
        return ""

    def has(self, model: str) -> bool:
        """Whether this names a model that is there."""
        return model in self._models or f"{model}:latest" in self._models

    def missed(self) -> None:
        """Something is asked for that is not there: let `run` look soon at the servers that are away."""
        for entry in self._entries.values():
            if entry.status != "up":
                entry.due = min(entry.due, entry.asked + _SOON)
                self._wake.set()

    def _nearest(self, model: str) -> Sequence[str]:
        names = {name.lower(): name for name in self._models}
        wanted = model.lower()
        close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
        alike = close or [name for name in names if wanted and (wanted in name or name in wanted)][:3]
        return [names[name] for name in alike]

    def status(self) -> Sequence[BackendStatus]:
        """Every backend, in order, those not found included."""
        return [
            BackendStatus(
                name=name,
                kind=entry.backend.kind,
                url=entry.backend.url,
                status=entry.status,
                error=entry.error,
                models=len(entry.models),
                source=entry.source,
                running=entry.gates.line.running,
                queued=entry.gates.line.waiting,
                max_concurrency=entry.gates.line.slots,
                across_servers=entry.gates.line.shared,
                running_elsewhere=entry.gates.line.elsewhere,
                resting=entry.gates.resting(),
            )
            for name, entry in self._entries.items()
        ]

    def breakers(self, name: str) -> Mapping[str, State]:
        """Of the models of this server that failed lately."""
        return self._entries[name].gates.breakers()

    def held(self, name: str) -> Mapping[str, int]:
        """The models that this server has in memory, and how many bytes they take, where it says so."""
        return {info.id: info.held for info in self._entries[name].models if info.held}

    async def refresh(self) -> None:
        """Ask every backend now, side by side; each within the listing deadline."""
        await self._ask(list(self._entries.values()))

    async def begun(self) -> None:
        """Wait until every backend was asked once: just after the start nobody knows what is there."""
        if new := [entry for entry in self._entries.values() if not entry.asked]:
            await self._ask(new, first=True)

    def speaking(self, api: str) -> Sequence[Backend]:
        """The backends that take this API's bytes and are there; where none is, those that ought to be."""
        entries = [entry for entry in self._entries.values() if getattr(entry.backend, "api", None) == api]
        there = [entry for entry in entries if entry.status == "up" or entry.models]
        return [entry.backend for entry in there or [entry for entry in entries if entry.source != "found"]]

    async def look(self, name: str) -> None:
        """Ask this backend now, if there is such a one, within the listing deadline."""
        await self._ask([entry] if (entry := self._entries.get(name)) else [])

    def hurry(self, name: str) -> None:
        """Let `run` ask this backend at once, if there is such a one."""
        if name in self._entries:
            self._entries[name].due = 0.0
            self._wake.set()

    def called(self, call: UsageRecord) -> None:
        """Learn from a call: how fast the model is, and whether its server is worth another look by `run` soon."""
        entry = self._entries.get(call.backend)
        if entry is None:
            return
        model = call.model.removeprefix(f"{call.backend}/")
        info = next((info for info in entry.models if info.id == model), None)
        worked = call.status == "completed"
        pace = self._paces.note(info, call) if info is not None and worked else None
        for name in {model, f"{call.backend}/{model}"} & self._models.keys() if pace else ():
            self._models[name] = tuple(
                replace(one, model=replace(one.model, pace=pace.tokens, first_token=pace.first))
                if pace and one.model.backend == call.backend
                else one
                for one in self._models[name]
            )
        surprising = (not worked or info is None or info.loaded is False) if entry.status == "up" else worked
        if surprising and call.status != "cancelled":
            entry.due = min(entry.due, entry.asked + _SOON)
            self._wake.set()

    def _gone(self, name: str) -> None:
        """A server does not know a model that it listed: look again, but not for every call that finds out."""
        entry = self._entries.get(name)
        if entry is not None:
            entry.due = min(entry.due, entry.asked + _SOON)
            self._wake.set()

    async def run(self) -> None:
        """Ask each backend again whenever it is due, until cancelled."""
        while True:
            self._wake.clear()
            now = asyncio.get_running_loop().time()
            await self._ask([entry for entry in self._entries.values() if entry.due <= now])
            next_due = min((entry.due for entry in self._entries.values()), default=now + self._interval)
            try:
                async with asyncio.timeout_at(next_due):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _ask(self, entries: Iterable[_Entry], *, first: bool = False) -> None:
        """The `first` time, or again."""
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                group.create_task(self._ask_one(entry, first=first))

    async def _ask_one(self, entry: _Entry, *, first: bool) -> None:
        async with entry.lock:
            if first and entry.asked:
                return
            before = (entry.status, entry.error, entry.models)
            try:
                async with asyncio.timeout(self._timeout):
                    models = _distinct(await entry.backend.models())
                models = [self.families.describe(info) for info in models]
                if is_away(entry.backend.url):
                    models = [replace(info, paid=True) for info in models]
            except TimeoutError:
                self._late(entry, f"{entry.backend.name} did not list its models within {self._timeout:g} seconds.")
            except BackendTimeout as error:
                self._late(entry, error.message)
            except PortalError as error:
                entry.failures += 1
                self._down(entry, error.message)
            except Exception as error:  # the border of a task: one server's oddity is not the end of all others
                _log.exception("%s could not be asked for its models", entry.backend.name)
                entry.failures += 1
                self._down(entry, f"{entry.backend.name} listed models in a way Portal does not understand: {error!r}")
            else:
                entry.status, entry.error, entry.models = "up", None, models
                entry.known = frozenset(info.id for info in models)
                entry.seen, entry.failures = True, 0
            entry.asked = asyncio.get_running_loop().time()
            entry.due = entry.asked + self._pause(entry)
        if before != (entry.status, entry.error, entry.models):
            self._changed()
        if before[0] != entry.status and {before[0], entry.status} == {"up", "down"}:
            level = logging.INFO if entry.status == "up" else logging.WARNING
            why = f": {entry.error}" if entry.error else ""
            _log.log(level, "%s is %s%s", entry.backend.name, entry.status, why, extra={"event": "backend"})

    def _late(self, entry: _Entry, error: str) -> None:
        """A server that was there and does not answer in time may be busy: its models stay for a while."""
        entry.failures += 1
        if entry.seen and entry.models and entry.failures < _GRACE:
            entry.status, entry.error = "waiting", error
        else:
            self._down(entry, error)

    def _down(self, entry: _Entry, error: str) -> None:
        missing = entry.source == "found" and not entry.seen
        entry.status, entry.error, entry.models = ("waiting" if missing else "down"), error, ()

    def _pause(self, entry: _Entry) -> float:
        """Seconds until the next listing: longer and longer where there is none, from the second failure on."""
        pause = self._interval
        if entry.failures > 1:
            pause = max(pause, min(pause * 2 ** min(entry.failures - 1, 16), _LONGEST_PAUSE))
        return pause * self._random.uniform(0.9, 1.1)

    def _changed(self) -> None:
        """Make the snapshot anew. Of two models with one id, the later backend's is called `backend/id` as well."""
        models: dict[str, tuple[Candidate, ...]] = {}
        for entry in self._entries.values():
            entry.gates.keep({info.id for info in entry.models})
            for info in map(self._paces.told, entry.models):
                if info.id in models:
                    name = f"{entry.backend.name}/{info.id}"
                    models[name] = (_under(name, entry, info),)
                own = Candidate(entry.backend, info, gate=entry.gates.of(info.id))
                models[info.id] = (*models.get(info.id, ()), own)
        self._models = models
        self._notify()

    def _notify(self) -> None:
        if self._on_change is not None:
            self._on_change()

    async def aclose(self) -> None:
        """Close every backend."""
        for entry in self._entries.values():
            await entry.backend.aclose()


def _under(name: str, entry: _Entry, info: ModelInfo) -> Candidate:
    """A model under another name than its own."""
    renamed = Renamed(backend=entry.backend, model=info.id)
    return Candidate(renamed, replace(info, id=name), gate=entry.gates.of(info.id))


def _load(server: Candidate) -> tuple[bool, int, bool]:
    return server.gate.resting() > 0, server.gate.outstanding(), not server.model.loaded


def _distinct(models: Sequence[ModelInfo]) -> Sequence[ModelInfo]:
    """A server that lists a model twice has it once."""
    first: dict[str, ModelInfo] = {}
    for info in models:
        first.setdefault(info.id, info)
    return list(first.values())
