"""What every part of a Portal stands on: settings, stores, the models and the choice between them."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from portal.app.cluster import Cluster, group_on, open_cluster
from portal.app.observing import Observing, listening
from portal.app.policies import open_rules
from portal.app.rights import Counted, open_rights
from portal.app.routing import open_routing
from portal.app.sealing import open_secrets
from portal.app.telemetry import open_tracer
from portal.core.bus import Bus
from portal.core.completion import Completions
from portal.core.health import Health
from portal.core.policy import Rules
from portal.core.supervisor import Supervisor, Work
from portal.core.tracing import Tracer
from portal.observability.journal import Journal
from portal.observability.lag import watch_loop
from portal.observability.levels import Levels
from portal.observability.meters import Meters
from portal.observability.metrics import Metrics
from portal.observability.process import Process
from portal.observability.vitals import Vitals
from portal.routing.catalogue import Catalogue
from portal.routing.families import load as load_families
from portal.routing.pace import WatchedCalls
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.security.limiter import Limiter
from portal.security.rights import Rights
from portal.security.sealed_secrets import SealedSecrets
from portal.security.secret_file import SecretFile
from portal.settings import Settings
from portal.settings.live import Current
from portal.storage.open import Storage, open_storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Open until `stack` is closed, as is all that is built on it."""

    settings: Settings
    """Those of the start."""
    current: Current
    storage: Storage
    bus: Bus
    usage: Metrics
    completions: Completions
    cluster: Cluster = field(default_factory=Cluster)
    registry: Registry
    router: Router
    catalogue: Catalogue
    observing: Observing
    rights: Rights
    rules: Rules
    limiter: Limiter
    secrets: SecretFile | SealedSecrets
    tracer: Tracer
    health: Health
    supervisor: Supervisor
    stack: AsyncExitStack

    async def tasks(self) -> asyncio.TaskGroup:
        """A group whose tasks end by themselves, or have somebody to cancel them, when the stack is closed."""
        return await group_on(self.stack)

    def keep_going(self, **works: Work) -> None:
        """Work beside the requests, by the name of its part: begun again when it fails, ended when the stack is
        closed."""
        self.supervisor.keep_on(self.stack, **works)

    def on_duty(self, **works: Work) -> None:
        """The same for work that one server does for all of them: while this one has the duty."""
        held = self.cluster.duty.while_held
        self.keep_going(**{name: partial(held, work) for name, work in works.items()})


async def open_ground(
    settings: Settings, stack: AsyncExitStack, levels: Levels | None = None, *, serves: bool = True
) -> Ground:
    """`levels` is how much is logged; `serves` whether it is a server, which others count on. Raises StorageError,
    DataFolderBusy and SettingsError, as open_portal does."""
    bus, health, meters, journal = Bus(), Health(), Meters(), listening(stack)
    supervisor = Supervisor(changed=lambda: bus.publish(None, "health.changed"))
    storage = await stack.enter_async_context(open_storage(settings, supervisor, stored=meters.stored))
    await storage.database.own()
    cluster = await open_cluster(settings, storage, bus, supervisor, stack) if serves else Cluster()
    secrets = await open_secrets(settings, storage, cluster, supervisor, stack)
    registry = _registry(settings, bus, meters, cluster, stack)
    rights = await open_rights(settings, storage, cluster)
    observing = Observing(
        meters=meters,
        process=Process(data_dir=settings.data_dir),
        storage=storage,
        registry=registry,
        bus=bus,
        supervisor=supervisor,
        journal=journal,
        levels=levels or Levels(),
    )
    called = WatchedCalls(Counted(storage.usage, rights.of), registry.called)
    usage = Metrics(log=called, sources=[observing.families])
    completions = Completions(usage=usage)
    router, catalogue = await open_routing(
        settings, storage, registry, completions, bus, rights.of, cluster, noted=meters.retried
    )
    stack.callback(observing.levels.stop)
    stack.push_async_callback(journal.store, storage.notes)
    ground = Ground(
        settings=settings,
        current=Current(settings),
        storage=replace(storage, usage=usage),
        bus=bus,
        usage=usage,
        completions=completions,
        cluster=cluster,
        registry=registry,
        router=router,
        catalogue=catalogue,
        observing=observing,
        rights=rights,
        rules=open_rules(settings),
        limiter=Limiter(counts=cluster.counts),
        secrets=secrets,
        tracer=await open_tracer(settings, supervisor, stack),
        health=health,
        supervisor=supervisor,
        stack=stack,
    )
    _watch(ground, meters, journal)
    return ground


def _watch(ground: Ground, meters: Meters, journal: Journal) -> None:
    """Look after the database, the disk, the event loop and the event log."""
    vitals = Vitals(
        ask=ground.storage.look,
        folder=ground.settings.data_dir,
        changed=ground.supervisor.changed,
    )
    ground.cluster.current = ground.current
    ground.health.add(vitals.check, ground.cluster.check)
    ground.keep_going(
        vitals=vitals.run,
        event_loop=lambda: watch_loop(meters.delayed),
        event_log=lambda: journal.run(ground.storage.notes, lambda: ground.bus.publish(None, "activity.changed")),
    )


def _registry(settings: Settings, bus: Bus, meters: Meters, cluster: Cluster, stack: AsyncExitStack) -> Registry:
    registry = Registry(
        settings=settings,
        families=load_families(settings.data_dir),
        on_change=lambda: bus.publish(None, "models.changed"),
        on_wait=meters.waited,
        shared=cluster.lines,
    )
    stack.push_async_callback(registry.aclose)
    return registry
