"""The agent and its tools as the page's routes know them."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
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
from portal.storage.open import Storage

log = logging.getLogger(__name__)

_EXPIRY_SECONDS = 60.0


def approving(storage: Storage, brain: Brain) -> Approving:
    """What the page's routes need of them."""
    return Approving(
        approvals=storage.approvals,
        grants=storage.grants,
        audit=storage.audit,
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


async def go_on_forever(storage: Storage, agent: Agent, models: Registry) -> None:
    """Now and every minute: turns that were decided and did not begin, for Portal was stopped just then or had no
    model, begin. What was decided a moment ago by others than a Portal that is gone is just beginning."""
    before = micros()
    while True:
        try:
            await go_on(storage, agent, models, before)
        except StorageError:
            log.exception("decided turns could not be looked for: it will be tried again")
        await asyncio.sleep(_EXPIRY_SECONDS)
        before = micros() - int(_EXPIRY_SECONDS * 1_000_000)


async def go_on(storage: Storage, agent: Agent, models: Registry, decided_before: int) -> None:
    """Begin them, once it is known which models there are; what cannot begin yet is left for the next time."""
    rounds = await storage.approvals.continuable(decided_before)
    if rounds:
        await models.refresh()
    for owner, response_id in rounds:
        try:
            await agent.go_on(owner, response_id)
        except Exception as error:  # the border of a task: what is wrong with one turn stops neither others nor Portal
            known = isinstance(error, PortalError)
            log.warning("a decided turn cannot go on: %s", error, exc_info=not known, extra={"response": response_id})


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
