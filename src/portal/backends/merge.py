"""Several streams of model events as one, for `n` answers from a server that gives one at a time."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from portal.core.model import ModelEvent, TokenUsage

_ROOM = 64
_AT_ONCE = 4
"""Streams under way together: as many answers as local model servers make side by side at best."""


async def merged(streams: Sequence[AsyncGenerator[ModelEvent, None]]) -> AsyncGenerator[ModelEvent, None]:
    """Events as they come, a few streams at a time in their order, one summed TokenUsage at the end.

    The first failure ends the others and is raised. Closing this iterator closes them all.
    """
    queue: asyncio.Queue[ModelEvent | None] = asyncio.Queue(_ROOM)
    # The one task outside a TaskGroup: this generator owns it, since nothing may be yielded inside a group.
    running = asyncio.Task(_run(streams, queue))
    usages: list[TokenUsage] = []
    try:
        while (event := await queue.get()) is not None:
            if isinstance(event, TokenUsage):
                usages.append(event)
            else:
                yield event
        await running
        yield total(usages)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _run(streams: Sequence[AsyncGenerator[ModelEvent, None]], queue: "asyncio.Queue[ModelEvent | None]") -> None:
    failure: Exception | None = None
    slots = asyncio.Semaphore(_AT_ONCE)  # first come, first served: the streams begin in their order
    try:
        async with asyncio.TaskGroup() as group:
            for stream in streams:
                group.create_task(_pump(stream, queue, slots))
    except ExceptionGroup as failures:
        failure = failures.exceptions[0]
    await queue.put(None)
    if failure is not None:
        raise failure


async def _pump(
    stream: AsyncGenerator[ModelEvent, None], queue: "asyncio.Queue[ModelEvent | None]", slots: asyncio.Semaphore
) -> None:
    async with slots, aclosing(stream) as events:
        async for event in events:
            await queue.put(event)


def total(usages: Sequence[TokenUsage]) -> TokenUsage:
    """Together: every output counted, the shared prompt once."""
    return TokenUsage(
        input_tokens=max(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cached_tokens=max(usage.cached_tokens for usage in usages),
        reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
        estimated=any(usage.estimated for usage in usages),
    )
