"""The Portal of the soak, in a process of its own: chats write to it from within, and it watches itself.

Its standard input takes `warm`, after which growth counts, and `end`. Its standard output has two lines of JSON: where
it is, and at the end what it saw.
"""

import argparse
import asyncio
import gc
import json
import logging
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil
import uvloop

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.backends.scripted import ScriptedBackend, Step
from portal.core.channels import Limits, Message, Place, Sender
from portal.core.model import ModelEvent, ModelInfo, ModelRequest, TextDelta, ToolCallDelta
from portal.testing.channel import PlatformState, TestChannel
from portal.testing.portal import TestPortal, open_test_portal
from portal.tools.function import Functions, tool

WORDS = 40
WHOLE = "".join(f"word{number} " for number in range(WORDS)).rstrip()
PACE = 0.05
"""Seconds between two words of a model."""
_EVERY = 0.005
_QUIET = 30
"""Seconds that everything has to come to its end."""
_SETTINGS = {
    "limits": {"messages": 0},
    "schedules": {"enabled": False},
    "workspaces": {"soak": {"prefer": ["chatty"], "tools": ["add_up"], "task": "general"}},
}


@tool(risk="read")
async def add_up(first: int, second: int) -> str:
    """Add two numbers."""
    return str(first + second)


def _steps(request: ModelRequest) -> Sequence[Step]:
    """A tool first, where there is one and no result yet; then words."""
    said = [message["role"] for message in request.messages]
    if request.parameters.get("tools") and said[-1] != "tool":
        return [ToolCallDelta(0, f"call_{len(said)}", "add_up", '{"first": 1, "second": 2}')]
    return [TextDelta(f"word{number} ") for number in range(WORDS)]


class Paced(ScriptedBackend):
    """A model that takes its time, and remembers nothing."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        async for event in super().stream(request):
            self.requests.clear()
            await asyncio.sleep(PACE)
            yield event


class Errors(logging.Handler):
    """What the log has of them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage())


class Watch:
    """Memory, the event loop's delay, and what is left."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._tasks()
        self.delays: list[float] = []
        self.memory = {"start": self.resident()}

    def resident(self) -> float:
        """Megabytes."""
        gc.collect()
        return self._process.memory_info().rss / 2**20

    @staticmethod
    def _tasks() -> Counter[str]:
        return Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())

    async def loop(self, over: asyncio.Event) -> None:
        while not over.is_set():
            began = perf_counter()
            await asyncio.sleep(_EVERY)
            self.delays.append(perf_counter() - began - _EVERY)

    def left(self, port: int) -> tuple[int, dict[str, int]]:
        """Open connections of clients, and tasks that were not there at first, by what they run."""
        open_ones = [one for one in self._process.net_connections("tcp") if one.laddr.port == port and one.raddr]
        return len(open_ones), dict(self._tasks() - self._before)


class Chats:
    """People who write to a chat platform, each the next message once the last was answered."""

    def __init__(self, platform: PlatformState, count: int) -> None:
        self._platform, self._count = platform, count
        self.answers = 0
        self.errors: list[str] = []

    async def run(self, over: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._person(f"c{number}", over))

    async def _person(self, chat: str, over: asyncio.Event) -> None:
        number = 0
        place = Place(channel="test", chat=chat)
        while not over.is_set():
            number += 1
            event = Message(
                event_id=f"{chat}-{number}", id=str(number), place=place, sender=Sender(id="alice"), text="Go on"
            )
            self._platform.deliver(event)
            try:
                async with asyncio.timeout(120):
                    while WHOLE not in [text.rstrip() for text in self._platform.texts(chat)]:  # noqa: ASYNC110
                        await asyncio.sleep(0.2)
            except TimeoutError:
                self.errors.append(f"{chat}: no answer; it says {self._platform.texts(chat)}")
                return
            self.answers += 1
            for key in [key for key, bubble in self._platform.bubbles.items() if bubble.place.chat == chat]:
                del self._platform.bubbles[key]
            self._platform.calls.clear()


async def lines() -> AsyncGenerator[str, None]:
    """Of the standard input."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line.strip()


def report(watch: Watch, chats: Chats, errors: Sequence[str], connections: int, tasks: dict[str, int]) -> None:
    delays = sorted(watch.delays)
    told = {
        "memory": watch.memory,
        "delay_p50": median(delays) * 1000,
        "delay_p99": delays[len(delays) * 99 // 100] * 1000,
        "delay_longest": delays[-1] * 1000,
        "chat_answers": chats.answers,
        "errors": [*chats.errors, *errors],
        "connections": connections,
        "tasks": tasks,
    }
    print(json.dumps(told), flush=True)


async def soaked(portal: TestPortal, chats: Chats, errors: Sequence[str]) -> None:
    code, _ = await portal.portal.channels.linking.offer(portal.owner)
    await portal.portal.channels.linking.redeem(Place(channel="test", chat="c"), Sender(id="alice"), code)
    watch, over, port = Watch(), asyncio.Event(), int(portal.url.rpartition(":")[2])
    print(json.dumps({"url": portal.url, "key": portal.key}), flush=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.loop(over))
        group.create_task(chats.run(over))
        async for line in lines():
            watch.memory[line] = watch.resident()
            if line == "end":
                over.set()
                break
    until = perf_counter() + _QUIET
    while any(left := watch.left(port)) and perf_counter() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    watch.memory["rest"] = watch.resident()
    report(watch, chats, errors, *left)


async def main(folder: Path, upstream: str, people: int) -> None:
    errors = Errors()
    logging.getLogger().addHandler(errors)
    platform = PlatformState()
    channel = TestChannel(platform, limits=Limits(interval=1.0, per_second=30, typing=0))
    chatty = ModelInfo(id="chatty", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)
    backends = [OpenAICompatible(Config(url=upstream, name="bench")), Paced(models=[chatty], default=_steps)]
    async with open_test_portal(
        folder, backends=backends, channels=[channel], toolsets=[Functions("bench", [add_up])], settings=_SETTINGS
    ) as portal:
        await soaked(portal, Chats(platform, people), errors.seen)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("upstream")
    parser.add_argument("--chats", type=int, default=50)
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(chosen.folder, chosen.upstream, chosen.chats))
