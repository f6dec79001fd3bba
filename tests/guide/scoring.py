"""Scores the guide on a file of questions; shared by the test and bench/guide.py."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from portal.backends.guide import Guide

HERE = Path(__file__).parent
JUDGED, DEVELOPMENT, LATER = HERE / "questions.jsonl", HERE / "dev.jsonl", HERE / "fresh.jsonl"
"""Written before the retrieval; tuned with; written after its first tuning, and since then tuned with."""
STRANGER, BLIND = HERE / "stranger.jsonl", HERE / "blind.jsonl"
"""By another hand that read the manual, not the retrieval, after the second tuning; nothing is tuned with BLIND."""
SECOND, THIRD, HELD_OUT = HERE / "second.jsonl", HERE / "third.jsonl", HERE / "held_out.jsonl"
"""By the hands that did the second tuning: written before it and tuned with; written near its end and then tuned with;
written before it, its misses never looked at."""
UNSEEN = HERE / "unseen.jsonl"
"""Written from the manual's headings alone, before the fourth tuning; nothing is tuned with it."""

TERSE = HERE / "terse.jsonl"
"""As people type: a few words, slips, much of it vague; a third sounds near and has no answer. Written before the
fifth tuning, and tuned with."""

ALL = (JUDGED, DEVELOPMENT, LATER, SECOND, THIRD, HELD_OUT, STRANGER, BLIND, UNSEEN, TERSE)


@dataclass(frozen=True)
class Outcome:
    kind: str
    question: str
    expected: list[str] | None
    found: str | None
    """The section that is quoted; None for a refusal."""

    @property
    def right(self) -> bool:
        return self.found is None if self.expected is None else self.found in self.expected


async def ask_all(guide: Guide, path: Path) -> list[Outcome]:
    outcomes = []
    for line in path.read_text(encoding="utf-8").splitlines():
        asked = json.loads(line)
        _, hits = await guide.search([asked["question"]])
        section = hits[0].section if hits and hits[0].answers else None
        found = f"{section.page}#{section.id}" if section else None
        outcomes.append(Outcome(asked["kind"], asked["question"], asked["expected"], found))
    return outcomes


def shares(outcomes: list[Outcome]) -> dict[str, float]:
    """By kind, and `answerable` for all that have an answer: the share that is right."""
    kinds = [(one.kind, one.right) for one in outcomes]
    kinds += [("answerable", one.right) for one in outcomes if one.expected]
    total, right = Counter(kind for kind, _ in kinds), Counter(kind for kind, good in kinds if good)
    return {kind: right[kind] / total[kind] for kind in total}
