"""What a request asks for and how hard it is, judged from its words alone, in well under a millisecond."""

import json
import math
from array import array
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from portal.routing.judgement import Judgement
from portal.routing.pieces import pieces

MAGIC = b"portal classifier 1\n"
_GIVEN = 5.0
_TURNS = 3
_NEEDS = {
    "vision": "vision",
    "audio": "audio",
    "image_generation": "image_generation",
    "video_generation": "video_generation",
    "research": "tools",
}
_CLEAR = 0.5


class Classifier:
    """A table of pieces: a small integer each for every task, for going on from the turn before, and for difficulty."""

    def __init__(self, model: bytes) -> None:
        if not model.startswith(MAGIC):
            raise ValueError("not a classifier's model")
        header, listed, table = model[len(MAGIC) :].split(b"\n\n", 2)
        about = json.loads(header)
        self.labels: tuple[str, ...] = tuple(about["labels"])
        self._scales: list[float] = about["scales"]
        self._bias: list[float] = about["bias"]
        self._width = len(self._bias)
        self._table = array("b", table)
        self._rows = {piece: row * self._width for row, piece in enumerate(listed.decode().split("\n"))}

    def judge(
        self, text: str, history: Sequence[str] = (), *, has_image: bool = False, has_audio: bool = False
    ) -> Judgement:
        """Judge `text` as the turn after `history`, the earlier texts of the user, newest last."""
        tasks, hard = self._said(text)
        tasks = self._with_history(tasks, history)
        given = {"vision": has_image - (has_audio and not has_image), "audio": int(has_audio)}
        shares = _softmax(
            [score + _GIVEN * given.get(label, 0) for label, score in zip(self.labels, tasks[:-1], strict=True)]
        )
        best = max(range(len(shares)), key=shares.__getitem__)
        task, confidence = self.labels[best], shares[best]
        needs = {kind for kind, present in given.items() if present > 0}
        if confidence >= _CLEAR and task in _NEEDS:
            needs.add(_NEEDS[task])
        scores = dict(zip(self.labels, shares, strict=True))
        return Judgement(
            task=task, confidence=confidence, difficulty=_sigmoid(hard), scores=scores, needs=frozenset(needs)
        )

    def _with_history(self, tasks: list[float], history: Sequence[str]) -> list[float]:
        """Blend in the turn before, as far as the words only go on from it."""
        if not history:
            return tasks
        before: list[float] | None = None
        for earlier in history[-_TURNS:]:
            said = self._said(earlier)[0]
            before = said if before is None else _blend(said, before)
        return _blend(tasks, before or tasks)

    def _said(self, text: str) -> tuple[list[float], float]:
        """Scores of every task and of going on, then the difficulty, of one text alone."""
        known = self._rows
        found = pieces(text, known)
        rows = [self._table[at : at + self._width] for at in map(known.get, found) if at is not None]
        size = math.sqrt(len(found))
        sums = map(sum, zip(*rows, strict=True)) if rows else [0] * self._width
        scores = [b + s * total / size for b, s, total in zip(self._bias, self._scales, sums, strict=True)]
        return scores[:-1], scores[-1]


def _blend(tasks: list[float], before: list[float]) -> list[float]:
    share = _sigmoid(tasks[-1])
    mixed = [(1 - share) * now + share * then for now, then in zip(tasks[:-1], before[:-1], strict=True)]
    return [*mixed, tasks[-1]]


def _sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def _softmax(scores: Sequence[float]) -> list[float]:
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    whole = sum(weights)
    return [weight / whole for weight in weights]


@cache
def packaged_classifier() -> Classifier:
    """The classifier that Portal ships, read once when first used."""
    return Classifier(files("portal.routing").joinpath("classifier.bin").read_bytes())
