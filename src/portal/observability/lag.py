"""Looks how late the event loop is: by as much as something holds it up, everybody waits."""

import asyncio
from collections.abc import Callable
from time import perf_counter

EVERY = 0.25
"""Seconds between two looks."""


async def watch_loop(told: Callable[[float], None], every: float = EVERY) -> None:
    """Tell of every look by how many seconds it came late, until cancelled."""
    while True:
        due = perf_counter() + every
        await asyncio.sleep(every)
        told(max(perf_counter() - due, 0.0))
