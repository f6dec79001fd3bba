"""How often the tool that a request needs is among the few that a model is shown: `python bench/tools.py [--misses]`.

`--misses` tells those of the requests that the choice was tuned with, never those of the others.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.core.tool_choice import SETS, SHOWN, choices, installed, learned, recall

from portal.core.selection import Ranking
from portal.core.thesaurus import packaged_thesaurus
from portal.core.tool_ports import Likeness
from portal.core.tools import ToolSpec


def milliseconds(began: float) -> float:
    return (perf_counter() - began) * 1000


def told(took: Sequence[float]) -> str:
    return f"median {statistics.median(took):.2f} ms, slowest {max(took):.2f} ms"


async def slowness(
    specs: Sequence[ToolSpec], ranking: Ranking, likeness: Likeness, requests: Sequence[str]
) -> tuple[list[float], list[float]]:
    words, both = [], []
    for request in requests:
        began = perf_counter()
        ranking.best(request, SHOWN)
        words.append(milliseconds(began))
        began = perf_counter()
        ranking.best(request, SHOWN, alike=await likeness.of(request, specs))
        both.append(milliseconds(began))
    return words, both


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", action="store_true")
    chosen = parser.parse_args()
    began = perf_counter()
    thesaurus = packaged_thesaurus()
    read = milliseconds(began)
    print(f"| requests | tools | recall@{SHOWN} by words | with the embedder |\n|---|---|---|---|")
    for one in SETS:
        specs = installed(one.without)
        began = perf_counter()
        ranking = Ranking(specs, thesaurus=thesaurus)
        indexed = milliseconds(began)
        began = perf_counter()
        likeness = await learned(specs)
        embedded = milliseconds(began)
        plain = await choices(specs, one.path, thesaurus=thesaurus)
        made = await choices(specs, one.path, thesaurus=thesaurus, likeness=likeness)
        print(f"| {one.name} ({len(made)}) | {len(specs)} | {recall(plain):.3f} | {recall(made):.3f} |")
        if chosen.misses and one.tuned:
            print(*(f"  {miss.request!r}: {miss.shown}" for miss in made if not miss.right), sep="\n")
    words, both = await slowness(specs, ranking, likeness, [choice.request for choice in made])
    print(
        f"\nwords {read:.0f} ms, index {indexed:.0f} ms, vectors {embedded:.0f} ms, once; then {told(words)} by words"
    )
    print(f"and {told(both)} with the embedder")


if __name__ == "__main__":
    asyncio.run(main())
