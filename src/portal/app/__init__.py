"""The composition root: the only file that imports every room. `open_portal` makes a Portal out of settings."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from portal.app.agent import Brain, Told, open_agent
from portal.app.answering import answering
from portal.app.approving import GoingOn, approving, expire_forever
from portal.app.channels import open_channels
from portal.app.embedding import open_embedding, packaged_embedder
from portal.app.housekeeping import keep_house
from portal.app.knowledge import Finding, Knowledge, finding_in, open_knowledge
from portal.app.mcp import open_endpoint
from portal.app.media import open_media
from portal.app.memory import Mind, open_memory
from portal.app.models import answering_servers, open_routing, open_servers
from portal.app.people import Counted, open_entrance, open_rights, throttle
from portal.app.schedules import Links, open_schedules, timetable
from portal.app.skills import Skills
from portal.app.speech import open_speech
from portal.app.tools import Toolsets
from portal.backends.engine import Engine
from portal.backends.manual import packaged_manual
from portal.channels.house import Channels
from portal.core.agent import Agent
from portal.core.bus import Bus
from portal.core.channels import Channel
from portal.core.completion import Completions
from portal.core.passages import Embedder
from portal.core.ports import Backend
from portal.core.schedules import Scheduling
from portal.core.speech import Speech, Transcriber
from portal.core.terms import Bounding
from portal.core.tool_ports import Toolset
from portal.errors import PortalError
from portal.interfaces.application import Parts, application
from portal.interfaces.mcp.endpoint import Endpoint
from portal.interfaces.web.schedules import Timetable
from portal.mcp.opening import Surroundings
from portal.mcp.servers import ToolServers
from portal.media.studio import MediaStudio
from portal.memory.keeper import Keeper
from portal.observability.metrics import Metrics
from portal.routing.classifier import packaged_classifier
from portal.routing.families import load as load_families
from portal.routing.pace import WatchedCalls
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.servers import ModelServers
from portal.security.admission import App
from portal.security.credentials import Credentials
from portal.security.limiter import Limiter
from portal.security.rights import Rights
from portal.security.secret_file import SecretFile
from portal.settings import Settings
from portal.storage.open import Storage, open_storage

log = logging.getLogger(__name__)


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
    memory: Keeper
    bus: Bus
    channels: Channels
    endpoint: Endpoint
    media: MediaStudio
    asgi: App

    def stop(self) -> None:
        """End running answers and open event streams, so that connections end by themselves; then leave the context."""
        self.media.close()
        self.channels.stop()
        self.agent.stop()
        self.endpoint.stop()
        self.bus.close()


@asynccontextmanager
async def open_portal(
    settings: Settings,
    *,
    backends: Sequence[Backend] | None = None,
    toolsets: Sequence[Toolset] | None = None,
    embedder: Callable[[], Embedder | None] = packaged_embedder,
    channels: Sequence[Channel] | None = None,
    transcriber: Transcriber | None = None,
) -> AsyncIterator[Portal]:
    """Open everything the settings name; closes it in reverse.

    For tests: `backends` replaces those of settings and discovery, `toolsets` built-in ones, `channels` the settings'.

    Raises:
        StorageError: the database cannot be used; nothing was touched.
        DataFolderBusy: another server uses the database.
        SettingsError: a setting names something that is not there.
    """
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(open_storage(settings))
        await storage.database.own()
        registry = _registry(settings, bus := Bus(), stack)
        rights, limiter = await open_rights(settings, storage), Limiter()
        storage = replace(storage, usage=(usage := _usage(storage, registry, rights.of)))
        completions = Completions(usage=usage)
        router, catalogue = await open_routing(settings, storage, registry, completions, bus, rights.of)
        speech = open_speech(settings, router, stack, transcriber)
        servers = await open_servers(settings, storage, registry, router, backends, own := embedder())
        wits = await _wits(settings, storage, router, completions, bus, own, toolsets, speech, stack, rights.of)
        brain, mind, knowledge = wits.brain, wits.mind, wits.knowledge
        token, credentials = _credentials(settings, storage, rights)
        parts = Parts(
            settings=settings,
            credentials=credentials,
            entrance=open_entrance(settings, storage, credentials, brain.agent),
            throttle=throttle(settings, limiter),
            agent=brain.agent,
            toolbox=brain.toolbox,
            models=router,
            backends=registry,
            servers=servers,
            workspaces=catalogue,
            engine=await _background(settings, storage, registry, brain, bus, wits.tools, stack),
            tool_servers=wits.tool_servers,
            manual=packaged_manual(),
            responses=storage.responses,
            conversations=storage.conversations,
            folders=storage.folders,
            files=knowledge.files,
            library=knowledge.library,
            previews=knowledge.previews,
            users=storage.users,
            usage=usage,
            bus=bus,
            approving=approving(storage, brain),
            skills=_skills(settings, storage, bus),
            compares=wits.finding.compares,
            mind=mind,
            endpoint=await open_endpoint(settings, storage, brain, mind, wits.finding, knowledge, router, bus, stack),
            timetable=wits.table,
            channels=open_channels(settings, storage, brain, router, mind.keeper, bus, speech, channels),
            speech=speech,
            media=wits.studio,
        )
        await _started(parts, storage, wits.links, stack)
        yield _opened(parts, storage, registry, router, servers, mind, token)


def _opened(
    parts: Parts, storage: Storage, registry: Registry, router: Router, servers: ModelServers, mind: Mind, token: str
) -> Portal:
    return Portal(
        settings=parts.settings,
        storage=storage,
        credentials=parts.credentials,
        local_token=token,
        models=registry,
        router=router,
        servers=servers,
        agent=parts.agent,
        memory=mind.keeper,
        bus=parts.bus,
        channels=parts.channels,
        endpoint=parts.endpoint,
        media=parts.media,
        asgi=application(parts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wits:
    """What turns are answered with."""

    tool_servers: ToolServers
    finding: Finding
    mind: Mind
    tools: Callable[[], Sequence[Toolset]]
    brain: Brain
    knowledge: Knowledge
    table: Timetable
    links: Links
    studio: MediaStudio


async def _wits(
    settings: Settings,
    storage: Storage,
    router: Router,
    completions: Completions,
    bus: Bus,
    own: Embedder | None,
    toolsets: Sequence[Toolset] | None,
    speech: Speech,
    stack: AsyncExitStack,
    bounding: Bounding,
) -> _Wits:
    tool_servers = await _tool_servers(settings, storage, router, completions, bus, stack)
    choice = await open_embedding(settings, storage, router, bus, own, stack)
    finding = finding_in(settings, storage, router, choice.current)
    mind = await _memory(settings, storage, router, completions, bus, finding, stack)
    table, links = timetable(settings, storage, bus)
    studio = await open_media(settings, storage, bus, stack)
    tools = _tools(settings, storage, mind, table.keeper, studio, speech, bus, tool_servers, toolsets, [finding.tools])
    knowledge = await open_knowledge(
        settings, storage, bus, finding, choice, router, completions, speech.transcriber, stack
    )
    told = Told(recalls=[finding.recall, mind.recall], shelf=knowledge.shelf, learning=mind.proposals)
    return _Wits(
        tool_servers=tool_servers,
        finding=finding,
        mind=mind,
        tools=tools,
        brain=await open_agent(settings, storage, router, completions, bus, tools, stack, told, own, bounding),
        knowledge=knowledge,
        table=table,
        links=links,
        studio=studio,
    )


async def _started(parts: Parts, storage: Storage, links: Links, stack: AsyncExitStack) -> None:
    parts.usage.channels = parts.channels.status
    await stack.enter_async_context(parts.channels)
    await open_schedules(parts, storage, links, stack)


def _credentials(settings: Settings, storage: Storage, rights: Rights) -> tuple[str, Credentials]:
    """What the command line beside this server signs in with, and everybody's credentials."""
    token = secrets.token_urlsafe(32)
    days = settings.server.session_days
    return token, Credentials(users=storage.users, session_days=days, local_token=token, rights=rights)


def _usage(storage: Storage, registry: Registry, bounding: Bounding) -> Metrics:
    """The usage log, and before it whoever learns from calls and counts them."""
    counted = Counted(storage.usage, bounding)
    return Metrics(log=WatchedCalls(counted, registry.called), backends=lambda: answering_servers(registry))


def _registry(settings: Settings, bus: Bus, stack: AsyncExitStack) -> Registry:
    registry = Registry(
        settings=settings,
        families=load_families(settings.data_dir),
        on_change=lambda: bus.publish(None, "models.changed"),
    )
    stack.push_async_callback(registry.aclose)
    return registry


async def _memory(
    settings: Settings,
    storage: Storage,
    router: Router,
    completions: Completions,
    bus: Bus,
    finding: Finding,
    stack: AsyncExitStack,
) -> Mind:
    """What it does after answers ends with the stack."""
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    search, embedder = finding.search, finding.embedder
    mind = open_memory(settings, storage, router, completions, bus, tasks, search=search, embedder=embedder)
    stack.callback(mind.keeper.cancel)
    return mind


def _tools(
    settings: Settings,
    storage: Storage,
    mind: Mind,
    schedules: Scheduling,
    studio: MediaStudio,
    speech: Speech,
    bus: Bus,
    servers: ToolServers,
    given: Sequence[Toolset] | None,
    own: Sequence[Toolset],
) -> Callable[[], Sequence[Toolset]]:
    """`own` are those of other rooms."""
    if given is not None:
        return lambda: [*given, *servers.toolsets()]
    return Toolsets(
        settings=settings,
        files=storage.files,
        memory=mind.keeper,
        schedules=schedules,
        media=studio,
        speech=speech,
        servers=lambda: [*own, *servers.toolsets()],
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
    going_on = GoingOn(storage=storage, agent=brain.agent, models=registry, hours=settings.tools.resume_hours)
    house = keep_house(storage, settings)
    for work in (registry.run(), house, expire_forever(storage, bus), going_on.run(), _catch_up(storage)):
        stack.callback(tasks.create_task(work).cancel)
    engine = _engine(settings, tasks, registry, bus)
    stack.callback(engine.stop)
    return engine


async def _tool_servers(
    settings: Settings,
    storage: Storage,
    router: Router,
    completions: Completions,
    bus: Bus,
    stack: AsyncExitStack,
) -> ToolServers:
    """Their sessions, which begin when they are needed, end with the stack."""
    sampler, elicitor = answering(settings, storage, router, completions, bus)
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    around = Surroundings(
        settings=settings,
        key_values=storage.key_values,
        secrets=SecretFile(settings.data_dir / "secrets.json"),
        tasks=tasks,
        on_change=lambda: bus.publish(None, "tools.changed"),
        sampler=sampler,
        elicitor=elicitor,
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


async def _catch_up(storage: Storage) -> None:
    """Index the turns of a Portal that had no index yet."""
    try:
        await storage.turns.catch_up()
    except PortalError:
        log.exception("earlier turns are not indexed: it will be tried again at the next start")
