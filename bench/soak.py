"""Everything at once for a while, and what is left of it: does Portal hold, does its memory grow, does it leak?

    python bench/soak.py [--seconds 60] [--streams 200] [--chats 50]

Half of the streams are plain calls passed on to a model server, three in ten are stored turns in chains of three, the
rest are turns with a tool. Pages are read beside them, each with its stream of events, and people write to a chat
platform. Memory counts from the first quarter on, when caches are full; tasks and connections are counted once
everything has ended. The exit code is 1 where anything failed or was left over.
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import uvloop

from load import PROMPT
from servers import upstream
from upstream import MODEL

HERE = Path(__file__).resolve().parent
PACE = 50
"""Milliseconds between two pieces of an answer: twenty a second on each stream."""
CHUNKS = 60
PAGES = 10
PAUSE = 0.5
"""Seconds between two looks of a page."""
PATIENCE = aiohttp.ClientTimeout(total=120)
LEFT, MOST_GROWN, LATEST = 0, 30, 5
NOTE = f"[bench chunks={CHUNKS} pace={PACE}]"
PATHS = (
    "/",
    "/static/app.js",
    "/v1/models",
    "/portal/v1/me",
    "/portal/v1/conversations?limit=30",
    "/portal/v1/workspaces",
    "/v1/files",
    "/health",
)


class Load:
    """Clients that go on until told to stop."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.over = asyncio.Event()
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []

    async def run(self, kind: str, number: int) -> None:
        """One client of this kind."""
        await asyncio.sleep(number * 0.02)
        for turn in itertools.count():
            if self.over.is_set():
                return
            try:
                await getattr(self, f"_{kind}")(number, turn)
                self.done[kind] += 1
            except (aiohttp.ClientError, OSError, ValueError, LookupError) as error:
                self.errors.append(f"{kind}: {error!r}")
                await asyncio.sleep(1)

    async def _plain(self, number: int, turn: int) -> None:
        body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": f"{PROMPT}{NOTE}"}]}
        async with self._session.post("/v1/chat/completions", json=body) as answer:
            told = await answer.read()
        _expect(answer.status == 200 and told.count(b"word") == CHUNKS and told.endswith(b"data: [DONE]\n\n"), told)

    async def _stored(self, number: int, turn: int) -> None:
        previous = None
        for _ in range(3):
            body = {"model": MODEL, "input": f"{PROMPT}{NOTE}", "previous_response_id": previous}
            previous = (await self._turn(body))["id"]

    async def _tools(self, number: int, turn: int) -> None:
        made = await self._turn({"model": "soak", "input": "Add up 1 and 2, then go on."})
        kinds = [item["type"] for item in made["output"]]
        _expect("message" in kinds and len(kinds) > 1, json.dumps(kinds).encode())

    async def _turn(self, body: dict[str, Any]) -> dict[str, Any]:
        """The response that a stored, streamed turn comes to."""
        async with self._session.post("/v1/responses", json={**body, "stream": True}) as answer:
            told = await answer.read()
        _expect(answer.status == 200 and told.endswith(b"data: [DONE]\n\n"), told)
        last = told.rpartition(b"event: ")[2].partition(b"data: ")[2].partition(b"\n")[0]
        response: dict[str, Any] = json.loads(last)["response"]
        _expect(response["status"] == "completed", last)
        return response

    async def _pages(self, number: int, turn: int) -> None:
        async with self._session.get("/portal/v1/events") as events:
            await events.content.readuntil(b"\n\n")
            for path in PATHS:
                async with self._session.get(path) as answer:
                    _expect(answer.status == 200 and bool(await answer.read()), path.encode())
                await asyncio.sleep(PAUSE)


def _expect(held: bool, told: bytes) -> None:
    if not held:
        raise ValueError(told[-300:])


async def load(address: str, key: str, streams: int, seconds: float, warm: Any) -> Load:
    """What the clients did; `warm` is called after the first quarter."""
    stored, tools = streams * 3 // 10, streams // 5
    share = {"plain": streams - stored - tools, "stored": stored, "tools": tools, "pages": PAGES}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        address, headers={"Authorization": f"Bearer {key}"}, connector=connector, timeout=PATIENCE
    ) as session:
        running = Load(session)
        async with asyncio.TaskGroup() as group:
            for kind, count in share.items():
                for number in range(count):
                    group.create_task(running.run(kind, number))
            await asyncio.sleep(seconds / 4)
            warm()
            await asyncio.sleep(seconds * 3 / 4)
            running.over.set()
    return running


async def soak(child: subprocess.Popen[str], streams: int, seconds: float) -> tuple[Load, dict[str, Any], float]:
    assert child.stdin is not None
    assert child.stdout is not None

    def say(word: str) -> None:
        child.stdin.write(f"{word}\n")
        child.stdin.flush()

    where = json.loads(await asyncio.to_thread(child.stdout.readline))
    began = perf_counter()
    made = await load(where["url"], where["key"], streams, seconds, lambda: say("warm"))
    took = perf_counter() - began
    say("end")
    return made, json.loads(await asyncio.to_thread(child.stdout.readline)), took


def show(made: Load, seen: dict[str, Any], took: float) -> bool:
    """Print it; whether all is well."""
    memory, errors = seen["memory"], [*made.errors, *seen["errors"]]
    grown = memory["end"] - memory["warm"]
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(made.done.items()))
    print(f"{took:.0f} s: {counts}, {seen['chat_answers']} answers in chats\n")
    print("| | measured | wanted |\n|---|---|---|")
    print(f"| errors | {len(errors)} | 0 |")
    print(f"| event-loop delay, p50 | {seen['delay_p50']:.1f} ms | {LATEST} ms |")
    print(f"| event-loop delay, p99 | {seen['delay_p99']:.1f} ms | |")
    print(f"| event-loop delay, longest | {seen['delay_longest']:.0f} ms | |")
    print(f"| memory at the start, warm, at the end | {memory['start']:.0f}, {memory['warm']:.0f}, ", end="")
    print(f"{memory['end']:.0f} MB | |\n| grown since it was warm | {grown:.1f} MB | {MOST_GROWN} MB |")
    print(f"| connections left | {seen['connections']} | {LEFT} |")
    print(f"| tasks left | {sum(seen['tasks'].values())} | {LEFT} |")
    for line in [*errors[:10], *(f"left: {count} x {name}" for name, count in seen["tasks"].items())]:
        print(f"  {line}")
    return not (errors or seen["connections"] or seen["tasks"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--chats", type=int, default=50)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, upstream() as server:
        command = [sys.executable, str(HERE / "soak_server.py"), f"{folder}/data", server.url]
        command += ["--chats", str(chosen.chats)]
        with (
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            well = show(*runner.run(soak(child, chosen.streams, chosen.seconds)))
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
