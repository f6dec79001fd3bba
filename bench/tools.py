"""How often the tool that a request needs is among the few that a model is shown: `python bench/tools.py [--misses]`.

`--misses` tells those of the requests that the choice was tuned with, never those of the others.
"""

import argparse
import statistics
import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.core.tool_choice import SETS, SHOWN, choices, installed, recall

from portal.core.selection import Ranking
from portal.core.thesaurus import packaged_thesaurus


def milliseconds(began: float) -> float:
    return (perf_counter() - began) * 1000


def slowness(ranking: Ranking, requests: list[str]) -> list[float]:
    took = []
    for request in requests:
        began = perf_counter()
        ranking.best(request, SHOWN)
        took.append(milliseconds(began))
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", action="store_true")
    chosen = parser.parse_args()
    began = perf_counter()
    thesaurus = packaged_thesaurus()
    read = milliseconds(began)
    print(f"| requests | tools | recall@{SHOWN} |\n|---|---|---|")
    for one in SETS:
        specs = installed(one.without)
        began = perf_counter()
        ranking = Ranking(specs, thesaurus=thesaurus)
        indexed = milliseconds(began)
        made = choices(ranking, one.path)
        print(f"| {one.name} ({len(made)}) | {len(specs)} | {recall(made):.3f} |")
        if chosen.misses and one.tuned:
            print(*(f"  {miss.request!r}: {miss.shown}" for miss in made if not miss.right), sep="\n")
    took = slowness(ranking, [choice.request for choice in made])
    print(
        f"\nwords {read:.0f} ms, index {indexed:.0f} ms, once; "
        f"then median {statistics.median(took):.2f} ms, slowest {max(took):.2f} ms"
    )


if __name__ == "__main__":
    main()
