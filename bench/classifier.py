"""What judging a request and a second look at it cost: `python bench/classifier.py`. Also as multiples of a loop."""

import asyncio
import resource
import sys
from importlib.resources import files
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.calibration import calibration

from portal.knowledge.minilm import MiniLM, is_installed
from portal.routing.classifier import Classifier, packaged_classifier
from portal.routing.second_look import SecondLook

REQUESTS = (
    "write me something that reverses a list",
    "Was kostet gerade ein Kilo Kaffee, und warum ist es teurer geworden?",
    "图上的牌子写了什么",
    "मेरी दादी के जन्मदिन के लिए कुछ पंक्तियाँ",
    "Paul has 48 marbles. He gives a quarter of them to his brother and buys three bags of eight. How many has he now?",
    "Résume-moi ce compte rendu en cinq lignes, sans les noms des personnes présentes, pour la direction.",
)
LONG = (
    "Summarise the following text. "
    + "The committee met on Tuesday and discussed the budget of the coming year. " * 135
)


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def milliseconds(judge: Classifier, text: str, history: tuple[str, ...] = ()) -> float:
    start = perf_counter()
    judge.judge(text, history)
    return (perf_counter() - start) * 1000


async def looks(judge: Classifier) -> list[float]:
    """Milliseconds of second looks with the embedder in memory, whether they are needed or not."""
    look, times = SecondLook(embedder=MiniLM(), seconds=60), []
    for text in [*REQUESTS, *REQUESTS * 50]:
        judged, start = judge.judge(text), perf_counter()
        await look.judge(text, judged)
        times.append((perf_counter() - start) * 1000)
    return times[len(REQUESTS) :]


def line(name: str, times: list[float], loop: float) -> str:
    p99 = quantiles(times, n=100)[98]
    return f"| {name} | {median(times):.3f} | {p99:.3f} | {median(times) / loop:.5f} |"


def main() -> None:
    before, start = memory_mb(), perf_counter()
    judge = packaged_classifier()
    loaded = (perf_counter() - start) * 1000
    after = memory_mb()
    size = len(files("portal.routing").joinpath("classifier.bin").read_bytes()) / 1e6
    loop = median(calibration() for _ in range(5)) * 1000
    print("| request | p50 ms | p99 ms | p50 as a multiple of the loop |\n|---|---|---|---|")
    short = [milliseconds(judge, text) for _ in range(300) for text in REQUESTS]
    print(line("short ones", short, loop))
    print(line("with three turns before", [milliseconds(judge, "shorter", REQUESTS[-3:]) for _ in range(500)], loop))
    print(line(f"{len(LONG) / 1000:.0f} kB", [milliseconds(judge, LONG) for _ in range(500)], loop))
    print(line("1 MB", [milliseconds(judge, LONG * 100) for _ in range(100)], loop))
    if is_installed():
        print(line("a second look", asyncio.run(looks(judge)), loop))
    print(
        f"\nloaded in {loaded:.0f} ms ({loaded / loop:.2f} loops), {after - before:.0f} MB; the file has {size:.2f} MB"
    )


if __name__ == "__main__":
    main()
