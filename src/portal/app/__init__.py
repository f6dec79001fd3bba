"""The composition root: the only file that imports every room. `open_portal` makes a Portal out of settings."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from portal.app.agent import Brain, open_agent
from portal.app.approving import approving, expire_forever, go_on_forever
from portal.app.skills import Skills
from portal.app.tools import Toolsets
from portal.backends.engine import Engine
from portal.backends.kinds import create_backend, server_kinds
from portal.backends.manual import packaged_manual
from portal.backends.presets import presets
from portal.core.agent import Agent
from portal.core.bus import Bus
from portal.core.clock import micros
from portal.core.completion import Completions
from portal.core.gate import Patience
from portal.core.ports import Backend
from portal.core.tool_ports import Toolset
from portal.errors import StorageError
from portal.interfaces.application import Parts, application
from portal.mcp.opening import Surroundings
from portal.mcp.servers import ToolServers
from portal.observability.metrics import Metrics
from portal.routing.catalogue import Catalogue
from portal.routing.classifier import packaged_classifier
from portal.routing.consultant import Consultant
from portal.routing.discovery import candidates
from portal.routing.families import load as load_families
from portal.routing.pace import WatchedCalls
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.rules import Rule
from portal.routing.servers import ModelServers
from portal.routing.workspaces import Workspaces, workspace
from portal.security.admission import App
from portal.security.credentials import Credentials
from portal.security.secret_file import SecretFile
from portal.settings import Settings
from portal.storage.open import Storage, open_storage

log = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS = 6 * 3600.0
_DAY_MICROS = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A Portal that is open: its parts, and `asgi` to serve."""

    settings: Settings
    storage: Storage
    credentials: Credentials
    local_token: str
    """What the command line beside this server signs in with."""
    models: Registry
    router: Router
    servers: ModelServers
    agent: Agent
    bus: Bus
    asgi: App

    def stop(self) -> None:
        """End running answers and open event streams, so that connections end by themselves; then leave the context."""
        self.agent.stop()
        self.bus.close()


@asynccontextmanager
async def open_portal(
    settings: Settings, *, backends: Sequence[Backend] | None = None, toolsets: Sequence[Toolset] | None = None
) -> AsyncIterator[Portal]:
    """Open everything the settings name; closes it in reverse.

    `backends` replaces those of settings and discovery, `toolsets` built-in ones, for tests. Waits for no model server.

    Raises:
        StorageError: the database cannot be used; nothing was touched.
        DataFolderBusy: another server uses the database.
        SettingsError: a setting names something that is not there.
    """
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(open_storage(settings))
        await storage.database.own()
        bus = Bus()
        registry = _registry(settings, bus, stack)
        usage = _usage(storage, registry)
        storage = replace(storage, usage=usage)
        completions = Completions(usage=usage)
        router, catalogue = await _routing(settings, storage, registry, completions, bus)
        servers = await _servers(settings, storage, registry, router, backends)
        tool_servers = await _tool_servers(settings, storage, bus, stack)
        tools = _tools(settings, storage, bus, tool_servers, toolsets)
        brain = await open_agent(settings, storage, router, completions, bus, tools, stack)
        token, credentials = _credentials(settings, storage)
        parts = Parts(
            settings=settings,
            credentials=credentials,
            agent=brain.agent,
            toolbox=brain.toolbox,
            models=router,
            backends=registry,
            servers=servers,
            workspaces=catalogue,
            engine=await _background(settings, storage, registry, brain, bus, tools, stack),
            tool_servers=tool_servers,
            manual=packaged_manual(),
            responses=storage.responses,
            conversations=storage.conversations,
            folders=storage.folders,
            files=storage.files,
            users=storage.users,
            usage=usage,
            bus=bus,
            approving=approving(storage, brain),
            skills=_skills(settings, storage, bus),
        )
        yield Portal(
            settings=settings,
            storage=storage,
            credentials=credentials,
            local_token=token,
            models=registry,
            router=router,
            servers=servers,
            agent=brain.agent,
            bus=bus,
            asgi=application(parts),
        )


def _credentials(settings: Settings, storage: Storage) -> tuple[str, Credentials]:
    """What the command line beside this server signs in with, and everybody's credentials."""
    token = secrets.token_urlsafe(32)
    return token, Credentials(users=storage.users, session_days=settings.server.session_days, local_token=token)


def _usage(storage: Storage, registry: Registry) -> Metrics:
    """The usage log, and before it whoever learns from calls and counts them."""
    return Metrics(log=WatchedCalls(storage.usage, registry.called), backends=lambda: _answering(registry))


def _registry(settings: Settings, bus: Bus, stack: AsyncExitStack) -> Registry:
    registry = Registry(
        settings=settings,
        families=load_families(settings.data_dir),
        on_change=lambda: bus.publish(None, "models.changed"),
    )
    stack.push_async_callback(registry.aclose)
    return registry


async def _servers(
    settings: Settings, storage: Storage, registry: Registry, router: Router, given: Sequence[Backend] | None
) -> ModelServers:
    servers = ModelServers(
        registry=registry,
        router=router,
        create=_create(settings),
        kinds=server_kinds,
        presets=lambda: [preset.view() for preset in presets().values()],
        key_values=storage.key_values,
        secrets=SecretFile(settings.data_dir / "secrets.json"),
    )
    await _fill(registry, servers, settings, given)
    return servers


def _create(settings: Settings) -> Callable[..., Backend]:
    def create(*, kind: str, url: str, name: str, api_key: str | None) -> Backend:
        return create_backend(kind=kind, url=url, name=name, api_key=api_key, settings=settings)

    return create


async def _fill(registry: Registry, servers: ModelServers, settings: Settings, given: Sequence[Backend] | None) -> None:
    """Put every backend into the registry: the settings', the page's, those worth a look, the built-in ones."""
    create = _create(settings)
    for backend in given or ():
        registry.add(backend, source="settings")
    if given is None:
        for server in settings.backends:
            name = server.name or registry.free_name(server.kind)
            key = server.api_key.get_secret_value() if server.api_key else None
            made = create(kind=server.kind, url=server.url, name=name, api_key=key)
            registry.add(made, source="settings", max_concurrency=server.max_concurrency)
    await servers.restore()
    if given is None:
        in_use = [status.url for status in registry.status()]
        for place in candidates(settings, in_use):
            name = registry.free_name(place.name)
            registry.add(create(kind=place.kind, url=place.url, name=name, api_key=None), source="found")
    present = {status.kind for status in registry.status()}
    for kind in ("embedded", "guide"):
        if kind not in present:  # the settings may name the embedded engine themselves
            registry.add(create(kind=kind, url="", name=registry.free_name(kind), api_key=None), source="built-in")


async def _routing(
    settings: Settings, storage: Storage, registry: Registry, completions: Completions, bus: Bus
) -> tuple[Router, Catalogue]:
    written = settings.workspaces.items()
    workspaces = Workspaces(workspace(name, one.model_dump(), source="settings") for name, one in written)
    router = _router(settings, registry, workspaces, completions)
    catalogue = Catalogue(
        workspaces=workspaces,
        router=router,
        saved=storage.workspaces,
        completions=completions,
        on_change=lambda: bus.publish(None, "workspaces.changed"),
    )
    await catalogue.restore()
    return router, catalogue


def _router(settings: Settings, registry: Registry, workspaces: Workspaces, completions: Completions) -> Router:
    rules = [Rule(name=name, **rule.model_dump()) for name, rule in settings.rules.items()]
    asked = settings.classifier
    consultant = Consultant(registry=registry, completions=completions, model=asked.model, deadline=asked.deadline)
    return Router(
        registry=registry,
        judge=packaged_classifier if asked.enabled else None,
        consultant=consultant if asked.model else None,
        workspaces=workspaces,
        rules=sorted(rules, key=lambda rule: -rule.priority),
        default_model=settings.default_model,
        patience=Patience(
            retries=settings.faults.retries,
            pause=settings.faults.retry_pause,
            deadline=settings.faults.retry_deadline,
            fallbacks=settings.faults.fallbacks,
        ),
    )


def _tools(
    settings: Settings, storage: Storage, bus: Bus, servers: ToolServers, given: Sequence[Toolset] | None
) -> Callable[[], Sequence[Toolset]]:
    if given is not None:
        return lambda: [*given, *servers.toolsets()]
    return Toolsets(
        settings=settings,
        files=storage.files,
        servers=servers.toolsets,
        changed=lambda: bus.publish(None, "tools.changed"),
    )


def _skills(settings: Settings, storage: Storage, bus: Bus) -> Skills:
    return Skills(settings=settings, files=storage.files, changed=lambda: bus.publish(None, "tools.changed"))


async def _background(
    settings: Settings,
    storage: Storage,
    registry: Registry,
    brain: Brain,
    bus: Bus,
    tools: Callable[[], Sequence[Toolset]],
    stack: AsyncExitStack,
) -> Engine:
    """What goes on beside the requests, until the stack is closed."""
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    if settings.classifier.enabled:  # so that the first request does not wait for it
        tasks.create_task(asyncio.to_thread(packaged_classifier))
    if isinstance(tools, Toolsets):
        stack.push_async_callback(tools.aclose)
        stack.callback(tasks.create_task(tools.load(brain.sub_agent)).cancel)
    decided = go_on_forever(storage, brain.agent, registry)
    for work in (registry.run(), _keep_house(storage, settings), expire_forever(storage, bus), decided):
        stack.callback(tasks.create_task(work).cancel)
    engine = _engine(settings, tasks, registry, bus)
    stack.callback(engine.stop)
    return engine


async def _tool_servers(settings: Settings, storage: Storage, bus: Bus, stack: AsyncExitStack) -> ToolServers:
    """Their sessions, which begin when they are needed, end with the stack."""
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    around = Surroundings(
        settings=settings,
        key_values=storage.key_values,
        secrets=SecretFile(settings.data_dir / "secrets.json"),
        tasks=tasks,
        on_change=lambda: bus.publish(None, "tools.changed"),
    )
    servers = ToolServers(around)
    stack.push_async_callback(servers.aclose)
    await servers.restore()
    return servers


def _engine(settings: Settings, tasks: asyncio.TaskGroup, registry: Registry, bus: Bus) -> Engine:
    return Engine(
        settings=settings,
        tasks=tasks,
        on_change=lambda kind, what: bus.publish(None, kind, **what),
        on_models=lambda: registry.hurry("embedded"),
    )


def _answering(registry: Registry) -> Mapping[str, bool]:
    """Which model servers answer, of those that are there; usual places where nobody was ever found are not."""
    known = (one for one in registry.status() if one.status != "waiting" or one.models)
    return {one.name: one.status == "up" or one.models > 0 for one in known}


async def _keep_house(storage: Storage, settings: Settings) -> None:
    """Now and every few hours: really delete what was deleted long enough ago, and what nobody can reach."""
    while True:
        try:
            await storage.conversations.purge(micros() - settings.turns.keep_deleted_days * _DAY_MICROS)
            await storage.sweep()
        except StorageError:
            log.exception("what is to be forgotten could not be: it will be tried again")
        await asyncio.sleep(_HOUSEKEEPING_SECONDS)
