"""Finding the section that answers a question: BM25 over titles and text, with related words and slips of the pen.

The title of a section and the other words in which people ask for it (`phrases`), and what these are about
(`meaning`), decide between sections that use the same words. Beside its score a hit carries a confidence; a question
whose best section is unsure has no answer.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest
from itertools import accumulate, pairwise, repeat
from operator import mul

from portal.backends.gist import Felt
from portal.backends.manual import Section
from portal.backends.meaning import FINE, Bundle, Meanings, Vector
from portal.backends.phrases import Phrases
from portal.backends.spelling import meant
from portal.backends.weight import Asked, Text, text_of, weighed
from portal.backends.words import Lexicon, stem, words

# All found on the development questions.
SLIP = 0.85
"""How much a corrected word counts beside the very word."""
SOFT, UNKNOWN, COMMON = 0.15, 1.2, 0.4
"""What a word that carries little of a subject weighs beside another; one that the manual never speaks of; and what is
left of that for an everyday word."""
TITLE, PAGE, CODE = 4.0, 0.6, 0.5
COVERED, NAMED = 3.0, 2.0
"""How much the score grows with coverage of the question, and of the section's title."""
TONE = 0.65
"""What is left of the score where only one of the two, question and section, is about a failure."""
STOP, QUIET = 0.3, 0.5
"""What stop words and soft words of a title weigh."""
NEIGHBOURS = 10
"""How many of all wordings, those most about what is asked, have a vote."""
PHRASED, ABOUT, VOTED = 3.84, 6.17, 3.5
"""How much the score grows with the closest wording, with how much it is about the same, and with the votes."""
FELT_WORDS, FELT_LEAST = 1.17, 0.02
"""Where gists are there too: the power of what the words say, and what stands for their silence."""
FELT_PHRASED, FELT_ABOUT, FELT_GISTS = 3.05, 8.4, (10.4, 8.0, 7.8)
"""How much the score grows then with the closest wording, with how much it is about the same, and with the gists."""
SURE = (7.66, 4.14, 0.83, 0.82, -6.08, -6.82)
"""How sure an answer is: a logistic regression over the questions of tests/guide, see `_signs`."""
ENOUGH = 0.643
"""The least confidence of an answer. `scripts/guide_confidence.py` finds this and the weights above."""
FELT_SURE: Sequence[float] = (4.92, 3.7, 0.47, 1.59, -4.85, 2.97, 2.04, 0.94, -8.27)
FELT_ENOUGH = 0.503
"""The same where gists are there too."""

_PART = re.compile(r"[^_.]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_FENCE = re.compile(r"^```.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Hit:
    """A section and how well it fits."""

    section: Section
    score: float
    signs: Sequence[float]
    """What speaks for this as an answer; empty where nothing does."""

    @property
    def confidence(self) -> float:
        """How likely it is that this answers the question at all."""
        return 1 / (1 + math.exp(-sum(map(mul, self._weights, self.signs)))) if self.signs else 0.0

    @property
    def _weights(self) -> Sequence[float]:
        return FELT_SURE if len(self.signs) == len(FELT_SURE) else SURE

    @property
    def answers(self) -> bool:
        """Whether that is likely enough to quote it."""
        return self.confidence >= (FELT_ENOUGH if self._weights is FELT_SURE else ENOUGH)


@dataclass(frozen=True, slots=True)
class _Found:
    """A section before it is compared with the others."""

    section: Section
    words: float
    """What the words alone say for it."""
    coverage: float
    near: float
    """How closely its closest wording meets the question."""
    about: float
    """How much its closest wording is about the same."""
    votes: float
    """Its share of the closest wordings of all sections."""
    felt: Felt | None
    """How alike the two are as a whole, where that is known."""

    @property
    def score(self) -> float:
        if self.felt:
            alike = sum(map(mul, FELT_GISTS, self.felt))
            told = FELT_PHRASED * self.near**2 + FELT_ABOUT * self.about
            return float((self.words + FELT_LEAST) ** FELT_WORDS * math.exp(told + alike))
        return self.words * math.exp(PHRASED * self.near**2 + ABOUT * self.about + VOTED * self.votes)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, and what that stands for when sections are weighed."""

    asked: Sequence[Asked]
    wording: set[str]
    weight: float
    elsewhere: float
    """How closely the closest wording of what no manual answers meets it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    section: Section
    heading: frozenset[str]
    denies: bool
    """Whether it is about what fails, by its own title or its page's."""
    text: Text


class Passages:
    """An index over the sections of a manual; built when first asked."""

    def __init__(self, *, sections: Sequence[Section], lexicon: Lexicon) -> None:
        self._sections = sections
        self._lexicon = lexicon
        self._meanings = Meanings()

    @cached_property
    def _phrases(self) -> Phrases:
        """Those of each section, and at last those of what no manual answers."""
        own = [[section.title, *section.asked] for section in self._sections]
        return Phrases([[self._wording(each) for each in wordings] for wordings in [*own, self._lexicon.elsewhere]])

    def _wording(self, text: str) -> dict[str, float]:
        """The terms of a wording, each with how much it matters."""
        found = {word for word in words(text) if not _compound(word)} - self._lexicon.stop
        terms = {word: self._lexicon.term(word) for word in found}
        return {term: self._rarity(term) * (SOFT if word in self._lexicon.soft else 1) for word, term in terms.items()}

    @cached_property
    def _entries(self) -> list[_Entry]:
        bodies = [self._body("\n".join([section.text, *section.asked])) for section in self._sections]
        mean = sum(sum(body.values()) for body in bodies) / max(len(bodies), 1)
        return [self._entry(section, body, mean) for section, body in zip(self._sections, bodies, strict=True)]

    def _entry(self, section: Section, body: Mapping[str, float], mean: float) -> _Entry:
        titles: dict[str, float] = defaultdict(float)
        for term in self._lexicon.terms(section.page_title):
            titles[term] += PAGE
        for term in set(self._lexicon.terms(section.title)):
            titles[term] += TITLE
        heading = frozenset(words(section.title))
        denies = not self._lexicon.denials.isdisjoint({*heading, *words(section.page_title)})
        return _Entry(section, heading, denies, text_of(body, titles, mean))

    @cached_property
    def _wordings(self) -> Bundle:
        """What the title of each section and the words in which people ask for it are about, as `_phrases` has them."""
        return Bundle([self._meanings.of(text) for each in self._sections for text in [each.title, *each.asked]])

    @cached_property
    def _owners(self) -> list[int]:
        """Whose each of these wordings is."""
        return [place for place, section in enumerate(self._sections) for _ in [section.title, *section.asked]]

    def _alike(self, about: Vector) -> list[tuple[float, float]]:
        """For each section how much its closest wording is about the same, and its share of the closest of all."""
        alike = self._wordings.likeness(about)
        votes = Counter(owner for _, owner in nlargest(NEIGHBOURS, zip(alike, self._owners, strict=True)))
        ends = [0, *accumulate(len(section.asked) + 1 for section in self._sections)]
        closest = (max(alike[begin:end]) / FINE**2 for begin, end in pairwise(ends))
        return [(close, votes[place] / NEIGHBOURS) for place, close in enumerate(closest)]

    def _body(self, text: str) -> dict[str, float]:
        """Weighted counts: an example in a code block says less about a section's subject than its sentences."""
        counts: dict[str, float] = defaultdict(float)
        for place, part in enumerate(_FENCE.split(text)):
            for term in self._lexicon.terms(part):
                counts[term] += CODE if place % 2 else 1
        return counts

    @cached_property
    def _words(self) -> dict[str, str]:
        """Every word of the manual and the lexicon, with its term."""
        mine = {
            word
            for section in self._sections
            for word in words(f"{section.title} {section.text} {' '.join(section.asked)}")
        }
        return {word: self._lexicon.term(word) for word in mine | self._lexicon.vocabulary}

    @cached_property
    def _foreign(self) -> set[str]:
        """The terms of what no manual answers."""
        return {term for text in self._lexicon.elsewhere for term in self._lexicon.terms(text)}

    @cached_property
    def _spread(self) -> Counter[str]:
        """In how many sections each term stands."""
        return Counter(term for entry in self._entries for term in entry.text.counts)

    def _rarity(self, term: str) -> float:
        return math.log(1 + (len(self._sections) + 0.5) / (self._spread.get(term, 0) + 0.5))

    def index(self) -> None:
        """Build what the first question would have to wait for; a word that nobody knows needs all of it."""
        self.search(self.ask("xqzwv"), "xqzwv")

    def ask(self, question: str, *, german: bool = False) -> list[Asked]:
        """The subjects of a question. One made of stop words alone is taken at its word."""
        lexicon = self._lexicon
        found = list(dict.fromkeys(words(question)))
        stop = lexicon.stop | lexicon.german_stop if german else lexicon.stop
        content = [word for word in found if word not in stop and len(word) > 1] or found
        if german and found:  # the first part of a German verb may stand last: `Wie melde ich mich ab?`
            content = [whole if lexicon.from_german(whole := found[-1] + word) else word for word in content]
        wholes = [*filter(_compound, content), *(term for term in lexicon.terms(question) if _compound(term))]
        terms = {lexicon.term(whole): whole for whole in wholes if self._known(lexicon.term(whole))}
        inside = {part for term in terms for part in _PART.findall(term)}
        single = {lexicon.term(word): word for word in content if not _compound(word)}
        terms |= {term: word for term, word in single.items() if term not in inside}
        asked = {word: self._subject(word, term, german) for term, word in terms.items()}
        told = [
            subject for word, subject in asked.items() if subject.terms or not lexicon.quiet.issuperset(word.split("_"))
        ]
        return _apart(told or list(asked.values()))

    def _known(self, term: str) -> bool:
        return term in self._spread or bool(self._lexicon.related(term))

    def _subject(self, word: str, term: str, german: bool) -> Asked:
        terms = {term: 1.0}
        if german and (english := self._lexicon.from_german(word)):
            terms = dict.fromkeys(english, 1.0)
        elif not self._known(term):
            slip = meant(word, self._words)
            terms = {term: 1.0, self._words[slip]: SLIP} if slip else terms
        wide = {
            other: share * closeness
            for known, share in terms.items()
            for other, closeness in self._lexicon.related(known).items()
        }
        terms = {**wide, **terms}
        there = [other for other in terms if other in self._spread]
        unknown = UNKNOWN * self._rarity(term) * (COMMON if self._meanings.common(stem(word)) else 1)
        weight = max((self._rarity(other) * terms[other] for other in there), default=unknown)
        quiet = self._lexicon.quiet.issuperset(word.split("_"))
        kept = [*there, *(self._foreign & terms.keys() - self._lexicon.quiet)]
        return Asked({other: terms[other] for other in kept}, weight * (SOFT if quiet else 1))

    def search(self, asked: Sequence[Asked], question: str = "", felt: Sequence[Felt] = ()) -> list[Hit]:
        """All sections that share something with what is asked, best first; `question` is its wording, and `felt` how
        alike each section is to it as a whole, where that is known."""
        terms = {term for subject in asked for term in subject.terms}
        weight = sum(subject.weight for subject in asked)
        *near, elsewhere = self._phrases.closest([(subject.terms, subject.weight) for subject in asked])
        whole = _Question(asked, set(words(question)), weight, elsewhere)
        alike = self._alike(self._about(asked, question))
        found = [
            self._find(entry, whole, (close, *about, gist))
            for entry, close, about, gist in zip(
                self._entries, near, alike, felt or repeat(None, len(self._entries)), strict=True
            )
            if felt or not terms.isdisjoint(entry.text.counts)
        ]
        found = sorted((each for each in found if each.score > 0), key=lambda each: -each.score)
        behind = [*(each.score for each in found[1:]), 0.0][: len(found)]
        return [
            Hit(each.section, each.score, _signs(each, after, whole)) for each, after in zip(found, behind, strict=True)
        ]

    def _about(self, asked: Sequence[Asked], question: str) -> Vector:
        """The direction of a question: of its words, and of what they are in English where they are not."""
        sure = [term for subject in asked for term, share in subject.terms.items() if share == 1]
        return self._meanings.mean([*map(stem, words(question)), *(part for term in sure for part in term.split("_"))])

    def only_german(self, word: str) -> bool:
        """Whether a word is known, and neither in the manual nor in everyday English."""
        return bool(self._lexicon.from_german(word)) and not self._is_word(word)

    def _is_word(self, word: str) -> bool:
        return self._known(self._lexicon.term(word)) or self._meanings.knows(stem(word))

    def mended(self, question: str) -> str:
        """A question without slips of the pen: what is no word of the manual, nor of everyday English, as the word
        that was probably meant."""
        return _LETTERS.sub(lambda found: self._mended(found[0]), question)

    def _mended(self, word: str) -> str:
        small = word.lower()
        return word if self._is_word(small) else meant(small, self._words) or word

    def weigh(self, text: str, asked: Sequence[Asked]) -> float:
        """How much any text speaks of the question."""
        return weighed(Text(self._body(text), 1), asked).coverage

    def _find(self, entry: _Entry, question: _Question, alike: tuple[float, float, float, Felt | None]) -> _Found:
        found = weighed(entry.text, question.asked)
        score = found.strength * found.coverage**COVERED
        score *= 1 + NAMED * self._named(entry, question.asked, question.wording)
        score *= self._standing(entry, question.wording)
        return _Found(entry.section, score, found.coverage, *alike)

    def _standing(self, entry: _Entry, wording: set[str]) -> float:
        """How readily a section is quoted at all, to a question in this tone: sections about what fails suit
        questions about what fails, and no others."""
        denies = entry.denies
        tone = 1 if denies == bool(wording & self._lexicon.denials) else TONE
        return tone * entry.section.prominence

    def _named(self, entry: _Entry, asked: Sequence[Asked], wording: set[str]) -> float:
        """How much of a section's title the question speaks of; words without a subject count a little."""
        named = total = 0.0
        for word in entry.heading:
            term = self._lexicon.term(word)
            weight = self._gravity(word, term)
            close = max((subject.terms.get(term, 0.0) for subject in asked), default=0.0)
            named += weight * (1.0 if word in wording else close)
            total += weight
        return named / (total or 1)

    def _gravity(self, word: str, term: str) -> float:
        if word in self._lexicon.stop:
            return STOP
        return self._rarity(term) * (QUIET if word in self._lexicon.soft else 1)


def _apart(asked: Sequence[Asked]) -> list[Asked]:
    """Subjects that do not stand for each other: a word of the question counts for itself alone."""
    own = {term for subject in asked for term, closeness in subject.terms.items() if closeness == 1}
    return [
        Asked({term: close for term, close in subject.terms.items() if close == 1 or term not in own}, subject.weight)
        for subject in asked
    ]


def _signs(found: _Found, behind: float, question: _Question) -> Sequence[float]:
    """How much of the question is covered, how closely its wording, how far ahead of the next section this one is, its
    votes, how closely what no manual answers meets the question, and the gists where they are known."""
    if not question.weight or not (found.words or found.felt):
        return ()
    ahead = min(math.log(found.score / behind), 4.0) if behind else 3.0
    return (
        found.coverage,
        max(found.near, found.about),
        ahead,
        found.votes,
        question.elsewhere,
        *(found.felt or ()),
        1.0,
    )


def _compound(word: str) -> bool:
    return "_" in word or "." in word
