"""Which tools fit a request: BM25 over their names, descriptions and parameters, where words of the same meaning count
as one, and tools whose siblings fit well come before strangers. What else is known of how alike they are is added.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from portal.core.thesaurus import Thesaurus, stem, words
from portal.core.tools import ToolSpec

_K1, _B = 2.0, 0.6
_NAME, _FIRST, _REST = 3.0, 1.0, 0.4
"""How much a word counts in a name, in the first sentence of a description, and in the rest of it or a parameter."""
_SAME, _IMPLIED = 0.85, 0.7
"""What is left of a word's weight where a tool has one of the same meaning, or one that it speaks of as well."""
_SIBLING = 0.4
"""The share that a tool gets of the score of its server's best one."""
_ALIKE, _LEAST = 9.0, 0.25
"""What a likeness of 1 is worth beside words, and how much of it a tool needs that no word speaks for."""
_READ = 1000
"""Characters that are read at the beginning and at the end of a long text."""


class Ranking:
    """Tools, to be ordered by how well they fit a text."""

    def __init__(self, specs: Sequence[ToolSpec], *, thesaurus: Thesaurus) -> None:
        self._specs, self._thesaurus = specs, thesaurus
        self._fits = self._indexed()
        """For each word the tools that have it, with how well it fits them; then the same for each group of words."""
        groups = [self._together(group) for group in thesaurus.groups]
        self._groups = [self._weighed(fits, len(fits)) for fits in groups]
        for term, fits in self._fits.items():
            alike = [len(groups[place]) for place in thesaurus.groups_of(term)]
            self._fits[term] = self._weighed(fits, max(len(fits), min(alike, default=0)))

    def of(self, specs: Sequence[ToolSpec]) -> bool:
        """Whether it ranks just these, so that it needs no making anew."""
        return [*specs] == [*self._specs]

    def best(
        self, text: str, limit: int, among: Collection[str] | None = None, alike: Sequence[float] = ()
    ) -> list[ToolSpec]:
        """The best ones that fit at all, best first; `among` are the names of those that may be chosen, `alike` tells
        of every tool how alike it and the text are, where that is known."""
        if len(text) > 2 * _READ:
            text = f"{text[:_READ]} {text[-_READ:]}"
        scores = self._scores(text)
        fitting = {at for at, score in scores.items() if score > 0}
        for at, likeness in enumerate(alike):
            scores[at] += _ALIKE * likeness
            fitting |= {at} if likeness >= _LEAST else set()
        allowed = [at for at, spec in enumerate(self._specs) if among is None or spec.name in among]
        best: dict[str, float] = defaultdict(float)
        for at in allowed:
            best[self._specs[at].toolset] = max(best[self._specs[at].toolset], scores[at])
        whole = {at: scores[at] + best[self._specs[at].toolset] * _SIBLING for at in allowed}
        ordered = sorted(allowed, key=lambda at: whole[at], reverse=True)
        return [self._specs[at] for at in ordered if at in fitting][:limit]

    def _indexed(self) -> dict[str, dict[int, float]]:
        counts = [_counted(spec) for spec in self._specs]
        lengths = [sum(one.values()) for one in counts]
        mean = sum(lengths) / max(len(lengths), 1) or 1.0
        fits: dict[str, dict[int, float]] = defaultdict(dict)
        for at, one in enumerate(counts):
            norm = _K1 * (1 - _B + _B * lengths[at] / mean)
            for term, count in one.items():
                fits[term][at] = count * (_K1 + 1) / (count + norm)
        return dict(fits)

    def _together(self, group: Iterable[str]) -> dict[int, float]:
        best: dict[int, float] = {}
        for term in group:
            _raise(best, self._fits.get(term, {}))
        return best

    def _weighed(self, fits: Mapping[int, float], holding: int) -> dict[int, float]:
        """Each multiplied by how rare the word is; one that means the same as a common one is not rare."""
        rarity = math.log(1 + (len(self._specs) - holding + 0.5) / (holding + 0.5)) if holding else 0.0
        return {at: fit * rarity for at, fit in fits.items()}

    def _scores(self, text: str) -> dict[int, float]:
        total: dict[int, float] = defaultdict(float)
        for fits, weight in self._found(list(dict.fromkeys(self._thesaurus.terms(text)))):
            for at, fit in fits.items():
                total[at] += fit * weight
        return total

    def _found(self, terms: Collection[str]) -> Iterator[tuple[Mapping[int, float], float]]:
        implied: dict[str, float] = {}
        for term in terms:
            fits = dict(self._fits.get(term, {}))
            for place in self._thesaurus.groups_of(term):
                _raise(fits, self._groups[place], _SAME)
            yield fits, 1.0
            others = self._thesaurus.implied(term)
            for other in others:
                implied[other] = max(implied.get(other, 0.0), _IMPLIED / math.sqrt(len(others)))
        for term, weight in implied.items():
            if term not in terms:
                yield self._fits.get(term, {}), weight


def _raise(best: dict[int, float], fits: Mapping[int, float], weight: float = 1.0) -> None:
    for at, fit in fits.items():
        best[at] = max(best.get(at, 0.0), fit * weight)


def _counted(spec: ToolSpec) -> Mapping[str, float]:
    properties = spec.parameters.get("properties", {})
    told = [str(one.get("description", "")) for one in properties.values() if isinstance(one, dict)]
    first, _, rest = spec.description.partition(".")
    fields = (
        (_NAME, [spec.name, spec.title, spec.toolset]),
        (_FIRST, [first]),
        (_REST, [rest, *properties, *told]),
    )
    counts: dict[str, float] = defaultdict(float)
    for weight, texts in fields:
        for word in dict.fromkeys(words(" ".join(texts))):
            if weight == _NAME or not word.isdigit():
                counts[stem(word)] += weight
    return counts
