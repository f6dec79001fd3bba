"""Find when the guide is sure enough to answer: prints SURE and ENOUGH for `portal.backends.passages`, and with
`--felt` FELT_SURE and FELT_ENOUGH, those with the embedder.

A logistic regression over the questions of tests/guide, but for those that nothing is tuned with: is the best
section the right one? With the embedder every question is asked again of a manual that lacks half of the other words
in which people ask, as it will lack a stranger's. The least confidence is what refuses 97.5 % of the questions without
an answer (of this harder mix 92.5 %) in a cross-validation, whose shares are printed as well. Run it after sections of
the manual were added or changed much, and put what it prints into `passages.py`.
"""

import asyncio
import json
import math
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import mul
from pathlib import Path

import numpy

from portal.backends.guide import Guide
from portal.backends.manual import Manual, Section, packaged_manual
from portal.backends.words import packaged_lexicon
from portal.knowledge.minilm import MiniLM

QUESTIONS = Path(__file__).parent.parent / "tests" / "guide"
UNTOUCHED = ("blind.jsonl", "unseen.jsonl")
FOLDS, STEPS, DECAY = 8, 20, 0.0004
FELT = "--felt" in sys.argv
REFUSED = 0.925 if FELT else 0.975


@dataclass(frozen=True)
class Example:
    """The signs of the best section, and whether it is the right one."""

    file: str
    answerable: bool
    right: bool
    signs: Sequence[float]


class Thinned(Manual):
    """The manual without half of the other words in which people ask for its sections."""

    def __init__(self, whole: Manual) -> None:
        self.whole = whole

    def sections(self) -> Sequence[Section]:
        """See Manual."""
        dice = random.Random(4)
        return [replace(each, asked=_half(each.asked, dice)) for each in self.whole.sections()]


def _half(texts: Sequence[str], dice: random.Random) -> tuple[str, ...]:
    return tuple(text for text in texts if dice.random() < 0.5)


def guides() -> list[Guide]:
    """Those whose confidence is weighed."""
    if not FELT:
        return [Guide(manual=packaged_manual())]
    lexicon, embedder = packaged_lexicon(), MiniLM()
    lexicon.elsewhere = list(_half(lexicon.elsewhere, random.Random(4)))
    thin = Guide(manual=Thinned(packaged_manual()), lexicon=lexicon, embedder=embedder)
    return [Guide(manual=packaged_manual(), embedder=embedder), thin]


async def examples() -> list[Example]:
    """One for each question that finds anything."""
    return [one for guide in guides() for one in await asked_of(guide)]


async def asked_of(guide: Guide) -> list[Example]:
    """What one guide makes of the questions."""
    found = []
    for path in sorted(set(QUESTIONS.glob("*.jsonl")) - {QUESTIONS / name for name in UNTOUCHED}):
        for asked in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            _, hits = await guide.search([asked["question"]])
            best = f"{hits[0].section.page}#{hits[0].section.id}" if hits else ""
            signs = hits[0].signs if hits else ()
            found.append(Example(path.stem, bool(asked["expected"]), best in (asked["expected"] or ()), signs))
    return found


def sure(weights: Sequence[float], signs: Sequence[float]) -> float:
    """The confidence."""
    return 1 / (1 + math.exp(-sum(map(mul, weights, signs)))) if signs else 0.0


def fit(known: Sequence[Example]) -> list[float]:
    """Weights by Newton's method."""
    signs = numpy.array([each.signs for each in known if each.signs])
    right = numpy.array([each.right for each in known if each.signs], float)
    weights = numpy.zeros(signs.shape[1])
    decay = numpy.full(len(weights), DECAY)
    decay[-1] = 0  # what is always 1
    for _ in range(STEPS):
        sure = 1 / (1 + numpy.exp(-signs @ weights))
        slope = signs.T @ (right - sure) / len(signs) - decay * weights
        bend = (signs.T * (sure * (1 - sure))) @ signs / len(signs) + numpy.diag(decay)
        weights += numpy.linalg.solve(bend, slope)
    return [float(weight) for weight in weights]


def judged(known: Sequence[Example]) -> list[tuple[Example, float]]:
    """Every example with the confidence of weights that never saw it."""
    mixed = random.Random(1).sample(known, len(known))
    rounds = ((mixed[at::FOLDS], [each for i, each in enumerate(mixed) if i % FOLDS != at]) for at in range(FOLDS))
    return [(each, sure(weights, each.signs)) for held, rest in rounds for weights in [fit(rest)] for each in held]


def main() -> None:
    """Fit, cross-validate, print."""
    known = asyncio.run(examples())
    scored = judged(known)
    wrongly = sorted(confidence for each, confidence in scored if not each.answerable)
    enough = wrongly[int(REFUSED * len(wrongly))] + 0.001
    good: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for each, confidence in scored:
        right = (confidence >= enough and each.right) if each.answerable else confidence < enough
        for file in (each.file, "all"):
            good[file, "answerable" if each.answerable else "unanswerable"].append(right)
    for (file, kind), rights in sorted(good.items()):
        print(f"{file} {kind}: {sum(rights) / len(rights):.0%} of {len(rights)}")
    felt = "FELT_" * FELT
    print(f"{felt}SURE = {tuple(round(weight, 2) for weight in fit(known))}\n{felt}ENOUGH = {enough:.3f}")


if __name__ == "__main__":
    main()
