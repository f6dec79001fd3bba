"""What of two ways of finding becomes one list: scores fused, the same said twice dropped, neighbours joined. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from zlib import crc32

from portal.core.passages import Found, Hit, Passage

if TYPE_CHECKING:
    from portal.core.passages import Vectors

MEANING = 0.5
"""Weight of likeness beside words."""
MEANING_OF_TURNS = 0.3
"""The same where people talk to each other: who and what they name tells more than what they say is like."""
_MEANING_AGAIN = 0.7
"""The same, once the query is told more."""
_BEST, _FEEDBACK = 3, 0.5
"""How many of the best tell it, and how much that counts."""
_SAME = 0.9
"""Share of words from which on two passages say the same."""
_MARKS = 3
"""Words of a passage by which it is known again: the first in an order that has nothing to do with them, so that texts
of the same words begin alike."""
_JOINED = 4
"""Passages that become one at most, so that a long document does not come as a whole."""
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]|[^\W_]+")


def weighed(
    words: Sequence[Hit],
    vectors: Mapping[str, "Vectors"],
    query: "Vectors | None",
    *,
    again: bool = True,
    meaning: float = MEANING,
) -> list[Hit]:
    """All that either way found, best first, scored 0 to 1; `meaning` weighs likeness. With `again` what the best
    ones mean is added to what is asked, and all are looked at once more: they say in many words what a question says
    in few."""
    if query is None or not vectors:
        return [Hit(one.id, score) for one, score in zip(words, _shares(words), strict=True)]
    first = _fused(words, cosines(vectors, query), meaning)
    if not again:
        return first
    best = [vectors[hit.id] for hit in first if hit.id in vectors][:_BEST]
    more = query + _FEEDBACK * sum(best) / len(best)
    return _fused(words, cosines(vectors, more / float(more @ more) ** 0.5), _MEANING_AGAIN)


def cosines(vectors: Mapping[str, "Vectors"], query: "Vectors") -> Mapping[str, float]:
    """Of each vector with the query's."""
    import numpy as np

    products = np.stack([*vectors.values()]) @ query if vectors else np.zeros(0)
    return dict(zip(vectors, products.tolist(), strict=True))


def _fused(words: Sequence[Hit], cosines: Mapping[str, float], meaning: float) -> list[Hit]:
    """Both ways' scores are stretched to 0 to 1 before they are weighed: ranks alone would let the worse way spoil the
    better one."""
    by_words = {one.id: score for one, score in zip(words, _shares(words), strict=True)}
    low, high = min(cosines.values()), max(cosines.values())
    by_meaning = {one: (cosine - low) / ((high - low) or 1.0) for one, cosine in cosines.items()}
    scores = {
        one: meaning * by_meaning.get(one, by_words.get(one, 0.0)) + (1 - meaning) * by_words.get(one, 0.0)
        for one in by_words | by_meaning
    }
    return sorted((Hit(one, score) for one, score in scores.items()), key=lambda hit: (-hit.score, hit.id))


def _shares(hits: Sequence[Hit]) -> list[float]:
    best = max((hit.score for hit in hits), default=0.0)
    return [hit.score / best if best > 0 else 0.0 for hit in hits]


def distinct(passages: Iterable[Passage], count: int) -> list[Passage]:
    """The first so many that say something that none before them says."""
    kept: list[Passage] = []
    said: dict[int, list[set[str]]] = defaultdict(list)
    for passage in passages:
        if len(kept) == count:
            break
        words = set(_WORD.findall(passage.text.casefold()))
        marks = sorted([crc32(word.encode()) for word in words])[:_MARKS] or [0]
        if not any(_same(words, others) for mark in marks for others in said[mark]):
            kept.append(passage)
            for mark in marks:
                said[mark].append(words)
    return kept


def _same(one: set[str], other: set[str]) -> bool:
    if not one or not other:
        return one == other
    smaller, larger = sorted((len(one), len(other)))
    if smaller < _SAME * larger:
        return False
    shared = len(one & other)
    return shared >= _SAME * (smaller + larger - shared)


def joined(found: Sequence[Found]) -> list[Found]:
    """Passages that follow each other in a document as one, in the place and with the id of the best of them."""
    left = {(one.passage.document, one.passage.position): one.passage for one in found}
    made: list[Found] = []
    for one in found:
        best = one.passage
        if left.pop((best.document, best.position), None) is not best:
            continue
        run = [best]
        while len(run) < _JOINED and (after := _beside(left, best, run[-1].position + 1)):
            run.append(after)
        while len(run) < _JOINED and (before := _beside(left, best, run[0].position - 1)):
            run.insert(0, before)
        made.append(one if len(run) == 1 else replace(one, passage=_join(best, run)))
    return made


def _beside(left: dict[tuple[str, int], Passage], best: Passage, position: int) -> Passage | None:
    """The passage there, unless it is on another page or under another first heading, such as a file of an archive."""
    found = left.get((best.document, position))
    if found is None or (found.page, found.heading[:1]) != (best.page, best.heading[:1]):
        return None
    return left.pop((best.document, position))


def _join(best: Passage, run: Sequence[Passage]) -> Passage:
    text, end = run[0].text, run[0].end
    for passage in run[1:]:
        overlap = end - passage.start
        if 0 < overlap < len(passage.text) and text.endswith(passage.text[:overlap]):
            text += passage.text[overlap:]
        else:
            text += ("\n\n" if passage.heading != run[0].heading else "\n") + passage.text
        end = passage.end
    return replace(best, text=text, heading=_shared(run), start=run[0].start, end=end)


def _shared(run: Sequence[Passage]) -> Sequence[str]:
    """The headings that all of them stand under."""
    shared = list(run[0].heading)
    for passage in run[1:]:
        while shared and list(passage.heading[: len(shared)]) != shared:
            shared.pop()
    return tuple(shared)
