"""Whether two memories are about the same thing, of which only one can be true: by rules, without a model. Where no
rule fits, both stand."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

from portal.memory import phrases

_WORD = re.compile(r"[^\W_]+(?:'[^\W\d_]+)?")
_NUMBER = re.compile(r"\d+")
_ELIDED = re.compile(r"\b([ldjnscmt]|qu)'(?=\w)", re.IGNORECASE)
_STEM = 6


class _Rules:
    """The patterns, compiled when first used, which takes a moment."""

    def __init__(self) -> None:
        self.once = _compiled(phrases.EPISODE)
        self.subjects = [(name, _compiled(pattern)) for name, pattern in phrases.SUBJECTS]
        self.single = _compiled(phrases.ATTRIBUTE.format(what=phrases.SINGLE))
        self.named = _compiled(phrases.NAMED)
        self.measured = _compiled(phrases.ATTRIBUTE.format(what=r"[\w' -]{2,40}?"))
        self.prefer = [_compiled(pattern) for pattern in phrases.PREFER]


@cache
def _rules() -> _Rules:
    return _Rules()


def _compiled(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a text says of something that has one value."""

    subject: str
    value: str


@dataclass(frozen=True, slots=True)
class _Read:
    """A text as the rules see it."""

    claim: Claim | None
    liked: tuple[frozenset[str], frozenset[str]] | None
    """What is preferred, and to what."""
    words: frozenset[str]
    """Those that say something, numbers and feelings aside."""
    numbers: tuple[str, ...]
    positive: bool


def contradicts(new: str, old: str) -> bool:
    """Whether both cannot be true at a time."""
    one, other = _read(new), _read(old)
    if one.claim and other.claim and one.claim.subject == other.claim.subject:
        return one.claim.value != other.claim.value
    if one.liked and other.liked:
        return _turned(one.liked, other.liked)
    if not one.words or one.words != other.words:
        return False
    return one.positive != other.positive or (bool(one.numbers and other.numbers) and one.numbers != other.numbers)


def same(new: str, old: str) -> bool:
    """Whether they say the same of the same thing."""
    one, other = _read(new).claim, _read(old).claim
    return one is not None and one == other


def claims(text: str) -> bool:
    """Whether it says how things are with something of which one thing is true at a time."""
    return _read(text).claim is not None


def content_words(text: str) -> frozenset[str]:
    """The beginnings of the words that say something."""
    return frozenset(
        word[:_STEM] for word in _words(text) if word not in phrases.FILLERS and word not in phrases.NEGATIONS
    )


@lru_cache(maxsize=2048)
def _read(text: str) -> _Read:
    plain = _plain(text)
    all_words = _words(plain)
    feelings = phrases.AVERSIONS | phrases.LIKINGS
    turns = sum(word in phrases.AVERSIONS for word in all_words) + any(word in phrases.NEGATIONS for word in all_words)
    said = frozenset(word for word in content_words(plain) if not word.isdecimal())
    return _Read(
        claim=_claim(plain),
        liked=_preference(plain),
        words=said - {word[:_STEM] for word in feelings},
        numbers=() if _rules().once.search(plain) else tuple(_NUMBER.findall(plain)),
        positive=turns % 2 == 0,
    )


def _claim(text: str) -> Claim | None:
    for name, pattern in _rules().subjects:
        if found := pattern.fullmatch(text):
            return Claim(name, _value(next(value for value in found.groupdict().values() if value)))
    rules = _rules()
    if (found := rules.measured.fullmatch(text)) and (kind := _kind(found["value"])):
        return Claim(f"{kind} of {_value(found['what'])}", _value(found["value"]))
    for pattern in (rules.single, rules.named, rules.measured):
        if (found := pattern.fullmatch(text)) and (pattern is not rules.measured or _NUMBER.search(found["value"])):
            what = _value(found["what"])
            return Claim(
                "name" if what in ("name", "full name", "nom", "nombre") else f"of {what}", _value(found["value"])
            )
    return None


def _kind(value: str) -> str:
    """Of values of which a thing has one at a time; empty for others."""
    said = {*_value(value).split()}
    return next((kind for kind, values in phrases.ONE_AT_A_TIME.items() if said <= values), "")


def _preference(text: str) -> tuple[frozenset[str], frozenset[str]] | None:
    for pattern in _rules().prefer:
        if found := pattern.fullmatch(text):
            return content_words(found["value"]), content_words(found["over"] or "")
    return None


def _turned(new: tuple[frozenset[str], frozenset[str]], old: tuple[frozenset[str], frozenset[str]]) -> bool:
    """The other way round, or another one of the same things, such as two modes."""
    if new[0] == old[0]:
        return False
    compared = bool(new[1]) and bool(old[1]) and new[0] == old[1] and new[1] == old[0]
    return compared or new[0] == old[1] or new[1] == old[0] or bool(new[0] & old[0])


def _value(text: str) -> str:
    """Without words that say nothing, where others are left."""
    said = [word for word in _words(text) if word not in phrases.FILLERS]
    return " ".join(said or _words(text))


def _words(text: str) -> list[str]:
    return _WORD.findall(_ELIDED.sub(r"\1 ", _plain(text).lower()))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("’", "'").strip(" .!")
