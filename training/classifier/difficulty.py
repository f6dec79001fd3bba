"""Learn how hard a request is: `python training/classifier/difficulty.py CLONES [--write]`, where CLONES holds RouteLLM.

The outcomes are RouteLLM's: whether Mixtral 8x7B (weak) and GPT-4 (strong) answered each question of MMLU and GSM8K
rightly. Learned from the rows whose sha256(prompt) begins with an odd byte, judged on the even ones.
"""

import argparse
import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from external import Clone, clone
from sklearn.linear_model import Ridge
from sources import levels
from train import DIFFICULTY

from portal.routing.classifier import packaged_classifier
from portal.routing.pieces import pieces
from vectors import words

COMMIT = "0b64fdafe049e596a3f5657c219329f24af24198"
WEAK, STRONG = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
RARE, ALPHA, SPREAD, SMALL = 4, 10.0, 8.0, 0.02
EASY, HARD, PLAIN = -0.3, 0.7, 3.0


@dataclass(frozen=True)
class Outcome:
    """A question, and who answered it rightly."""

    benchmark: str
    prompt: str
    weak: bool
    strong: bool

    @property
    def learned_from(self) -> bool:
        return sha256(self.prompt.encode()).digest()[0] % 2 == 1


def outcomes(source: Clone) -> list[Outcome]:
    """All rows but those that RouteLLM itself leaves out as contaminated."""
    csv.field_size_limit(10**8)
    evals, found = "routellm/evals", []
    files = {"mmlu": source.names(f"{evals}/mmlu/responses/"), "gsm8k": [f"{evals}/gsm8k/gsm8k_responses.csv"]}
    for benchmark, names in files.items():
        lines = source.text(f"{evals}/{benchmark}/contaminated_prompts.jsonl").splitlines()
        left_out = {json.loads(line)["eval_prompt"] for line in lines if line.strip()}
        rows = [row for name in names for row in csv.DictReader(io.StringIO(source.text(name)))]
        kept = (row for row in rows if row["prompt"] not in left_out)
        found.extend(Outcome(benchmark, row["prompt"], row[WEAK] == "True", row[STRONG] == "True") for row in kept)
    return found


def apgr(scores: np.ndarray, rows: list[Outcome], bins: int = 10) -> float:
    """RouteLLM's average performance gap recovered: area under accuracy over the share of strong calls, at the
    thresholds that split the scores into ten equal bins, as a share of the way from the weak to the strong model.
    """
    weak, strong = (np.array([getattr(row, who) for row in rows], dtype=float) for who in ("weak", "strong"))
    points = []
    for step, threshold in enumerate(np.quantile(scores, np.linspace(0, 1, bins + 1))):
        chosen = scores >= threshold if step < bins else scores > threshold
        points.append((chosen.mean(), np.where(chosen, strong, weak).mean()))
    share, right = np.array(sorted(points)).T
    area, span = np.trapezoid(right, share), share[-1] - share[0]
    return float((area - weak.mean() * span) / ((strong.mean() - weak.mean()) * span))


def learn(rows: list[Outcome]) -> dict[str, float]:
    """A weight for each piece that is frequent enough, and under "" what is added to all."""
    known = words().index.keys()
    plain = levels()
    told = [pieces(text, known) for text in [*(row.prompt for row in rows), *(text for text, _ in plain)]]
    counted = Counter(piece for found in told for piece in found)
    names = sorted(piece for piece, times in counted.items() if times >= RARE and "\n" not in piece)
    column = {piece: number for number, piece in enumerate(names)}
    at = [
        (row, column[piece], len(found) ** -0.5) for row, found in enumerate(told) for piece in found if piece in column
    ]
    lines, columns, values = zip(*at, strict=True)
    matrix = sp.csr_matrix((values, (lines, columns)), shape=(len(told), len(names)))
    gain = np.array([float(row.strong) - row.weak for row in rows] + [HARD if hard else EASY for _, hard in plain])
    weigh = np.array([1.0] * len(rows) + [PLAIN] * len(plain))
    model = Ridge(alpha=ALPHA, solver="sparse_cg", tol=1e-6).fit(matrix, gain, weigh)
    weights = {name: float(w) * SPREAD for name, w in zip(names, model.coef_, strict=True)}
    middle = float(model.intercept_ - gain[: len(rows)].mean()) * SPREAD
    return {"": middle, **{name: w for name, w in weights.items() if abs(w) >= SMALL}}


def report(rows: list[Outcome]) -> None:
    """The table of the README: on the even rows, with the packaged model."""
    judge, draw = packaged_classifier().judge, np.random.default_rng(0)
    by = {
        "random": lambda found: draw.random(len(found)),
        "length of the prompt": lambda found: np.array([float(len(row.prompt)) for row in found]),
        "classifier": lambda found: np.array([judge(row.prompt).difficulty for row in found]),
    }
    print("| scored by | MMLU and GSM8K | MMLU | GSM8K |\n|---|---|---|---|")
    for name, score in by.items():
        sets = (rows, *([row for row in rows if row.benchmark == one] for one in ("mmlu", "gsm8k")))
        rounds = 20 if name == "random" else 1
        figures = (sum(apgr(score(found), found) for _ in range(rounds)) / rounds for found in sets)
        print(f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")


def main() -> None:
    """Write the weights, or judge the packaged model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clones", type=Path)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    source = clone(args.clones, "lm-sys/RouteLLM", COMMIT)
    if source is None:
        raise SystemExit("no clone of lm-sys/RouteLLM there")
    rows = outcomes(source)
    if args.write:
        learned = learn([row for row in rows if row.learned_from])
        DIFFICULTY.write_text("".join(f"{weight:.3f}\t{name}\n" for name, weight in learned.items()), encoding="utf-8")
    else:
        report([row for row in rows if not row.learned_from])


if __name__ == "__main__":
    main()
