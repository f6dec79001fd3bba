"""The scheduler: sees times come, begins runs within their bounds, follows them, and brings answers to people.

Whatever it does is in the database first. A time that has come becomes a run in the same batch that moves its schedule
on; a run has the id of its response before it begins, and no two responses have one id. So a Portal that is stopped at
any moment runs nothing twice, and says of what it was in the middle of that its outcome is unknown.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from portal.core.clock import micros
from portal.core.schedules import (
    Deliverer,
    Delivery,
    DeliveryQueue,
    RunQueue,
    RunRecord,
    ScheduleRecord,
    Schedules,
)
from portal.errors import BadRequest, NotFound, PortalError
from portal.schedules.keeper import new_run
from portal.schedules.runs import Runner
from portal.schedules.timing import passed, upcoming

log = logging.getLogger(__name__)

_MICROS = 1_000_000
_LONGEST = 30.0
"""Seconds after which it looks again, whatever it expects."""
_WAITING = 3.0
"""The same while a run waits for a person, or goes on elsewhere."""
_LOOKED_AT = 1000
"""Of the times that passed while Portal was off."""
_AT_ONCE = 8
"""Deliveries under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of what the scheduler does."""

    parallel: int
    """Runs under way."""
    grace: float
    """Seconds for which a time that has passed is no late one."""
    missed: int
    """Times at most that are made up for."""
    history: int
    """Ended runs that are kept of each schedule."""
    replay: float
    """Hours for which ended runs are kept in any case, so that a webhook knows what it was sent before."""
    attempts: int
    """Times that a delivery is tried."""
    pause: float
    """Seconds between the first two of them; doubles."""


class Scheduler:
    """`run` is its work; `hurry` tells it that there may be something to do."""

    def __init__(
        self,
        *,
        schedules: Schedules,
        queue: RunQueue,
        deliveries: DeliveryQueue,
        runner: Runner,
        deliverer: Deliverer,
        bounds: Bounds,
        now: Callable[[], int] = micros,
        chance: Callable[[int], int] = secrets.randbelow,
        closing: Callable[[], bool] = lambda: False,
    ) -> None:
        """`chance` gives a number below the one it is given; while it is `closing` nothing is begun."""
        self._schedules = schedules
        self._queue = queue
        self._deliveries = deliveries
        self._runner = runner
        self._deliverer = deliverer
        self._bounds = bounds
        self._now = now
        self._chance = chance
        self._closing = closing
        self._news = asyncio.Event()
        self._sending: set[str] = set()
        """Deliveries that a task of this one is at."""
        self._mine: set[str] = set()
        """Runs that a task of this one is at."""
        self._doubtful = False
        """Whether something failed half done, or goes on that no task is at: what became of it is looked up again."""

    def hurry(self) -> None:
        """Look at once whether there is something to do."""
        self._news.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        await self._insistently(self.recover)
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._news.clear()
                pause = await self._insistently(lambda: self.once(tasks))
                try:
                    async with asyncio.timeout(pause):
                        await self._news.wait()
                except TimeoutError:
                    continue

    async def _insistently(self, work: Callable[[], Awaitable[float | None]]) -> float:
        """Do it, whatever comes of it; seconds until the next time."""
        try:
            pause = await work()
        except Exception:  # the border of a task: nothing that is wrong with one schedule stops Portal
            log.exception("schedules could not be looked after: it will be tried again")
            self._doubtful = True
            return _LONGEST
        return _LONGEST if pause is None else pause

    async def once(self, tasks: asyncio.TaskGroup) -> float:
        """Do what is to be done now, runs and deliveries as tasks; seconds until there is more."""
        if self._closing():
            return _LONGEST
        now = self._now()
        while await self._see_times_come(now):
            continue
        await self._pick_up()
        while (claimed := await self._queue.claim(now, self._bounds.parallel)) is not None:
            self._begin(tasks, partial(self._work, *claimed), "a run", self._mine, claimed[1].id)
        waiting = await self._queue.among(["waiting"])
        for run in waiting:
            await self._on(run, self._runner.look_after)
        while len(self._sending) < _AT_ONCE and (taken := await self._deliveries.take(now)) is not None:
            what = f"{taken[1].id}:{taken[2].target}:{taken[2].attempts}"
            self._begin(tasks, partial(self._deliver, *taken), "a delivery", self._sending, what)
        then = await self._queue.next_after(now)
        longest = _WAITING if waiting or self._doubtful else _LONGEST
        return longest if then is None else min(max((then - self._now()) / _MICROS, 0.0), longest)

    async def recover(self) -> None:
        """At start: what a Portal that is gone was at, or one that goes on with the turns it had begun."""
        await self._deliveries.interrupted()
        left = await self._queue.among(["starting", "running"])
        for run in left:
            await self._on(run, self._runner.recover)
        self._doubtful = bool(left)

    async def _pick_up(self) -> None:
        """Runs that no task is at, and deliveries of which nobody knows how they went."""
        if not self._doubtful:
            return
        left = [run for run in await self._queue.among(["starting", "running"]) if run.id not in self._mine]
        for run in left:
            await self._on(run, self._runner.recover)
        if not self._sending:
            await self._deliveries.interrupted()
        self._doubtful = bool(left or self._sending)

    # ------------------------------------------------------------------ times

    async def _see_times_come(self, now: int) -> bool:
        """Whether there may be more of them."""
        due = await self._queue.due(now)
        if not due:
            return False
        queued = await self._queue.among(["queued"])
        busy = {run.schedule_id for run in queued if run.cause in ("time", "late")}
        moved = [await self._comes(schedule, now, busy=schedule.id in busy) for schedule in due]
        return any(moved)

    async def _comes(self, schedule: ScheduleRecord, now: int, *, busy: bool) -> bool:
        """Whether it was moved on; one whose times nobody can tell any more says so and rests."""
        try:
            runs = self._runs(schedule, passed(schedule, now, _LOOKED_AT), now, busy=busy)
            then = next(upcoming(schedule, now), None)
        except BadRequest as error:
            log.warning("a schedule rests: %s", error, extra={"schedule": schedule.id})
            runs, then = [self._missed(schedule, schedule.next_at or now, error.message)], None
        return await self._queue.add(runs, schedule, then)

    def _runs(self, schedule: ScheduleRecord, times: list[int], now: int, *, busy: bool) -> list[RunRecord]:
        """What becomes of times that have come, newest first."""
        prompt = times[:1] if now - times[0] <= self._bounds.grace * _MICROS else []
        late = times[len(prompt) :]
        made_up = {"skip": 0, "once": 0 if prompt else 1, "all": self._bounds.missed}[schedule.catch_up]
        if busy and schedule.catch_up != "all":
            return [self._missed(schedule, times[0], "The run before it had not begun yet.")]
        left, runs = late[made_up:], []
        if left:
            why = f"{len(left)} time{'s' * (len(left) > 1)} passed while Portal was off."
            runs.append(self._missed(schedule, left[0], why))
        runs += [self._run(schedule, at, now, late=True) for at in reversed(late[:made_up])]
        return [*runs, *(self._run(schedule, at, now) for at in prompt)]

    def _run(self, schedule: ScheduleRecord, at: int, now: int, *, late: bool = False) -> RunRecord:
        ready = max(at, now) if late else at
        jitter = self._chance(schedule.jitter * _MICROS + 1)
        return new_run(schedule, cause="late" if late else "time", due_at=at, ready_at=ready + jitter)

    @staticmethod
    def _missed(schedule: ScheduleRecord, at: int, why: str) -> RunRecord:
        run = new_run(schedule, cause="time", due_at=at, ready_at=at)
        return replace(run, status="missed", error=why, ended_at=at)

    # ------------------------------------------------------------------ work

    async def _work(self, schedule: ScheduleRecord, run: RunRecord) -> None:
        await self._runner.work(schedule, run)
        before = self._now() - int(self._bounds.replay * 3600 * _MICROS)
        await self._queue.prune(schedule.id, self._bounds.history, before)

    async def _on(self, run: RunRecord, work: Callable[[ScheduleRecord, RunRecord], Awaitable[None]]) -> None:
        try:
            await work(await self._schedules.get(run.owner, run.schedule_id), run)
        except NotFound:
            log.info("a run's schedule was deleted", extra={"run_id": run.id})

    def _begin(
        self, tasks: asyncio.TaskGroup, work: Callable[[], Awaitable[None]], what: str, under_way: set[str], name: str
    ) -> None:
        """As a task that is under way by this name until it is over, also where it is cancelled before it began."""

        def over(_: asyncio.Task[None]) -> None:
            under_way.discard(name)
            self.hurry()

        under_way.add(name)
        tasks.create_task(self._guarded(work, what)).add_done_callback(over)

    async def _guarded(self, work: Callable[[], Awaitable[None]], what: str) -> None:
        try:
            await work()
        except Exception:  # the border of a task: what is wrong with one stops no other
            log.exception("%s failed unexpectedly", what)
            self._doubtful = True

    async def _deliver(self, schedule: ScheduleRecord, run: RunRecord, delivery: Delivery) -> None:
        await self._deliveries.settle(run.id, await self._brought(schedule, run, delivery))

    async def _brought(self, schedule: ScheduleRecord, run: RunRecord, delivery: Delivery) -> Delivery:
        """How it went."""
        try:
            if run.status == "waiting":
                await self._deliverer.ask(run.owner, delivery.target, run.last_id, schedule.name)
            else:
                content = await self._runner.content(schedule, run, delivery.target)
                await self._deliverer.deliver(run.owner, delivery.target, content)
        except PortalError as error:
            return self._failed(delivery, error)
        except Exception as error:  # the border of what others wrote
            log.exception("an answer could not be delivered", extra={"target": delivery.target})
            return self._failed(delivery, PortalError(f"It failed unexpectedly: {type(error).__name__}."))
        return replace(delivery, status="sent", error="")

    def _failed(self, delivery: Delivery, error: PortalError) -> Delivery:
        """It is tried again, so many times."""
        if delivery.attempts >= self._bounds.attempts:
            return replace(delivery, status="failed", error=error.message)
        pause = max(error.retry_after or 0, self._bounds.pause * 2 ** (delivery.attempts - 1))
        ready = self._now() + int(pause * _MICROS)
        return replace(delivery, status="pending", ready_at=ready, error=error.message)
