"""What runs by itself, put together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from portal.app.ground import Ground
from portal.channels.house import Channels
from portal.core import channels
from portal.core.channel_stores import Delivery
from portal.core.schedules import Content
from portal.core.tools import ToolSpec
from portal.errors import BadRequest
from portal.interfaces.parts import Parts
from portal.interfaces.web.schedules import Timetable
from portal.schedules.hooks import Hooks
from portal.schedules.keeper import Keeper
from portal.schedules.runs import Runner
from portal.schedules.scheduler import Bounds, Scheduler
from portal.schedules.timing import zone_of

_LOCAL = Path("/etc/localtime")


@dataclass(slots=True)
class Links:
    """What schedules need of parts that are made after them."""

    hurry: Callable[[], None] = field(default=lambda: None)
    tool: Callable[[str], ToolSpec | None] = field(default=lambda name: None)
    channels: Channels | None = None


class ChannelPost:
    """The Deliverer: people's chats on the channels."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def targets(self, owner: str) -> Sequence[tuple[str, str]]:
        """See Deliverer."""
        return await self._channels.targets(owner)

    async def deliver(self, owner: str, target: str, content: Content) -> None:
        """See Deliverer."""
        told = channels.Content(text=content.text, files=content.files, conversation_id=content.conversation_id)
        await self._channels.deliver(owner, target, told, key=content.key)

    async def ask(self, owner: str, target: str, response_id: str, name: str) -> None:
        """See Deliverer."""
        named = channels.Content(text=f"**{name}** asks:")
        await self._channels.deliver(owner, target, named, key=f"{response_id}:{target}")
        await self._channels.deliver_answer(owner, target, response_id)

    @property
    def _channels(self) -> Channels:
        assert self._links.channels is not None
        return self._links.channels


def timetable(ground: Ground) -> tuple[Timetable, Links]:
    """Before there is an agent."""
    storage, secrets, chosen, links = ground.storage, ground.secrets, ground.settings.schedules, Links()
    deliverer = ChannelPost(links)
    keeper = Keeper(
        schedules=storage.schedules,
        queue=storage.runs,
        secrets=secrets,
        deliverer=deliverer,
        tool=lambda name: links.tool(name),
        audit=storage.audit,
        bus=ground.bus,
        zone=chosen.zone or local_zone(),
        shortest=chosen.shortest,
        most=chosen.most,
        hurry=lambda: links.hurry(),
    )
    hooks = Hooks(
        schedules=storage.schedules,
        runs=storage.runs,
        queue=storage.runs,
        secrets=secrets,
        a_minute=chosen.hooks_a_minute,
        most=chosen.hooks_waiting,
        hurry=lambda: links.hurry(),
        counts=ground.cluster.counts,
    )
    return Timetable(keeper=keeper, hooks=hooks, runs=storage.runs, deliverer=deliverer), links


async def open_schedules(ground: Ground, parts: Parts, links: Links) -> None:
    """Begin to run them, until the ground is closed."""
    storage, chosen = ground.storage, ground.settings.schedules
    links.tool, links.channels = parts.toolbox.spec, parts.channels
    if not chosen.enabled:
        return
    runner = Runner(
        agent=parts.agent,
        models=parts.models,
        responses=parts.responses,
        conversations=parts.conversations,
        approvals=storage.approvals,
        queue=storage.runs,
        bus=parts.bus,
    )
    bounds = Bounds(
        parallel=chosen.parallel,
        grace=chosen.grace,
        missed=chosen.missed,
        history=chosen.history,
        replay=chosen.replay_hours,
        attempts=chosen.attempts,
        pause=chosen.retry_pause,
    )
    scheduler = Scheduler(
        schedules=storage.schedules,
        queue=storage.runs,
        deliveries=storage.runs,
        runner=runner,
        deliverer=parts.timetable.deliverer,
        bounds=bounds,
        closing=lambda: ground.health.draining,
    )
    ground.cluster.works("schedules", scheduler.hurry)
    links.hurry = lambda: ground.cluster.hurry("schedules")

    async def refused(delivery: Delivery, why: str) -> None:
        """An answer that a channel took, and could not bring in the end, is told of in its run's history."""
        run_id, _, target = delivery.key.partition(":")
        if target and await storage.runs.refused(run_id, target, why):
            parts.bus.publish(delivery.owner, "schedules.changed", run_id=run_id)

    if links.channels is not None:
        links.channels.on_given_up = refused
    ground.on_duty(schedules=scheduler.run)


def local_zone(link: Path = _LOCAL) -> str:
    """This machine's, by its name; UTC where it has none."""
    _, found, name = str(link.resolve()).partition("zoneinfo/")
    try:
        return zone_of(name).key if found else "UTC"
    except BadRequest:
        return "UTC"
