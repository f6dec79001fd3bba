"""How strongly a text speaks of what is asked: BM25 over the subjects of a question."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

K1, B = 1.2, 0.7
SHARP = 1.5
"""How much more closely a word must match to lift a text than to cover the question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One subject of a question: the terms that stand for it, each with how well, and how much it matters."""

    terms: Mapping[str, float]
    weight: float


@dataclass(frozen=True, slots=True)
class Text:
    """Weighted counts of the terms of a section, and how long it is beside the mean."""

    counts: Mapping[str, float]
    length: float


def text_of(body: Mapping[str, float], titles: Mapping[str, float], mean: float) -> Text:
    """A section of these counts, beside others of this mean length."""
    length = sum(body.values()) / mean if mean else 1.0
    counts = {term: body.get(term, 0) + titles.get(term, 0) for term in {*body, *titles}}
    return Text(counts, 1 - B + B * length)


@dataclass(frozen=True, slots=True)
class Weight:
    """How strongly a text speaks of what is asked, and what share of it it covers at all."""

    strength: float
    coverage: float


def weighed(text: Text, asked: Sequence[Asked]) -> Weight:
    """How strongly, and how much of it."""
    strength = covered = 0.0
    for subject in asked:
        if not (shared := subject.terms.keys() & text.counts.keys()):
            continue
        best, share = _best(subject, text, shared)
        strength += best * subject.weight
        covered += share * subject.weight
    total = sum(subject.weight for subject in asked) or 1
    return Weight(strength, covered / total)


def _best(subject: Asked, text: Text, shared: Iterable[str]) -> tuple[float, float]:
    strength = share = 0.0
    for term in shared:
        closeness, count = subject.terms[term], text.counts[term]
        strength = max(strength, closeness**SHARP * count * (K1 + 1) / (count + K1 * text.length))
        share = max(share, closeness * min(count, 1))
    return strength, share
