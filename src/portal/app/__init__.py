"""The composition root: the only file that imports every room. `open_portal` makes a Portal out of settings."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from portal.app.agent import Brain, Told, open_agent
from portal.app.answering import answering
from portal.app.approving import GoingOn, approving, expire_forever
from portal.app.backups import ServerBackups
from portal.app.channels import open_channels
from portal.app.embedding import open_embedding, open_second_look, packaged_embedder
from portal.app.exchange import open_exchange
from portal.app.ground import Ground, open_ground
from portal.app.health import checks
from portal.app.housekeeping import keep_folders, keep_house
from portal.app.knowledge import Finding, Knowledge, finding_in, open_knowledge
from portal.app.live import Live, servers_of
from portal.app.mcp import open_endpoint
from portal.app.media import open_media
from portal.app.memory import Mind, open_memory
from portal.app.people import open_entrance
from portal.app.rereading import Rereading, rereading_in
from portal.app.schedules import Links, open_schedules, timetable
from portal.app.servers import open_servers
from portal.app.skills import Skills
from portal.app.speech import open_speech
from portal.app.tools import Toolsets
from portal.backends.engine import Engine
from portal.backends.manual import packaged_manual
from portal.channels.house import Channels
from portal.core.agent import Agent
from portal.core.bus import Bus
from portal.core.channels import Channel
from portal.core.health import Health
from portal.core.passages import Embedder
from portal.core.ports import Backend
from portal.core.speech import Speech, Transcriber
from portal.core.tool_ports import Toolset
from portal.errors import PortalError
from portal.interfaces.application import application
from portal.interfaces.mcp.endpoint import Endpoint
from portal.interfaces.parts import Parts
from portal.interfaces.web.schedules import Timetable
from portal.mcp.opening import Surroundings
from portal.mcp.servers import ToolServers
from portal.media.studio import MediaStudio
from portal.memory.keeper import Keeper
from portal.observability.levels import Levels
from portal.observability.metrics import Metrics
from portal.routing.classifier import packaged_classifier
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.servers import ModelServers
from portal.security.admission import App
from portal.security.credentials import Credentials
from portal.settings import Settings
from portal.settings.live import Current
from portal.storage.open import Storage

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
    health: Health
    usage: Metrics
    current: Current
    rereading: Rereading
    resign: Callable[[], None]
    """Leave what one server does for all to another one."""
    asgi: App

    def drain(self) -> None:
        """Begin nothing more, and say so: what runs goes on."""
        self.health.draining = True
        self.media.close()
        self.channels.stop()
        self.resign()
        self.bus.publish(None, "server.stopping")

    @property
    def busy(self) -> bool:
        """Whether answers are under way."""
        return self.agent.busy or self.usage.running > 0

    def stop(self) -> None:
        """End running answers and open event streams, so that connections end by themselves; then leave the context."""
        self.health.draining = True
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
    reread: Callable[[], Settings] | None = None,
    levels: Levels | None = None,
) -> AsyncIterator[Portal]:
    """Open everything the settings name; closes it in reverse. `levels` changes how much is logged.

    `reread` gives the settings as they are now: they are watched, and changes put in force.

    For tests: `backends` replaces those of settings and discovery, `toolsets` built-in ones, `channels` the settings'.

    Raises:
        StorageError, DataFolderBusy: the database cannot be used, or another server uses it; nothing was touched.
        SettingsError: a setting names something that is not there.
    """
    async with AsyncExitStack() as stack:
        ground = await open_ground(settings, stack, levels)
        speech = open_speech(settings, ground.router, stack, transcriber, ground.health)
        servers = await open_servers(ground, backends, own := embedder())
        wits = await _wits(ground, own, toolsets, speech)
        rereading, token = rereading_in(ground, reread), secrets.token_urlsafe(32)
        parts = await _parts(ground, wits, servers, speech, channels, rereading, token)
        _tell(ground, parts, wits.tool_servers)
        await stack.enter_async_context(parts.channels)
        await open_schedules(ground, parts, wits.links)
        yield _opened(ground, parts, wits, servers, token, rereading)


async def _parts(
    ground: Ground,
    wits: "_Wits",
    servers: ModelServers,
    speech: Speech,
    channels: Sequence[Channel] | None,
    rereading: Rereading,
    token: str,
) -> Parts:
    storage = ground.storage
    brain, mind, knowledge = wits.brain, wits.mind, wits.knowledge
    return Parts(
        settings=ground.settings,
        entrance=open_entrance(ground, brain.agent, token),
        agent=brain.agent,
        toolbox=brain.toolbox,
        models=ground.router,
        backends=ground.registry,
        servers=servers,
        workspaces=ground.catalogue,
        engine=await _background(ground, brain, wits.tools),
        tool_servers=wits.tool_servers,
        manual=packaged_manual(),
        responses=storage.responses,
        conversations=storage.conversations,
        folders=storage.folders,
        files=knowledge.files,
        library=knowledge.library,
        previews=knowledge.previews,
        users=storage.users,
        usage=ground.usage,
        traces=storage.traces,
        activity=ground.observing,
        tracer=ground.tracer,
        bus=ground.bus,
        approving=approving(storage, brain, ground.current),
        skills=_skills(ground),
        compares=wits.finding.compares,
        mind=mind,
        endpoint=await open_endpoint(ground, brain, mind, wits.finding, knowledge, wits.studio),
        timetable=wits.table,
        channels=open_channels(ground, brain, mind.keeper, speech, channels),
        speech=speech,
        backups=_backups(ground),
        media=wits.studio,
        members=ground.cluster.members,
        health=ground.health,
        exchange=await open_exchange(ground, mind, knowledge),
        rereads=rereading,
        aliases=dict(ground.settings.anthropic.aliases),
    )


def _tell(ground: Ground, parts: Parts, tool_servers: ToolServers) -> None:
    """What figures and health are made of."""
    ground.observing.channels, ground.observing.tool_servers = parts.channels.status, tool_servers.list
    ground.observing.calls = lambda: ground.usage.running
    ground.health.add(
        *checks(
            supervisor=ground.supervisor,
            registry=ground.registry,
            channels=parts.channels,
            tool_servers=tool_servers,
        )
    )


def _opened(
    ground: Ground, parts: Parts, wits: "_Wits", servers: ModelServers, token: str, rereading: Rereading
) -> Portal:
    admission = application(parts)
    live = Live(
        ground=ground,
        brain=wits.brain,
        admission=admission,
        throttle=parts.entrance.throttle,
        servers=servers_of(ground.registry, ground.settings),
        aliases=parts.aliases,
        levels=ground.observing.levels,
    )
    rereading.prepare = live.prepare
    return Portal(
        settings=ground.settings,
        storage=ground.storage,
        credentials=parts.credentials,
        local_token=token,
        models=ground.registry,
        router=ground.router,
        servers=servers,
        agent=parts.agent,
        memory=wits.mind.keeper,
        bus=ground.bus,
        channels=parts.channels,
        endpoint=parts.endpoint,
        media=parts.media,
        health=ground.health,
        usage=ground.usage,
        current=ground.current,
        rereading=rereading,
        resign=ground.cluster.resign,
        asgi=admission,
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


async def _wits(ground: Ground, own: Embedder | None, toolsets: Sequence[Toolset] | None, speech: Speech) -> _Wits:
    tool_servers = await _tool_servers(ground)
    choice = await open_embedding(ground, own)
    open_second_look(ground, own)
    finding = finding_in(ground, choice.current)
    mind = await open_memory(ground, finding)
    table, links = timetable(ground)
    studio = await open_media(ground, speech)
    knowledge = await open_knowledge(ground, finding, choice, speech.transcriber)
    tools = _given(toolsets, tool_servers) or Toolsets(
        settings=ground.settings,
        files=ground.storage.files,
        memory=mind.keeper,
        schedules=table.keeper,
        media=studio,
        speech=speech,
        servers=lambda: [finding.tools, *tool_servers.toolsets()],
        changed=lambda: ground.bus.publish(None, "tools.changed"),
    )
    told = Told(recalls=[finding.recall, mind.recall], shelf=knowledge.shelf, learning=mind.proposals)
    return _Wits(
        tool_servers=tool_servers,
        finding=finding,
        mind=mind,
        tools=tools,
        brain=await open_agent(ground, tools, told, own),
        knowledge=knowledge,
        table=table,
        links=links,
        studio=studio,
    )


def _given(toolsets: Sequence[Toolset] | None, servers: ToolServers) -> Callable[[], Sequence[Toolset]] | None:
    return None if toolsets is None else lambda: [*toolsets, *servers.toolsets()]


def _skills(ground: Ground) -> Skills:
    return Skills(
        settings=ground.settings,
        files=ground.storage.files,
        changed=lambda: ground.bus.publish(None, "tools.changed"),
    )


async def _background(ground: Ground, brain: Brain, tools: Callable[[], Sequence[Toolset]]) -> Engine:
    """What goes on beside the requests, until the ground is closed."""
    settings, storage, stack = ground.settings, ground.storage, ground.stack
    tasks = await ground.tasks()
    if settings.classifier.enabled:  # so that the first request does not wait for it
        ground.keep_going(classifier=_warm)
    if isinstance(tools, Toolsets):
        stack.push_async_callback(tools.aclose)
        ground.keep_going(tools=partial(tools.load, brain.sub_agent))
    going_on = GoingOn(
        storage=storage,
        agent=brain.agent,
        models=ground.registry,
        hours=settings.tools.resume_hours,
        closing=lambda: ground.health.draining,
    )
    ground.keep_going(
        model_servers=ground.registry.run,
        work_folders=partial(keep_folders, storage, settings.data_dir / "work"),
    )
    ground.on_duty(
        housekeeping=partial(keep_house, storage, ground.current),
        approvals=partial(expire_forever, storage, ground.bus),
        decided_turns=going_on.run,
        index_of_turns=partial(_catch_up, storage),
    )
    engine = Engine(
        settings=settings,
        tasks=tasks,
        on_change=lambda kind, what: ground.bus.publish(None, kind, **what),
        on_models=lambda: ground.registry.hurry("embedded"),
    )
    stack.callback(engine.stop)
    return engine


def _backups(ground: Ground) -> ServerBackups:
    backups = ServerBackups(current=ground.current)
    ground.on_duty(backups=backups.run)
    return backups


async def _tool_servers(ground: Ground) -> ToolServers:
    """Their sessions, which begin when they are needed, end with the ground."""
    sampler, elicitor = answering(ground)
    around = Surroundings(
        settings=ground.settings,
        key_values=ground.storage.key_values,
        secrets=ground.secrets,
        tasks=await ground.tasks(),
        on_change=lambda: ground.bus.publish(None, "tools.changed"),
        sampler=sampler,
        elicitor=elicitor,
    )
    servers = ToolServers(around)
    ground.stack.push_async_callback(servers.aclose)
    await servers.restore()
    ground.cluster.renew({"tools.changed": servers.again})
    return servers


async def _warm() -> None:
    await asyncio.to_thread(packaged_classifier)


async def _catch_up(storage: Storage) -> None:
    """Index the turns of a Portal that had no index yet."""
    try:
        await storage.turns.catch_up()
    except PortalError:
        log.exception("earlier turns are not indexed: it will be tried again at the next start")
