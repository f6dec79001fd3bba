"""What it costs to bring a large export in: seconds of processor for each MB, and the memory it takes.

    python bench/importing.py [--mb N] [--profile FILE] [--database URL]

The export is ChatGPT's: conversations of five questions and answers of 25 to 250 words. Processor time is of the whole
process, the database's thread included (PostgreSQL's own processes are not).
"""

import argparse
import asyncio
import cProfile
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from portal.testing.portal import TestPortal, open_test_portal

WORDS = [first + second for first in ("ka", "lo", "mi", "ru", "te", "sa", "vo", "ne", "pu", "gre") for second in (
    "bar", "tin", "sol", "gram", "plex", "dor", "mund", "fix", "quil", "zen", "pra", "ost", "ium", "and", "the",
    "lira", "mento", "skap", "burg", "ness",
)]  # fmt: skip
MB = 2**20


def sentence(dice: random.Random, length: int) -> str:
    """Words as common as words are."""
    return " ".join(WORDS[min(int(dice.paretovariate(0.4)) - 1, len(WORDS) - 1)] for _ in range(length))


def conversation(dice: random.Random, number: int) -> dict[str, Any]:
    """One of ten messages."""
    nodes: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": []}}
    before, began = "root", 1_700_000_000 + number * 60
    for place in range(10):
        key, role = f"m{number}-{place}", ("assistant" if place % 2 else "user")
        said = "\n\n".join(sentence(dice, 50) for _ in range(dice.randint(2, 5))) if place % 2 else sentence(dice, 25)
        nodes[key] = {
            "id": key,
            "parent": before,
            "children": [],
            "message": {
                "id": key,
                "author": {"role": role, "name": None, "metadata": {}},
                "create_time": began + place,
                "content": {"content_type": "text", "parts": [said]},
                "status": "finished_successfully",
                "weight": 1.0,
                "metadata": {"model_slug": "gpt-4o"} if place % 2 else {},
                "recipient": "all",
            },
        }
        nodes[before]["children"].append(key)
        before = key
    return {
        "title": sentence(dice, 5),
        "create_time": began,
        "update_time": began + 10,
        "mapping": nodes,
        "current_node": before,
        "conversation_id": f"c{number}",
    }


def made(path: Path, size: int) -> int:
    """Write an export of at least so many bytes; how many conversations it has."""
    dice, number = random.Random(8), 0
    with path.open("wb") as file:
        file.write(b"[")
        while file.tell() < size:
            file.write((b"," if number else b"") + orjson.dumps(conversation(dice, number)))
            number += 1
        file.write(b"]")
    return number


async def through(portal: TestPortal, path: Path) -> Any:
    """Bring it in over the API; what it says at its end."""
    address = f"{portal.url}/portal/v1/imports"
    async with aiohttp.ClientSession(headers=portal.headers) as session:
        with path.open("rb") as file:
            query = {"filename": "conversations.json", "start": "true"}
            async with session.post(address, params=query, data=file) as answer:
                told = await answer.json()
        while told["status"] == "importing":
            await asyncio.sleep(0.2)
            async with session.get(f"{address}/{told['id']}") as answer:
                told = await answer.json()
    return told


async def measured(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One import of that size."""
    count = made(folder / "conversations.json", arguments.mb * MB)
    settings = {"database": arguments.database}
    async with open_test_portal(folder / "data", settings=settings) as portal:
        before, wall, cpu = _memory(), time.perf_counter(), time.process_time()
        told = await through(portal, folder / "conversations.json")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert told["status"] == "done", told
        assert told["report"]["stored"]["conversations"] == count, told
        figures = {
            "mb": arguments.mb,
            "conversations": count,
            "messages": told["report"]["stored"]["messages"],
            "cpu_seconds_per_mb": round(cpu / arguments.mb, 3),
            "seconds_per_mb": round(wall / arguments.mb, 3),
            "memory_growth_mb": round((_memory() - before) / MB, 1),
        }
        if not arguments.database:
            size = sum(one.stat().st_size for one in (folder / "data").rglob("*.db*"))
            figures["database_mb"] = round(size / MB, 1)
        return figures


def _memory() -> int:
    """The most that it ever was, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=20)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--database", default="")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        profile = cProfile.Profile() if arguments.profile else None
        if profile:
            profile.enable()
        figures = asyncio.run(measured(Path(folder), arguments))
        if profile:
            profile.disable()
            profile.dump_stats(arguments.profile)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
