"""Storage at 100,000 conversations, one of them with 5,000 messages: how long pages, searches and turns take.

    python bench/storage.py [--conversations N] [--messages N] [--runs N] [--keep FOLDER]

Times are medians; the ratio is to a fixed calibration loop on the same machine, for comparing machines.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from portal.core.clock import micros
from portal.core.records import ResponseRecord
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER, answered, conversation, output, response, said

WORDS = [
    first + second
    for first in ("ka", "lo", "mi", "ru", "te", "sa", "vo", "ne")
    for second in (
        "bar",
        "tin",
        "sol",
        "gram",
        "plex",
        "dor",
        "mund",
        "fix",
        "quil",
        "zen",
        "pra",
        "ost",
        "ium",
        "and",
        "the",
    )
]
BATCH = 400


def calibrate() -> float:
    """Milliseconds of a fixed piece of work."""
    started = time.perf_counter()
    total = 0
    for number in range(300_000):
        total += number * number % 7
    return (time.perf_counter() - started) * 1000


def sentence(dice: random.Random, length: int = 25) -> str:
    """Words as common as words are: few very often, most rarely."""
    return " ".join(WORDS[min(int(dice.paretovariate(0.8)) - 1, len(WORDS) - 1)] for _ in range(length))


async def fill(storage: Storage, conversations: int, messages: int) -> str:
    """All conversations, each with a question and an answer; the id of the long one."""
    dice = random.Random(1)
    gate = asyncio.Semaphore(BATCH)

    async def one(number: int) -> None:
        async with gate:
            talk = conversation(
                title=sentence(dice, 5), updated_at=micros() - number * 1_000_000, pinned=number % 5_000 == 0
            )
            items = [said(f"{sentence(dice)} number{number}"), answered(sentence(dice, 60))]
            await storage.conversations.create(talk, items)

    for start in range(0, conversations, 5_000):
        async with asyncio.TaskGroup() as group:
            for number in range(start, min(start + 5_000, conversations)):
                group.create_task(one(number))
    long = conversation(title="the long one")
    await storage.conversations.create(long)
    previous = None
    for number in range(messages // 2):
        record = response(conversation_id=long.id, previous_id=previous)
        await turn(storage, record, f"{sentence(dice)} long{number}", sentence(dice, 60))
        previous = record.id
    return long.id


async def turn(storage: Storage, record: ResponseRecord, question: str, answer: str) -> None:
    """A whole turn as the agent stores it."""
    await storage.turn_log.begin(record, [said(question)])
    await storage.turn_log.append(record.id, output(record.id, answered(answer)))
    await storage.turn_log.finish(replace(record, status="completed", completed_at=micros()))


async def median(runs: int, call: Callable[[], Awaitable[object]]) -> float:
    """Median milliseconds of a call."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        await call()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


async def measure(storage: Storage, long: str, runs: int) -> dict[str, float]:
    """Milliseconds by name."""
    talks, log = storage.conversations, storage.turn_log
    page = await talks.list(OWNER)
    middle = page.next
    for _ in range(20):
        middle = (await talks.list(OWNER, cursor=middle)).next or middle
    turns = await talks.turns(OWNER, long, limit=30)
    head = turns.data[-1].response.id
    root = (await storage.responses.window(OWNER, head, 1_000_000))[0].response.id
    running = response()
    await log.begin(running, [said("go")])
    piece = answered("some more words of an answer", status="in_progress")

    async def begin() -> None:
        await log.begin(response(conversation_id=long, previous_id=head), [said("a short question")])

    async def flush() -> None:
        await log.flush(running.id, output(running.id, piece))

    async def append() -> None:
        await log.append(running.id, output(running.id, answered("an answer " * 50)))

    async def crowd() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(200):
                group.create_task(log.begin(response(), [said("a short question")]))

    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "list: first page of 50": lambda: talks.list(OWNER),
        "list: a page further down": lambda: talks.list(OWNER, cursor=middle),
        "turns: newest 30 of the long one": lambda: talks.turns(OWNER, long, limit=30),
        "turns: the 30 above": lambda: talks.turns(OWNER, long, before=turns.next, limit=30),
        "window: 1000 turns": lambda: storage.responses.window(OWNER, head, 1000),
        "search: a rare word": lambda: talks.list(OWNER, query="number777"),
        "search: a common word": lambda: talks.list(OWNER, query=WORDS[0]),
        "search: two letters": lambda: talks.list(OWNER, query="ka"),
        "search: three words": lambda: talks.list(OWNER, query=f"{WORDS[0]} {WORDS[3]} {WORDS[9]}"),
        "search: nothing fits": lambda: talks.list(OWNER, query="absent words"),
        "head: newest below the long one's root": lambda: talks.update(OWNER, long, {"head": root}),
        "begin": begin,
        "flush": flush,
        "append": append,
        "begin, 200 at once (all)": crowd,
    }
    return {name: await median(runs if "200" not in name else 5, call) for name, call in calls.items()}


async def main(arguments: argparse.Namespace, folder: Path) -> None:
    settings = Settings(data_dir=folder, database=arguments.database)
    print(f"{arguments.conversations} conversations, {arguments.messages} messages in one of them")
    started = time.perf_counter()
    async with open_storage(settings) as storage:
        long = await fill(storage, arguments.conversations, arguments.messages)
        await storage.database.batch([Statement("ANALYZE")] if storage.database.dialect == "postgres" else [])
    print(f"filled in {time.perf_counter() - started:.0f} s", end="")
    if not arguments.database:
        print(f", {(folder / 'portal.db').stat().st_size / 2**20:.0f} MiB", end="")
    print()
    calibration = statistics.median(calibrate() for _ in range(9))
    started = time.perf_counter()
    async with open_storage(settings) as storage:
        opened = (time.perf_counter() - started) * 1000
        figures = {"open": opened, **await measure(storage, long, arguments.runs)}
    print(f"\n{'':40}{'ms':>10}{'x calibration':>16}   (calibration loop: {calibration:.1f} ms)")
    for name, milliseconds in figures.items():
        print(f"{name:40}{milliseconds:10.2f}{milliseconds / calibration:16.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--database", default="", help="postgresql://... in place of SQLite in a temporary folder")
    parser.add_argument("--keep", type=Path, help="put the data there and leave it")
    parsed = parser.parse_args()
    if parsed.keep:
        asyncio.run(main(parsed, parsed.keep))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            asyncio.run(main(parsed, Path(temporary)))
