"""Short wordings of what sections are about: their titles, and the other words in which people ask for them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence


class Phrases:
    """Finds, for each section, how well its closest wording meets a question."""

    def __init__(self, sections: Iterable[Iterable[Mapping[str, float]]]) -> None:
        """For each section its wordings, each as terms with their weights."""
        self._places: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._owners: list[int] = []
        self._sections = 0
        for section in sections:
            for wording in section:
                self._add(wording)
            self._sections += 1

    def _add(self, wording: Mapping[str, float]) -> None:
        total = sum(wording.values())
        for term, weight in wording.items():
            self._places[term].append((len(self._owners), weight / total))
        self._owners.append(self._sections)

    def closest(self, asked: Sequence[tuple[Mapping[str, float], float]]) -> list[float]:
        """1 for a section one of whose wordings is the question; less for what the question has beside it, or it
        beside the question. What is asked: terms, each with how well it stands for a subject, and its weight."""
        whole = sum(weight for _, weight in asked) or 1
        met: dict[int, float] = defaultdict(float)
        close: dict[str, float] = {}
        for terms, weight in asked:
            best: dict[int, float] = {}
            for term, share in terms.items():
                close[term] = max(share, close.get(term, 0))
                for wording, _ in self._places.get(term, ()):
                    best[wording] = max(share, best.get(wording, 0))
            for wording, share in best.items():
                met[wording] += share * weight / whole
        return self._best(met, self._covered(close))

    def _covered(self, close: Mapping[str, float]) -> Mapping[int, float]:
        """How much of each wording the question speaks of."""
        covered: dict[int, float] = defaultdict(float)
        for term, share in close.items():
            for wording, weight in self._places.get(term, ()):
                covered[wording] += share * weight
        return covered

    def _best(self, met: Mapping[int, float], covered: Mapping[int, float]) -> list[float]:
        best = [0.0] * self._sections
        for wording, share in met.items():
            both = 2 * share * covered[wording] / (share + covered[wording])
            best[self._owners[wording]] = max(both, best[self._owners[wording]])
        return best
