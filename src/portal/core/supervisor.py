"""Keeps the long-running parts of a server going.

A part that fails begins again after a pause that doubles. One that fails again and again is given up, which is said
loudly: in the log, in the health, in the metrics. What fails takes nothing else with it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from portal.core.clock import micros

log = logging.getLogger(__name__)

PartState: TypeAlias = Literal["running", "waiting", "done", "given_up"]
Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Times in seconds."""

    pause: float = 1.0
    """Until a part that failed begins again for the first time."""
    longest: float = 60.0
    tries: int = 8
    """Failures in a row after which it is given up."""
    well: float = 300.0
    """Whatever ran so long was well: its failures are counted anew."""
    stop: float = 10.0
    """What a part has to end in."""


@dataclass(slots=True, kw_only=True)
class Part:
    """How one part is. `waiting` is between a failure and the next try; `done` has ended by itself."""

    name: str
    state: PartState = "running"
    restarts: int = 0
    error: str = ""
    """Of its last failure, for those who run this installation."""
    since: int = field(default_factory=micros)
    """When it came into this state, in microseconds."""
    task: "asyncio.Task[None] | None" = field(default=None, repr=False, compare=False)


class Supervisor:
    """The parts of one server, until each is ended by whoever had it kept."""

    def __init__(
        self,
        *,
        patience: Patience = Patience(),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed` is called when a part fails, runs again or is given up."""
        self._patience = patience
        self._parts: list[Part] = []
        self.changed = changed

    def parts(self) -> Sequence[Part]:
        """All that are kept, in the order they were begun."""
        return tuple(self._parts)

    def keep(self, name: str, work: Work) -> Part:
        """Begin it, and begin it again when it fails."""
        part = Part(name=name)
        self._parts.append(part)
        part.task = asyncio.get_running_loop().create_task(self._keep(part, work), name=name)
        return part

    def keep_on(self, stack: AsyncExitStack, **works: Work) -> None:
        """Keep these, by the name of their part, until the stack is closed."""
        kept = [self.keep(name.replace("_", " "), work) for name, work in works.items()]
        stack.push_async_callback(self.end, *kept)

    async def end(self, *parts: Part) -> None:
        """End these, all of them without any; one that does not listen is left behind, and named in the log."""
        ended = [part for part in (parts or self._parts) if part in self._parts]
        tasks = {part.task for part in ended if part.task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._parts = [part for part in self._parts if part not in ended]

    async def _keep(self, part: Part, work: Work) -> None:
        patience, clock = self._patience, asyncio.get_running_loop().time
        pause, failures = patience.pause, 0
        while True:
            began = clock()
            error = await self._once(part, work)
            if error is None:
                self._become(part, "done")
                return
            if clock() - began > patience.well:
                pause, failures = patience.pause, 0
            failures += 1
            part.error = _said(error)
            if failures >= patience.tries:
                log.critical(
                    "%s failed %d times in a row and is given up: restart Portal", part.name, failures, exc_info=error
                )
                self._become(part, "given_up")
                return
            log.error("%s failed; it begins again in %g seconds", part.name, pause, exc_info=error)
            self._become(part, "waiting")
            await asyncio.sleep(pause)
            pause = min(pause * 2, patience.longest)
            part.restarts += 1
            self._become(part, "running")

    async def _once(self, part: Part, work: Work) -> BaseException | None:
        """Why it ended; None where it was through."""
        task = asyncio.get_running_loop().create_task(_begun(work), name=part.name)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            await self._stopped(part, task)
            raise
        return asyncio.CancelledError("it was cancelled from within") if task.cancelled() else task.exception()

    async def _stopped(self, part: Part, task: "asyncio.Task[None]") -> None:
        task.cancel()
        _, hanging = await asyncio.wait({task}, timeout=self._patience.stop)
        if hanging:
            log.error("%s does not stop after %g seconds: it is left behind", part.name, self._patience.stop)
        elif not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed when it was stopped", part.name, exc_info=error)

    def _become(self, part: Part, state: PartState) -> None:
        part.state, part.since = state, micros()
        self.changed()


def _said(error: BaseException) -> str:
    """What failed, and not that a group of tasks did."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:500]


async def _begun(work: Work) -> None:
    """A part that cannot even begin has failed, too."""
    await work()
