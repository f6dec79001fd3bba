"""How well the guide answers, and how fast: `python bench/guide.py [--words] [--misses]`; `--words`: no embedder."""

import asyncio
import resource
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.guide.scoring import ALL, ask_all, shares

from portal.app.embedding import packaged_embedder
from portal.backends.guide import Guide
from portal.backends.manual import packaged_manual

KINDS = ("ordinary", "paraphrase", "answerable", "unanswerable")


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def milliseconds(guide: Guide, question: str) -> float:
    start = time.perf_counter()
    await guide.answer([question])
    return (time.perf_counter() - start) * 1000


async def main() -> None:
    before = memory_mb()
    guide = Guide(manual=packaged_manual(), embedder=None if "--words" in sys.argv else packaged_embedder())
    first = await milliseconds(guide, "How do I make an API key?")
    print("| questions | " + " | ".join(KINDS) + " |\n|---|" + "---|" * len(KINDS))
    outcomes = {path: await ask_all(guide, path) for path in ALL}
    for path, asked in outcomes.items():
        share = shares(asked)
        told = (f"{share[kind]:.0%}" if kind in share else "" for kind in KINDS)
        print(f"| {path.stem} ({len(asked)}) | " + " | ".join(told) + " |")
    times = [await milliseconds(guide, one.question) for asked in outcomes.values() for one in asked]
    print(f"\nfirst answer {first:.0f} ms, then median {statistics.median(times):.1f} ms, slowest {max(times):.1f} ms")
    print(f"memory of index and words {memory_mb() - before:.0f} MB")
    if "--misses" in sys.argv:
        for one in (one for asked in outcomes.values() for one in asked if not one.right):
            print(f"{one.kind}: {one.question!r} -> {one.found}, expected {one.expected}")


if __name__ == "__main__":
    asyncio.run(main())
