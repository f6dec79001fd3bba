"""The agent and its tools as the page's routes know them."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from portal.app.agent import Brain
from portal.core.agent import Agent
from portal.core.approvals import AuditRecord, Decision
from portal.core.bus import Bus
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.tool_ports import Toolset
from portal.core.toolbox import Toolbox
from portal.core.tools import ToolSpec
from portal.errors import PortalError, StorageError
from portal.interfaces.web.approvals import Approving
from portal.routing.registry import Registry
from portal.settings.live import Current
from portal.storage.open import Storage

log = logging.getLogger(__name__)

_EXPIRY_SECONDS = 60.0
_LONGEST_PAUSE = 3600.0
_MICROS = 1_000_000


def approving(storage: Storage, brain: Brain, current: Current) -> Approving:
    """What the page's routes need of them."""
    return Approving(
        approvals=storage.approvals,
        grants=storage.grants,
        audit=storage.audit,
        audit_days=lambda: current.settings.retention.audit_days,
        deciding=Decisions(brain.agent),
        tools=KnownTools(brain.toolbox),
    )


@dataclass(frozen=True, slots=True)
class Decisions:
    """The Deciding port of the page's routes."""

    agent: Agent

    async def decide(self, owner: str, decisions: Mapping[str, Decision]) -> str | None:
        """See Deciding."""
        run = await self.agent.decide(owner, decisions)
        return run.id if run else None


@dataclass(frozen=True, slots=True)
class KnownTools:
    """The Tools port of the page's routes."""

    toolbox: Toolbox

    def describe(self, owner: str) -> Sequence[JsonObject]:
        """See Tools."""
        return [_described(toolset, self.toolbox.usable(toolset)) for toolset in self.toolbox.toolsets()]


async def expire_forever(storage: Storage, bus: Bus) -> None:
    """Every minute: questions whose time is over count as no."""
    while True:
        try:
            await expire(storage, bus)
        except StorageError:
            log.exception("questions whose time is over could not be closed: it will be tried again")
        await asyncio.sleep(_EXPIRY_SECONDS)


async def expire(storage: Storage, bus: Bus) -> None:
    """Close those questions now; their people are told. Their turns do not go on by themselves."""
    now = micros()
    for record in await storage.approvals.expire(now):
        detail = {"tool": record.tool, "workspace": record.workspace}
        entry = AuditRecord(
            id=new_id("audit"),
            owner=record.owner,
            at=now,
            action="approval.expired",
            subject=record.id,
            detail=detail,
        )
        await storage.audit.record(entry)
        bus.publish(record.owner, "approvals.changed", id=record.id, status="expired")


class GoingOn:
    """Begins turns that were decided and did not begin: Portal was stopped just then, or had no model. What cannot
    begin is tried again after a pause that doubles; in the end its response says so."""

    def __init__(
        self,
        *,
        storage: Storage,
        agent: Agent,
        models: Registry,
        hours: float,
        closing: Callable[[], bool] = lambda: False,
    ) -> None:
        """`hours` after a decision its turn is given up; while it is `closing` none is begun."""
        self._storage = storage
        self._agent = agent
        self._models = models
        self._closing = closing
        self._patience = int(hours * 3600 * _MICROS)
        self._tries: dict[str, tuple[int, int]] = {}

    async def run(self) -> None:
        """Now and every minute. What was decided a moment ago by others than a Portal that is gone is just
        beginning."""
        before = micros()
        while True:
            try:
                await self.once(before)
            except StorageError:
                log.exception("decided turns could not be looked for: it will be tried again")
            await asyncio.sleep(_EXPIRY_SECONDS)
            before = micros() - int(_EXPIRY_SECONDS * _MICROS)

    async def once(self, decided_before: int, *, now: int | None = None) -> None:
        """Begin those whose time it is, once it is known which models there are."""
        if self._closing():
            return
        now = micros() if now is None else now
        rounds = await self._storage.approvals.continuable(decided_before)
        self._tries = {name: tried for name, tried in self._tries.items() if name in {one for _, one, _ in rounds}}
        due = [one for one in rounds if self._tries.get(one[1], (0, 0))[1] <= now]
        if due:
            await self._models.refresh()
        for owner, response_id, decided_at in due:
            try:
                await self._agent.go_on(owner, response_id)
            except Exception as error:  # the border of a task: what is wrong with one turn stops neither others nor us
                await self._failed(owner, response_id, error, given_up=now - decided_at > self._patience)
                count = self._tries.get(response_id, (0, 0))[0] + 1
                pause = min(_EXPIRY_SECONDS * 2**count, _LONGEST_PAUSE)
                self._tries[response_id] = count, now + int(pause * _MICROS)

    async def _failed(self, owner: str, response_id: str, error: Exception, *, given_up: bool) -> None:
        known = isinstance(error, PortalError)
        log.warning("a decided turn cannot go on: %s", error, exc_info=not known, extra={"response": response_id})
        if given_up:
            why = error.message if isinstance(error, PortalError) else "Portal failed; the log has the details."
            told = f"What you decided could not go on: {why} Nothing of it ran. Answer again to try once more."
            try:
                await self._agent.give_up(owner, response_id, told)
            except PortalError as fault:
                log.warning("a decided turn cannot be given up: %s", fault, extra={"response": response_id})


def _described(toolset: Toolset, specs: Iterable[ToolSpec]) -> JsonObject:
    tools = [
        {
            "name": spec.name,
            "title": spec.title,
            "description": spec.description,
            "risk": spec.risk,
            "parameters": spec.parameters,
        }
        for spec in specs
    ]
    return {
        "name": toolset.name,
        "title": getattr(toolset, "title", "") or toolset.name.replace("_", " ").capitalize(),
        "kind": getattr(toolset, "kind", "builtin"),
        "status": getattr(toolset, "status", "ready"),
        "detail": getattr(toolset, "detail", ""),
        "tools": tools,
    }
