"""Tools for what runs by itself: made, listed, paused, run at once, forgotten."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from portal.core.items import JsonObject
from portal.core.schedules import PAGE, ScheduleRecord, Scheduling, Wanted, spoken
from portal.core.tools import ToolContext, ToolSpec
from portal.errors import PortalError, ToolError
from portal.tools.families import Needs
from portal.tools.function import Functions, tool

_MICROS = 1_000_000


def create(needs: Needs) -> "ScheduleTools":
    """The family; empty where nothing runs by itself."""
    return ScheduleTools(needs.schedules)


class ScheduleTools(Functions):
    """The tools."""

    def __init__(self, schedules: Scheduling | None) -> None:
        made: list[Callable[..., Any]] = [
            self.create_schedule,
            self.list_schedules,
            self.pause_schedule,
            self.resume_schedule,
            self.run_schedule,
            self.delete_schedule,
        ]
        super().__init__("schedule", made if schedules else [])
        self._given = schedules

    def tools(self) -> Sequence[ToolSpec]:
        """Whoever allows a schedule is told what it comes to, and allows that one alone."""
        return [
            replace(spec, each=True, foretold=self._foretold) if spec.name == "create_schedule" else spec
            for spec in super().tools()
        ]

    @property
    def _schedules(self) -> Scheduling:
        assert self._given is not None
        return self._given

    @tool(risk="write", title="Create a schedule")
    async def create_schedule(
        self,
        prompt: Annotated[str, "What each run is asked, complete in itself: it knows nothing of this conversation"],
        when: Annotated[
            str, "Such as: every weekday at 8:00; every monday at 9:30; every 30 minutes; 2026-12-24 18:00; or cron"
        ],
        context: ToolContext,
        name: Annotated[str, "A few words to know it by"] = "",
        zone: Annotated[str, "Time zone such as Europe/Berlin; the user's own if left out"] = "",
        targets: Annotated[list[str], "Where answers go: page, telegram, slack"] = [PAGE],  # noqa: B006 -- a schema
        tools: Annotated[list[str], "Tools that runs may use without asking; others wait for the user"] = [],  # noqa: B006
        continued: Annotated[bool, "Whether all runs go on in one conversation"] = False,
        catch_up: Annotated[Literal["skip", "once", "all"], "What becomes of times missed while off"] = "once",
    ) -> str:
        """Schedule a task to run by itself, once or again and again, and have its answer sent to the user. Also for
        reminders."""
        wanted = Wanted(
            prompt=prompt,
            when=when,
            name=name or None,
            zone=zone or None,
            targets=targets,
            tools=tools,
            continued=continued,
            catch_up=catch_up,
            workspace=context.workspace,
        )
        try:
            made, token = await self._schedules.create(context.owner, wanted)
        except PortalError as error:
            raise ToolError(error.message) from error
        if token:
            return f"Made as {made.id}. Its address, which is shown to the user alone, is made on the page: /schedules."
        return f"Made as {made.id}: {self._line(made)}"

    @tool(risk="read", title="List schedules")
    async def list_schedules(self, context: ToolContext) -> str:
        """List the user's schedules and webhooks: name, when they run, the next time."""
        known = await self._schedules.list(context.owner)
        return "\n".join(self._line(one) for one in known) or "There are none."

    @tool(risk="write", title="Pause a schedule", idempotent=True)
    async def pause_schedule(self, schedule: Annotated[str, "Its name or id"], context: ToolContext) -> str:
        """Let a schedule rest until it is resumed."""
        return await self._set_paused(context.owner, schedule, paused=True)

    @tool(risk="write", title="Resume a schedule", idempotent=True)
    async def resume_schedule(self, schedule: Annotated[str, "Its name or id"], context: ToolContext) -> str:
        """Let a paused schedule run again."""
        return await self._set_paused(context.owner, schedule, paused=False)

    @tool(risk="write", title="Run a schedule now")
    async def run_schedule(self, schedule: Annotated[str, "Its name or id"], context: ToolContext) -> str:
        """Run a schedule once, now."""
        found = await self._found(context.owner, schedule)
        try:
            run = await self._schedules.run_now(context.owner, found.id)
        except PortalError as error:
            raise ToolError(error.message) from error
        return f"It begins now; its answer will be in the conversation {run.conversation_id}."

    @tool(risk="write", title="Delete a schedule")
    async def delete_schedule(self, schedule: Annotated[str, "Its name or id"], context: ToolContext) -> str:
        """Delete a schedule or webhook with its history."""
        found = await self._found(context.owner, schedule)
        await self._schedules.delete(context.owner, found.id)
        return f"Deleted: {found.name}."

    async def _set_paused(self, owner: str, name: str, *, paused: bool) -> str:
        found = await self._found(owner, name)
        try:
            return self._line(await self._schedules.change(owner, found.id, Wanted(paused=paused)))
        except PortalError as error:
            raise ToolError(error.message) from error

    async def _found(self, owner: str, name: str) -> ScheduleRecord:
        try:
            return await self._schedules.find(owner, name)
        except PortalError as error:
            raise ToolError(error.message) from error

    def _foretold(self, arguments: JsonObject) -> str:
        chosen = {name: arguments.get(name) for name in ("when", "prompt", "targets", "tools")}
        return self._schedules.explain(Wanted(**chosen, zone=arguments.get("zone") or None))

    def _line(self, one: ScheduleRecord) -> str:
        when = "a webhook" if one.kind == "hook" else f"{spoken(one.kind, one.timing)} ({one.zone})"
        then = "paused" if one.paused else _told(one)
        return f"{one.name} [{one.id}]: {when}; {then}"


def _told(one: ScheduleRecord) -> str:
    if one.next_at is None:
        return "no more runs to come" if one.kind != "hook" else "waits to be called"
    return f"next {datetime.fromtimestamp(one.next_at / _MICROS).astimezone().isoformat(' ', 'minutes')}"
