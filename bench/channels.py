"""Channels under load: from an update to the first call, and the event loop while many chats stream at once.

    python bench/channels.py [chats]

A platform in memory takes every call at once; the model says a word every 20 ms.
"""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.channels import Limits, Message, Outgoing, Place, Sender
from portal.core.model import ModelRequest, TextDelta
from portal.testing.channel import PlatformState, TestChannel
from portal.testing.portal import open_test_portal

WORDS = 150
LIMITS = Limits(interval=1.0, per_second=30, typing=0)
AT_ONCE = Limits(interval=0.001, per_second=100_000, typing=4.5)


class Paced(ScriptedBackend):
    async def stream(self, request: ModelRequest):  # type: ignore[no-untyped-def, override]
        async for event in super().stream(request):
            if len(self.requests) > 1:
                await asyncio.sleep(0.02)
            yield event


class Timed(TestChannel):
    """Notes when the first call to each chat came."""

    def __init__(self, platform: PlatformState, limits: Limits) -> None:
        super().__init__(platform, limits=limits)
        self.first: dict[str, float] = {}

    async def typing(self, place: Place, doing: str) -> None:
        self.first.setdefault(place.chat, perf_counter())

    async def send(self, place: Place, outgoing: Outgoing, nonce: str) -> str:
        self.first.setdefault(place.chat, perf_counter())
        return await super().send(place, outgoing, nonce)


def answer(request: ModelRequest) -> Sequence[Step]:
    return [TextDelta(f"word{number} ") for number in range(WORDS)]


def message(chat: str, number: int) -> Message:
    place = Place(channel="test", chat=chat)
    return Message(event_id=f"{chat}-{number}", id=str(number), place=place, sender=Sender(id="alice"), text="Go on")


async def delays(until: asyncio.Event) -> list[float]:
    """How much later than wanted the loop comes back, every 5 ms."""
    found = []
    while not until.is_set():
        began = perf_counter()
        await asyncio.sleep(0.005)
        found.append(perf_counter() - began - 0.005)
    return found


def shown(name: str, seconds: Sequence[float]) -> None:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    print(f"{name}: p50 {statistics.median(ordered) * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, n {len(ordered)}")


async def first_calls(folder: Path) -> None:
    platform = PlatformState()
    channel = Timed(platform, AT_ONCE)
    backend = ScriptedBackend(models=["tiny"], default=lambda request: [TextDelta("Hi")])
    async with open_test_portal(folder, backends=[backend], channels=[channel]) as portal:
        code, _ = await portal.portal.channels.linking.offer(portal.owner)
        await portal.portal.channels.linking.redeem(Place(channel="test", chat="c"), Sender(id="alice"), code)
        took, sent = [], []
        for number in range(100):
            chat, began = f"c{number}", perf_counter()
            platform.deliver(message(chat, number))
            await platform.until(lambda chat=chat: bool(platform.texts(chat)))
            took.append(channel.first[chat] - began)
            sent.append(perf_counter() - began)
    shown("update to first call (typing)", took)
    shown("update to the answer's message", sent)


async def many(folder: Path, chats: int) -> None:
    platform = PlatformState()
    channel = TestChannel(platform, limits=LIMITS)
    backend = Paced(models=["tiny"], default=answer)
    async with open_test_portal(folder, backends=[backend], channels=[channel]) as portal:
        code, _ = await portal.portal.channels.linking.offer(portal.owner)
        await portal.portal.channels.linking.redeem(Place(channel="test", chat="c"), Sender(id="alice"), code)
        for number in range(chats):
            platform.deliver(message(f"c{number}", number))
        await platform.until(lambda: not platform.pending)
        over, began = asyncio.Event(), perf_counter()
        async with asyncio.TaskGroup() as group:
            measured = group.create_task(delays(over))
            whole = "".join(f"word{number} " for number in range(WORDS)).rstrip()
            while sum(one.said.text == whole for one in platform.bubbles.values()) < chats:  # noqa: ASYNC110
                await asyncio.sleep(0.25)
            over.set()
    print(f"{chats} chats, {WORDS} words each, {len(platform.calls)} calls in {perf_counter() - began:.1f} s")
    shown("event-loop delay", measured.result())


async def main(chats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await first_calls(Path(folder) / "one")
        await many(Path(folder) / "many", chats)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
