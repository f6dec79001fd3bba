"""A deadline that stands still while a person is waited for."""

import asyncio

import pytest

from portal.core.deadline import Deadline


async def test_it_ends_what_takes_too_long() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline(0.01):
            await asyncio.Event().wait()


async def test_held_time_does_not_count() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        await _held(began)
    assert loop.time() - began >= 0.55


async def test_holding_it_when_it_is_over_does_nothing() -> None:
    async with Deadline(5) as deadline:
        pass
    with deadline.held():
        pass


async def _held(began: float) -> None:
    async with Deadline(0.2) as deadline:
        with deadline.held(), deadline.held():
            await _until(began + 0.4)
        await asyncio.Event().wait()


async def _until(when: float) -> None:
    reached = asyncio.Event()
    asyncio.get_running_loop().call_at(when, reached.set)
    await reached.wait()
