"""Work in a thread, which nobody leaves behind."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """As asyncio.to_thread, but whoever is cancelled waits for its end: what it works with is free afterwards."""
    under_way = asyncio.get_running_loop().run_in_executor(None, lambda: work(*args, **named))
    try:
        return await asyncio.shield(under_way)
    except asyncio.CancelledError:
        await asyncio.wait([under_way])
        raise
