"""Work in order: what belongs to one place is done one after the other, different places side by side."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeAlias

log = logging.getLogger(__name__)

Job: TypeAlias = Callable[[], Awaitable[None]]


class Lines:
    """A queue for each key, with a task of its own while there is something in it."""

    def __init__(self, *, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._waiting: dict[Hashable, deque[Job]] = {}
        self._working: set[asyncio.Task[None]] = set()

    def put(self, key: Hashable, job: Job) -> None:
        """Do it once everything before it is done."""
        line = self._waiting.get(key)
        if line is not None:
            line.append(job)
            return
        self._waiting[key] = deque([job])
        task = self._tasks.create_task(self._work(key))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def stop(self) -> None:
        """Leave everything as it is; what is stored is done by the next start."""
        for task in self._working:
            task.cancel()

    async def _work(self, key: Hashable) -> None:
        line = self._waiting[key]
        try:
            while line:
                try:
                    await line.popleft()()
                except Exception:  # the border of a task: what is wrong with one stops neither the others nor us
                    log.exception("an event or delivery of a channel failed unexpectedly")
        finally:
            del self._waiting[key]
