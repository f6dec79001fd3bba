"""Makes `src/portal/routing/second_look.bin`: tasks by the meaning of a request, for where its words leave it open.

    python training/classifier/second_look.py [--judge [--external CLONES]]

One linear layer over the vectors of the embedded embedder, learned from the requests that stand alone. It takes what
Portal's extra `knowledge` installs, and no more. `--judge` writes nothing: it tells how often the classifier is right,
alone and with a second look, where it is unsure, and how long a look takes.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from external import external
from sources import Request, requests

from portal.knowledge.minilm import DIMENSIONS, MiniLM
from portal.routing.classifier import packaged_classifier
from portal.routing.judgement import TASKS, Judgement
from portal.routing.second_look import SecondLook, packed, shortened

TARGET = Path(__file__).parents[2] / "src/portal/routing/second_look.bin"
SCALE, DECAY, STEPS, RATE = 5.0, 3e-3, 300, 0.05
"""Decay and the look's share were chosen on the public sets."""
UNSURE = 0.5
_PORTION = 16


async def vectors(embedder: MiniLM, texts: Sequence[str]) -> np.ndarray:
    """One row a text."""
    found = [await embedder.embed(texts[at : at + _PORTION]) for at in range(0, len(texts), _PORTION)]
    return np.concatenate(found).astype(np.float64)


def learned(given: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Multinomial logistic regression by Adam; the bias is the first row."""
    inputs = np.hstack([np.ones((len(given), 1)), given * SCALE])
    wanted = np.eye(len(TASKS))[labels]
    layer, first, second = (np.zeros((1 + DIMENSIONS, len(TASKS))) for _ in range(3))
    for step in range(1, STEPS + 1):
        scores = inputs @ layer
        shares = np.exp(scores - scores.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        slope = inputs.T @ (shares - wanted) / len(inputs) + DECAY * layer
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        layer -= RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    layer[1:] *= SCALE
    return layer


async def made() -> bytes:
    """The file."""
    alone = [one for one in requests() if len(one.turns) == 1]
    labels = np.array([TASKS.index(one.label) for one in alone])
    embedder = MiniLM(exact=True)
    given = await vectors(embedder, [shortened(one.turns[0]) for one in alone])
    return packed(embedder, learned(given, labels))


async def told(name: str, given: Sequence[Request]) -> None:
    """Of those that stand alone and that the classifier is unsure of."""
    classifier, look = packaged_classifier(), SecondLook(embedder=MiniLM(), seconds=60)
    judged = [(one, classifier.judge(one.turns[0])) for one in given if len(one.turns) == 1]
    unsure = [(one, first) for one, first in judged if first.confidence < UNSURE]
    again: list[tuple[Request, Judgement]] = []
    times = []
    for one, first in unsure:
        began = perf_counter()
        again.append((one, await look.judge(one.turns[0], first)))
        times.append((perf_counter() - began) * 1000)
    before, after = (sum(one.label == said.task for one, said in rows) for rows in (unsure, again))
    of = len(unsure) or 1
    line = f"| {name} | {len(judged)} | {len(unsure)} | {before / of:.2f} | {after / of:.2f} |"
    print(f"{line} {median(times) if times else 0:.1f} |", flush=True)


async def judge(clones: Path | None) -> None:
    """Print the table."""
    print("| set | requests | unsure | words | with a second look | p50 ms |\n|---|---|---|---|---|---|")
    await told("hard requests", requests(held_out=True))
    found = external(clones) if clones else []
    for source in dict.fromkeys(one.source for one in found):
        await told(source, [one for one in found if one.source == source])
    if found:
        await told("public sets together", found)


def main() -> None:
    """Write the file, or judge it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judge", action="store_true")
    parser.add_argument("--external", type=Path)
    args = parser.parse_args()
    if args.judge:
        asyncio.run(judge(args.external))
    else:
        TARGET.write_bytes(asyncio.run(made()))
        print(f"{TARGET}: {TARGET.stat().st_size / 1e3:.1f} kB")


if __name__ == "__main__":
    main()
