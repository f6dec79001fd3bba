"""The agent and its tools, put together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portal.app.cluster import attend
from portal.app.embedding import open_likeness
from portal.app.ground import Ground
from portal.app.sealing import seal_key
from portal.app.tools import Toolsets
from portal.core.agent import Agent
from portal.core.attachments import Attachments
from portal.core.compaction import Compactor
from portal.core.deciding import Deciding
from portal.core.diet import Diet
from portal.core.execution import Executor
from portal.core.folder import InFolder
from portal.core.loop import Bounds, Loop
from portal.core.model import ModelInfo
from portal.core.outputs import Outputs
from portal.core.passages import Embedder
from portal.core.policy import Rules
from portal.core.preparation import Preparation
from portal.core.recall import Learning, Recall
from portal.core.recollection import Recollection
from portal.core.recorder import Recorder
from portal.core.shelving import Shelf, Shelving
from portal.core.subturns import SubTurns
from portal.core.titles import Titles
from portal.core.tool_ports import Likeness, Toolset
from portal.core.toolbox import Toolbox
from portal.errors import ModelNotFound
from portal.routing.router import Router
from portal.security.seal import SignedSealer
from portal.settings import Settings

_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Brain:
    """What answers: the agent, and what it is made of that others look at."""

    agent: Agent
    toolbox: Toolbox
    sub_agent: SubTurns
    loop: Loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What turns are told of the user's own, and who looks at what they tell."""

    recalls: Sequence[Recall] = ()
    shelf: Shelf
    learning: Learning | None = None

    def recollection(self, recorder: Recorder, seconds: float) -> Recollection:
        """Who asks all of them."""
        return Recollection(recalls=self.recalls, recorder=recorder, shelf=self.shelf, seconds=seconds)


async def open_agent(
    ground: Ground, toolsets: Callable[[], Sequence[Toolset]], told: Told, own: Embedder | None = None
) -> Brain:
    """The agent, at work until the ground is closed. `own` is the install's embedder."""
    settings, storage, router, bus = ground.settings, ground.storage, ground.router, ground.bus
    completions, rules = ground.completions, ground.rules
    toolbox = _toolbox(settings, toolsets, await open_likeness(ground, own))
    recorder = Recorder(turn_log=storage.turn_log, call_log=storage.call_log)
    attachments = Attachments(files=storage.files)
    window = _window(settings, router)
    shelving = Shelving(files=storage.files, attachments=attachments, models=router, shelf=told.shelf, window=window)
    sealer = SignedSealer(key=seal_key(settings))
    compactor = Compactor(models=router, attachments=attachments, sealer=sealer, completions=completions, window=window)
    loop = Loop(
        recorder=recorder,
        executor=_executor(ground, recorder, rules),
        diet=Diet(completions=completions, sealer=sealer, recorder=recorder),
        recollection=told.recollection(recorder, settings.turns.recall_deadline),
        bounds=bounds_of(settings),
    )
    agent = Agent(
        preparation=Preparation(
            models=router,
            responses=storage.responses,
            conversations=storage.conversations,
            in_folder=InFolder(folders=storage.folders, attachments=attachments, shelving=shelving),
            attachments=attachments,
            compactor=compactor,
            shelving=shelving,
            toolbox=toolbox,
            window=window,
            alone=rules.alone,
            bounding=ground.rights.of,
        ),
        loop=loop,
        recorder=recorder,
        deciding=Deciding(
            approvals=storage.approvals, audit=storage.audit, responses=storage.responses, toolbox=toolbox, bus=bus
        ),
        compactor=compactor,
        turn_log=storage.turn_log,
        responses=storage.responses,
        usage=storage.usage,
        titles=Titles(
            conversations=storage.conversations, bus=bus, completions=completions, by_model=settings.turns.titles
        ),
        learning=told.learning,
        bus=bus,
        tracer=ground.tracer,
        supervisor=ground.supervisor,
        closing=lambda: ground.health.draining,
        flush_interval=settings.turns.flush_interval,
        peers=ground.cluster.peers,
    )
    await ground.stack.enter_async_context(agent)
    attend(ground.cluster, agent, storage, bus, ground.supervisor, ground.stack)
    return Brain(agent=agent, toolbox=toolbox, sub_agent=SubTurns(start=agent.start, models=router), loop=loop)


def _toolbox(settings: Settings, toolsets: Callable[[], Sequence[Toolset]], likeness: Likeness | None) -> Toolbox:
    tools, ready = settings.tools, toolsets.ready if isinstance(toolsets, Toolsets) else None
    return Toolbox(toolsets=toolsets, ready=ready, off=tools.off, offered=tools.offered, likeness=likeness)


def bounds_of(settings: Settings) -> Bounds:
    """What a turn may take."""
    tools = settings.tools
    return Bounds(rounds=tools.max_rounds, seconds=tools.max_seconds, tokens=tools.max_tokens)


def _window(settings: Settings, router: Router) -> Callable[[ModelInfo], int]:
    def window(model: ModelInfo) -> int:
        """What its server says, up to the context that Portal asks Ollama for."""
        tokens = model.context_window or settings.turns.context_fallback
        try:
            backend, _ = router.find(model.id)
        except ModelNotFound:  # gone since it was chosen, as its call will tell
            return tokens
        return min(tokens, settings.ollama.max_context) if backend.kind == "ollama" else tokens

    return window


def _executor(ground: Ground, recorder: Recorder, rules: Rules) -> Executor:
    settings, storage, tools = ground.settings, ground.storage, ground.settings.tools
    return Executor(
        recorder=recorder,
        outputs=Outputs(files=storage.files, longest=tools.max_output),
        approvals=storage.approvals,
        grants=storage.grants,
        audit=storage.audit,
        rules=rules,
        bus=ground.bus,
        folder=settings.data_dir / "work",
        timeout=tools.timeout,
        parallel=tools.parallel,
        approval_seconds=tools.approval_hours * _HOUR,
        ran=ground.observing.meters.tool,
    )
