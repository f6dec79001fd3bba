import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from portal.app.agent import Told, open_agent
from portal.app.cluster import Cluster
from portal.app.ground import Ground
from portal.app.observing import Observing
from portal.app.policies import open_rules
from portal.app.rights import open_rights
from portal.backends.scripted import ScriptedBackend
from portal.core.agent import Agent, Turn
from portal.core.bus import Bus
from portal.core.completion import Completions
from portal.core.events import Event
from portal.core.health import Health
from portal.core.items import Item
from portal.core.model import ModelInfo
from portal.core.ports import TurnLog
from portal.core.recall import Recall
from portal.core.records import ResponseRecord, StoredItem, TraceRecord
from portal.core.run import Run
from portal.core.supervisor import Supervisor
from portal.core.tool_ports import SubAgent, Toolset
from portal.core.tracing import Tracer
from portal.errors import StorageFull
from portal.knowledge.shelf import ConversationShelf
from portal.observability.journal import Journal
from portal.observability.levels import Levels
from portal.observability.meters import Meters
from portal.observability.metrics import Metrics
from portal.observability.process import Process
from portal.routing.catalogue import Catalogue
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.workspaces import Workspaces
from portal.security.limiter import Limiter
from portal.security.seal import SignedSealer, load_key
from portal.security.secret_file import SecretFile
from portal.settings import Settings
from portal.settings.live import Current
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER, said, used
from portal.testing.scripted_speech import ScriptedTranscriber

ALL = frozenset({"chat", "completion", "tools", "vision"})
MODELS = (
    ModelInfo(id="tiny", backend="", capabilities=ALL, context_window=4096),
    ModelInfo(id="narrow", backend="", capabilities=ALL, context_window=400),
)
TERMINAL = ("response.completed", "response.failed", "response.incomplete")


class WatchedLog:
    """The turn log with a record of what it committed. `full` names calls that find no room, `gates` those that wait;
    `kept` ones have committed when they wait."""

    def __init__(self, inner: TurnLog) -> None:
        self._inner = inner
        self.begun: list[str] = []
        self.committed: list[str] = []
        self.full: set[str] = set()
        self.gates: dict[str, asyncio.Event] = {}
        self.kept: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()

    async def _do(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        self._note(self.begun, name)
        if name in self.full:
            raise StorageFull("The disk is full.")
        if name in self.gates:
            await self.gates[name].wait()
        result = await work()
        self._note(self.committed, name)
        if name in self.kept:
            await self.kept[name].wait()
        return result

    def _note(self, record: list[str], name: str) -> None:
        record.append(name)
        self._changed.set()
        self._changed = asyncio.Event()

    async def until_begun(self, name: str, count: int = 1) -> None:
        while self.begun.count(name) < count:
            await self._changed.wait()

    async def until_committed(self, name: str, count: int = 1) -> None:
        while self.committed.count(name) < count:
            await self._changed.wait()

    async def begin(
        self, response: ResponseRecord, inputs: Sequence[Item], *, expect_head: bool = False, again: bool = False
    ) -> None:
        await self._do("begin", lambda: self._inner.begin(response, inputs, expect_head=expect_head, again=again))

    async def flush(self, response_id: str, partial: StoredItem) -> None:
        await self._do("flush", lambda: self._inner.flush(response_id, partial))

    async def append(self, response_id: str, done: StoredItem) -> None:
        await self._do("append", lambda: self._inner.append(response_id, done))

    async def finish(
        self, response: ResponseRecord, outputs: Sequence[StoredItem] = (), trace: TraceRecord | None = None
    ) -> None:
        await self._do("finish", lambda: self._inner.finish(response, outputs, trace))

    async def recover(self) -> Sequence[str]:
        found: Sequence[str] = await self._do("recover", self._inner.recover)
        return found


@dataclass(frozen=True)
class Rig:
    """The core on real storage, without any door."""

    data_dir: Path
    storage: Storage
    backend: ScriptedBackend
    log: WatchedLog
    bus: Bus
    agent: Agent
    sealer: SignedSealer
    registry: Registry
    sub_agent: SubAgent

    async def start(self, text: str = "hello", **fields: Any) -> Run:
        known = {"owner": OWNER, "model": "tiny", "input": [said(text)]}
        return await self.agent.start(Turn(**{**known, **fields}))

    async def ask(self, text: str = "hello", **fields: Any) -> list[Event]:
        return await events_of(await self.start(text, **fields))

    async def stored(self, run: Run) -> tuple[str, list[tuple[str, str]]]:
        """The status of a response and (type, status) of its stored output items."""
        turn = await self.storage.responses.get(run.record.owner, run.id)
        outputs = [stored.item for stored in turn.items if stored.side == "output"]
        return turn.response.status, [(item["type"], item["status"]) for item in outputs]


async def calls(rig: Rig) -> list[tuple[str, str, int, int]]:
    """What the usage log has: (door, status, input tokens, output tokens), sorted."""
    await used(rig.storage, OWNER)
    rows = await rig.storage.database.fetch("SELECT * FROM usage_log WHERE owner = :owner", owner=OWNER)
    return sorted((row["door"], row["status"], row["input_tokens"], row["output_tokens"]) for row in rows)


async def events_of(run: Run, starting_after: int = -1) -> list[Event]:
    return [event async for event in run.events(starting_after)]


async def until(run: Run, kind: str) -> None:
    async for event in run.events():
        if event["type"] == kind:
            return


def one_ending(events: Sequence[Event]) -> dict[str, Any]:
    """The response of the terminal event, which is the only one and the last, after numbers that rise."""
    numbers = [event["sequence_number"] for event in events]
    assert numbers == sorted(set(numbers))
    assert [event["type"] in TERMINAL for event in events] == [False] * (len(events) - 1) + [True]
    response: dict[str, Any] = events[-1]["response"]
    return response


def text_in(events: Sequence[Event]) -> str:
    return "".join(event["delta"] for event in events if event["type"].endswith(".delta"))


class Watcher:
    """Watches a run in a task of its own."""

    def __init__(self, group: asyncio.TaskGroup, events: AsyncIterator[Event]) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()
        self.task = group.create_task(self._watch(events))

    async def _watch(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            self.events.append(event)
            self._changed.set()

    async def until(self, kind: str) -> None:
        while not any(event["type"] == kind for event in self.events):
            self._changed.clear()
            await self._changed.wait()

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


async def settle() -> None:
    """Let everything go on that can go on without the outside."""
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def open_rig(
    data_dir: Path,
    *,
    backend: ScriptedBackend | None = None,
    titles: bool = False,
    flush_interval: float = 0.01,
    storage: Storage | None = None,
    toolsets: Sequence[Toolset] = (),
    settings: Mapping[str, Any] | None = None,
    recalls: Sequence[Recall] = (),
    recall_deadline: float = 3,
) -> AsyncIterator[Rig]:
    turns = {"titles": titles, "flush_interval": flush_interval, "recall_deadline": recall_deadline}
    loaded = Settings(data_dir=data_dir, turns=turns, **(settings or {}))
    async with AsyncExitStack() as stack:
        storage = storage or await stack.enter_async_context(open_storage(loaded))
        backend = backend or ScriptedBackend(models=MODELS)
        bus, registry, log = Bus(), Registry(settings=loaded), WatchedLog(storage.turn_log)
        registry.add(backend, source="settings")
        await registry.refresh()
        workspaces = Workspaces()
        router = Router(registry=registry, workspaces=workspaces)
        completions = Completions(usage=storage.usage)
        storage = replace(storage, turn_log=log)
        stores = {"collections": storage.collections, "documents": storage.documents, "files": storage.files}
        shelf = ConversationShelf(**stores, transcriber=ScriptedTranscriber(), seconds=0)
        told = Told(recalls=recalls, shelf=shelf)
        supervisor = Supervisor()
        ground = Ground(
            settings=loaded,
            current=Current(loaded),
            rules=open_rules(loaded),
            storage=storage,
            bus=bus,
            usage=Metrics(log=storage.usage),
            observing=Observing(
                meters=Meters(),
                process=Process(data_dir=data_dir),
                storage=storage,
                registry=registry,
                bus=bus,
                supervisor=supervisor,
                journal=Journal(),
                levels=Levels(),
            ),
            completions=completions,
            registry=registry,
            router=router,
            catalogue=Catalogue(
                workspaces=workspaces,
                router=router,
                saved=storage.workspaces,
                completions=completions,
                on_change=lambda: None,
            ),
            rights=await open_rights(loaded, storage, Cluster()),
            limiter=Limiter(),
            secrets=SecretFile(data_dir / "secrets.json"),
            tracer=Tracer(),
            cluster=Cluster(),
            health=Health(),
            supervisor=supervisor,
            stack=stack,
        )
        brain = await open_agent(ground, lambda: toolsets, told)
        sealer = SignedSealer(key=load_key(data_dir / "seal.key"))
        yield Rig(data_dir, storage, backend, log, bus, brain.agent, sealer, registry, brain.sub_agent)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened
