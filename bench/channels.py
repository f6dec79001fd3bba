"""Channels under load: from an update to the first call, and the event loop while many chats stream at once.

    python bench/channels.py [chats] [memory|telegram|slack|many|many-slack ...]

A platform in memory takes every call at once; the model says a word every 20 ms.
"""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.channels import Channel, Limits, Message, Outgoing, Place, Sender, Surroundings
from portal.core.model import ModelRequest, TextDelta
from portal.interfaces.slack.api import SlackApi
from portal.interfaces.slack.channel import SlackChannel
from portal.interfaces.slack.limits import LIMITS as SLACK
from portal.interfaces.slack.manifest import manifest
from portal.interfaces.telegram import create
from portal.settings.telegram import TelegramSettings
from portal.testing.channel import PlatformState, TestChannel
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.slack_server import SlackServer
from portal.testing.telegram_server import TelegramServer

WORDS = 150
WHOLE = "".join(f"word{number} " for number in range(WORDS)).rstrip()
TIMES = 100
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


async def link(portal: TestPortal, channel: str, chat: str, sender: str) -> None:
    linking = portal.portal.channels.linking
    code, _ = await linking.offer(portal.owner)
    await linking.redeem(Place(channel=channel, chat=chat), Sender(id=sender), code)


@asynccontextmanager
async def opened(folder: Path, channel: Channel, backend: ScriptedBackend | None = None) -> AsyncIterator[TestPortal]:
    backend = backend or ScriptedBackend(models=["tiny"], default=lambda request: [TextDelta("Hi")])
    settings = {"limits": {"messages": 0}}  # all of them are one person's
    async with open_test_portal(folder, backends=[backend], channels=[channel], settings=settings) as portal:
        yield portal


async def first_calls(folder: Path) -> None:
    platform = PlatformState()
    channel = Timed(platform, AT_ONCE)
    async with opened(folder, channel) as portal:
        await link(portal, "test", "c", "alice")
        took, sent = [], []
        for number in range(TIMES):
            chat, began = f"c{number}", perf_counter()
            platform.deliver(message(chat, number))
            await platform.until(lambda chat=chat: bool(platform.texts(chat)))
            took.append(channel.first[chat] - began)
            sent.append(perf_counter() - began)
    shown("in memory, update to first call (typing)", took)
    shown("in memory, update to the answer's message", sent)


async def timed(
    name: str, say: Callable[[int], object], called: Callable[[], Awaitable[object]], settled: float
) -> None:
    """From what a person writes to the first call that comes of it, and what it cost of the processor."""
    took, used = [], []
    for number in range(TIMES):
        await asyncio.sleep(settled)
        began, worked = perf_counter(), process_time()
        say(number)
        await called()
        took.append(perf_counter() - began)
        used.append(process_time() - worked)
    shown(name, took)
    shown(f"{name}, processor time", used)


async def telegram(folder: Path) -> None:
    async with TelegramServer(limits=False) as server:
        alice = server.person("Alice")
        settings = TelegramSettings.model_validate({"token": server.token, "api_base": server.url})
        channel = create(settings, Surroundings(name="telegram"))
        channel.limits = replace(channel.limits, interval=0.001, per_second=100_000)
        async with opened(folder, channel) as portal:
            await link(portal, "telegram", str(alice.id), str(alice.id))
            await server.until(lambda: server.updates.polls > 1)

            async def called() -> None:
                before = len(server.calls)
                await server.until(lambda: len(server.calls) > before)

            await timed("Telegram, message to first call (typing)", lambda _: alice.write("Go on"), called, 0.15)
        await channel.aclose()


def slack_channel(server: SlackServer, **changed: float) -> SlackChannel:
    return SlackChannel(
        name="slack",
        api=SlackApi(token=server.bot_token, base=server.api),
        app_token=server.app_token,
        signing_secret="",
        by_http=False,
        limits=replace(SLACK, **changed),
        probe=3600,
    )


async def slack(folder: Path) -> None:
    async with SlackServer(post_interval=0) as server:
        server.install(manifest())
        server.limited = False
        room = server.world.direct("U1").id
        channel = slack_channel(server, interval=0.001, per_second=100_000)
        async with opened(folder, channel) as portal:
            await link(portal, "slack", room, "U1")
            await server.wait(lambda: server.sockets)
            server.direct("U1", "Hello")
            await server.wait(lambda: server.world.spoken(room))

            async def called() -> None:
                before = len(server.calls)
                await server.wait(lambda: len(server.calls) > before)

            ask = lambda _: server.direct("U1", "Go on")  # noqa: E731
            await timed("Slack, message to first call (the answer)", ask, called, 0.1)
            _, thread = server.open_assistant("U1")
            ask = lambda _: server.direct("U1", "Go on", thread=thread)  # noqa: E731
            ask(0)
            await asyncio.sleep(1)
            await timed("Slack's pane, message to first call", ask, called, 0.15)
        await channel.aclose()


async def watched(name: str, condition: Callable[[], bool]) -> None:
    """The event loop's delay until it holds."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        measured = group.create_task(delays(over))
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.25)
        over.set()
    shown(name, measured.result())


async def many(folder: Path, chats: int) -> None:
    platform = PlatformState()
    channel = TestChannel(platform, limits=LIMITS)
    async with opened(folder, channel, Paced(models=["tiny"], default=answer)) as portal:
        await link(portal, "test", "c", "alice")
        for number in range(chats):
            platform.deliver(message(f"c{number}", number))
        await platform.until(lambda: not platform.pending)
        began = perf_counter()
        await watched(
            f"{chats} chats in memory, event-loop delay",
            lambda: sum(one.said.text == WHOLE for one in platform.bubbles.values()) == chats,
        )
    print(f"{chats} chats, {WORDS} words each, {len(platform.calls)} calls in {perf_counter() - began:.1f} s")


async def many_in_slack(folder: Path, chats: int) -> None:
    """Each room within its limit, which the stand-in checks. The tiers of a whole app are off: they would hold all
    chats together to fifty edits a minute, and leave nothing to measure."""
    async with SlackServer() as server:
        server.install(manifest())
        server.limited = False
        rooms = [server.world.direct(f"U{number}").id for number in range(chats)]
        channel = slack_channel(server)
        async with opened(folder, channel, Paced(models=["tiny"], default=answer)) as portal:
            for number, room in enumerate(rooms):
                await link(portal, "slack", room, f"U{number}")
            await server.wait(lambda: server.sockets)
            began = perf_counter()
            for number in range(chats):
                server.direct(f"U{number}", "Go on")
            await watched(
                f"{chats} chats in Slack, event-loop delay",
                lambda: all(server.world.spoken(room)[-1:] == [WHOLE] for room in rooms),
            )
        await channel.aclose()
        refused = sum(call.error == "ratelimited" for call in server.calls)
        took = perf_counter() - began
        print(f"{chats} chats, {WORDS} words each, {len(server.calls)} calls in {took:.1f} s, {refused} over a limit")


PARTS = {"memory": first_calls, "telegram": telegram, "slack": slack}
CROWDS = {"many": many, "many-slack": many_in_slack}


async def main(chats: int, wanted: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, part in PARTS.items():
            if not wanted or name in wanted:
                await part(Path(folder) / name)
        for name, crowd in CROWDS.items():
            if not wanted or name in wanted:
                await crowd(Path(folder) / name, chats)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, sys.argv[2:]))
