"""Find when the guide is sure enough to answer: prints SURE and ENOUGH for `portal.backends.passages`.

A logistic regression over the questions of tests/guide, but for those that nothing is tuned with: is the best
section the right one? The least confidence is what refuses 97.5 % of the questions without an answer in a
cross-validation, whose shares are printed as well. Run it after sections of the manual were added or changed much, and
put what it prints into `passages.py`.
"""

import json
import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from pathlib import Path

from portal.backends.guide import Guide
from portal.backends.manual import packaged_manual

QUESTIONS = Path(__file__).parent.parent / "tests" / "guide"
UNTOUCHED = ("blind.jsonl", "unseen.jsonl")
REFUSED, FOLDS, STEPS, PACE, DECAY = 0.975, 8, 3000, 1.0, 0.0004


@dataclass(frozen=True)
class Example:
    """The signs of the best section, and whether it is the right one."""

    file: str
    answerable: bool
    right: bool
    signs: Sequence[float]


def examples() -> list[Example]:
    """One for each question that finds anything."""
    guide = Guide(manual=packaged_manual())
    found = []
    for path in sorted(set(QUESTIONS.glob("*.jsonl")) - {QUESTIONS / name for name in UNTOUCHED}):
        for asked in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            _, hits = guide.search([asked["question"]])
            best = f"{hits[0].section.page}#{hits[0].section.id}" if hits else ""
            signs = hits[0].signs if hits else ()
            found.append(Example(path.stem, bool(asked["expected"]), best in (asked["expected"] or ()), signs))
    return found


def sure(weights: Sequence[float], signs: Sequence[float]) -> float:
    """The confidence."""
    return 1 / (1 + math.exp(-sum(map(mul, weights, signs)))) if signs else 0.0


def fit(known: Sequence[Example]) -> list[float]:
    """Weights by gradient descent."""
    known = [each for each in known if each.signs]
    weights = [0.0] * len(known[0].signs)
    for _ in range(STEPS):
        errors = [each.right - sure(weights, each.signs) for each in known]
        for place in range(len(weights)):
            slope = sum(error * each.signs[place] for error, each in zip(errors, known, strict=True)) / len(known)
            weights[place] += PACE * (slope - DECAY * weights[place] * (place < len(weights) - 1))
    return weights


def judged(known: Sequence[Example]) -> list[tuple[Example, float]]:
    """Every example with the confidence of weights that never saw it."""
    mixed = random.Random(1).sample(known, len(known))
    rounds = ((mixed[at::FOLDS], [each for i, each in enumerate(mixed) if i % FOLDS != at]) for at in range(FOLDS))
    return [(each, sure(weights, each.signs)) for held, rest in rounds for weights in [fit(rest)] for each in held]


def main() -> None:
    """Fit, cross-validate, print."""
    known = examples()
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
    print(f"SURE = {tuple(round(weight, 2) for weight in fit(known))}\nENOUGH = {enough:.3f}")


if __name__ == "__main__":
    main()
