"""Make the classifier's model: `python training/classifier/train.py [--out FILE]`. The same data give the same bytes."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sources import DATA, Request, fillers, requests

from portal.routing.classifier import MAGIC
from portal.routing.judgement import TASKS
from portal.routing.pieces import pieces
from vectors import Words, words

LABELS = list(TASKS)
OUT = Path(__file__).parents[2] / "src/portal/routing/classifier.bin"
MEANING, RARE, SILENT = 1.6, 2, 4
DIFFICULTY = DATA / "difficulty.tsv"


def is_size(piece: str) -> bool:
    """Whether a piece tells nothing but the length of the text, which says how hard it is, not what it wants."""
    return piece[0] == "\x01" and piece[1:].isdecimal()


@dataclass
class Features:
    """Which pieces are counted, and the matrix of texts made from them: meaning of words, then pieces."""

    words: Words
    pieces: dict[str, int]

    @classmethod
    def of(cls, texts: Sequence[str], table: Words) -> "Features":
        known = table.index.keys()
        counted = Counter(piece for text in texts for piece in set(pieces(text, known)) if not is_size(piece))
        kept = sorted(piece for piece, times in counted.items() if times >= RARE)
        return cls(table, {piece: column for column, piece in enumerate(kept)})

    def matrix(self, texts: Sequence[str]) -> sp.csr_matrix:
        meaning = np.zeros((len(texts), self.words.vectors.shape[1]), dtype=np.float64)
        rows, columns, values = [], [], []
        known = self.words.index.keys() | self.pieces.keys()
        for row, text in enumerate(texts):
            found = pieces(text, known)
            size = len(found) ** 0.5
            told = [self.words.index[piece] for piece in found if piece in self.words.index]
            meaning[row] = self.words.vectors[told].sum(0) * (MEANING / size) if told else 0
            for piece, times in Counter(found).items():
                if piece in self.pieces:
                    rows.append(row)
                    columns.append(self.pieces[piece])
                    values.append(times / size)
        counts = sp.csr_matrix((values, (rows, columns)), shape=(len(texts), len(self.pieces)))
        return sp.hstack([sp.csr_matrix(meaning), counts]).tocsr()

    def weights(self, coefficients: np.ndarray) -> dict[str, np.ndarray]:
        """What each piece adds: what its meaning says, and what was learned of it alone."""
        width = self.words.vectors.shape[1]
        means = self.words.vectors @ (coefficients[:, :width].T * MEANING)
        found = {word: means[row] for word, row in self.words.index.items()}
        alone = coefficients[:, width:].T
        for piece, column in self.pieces.items():
            found[piece] = found[piece] + alone[column] if piece in found else alone[column]
        return found


def surrounded(given: Sequence[Request]) -> list[Request]:
    """Each lone request once more with words around it that do not change what is wanted."""
    around, found = fillers(), []
    for number, one in enumerate(given):
        if len(one.turns) == 1:
            said = around[one.language]
            filler = said[number % len(said)]
            text = f"{filler} {one.turns[0]}" if number % 2 else f"{one.turns[0]} {filler}"
            found.append(replace(one, turns=(text,)))
    return found


def tasks(given: Sequence[Request], features: Features) -> LogisticRegression:
    """One linear layer of scores for the tasks, from requests that stand alone."""
    alone = [one for one in given if len(one.turns) == 1]
    alone += surrounded(alone)
    model = LogisticRegression(C=10, max_iter=400, tol=1e-4)
    return model.fit(features.matrix([one.turns[-1] for one in alone]), [LABELS.index(one.label) for one in alone])


def going_on(given: Sequence[Request], features: Features, model: LogisticRegression) -> LogisticRegression:
    """Whether words only go on from the turn before: they do where the task stays and they are no request alone."""
    texts = [one.turns[-1] for one in given]
    turns = [row for row, one in enumerate(given) if len(one.turns) > 1]
    before = model.predict(features.matrix([given[row].turns[-2] for row in turns])) if turns else []
    stays = np.zeros(len(given))
    for row, task in zip(turns, before, strict=True):
        stays[row] = LABELS[task] == given[row].label
    weigh = np.where([len(one.turns) > 1 for one in given], 4.0, 1.0)
    return LogisticRegression(C=3, max_iter=400, tol=1e-4).fit(features.matrix(texts), stays, weigh)


def difficulty() -> dict[str, float]:
    """The weights that difficulty.py learned."""
    if not DIFFICULTY.exists():
        return {}
    lines = DIFFICULTY.read_text(encoding="utf-8").splitlines()
    return {piece: float(weight) for weight, piece in (line.split("\t", 1) for line in lines)}


def model_bytes(given: Sequence[Request], table: Words) -> bytes:
    """Train on these requests and lay the model out."""
    features = Features.of([turn for one in given for turn in one.turns], table)
    task = tasks(given, features)
    goes_on = going_on(given, features, task)
    weights = features.weights(np.concatenate([task.coef_, goes_on.coef_]))
    hard = difficulty()
    names = sorted(weights.keys() | hard.keys() - {""})
    nothing = np.zeros(len(LABELS) + 1)
    rows = np.array([[*weights.get(name, nothing), hard.get(name, 0.0)] for name in names])
    bias = [*task.intercept_, *goes_on.intercept_, hard.get("", 0.0)]
    return _packed(names, rows, bias)


def _packed(names: list[str], rows: np.ndarray, bias: Sequence[float]) -> bytes:
    peaks = np.quantile(np.abs(rows), 0.9998, axis=0)
    scales = np.maximum(peaks, 1e-9) / 127
    table = np.clip(np.rint(rows / scales), -127, 127).astype(np.int8)
    telling = (np.abs(table) > SILENT).any(axis=1)
    names = [name for name, tells in zip(names, telling, strict=True) if tells]
    about = {
        "labels": LABELS,
        "scales": [float(f"{scale:.6g}") for scale in scales],
        "bias": [float(f"{b:.6g}") for b in bias],
    }
    return MAGIC + json.dumps(about).encode() + b"\n\n" + "\n".join(names).encode() + b"\n\n" + table[telling].tobytes()


def main() -> None:
    """Train on every source but the held-out one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    args.out.write_bytes(model_bytes(requests(), words()))
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
