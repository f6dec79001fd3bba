"""Words as the guide sees them: cut, shortened to their stem, and related to other words of everyday language.

The relations are data (`guide_words.txt`): general English and some German, nothing about Portal.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

SAME, NEAR = 0.7, 0.55
"""How much a word of the same meaning, or of the same matter, counts beside the very word."""
QUIET = 0.6
"""What is left of that for a word that carries little of a subject."""

_WORD = re.compile(r"[a-z0-9äöüß]+(?:[_.'-][a-z0-9äöüß]+)*")
_DENIAL = re.compile(r"\b[a-z]+n't\b")
_PART = re.compile(r"[a-z0-9äöüß]+")
_VOWEL = re.compile(r"[aeiouy]")
_DOUBLE = re.compile(r"([bdgmnprt])\1$")
_SUFFIXES = (("ies", "y", 2), ("ation", "", 4), ("ate", "", 4), ("ion", "", 4), ("ment", "", 4), ("ly", "", 3))
_GERMAN_ENDINGS = re.compile(r"(?:en|er|es|em|st|e|t|n|s)$")


@cache
def stem(word: str) -> str:
    """The word without its endings: `regenerated`, `regenerates` and `regeneration` are one."""
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = f"{word[:-3]}y" if word.endswith("ies") and len(word) > 4 else word[:-1]
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) > 2 and _VOWEL.search(rest):
            word = _DOUBLE.sub(r"\1", rest)
            word = word.removesuffix("at") if len(word) > 6 else word
            break
    for ending, instead, least in _SUFFIXES:
        if word.endswith(ending) and len(word) - len(ending) >= least:
            word = word.removesuffix(ending) + instead
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def german_stem(word: str) -> str:
    """A German word without its commonest endings."""
    return _GERMAN_ENDINGS.sub("", word) if len(word) > 4 else word


def words(text: str) -> Iterator[str]:
    """Lower-case words; one with inner marks (`server.max_body`, `re-attach`) whole and then in its parts."""
    for found in _WORD.findall(_DENIAL.sub("not", text.lower().replace("’", "'"))):
        parts = _PART.findall(found)
        if len(parts) > 1 and "'" not in found:
            yield found.replace("-", "_")
        yield from parts


class Lexicon:
    """Which words carry no subject, and which are related."""

    def __init__(self, source: str) -> None:
        self.stop: set[str] = set()
        self.german_stop: set[str] = set()
        self.soft: set[str] = set()
        self.denials: set[str] = set()
        self.vocabulary: set[str] = set()
        self.elsewhere: list[str] = []
        """Wordings of what people ask that no manual of such a program answers."""
        self._forms: dict[str, str] = {}
        self._terms: dict[str, str] = {}
        self.phrases: set[tuple[str, ...]] = set()
        self._related: dict[str, dict[str, float]] = defaultdict(dict)
        self._german: dict[str, list[str]] = defaultdict(list)
        self._silent: set[str] = set()
        self._quiet: set[str] = set()
        for line in sorted(source.splitlines(), key=lambda line: not line.startswith("forms: ")):
            self._read(line.strip())
        self.quiet = self.stop | self.soft

    def _read(self, line: str) -> None:
        kind, marked, rest = line.partition(": ")
        if not line or line.startswith("#"):
            return
        if not marked:
            self._group(line.split(), SAME)
        elif kind == "near":
            self._group(rest.split(), NEAR)
        elif kind == "de":
            german, english = rest.split(" = ")
            for word in german.split():
                known = self._german[german_stem(word)]
                known += [term for term in map(self.term, english.split()) if term not in known]
        elif kind == "forms":
            base, *others = rest.split()
            self._forms.update(dict.fromkeys(others, stem(base)))
        elif kind == "elsewhere":
            self.elsewhere += rest.split("; ")
        else:
            lists = {"stop": self.stop, "stop-de": self.german_stop, "soft": self.soft, "not": self.denials}
            lists[kind].update(rest.split())
            self._silent = {self.term(word) for word in self.stop}
            self._quiet = {self.term(word) for word in self.soft}

    def _group(self, group: Sequence[str], closeness: float) -> None:
        self.phrases.update(tuple(self.term(word).split("_")) for word in group if "_" in word)
        self.vocabulary.update(word for word in group if "_" not in word)
        terms = {self.term(word) for word in group}
        for term in terms:
            others = terms - {term} - self._silent
            made = {other: closeness * (QUIET if other in self._quiet else 1) for other in others}
            self._related[term] = {**made, **self._related[term]}

    def term(self, word: str) -> str:
        """The form under which a word or an underscored phrase is known."""
        if (known := self._terms.get(word)) is None:
            parts = word.replace("-", "_").split("_")
            known = self._terms[word] = "_".join(self._forms.get(part) or stem(part) for part in parts)
        return known

    def related(self, term: str) -> Mapping[str, float]:
        """Terms that may stand for this one, each with how well."""
        return self._related.get(term, {})

    def from_german(self, word: str) -> Sequence[str]:
        """English terms for a German word."""
        return self._german.get(german_stem(word), ())

    def terms(self, text: str) -> list[str]:
        """The stems of a text in order, each phrase the lexicon knows following its last word."""
        stems = [self.term(word) for word in words(text)]
        made: list[str] = []
        for end, term in enumerate(stems, 1):
            made.append(term)
            ending = (tuple(stems[end - length : end]) for length in (2, 3) if length <= end)
            made += ["_".join(phrase) for phrase in ending if phrase in self.phrases]
        return made


def packaged_lexicon() -> Lexicon:
    """The relations that come with Portal."""
    return Lexicon((files("portal.backends") / "guide_words.txt").read_text(encoding="utf-8"))
