"""Words that people use for what tools do: which mean the same, in four languages, and what things look like.

The relations are data (`tool_words.txt`), about computing in general and about no tool in particular.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from importlib.resources import files

_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ENDINGS = ("ations", "ation", "ungen", "ings", "ing", "ung", "ies", "ers", "er", "es", "ed", "s", "e", "y")
_FOREIGN = ("ez", "en", "ar", "ir", "a", "o")
_LONGEST = 4
"""Words of a phrase."""
_PART = 4
"""The least letters of a part of a compound."""


class Thesaurus:
    """Which words stand for which."""

    def __init__(self, source: str) -> None:
        self.groups: list[Sequence[str]] = []
        """Each the stems of words that mean the same."""
        self.stop: set[str] = set()
        self._grouped: dict[str, list[int]] = defaultdict(list)
        self._implied: dict[str, dict[str, None]] = defaultdict(dict)
        self._phrases: set[str] = set()
        self._shapes: list[tuple[re.Pattern[str], str]] = []
        for line in source.splitlines():
            if line and not line.startswith("#"):
                self._read(line)

    def _read(self, line: str) -> None:
        if line.startswith("stop: "):
            self.stop.update(self._terms(line.removeprefix("stop: ")))
        elif line.startswith("shape: "):
            shape, _, meaning = line.removeprefix("shape: ").rpartition(" = ")
            self._shapes.append((re.compile(shape, re.DOTALL), f" {meaning} "))
        else:
            left, implies, right = line.partition(" > ")
            terms = self._terms(left)
            if implies:
                others = dict.fromkeys(self._terms(right))
                for term in terms:
                    self._implied[term] |= others
            else:
                for term in terms:
                    self._grouped[term].append(len(self.groups))
                self.groups.append(terms)

    def _terms(self, line: str) -> list[str]:
        terms = list(dict.fromkeys("_".join(map(stem, words(word))) for word in line.split()))
        self._phrases.update(term for term in terms if "_" in term)
        return terms

    def groups_of(self, term: str) -> Sequence[int]:
        """Places in `groups` of those that hold the term."""
        return self._grouped.get(term, ())

    def implied(self, term: str) -> Collection[str]:
        """Terms that this one speaks of as well."""
        return self._implied.get(term, ())

    def terms(self, text: str) -> Iterator[str]:
        """What a request speaks of: stems and phrases (joined by `_`), without words that say nothing."""
        text = text.lower()
        for shape, meaning in self._shapes:
            text = shape.sub(meaning, text)
        found = words(text)
        stems = [stem(word) for word in found]
        at = 0
        while at < len(stems):
            lengths = (
                length for length in range(_LONGEST, 1, -1) if "_".join(stems[at : at + length]) in self._phrases
            )
            length = next(lengths, 1)
            term = "_".join(stems[at : at + length])
            if term not in self.stop:
                yield term
                if length == 1 and not self._knows(term):
                    yield from self._parts(found[at])
            at += length

    def _knows(self, term: str) -> bool:
        return term in self._grouped or term in self._implied

    def _parts(self, word: str) -> Iterator[str]:
        """Words that a compound begins and ends with, as German ones do: the longest of each."""
        cuts = range(len(word) - 3, _PART - 1, -1)
        for parts in ((word[:cut] for cut in cuts), (word[-cut:] for cut in cuts)):
            yield from [term for term in map(stem, parts) if self._knows(term)][:1]


def packaged_thesaurus() -> Thesaurus:
    """The words that come with Portal."""
    return Thesaurus((files("portal.core") / "tool_words.txt").read_text(encoding="utf-8"))


def words(text: str) -> list[str]:
    """Its words in lower case, without accents; those of a name like `readFile` or `read_file` apart."""
    return _WORD.findall(_plain(_CAMEL.sub(" ", text).lower()))


def stem(word: str) -> str:
    """The word without its commonest endings in four languages."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    for ending in _FOREIGN:
        if word.endswith(ending) and len(word) - len(ending) >= 5:
            return word[: -len(ending)]
    return word


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one)).replace(
        "ß", "ss"
    )
