"""The Scheduling port: making, changing and forgetting schedules and webhooks."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Protocol

from portal.core.approvals import AuditRecord
from portal.core.bus import Bus
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.schedules import (
    PAGE,
    Cause,
    Deliverer,
    Permit,
    Plan,
    RunQueue,
    RunRecord,
    ScheduleRecord,
    Schedules,
    Wanted,
)
from portal.core.tool_ports import Audit
from portal.core.tools import ToolSpec
from portal.errors import BadRequest, NotFound, PortalError
from portal.schedules.timing import read, upcoming, zone_of

_MICROS = 1_000_000
_TOLD = 3
"""Of the next times that people are shown."""
_PLAIN = ("name", "prompt", "workspace", "continued", "catch_up", "jitter", "parallel", "signature", "paused")


class Secrets(Protocol):
    """Where the secrets that senders sign with are kept, apart from the database."""

    def get(self, name: str) -> str | None:
        """None when there is none."""

    def set(self, name: str, secret: str | None) -> None:
        """Keep it, or forget it with None."""


class Keeper:
    """Schedules as people, tools and interfaces see them."""

    def __init__(
        self,
        *,
        schedules: Schedules,
        queue: RunQueue,
        secrets: Secrets,
        deliverer: Deliverer,
        tool: Callable[[str], ToolSpec | None],
        audit: Audit,
        bus: Bus,
        zone: str,
        shortest: int,
        most: int,
        hurry: Callable[[], None],
        now: Callable[[], int] = micros,
    ) -> None:
        """`zone` is meant where none is named; `shortest` the least seconds of an interval; `most` what one person may
        have; `hurry` is called when there may be something to run."""
        self._schedules = schedules
        self._queue = queue
        self._secrets = secrets
        self._deliverer = deliverer
        self._tool = tool
        self._audit = audit
        self._bus = bus
        self.zone = zone
        """What is meant where none is named."""
        self._shortest = shortest
        self._most = most
        self._hurry = hurry
        self._now = now

    def plan(self, when: str, zone: str | None = None) -> Plan:
        """See Scheduling."""
        planned = self._timed(_EMPTY, Wanted(when=when, zone=zone))
        return Plan(kind=planned.kind, timing=planned.timing, zone=planned.zone, next=self._next(planned))

    async def create(self, owner: str, wanted: Wanted) -> tuple[ScheduleRecord, str]:
        """See Scheduling."""
        for name in ("prompt", "when"):
            if not (getattr(wanted, name) or "").strip():
                raise BadRequest(f"`{name}` is missing.", param=name)
        blank = replace(_EMPTY, id=new_id("sched"), owner=owner, created_at=self._now(), workspace="auto")
        made = self._changed(self._timed(blank, wanted), wanted)
        await self._check_targets(owner, wanted)
        made = replace(made, name=made.name or made.prompt[:_NAME].strip(), changed_at=made.created_at)
        made = replace(made, permitted_at=made.created_at, next_at=None if made.paused else self._first(made))
        token = secrets.token_urlsafe(32) if made.kind == "hook" else ""
        self._keep_secret(made, wanted.secret)
        try:
            await self._schedules.save(made, token_hash=hashed(token) if token else None, most=self._most)
        except PortalError:
            self._secrets.set(secret_name(made.id), None)
            raise
        await self._tell("made", made)
        return made, token

    async def renew_token(self, owner: str, schedule_id: str) -> tuple[ScheduleRecord, str]:
        """A webhook's new token; the old one is no good from here on. Raises NotFound, BadRequest, Conflict."""
        before, token = await self._schedules.get(owner, schedule_id), secrets.token_urlsafe(32)
        if before.kind != "hook":
            raise BadRequest("Only a webhook has a token.")
        after = replace(before, changed_at=max(self._now(), before.changed_at + 1))
        await self._schedules.save(after, before=before, token_hash=hashed(token))
        await self._tell("token", after)
        return after, token

    async def find(self, owner: str, name: str) -> ScheduleRecord:
        """See Scheduling."""
        known = await self._schedules.list(owner)
        fitting = [one for one in known if name in (one.id, one.name) or one.name.casefold() == name.casefold()]
        if len(fitting) != 1:
            near = ", ".join(repr(one.name) for one in known) or "none"
            raise NotFound(f"There is no schedule {name!r}. There are: {near}.", param="schedule")
        return fitting[0]

    async def list(self, owner: str) -> Sequence[ScheduleRecord]:
        """See Scheduling."""
        return await self._schedules.list(owner)

    async def change(self, owner: str, schedule_id: str, wanted: Wanted) -> ScheduleRecord:
        """See Scheduling."""
        before, now = await self._schedules.get(owner, schedule_id), self._now()
        timed = self._timed(before, wanted)
        if (timed.kind == "hook") != (before.kind == "hook"):
            raise BadRequest("A webhook stays one: make another.", param="when")
        after = self._changed(timed, wanted)
        await self._check_targets(owner, wanted)
        after = replace(after, changed_at=max(now, before.changed_at + 1))
        if list(after.permits) != list(before.permits):
            after = replace(after, permitted_at=now)
        if after.paused:
            after = replace(after, next_at=None)
        elif before.paused or (after.kind, after.timing, after.zone) != (before.kind, before.timing, before.zone):
            after = replace(after, next_at=self._first(after))
        self._keep_secret(after, wanted.secret)
        await self._schedules.save(after, before=before)
        await self._tell("changed", after)
        return after

    async def delete(self, owner: str, schedule_id: str) -> None:
        """See Scheduling."""
        gone = await self._schedules.get(owner, schedule_id)
        await self._schedules.delete(owner, schedule_id)
        self._secrets.set(secret_name(schedule_id), None)
        await self._tell("deleted", gone)

    async def run_now(self, owner: str, schedule_id: str) -> RunRecord:
        """See Scheduling."""
        schedule = await self._schedules.get(owner, schedule_id)
        if schedule.kind == "hook":
            raise BadRequest("A webhook runs when it is called.")
        now = self._now()
        run = new_run(schedule, cause="person", due_at=now, ready_at=now)
        await self._queue.add([run])
        await self._tell("run", schedule)
        return run

    def explain(self, wanted: Wanted) -> str:
        """See Scheduling."""
        made = self._changed(self._timed(replace(_EMPTY, created_at=self._now()), wanted), wanted)
        times = ", ".join(told(at, made.zone) for at in self._next(made))
        when = (
            f"It runs {wanted.when!r} ({made.timing}, {made.zone}), next: {times}." if times else "A webhook runs it."
        )
        tools = ", ".join(one.tool for one in made.permits) or "none"
        return f"{when} The answer goes to: {', '.join(made.targets)}. Tools it may use without asking: {tools}."

    # ------------------------------------------------------------------ parts

    def _timed(self, schedule: ScheduleRecord, wanted: Wanted) -> ScheduleRecord:
        """With its kind, timing and zone. Raises BadRequest."""
        zone = wanted.zone or schedule.zone or self.zone
        zone_of(zone)
        if wanted.when is None:
            return replace(schedule, zone=zone)
        kind, timing = read(wanted.when, zone, shortest=self._shortest)
        timed = replace(schedule, kind=kind, timing=timing, zone=zone)
        if kind != "hook":
            self._first(timed)
        return timed

    def _changed(self, schedule: ScheduleRecord, wanted: Wanted) -> ScheduleRecord:
        """With everything else that is wanted. Raises BadRequest."""
        plain = {name: getattr(wanted, name) for name in _PLAIN if getattr(wanted, name) is not None}
        after = replace(schedule, **plain)
        if wanted.tools is not None:
            after = replace(after, permits=[self._permit(name) for name in dict.fromkeys(wanted.tools)])
        if wanted.targets is not None:
            after = replace(after, targets=list(dict.fromkeys(wanted.targets)) or [PAGE])
        return after

    async def _check_targets(self, owner: str, wanted: Wanted) -> None:
        """Raises BadRequest for one that nothing can be sent to."""
        if not set(wanted.targets or ()) - {PAGE}:
            return
        known = [PAGE, *(name for name, _ in await self._deliverer.targets(owner))]
        for target in wanted.targets or ():
            if target not in known:
                raise BadRequest(f"Nothing can be sent to {target!r}. There are: {', '.join(known)}.", param="targets")

    def _permit(self, name: str) -> Permit:
        spec = self._tool(name)
        if spec is None or spec.question or spec.each:
            raise BadRequest(f"There is no tool {name!r} that can be allowed beforehand.", param="tools")
        return Permit(toolset=spec.toolset, tool=spec.name)

    def _first(self, schedule: ScheduleRecord) -> int | None:
        """The next time; None for a webhook. Raises BadRequest where there is none."""
        first = next(upcoming(schedule, self._now()), None)
        if first is None and schedule.kind != "hook":
            raise BadRequest("That time is over, or never comes.", param="when")
        return first

    def _next(self, schedule: ScheduleRecord) -> Sequence[int]:
        return list(islice(upcoming(schedule, self._now()), _TOLD))

    def _keep_secret(self, schedule: ScheduleRecord, secret: str | None) -> None:
        name = secret_name(schedule.id)
        if schedule.kind == "hook" and schedule.signature and not (secret or self._secrets.get(name)):
            raise BadRequest("A signature needs the secret that its sender signs with.", param="secret")
        if secret:
            self._secrets.set(name, secret)

    async def _tell(self, what: str, schedule: ScheduleRecord) -> None:
        """Leave a trace of what somebody did, and go on from there."""
        told = {"name": schedule.name, "kind": schedule.kind, "timing": schedule.timing, "paused": schedule.paused}
        entry = AuditRecord(
            id=new_id("audit"),
            owner=schedule.owner,
            at=micros(),
            action=f"schedule.{what}",
            subject=schedule.id,
            detail={**told, "tools": [one.tool for one in schedule.permits], "targets": list(schedule.targets)},
        )
        await self._audit.record(entry)
        self._bus.publish(schedule.owner, "schedules.changed", id=schedule.id)
        self._hurry()


_NAME = 60
_EMPTY = ScheduleRecord(
    id="", owner="", name="", prompt="", workspace="", kind="once", timing="", zone="", created_at=0, changed_at=0
)


def new_run(
    schedule: ScheduleRecord,
    *,
    cause: Cause,
    due_at: int,
    ready_at: int,
    payload: str = "",
    delivery_id: str | None = None,
) -> RunRecord:
    """A run for the queue, its ids given."""
    response_id = new_id("resp")
    return RunRecord(
        id=new_id("run"),
        schedule_id=schedule.id,
        owner=schedule.owner,
        cause=cause,
        due_at=due_at,
        ready_at=ready_at,
        response_id=response_id,
        last_id=response_id,
        conversation_id=new_id("conv"),
        payload=payload,
        delivery_id=delivery_id,
    )


def hashed(token: str) -> str:
    """A token as it is kept."""
    return sha256(token.encode("utf-8", "replace")).hexdigest()


def secret_name(schedule_id: str) -> str:
    """Under which the secret of a webhook's sender is kept."""
    return f"hook:{schedule_id}"


def told(at: int, zone: str) -> str:
    """A time in words."""
    return datetime.fromtimestamp(at / _MICROS, zone_of(zone)).strftime("%a %d %b %Y %H:%M %Z")
