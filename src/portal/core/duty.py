"""What one server does for all of them: it has the duty, or it waits until it gets it."""

import asyncio
from collections.abc import Awaitable, Callable

Work = Callable[[], Awaitable[None]]


class Duty:
    """Had from the start by a server that is alone; else given and taken by whoever knows about the others."""

    def __init__(self, *, held: bool = True) -> None:
        self._given, self._lost = asyncio.Event(), asyncio.Event()
        (self._given if held else self._lost).set()

    @property
    def held(self) -> bool:
        """Whether this server has it now."""
        return self._given.is_set()

    def give(self) -> None:
        """From now on."""
        self._lost.clear()
        self._given.set()

    def take(self) -> None:
        """No longer."""
        self._given.clear()
        self._lost.set()

    async def given(self) -> None:
        """Wait until this server has it."""
        await self._given.wait()

    async def lost(self) -> None:
        """Wait until it has it no longer."""
        await self._lost.wait()

    async def while_held(self, *works: Work) -> None:
        """Do all of this whenever it is had, begun anew each time; until it is cancelled."""
        while True:
            await self.given()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_awaited(work)) for work in works]
                await self.lost()
                for task in tasks:
                    task.cancel()


async def _awaited(work: Work) -> None:
    await work()
