"""What every part of a Portal stands on: settings, stores, the models and the choice between them."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from portal.app.observing import Observing
from portal.app.rights import Counted, open_rights
from portal.app.routing import open_routing
from portal.core.bus import Bus
from portal.core.completion import Completions
from portal.observability.journal import Journal
from portal.observability.levels import Levels
from portal.observability.meters import Meters
from portal.observability.metrics import Metrics
from portal.observability.process import Process
from portal.routing.catalogue import Catalogue
from portal.routing.families import load as load_families
from portal.routing.pace import WatchedCalls
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.security.limiter import Limiter
from portal.security.rights import Rights
from portal.security.secret_file import SecretFile
from portal.settings import Settings
from portal.storage.open import Storage, open_storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Open until `stack` is closed, as is all that is built on it."""

    settings: Settings
    storage: Storage
    bus: Bus
    usage: Metrics
    completions: Completions
    registry: Registry
    router: Router
    catalogue: Catalogue
    observing: Observing
    rights: Rights
    limiter: Limiter
    secrets: SecretFile
    stack: AsyncExitStack

    async def tasks(self) -> asyncio.TaskGroup:
        """A group whose tasks end by themselves, or have somebody to cancel them, when the stack is closed."""
        return await self.stack.enter_async_context(asyncio.TaskGroup())

    async def keep_going(self, *works: Coroutine[Any, Any, None]) -> None:
        """Work beside the requests, cancelled when the stack is closed."""
        tasks = await self.tasks()
        for work in works:
            self.stack.callback(tasks.create_task(work).cancel)


async def open_ground(settings: Settings, stack: AsyncExitStack, levels: Levels | None = None) -> Ground:
    """`levels` is how much is logged. Raises StorageError, DataFolderBusy and SettingsError, as open_portal does."""
    levels = levels or Levels()
    meters, journal = Meters(), Journal()
    journal.begin()
    stack.callback(journal.end)
    stack.callback(levels.stop)
    storage = await stack.enter_async_context(open_storage(settings, stored=meters.stored))
    await storage.database.own()
    bus = Bus()
    registry = Registry(
        settings=settings,
        families=load_families(settings.data_dir),
        on_change=lambda: bus.publish(None, "models.changed"),
        on_wait=meters.waited,
    )
    stack.push_async_callback(registry.aclose)
    rights = await open_rights(settings, storage)
    counted = Counted(storage.usage, rights.of)
    observing = Observing(
        meters=meters,
        process=Process(data_dir=settings.data_dir),
        storage=storage,
        registry=registry,
        bus=bus,
        journal=journal,
        levels=levels,
    )
    usage = Metrics(log=WatchedCalls(counted, registry.called), sources=[observing.families])
    observing.calls = lambda: usage.running
    completions = Completions(usage=usage)
    router, catalogue = await open_routing(
        settings, storage, registry, completions, bus, rights.of, noted=meters.retried
    )
    stack.push_async_callback(journal.store, storage.notes)
    return Ground(
        settings=settings,
        storage=replace(storage, usage=usage),
        bus=bus,
        usage=usage,
        completions=completions,
        registry=registry,
        router=router,
        catalogue=catalogue,
        observing=observing,
        rights=rights,
        limiter=Limiter(),
        secrets=SecretFile(settings.data_dir / "secrets.json"),
        stack=stack,
    )
