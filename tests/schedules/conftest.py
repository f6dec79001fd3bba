"""Schedules on a real Portal, whose own scheduler is off: ours sees the time that a test says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.tool_desk import Desk, able

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.clock import micros
from portal.core.model import ModelRequest, TextDelta
from portal.core.schedules import Content, RunRecord, ScheduleRecord, Wanted
from portal.schedules.hooks import Hooks
from portal.schedules.keeper import Keeper
from portal.schedules.runs import Runner
from portal.schedules.scheduler import Bounds, Scheduler
from portal.security.secret_file import SecretFile
from portal.testing.portal import TestPortal, open_test_portal

MONDAY = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
BOUNDS = Bounds(parallel=4, grace=120, missed=3, history=5, replay=1, attempts=3, pause=30)


class Clock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime = MONDAY) -> None:
        self.at = at

    def __call__(self) -> int:
        return micros(self.at)

    def pass_(self, **how: float) -> None:
        self.at += timedelta(**how)


@dataclass
class Post:
    """A Deliverer that keeps what it brought; `failures` are raised first."""

    sent: list[tuple[str, Content]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    known: Sequence[str] = ("telegram", "slack")

    async def targets(self, owner: str) -> Sequence[tuple[str, str]]:
        return [(name, name.capitalize()) for name in self.known]

    async def deliver(self, owner: str, target: str, content: Content) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append((target, content))

    async def ask(self, owner: str, target: str, response_id: str, name: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.asked.append((target, response_id))


@dataclass
class Table:
    """Everything at hand."""

    portal: TestPortal
    backend: ScriptedBackend
    desk: Desk
    clock: Clock
    post: Post
    keeper: Keeper
    hooks: Hooks
    scheduler: Scheduler

    @property
    def owner(self) -> str:
        return self.portal.owner

    async def make(self, when: str = "every day at 8", prompt: str = "Say it", **fields: Any) -> ScheduleRecord:
        fields = {"zone": "UTC", **fields}
        made, _ = await self.keeper.create(self.owner, Wanted(when=when, prompt=prompt, **fields))
        return made

    async def tick(self) -> float:
        """What there is to do now, and what that begins, to its end."""
        async with asyncio.TaskGroup() as tasks:
            return await self.scheduler.once(tasks)

    async def runs(self, schedule: ScheduleRecord) -> list[RunRecord]:
        """Oldest first."""
        page = await self.portal.portal.storage.runs.list(self.owner, schedule.id)
        return [*reversed(page.data)]

    def scheduling(self, bounds: Bounds = BOUNDS, **others: Any) -> Scheduler:
        """Another scheduler on the same tables."""
        return scheduler(self.portal, self.clock, self.post, bounds, **others)


def runner(portal: TestPortal, clock: Clock, queue: Any = None) -> Runner:
    opened = portal.portal
    return Runner(
        agent=opened.agent,
        models=opened.router,
        responses=opened.storage.responses,
        conversations=opened.storage.conversations,
        approvals=opened.storage.approvals,
        queue=queue or opened.storage.runs,
        bus=opened.bus,
        now=clock,
    )


def scheduler(portal: TestPortal, clock: Clock, post: Post, bounds: Bounds = BOUNDS, **others: Any) -> Scheduler:
    storage = portal.portal.storage
    parts: dict[str, Any] = {
        "schedules": storage.schedules,
        "queue": storage.runs,
        "deliveries": storage.runs,
        "runner": runner(portal, clock),
    }
    return Scheduler(deliverer=post, bounds=bounds, now=clock, **{**parts, **others})


def answer(request: ModelRequest) -> Sequence[Step]:
    return [TextDelta("As asked.")]


@asynccontextmanager
async def opened(
    data_dir: Path, clock: Clock | None = None, *, backend: ScriptedBackend | None = None
) -> AsyncIterator[Table]:
    clock, post, desk = clock or Clock(), Post(), Desk()
    if backend is None:
        backend = able()
        backend.default = answer
    off = {"schedules": {"enabled": False}}
    async with open_test_portal(data_dir, backends=[backend], toolsets=desk.toolsets(), settings=off) as portal:
        storage, secrets = portal.portal.storage, SecretFile(data_dir / "secrets.json")
        ours = scheduler(portal, clock, post)
        specs = {spec.name: spec for toolset in desk.toolsets() for spec in toolset.tools()}
        keeper = Keeper(
            schedules=storage.schedules,
            queue=storage.runs,
            secrets=secrets,
            deliverer=post,
            tool=specs.get,
            audit=storage.audit,
            bus=portal.portal.bus,
            zone="UTC",
            shortest=60,
            most=20,
            hurry=ours.hurry,
            now=clock,
        )
        hooks = Hooks(
            schedules=storage.schedules,
            runs=storage.runs,
            queue=storage.runs,
            secrets=secrets,
            a_minute=3,
            most=5,
            hurry=ours.hurry,
            now=clock,
        )
        yield Table(portal, backend, desk, clock, post, keeper, hooks, ours)


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[Table]:
    async with opened(tmp_path) as made:
        yield made
