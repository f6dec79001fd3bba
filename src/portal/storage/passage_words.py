"""Words as passages are found by them: folded, and in scripts without spaces every two characters that follow each
other. Each character begins exactly one word, so that a query of one character is the beginning of a word."""

import re
from collections.abc import Iterator, Mapping

from portal.storage.search import SPACELESS, ascii_words, fold

LONGEST_WORD = 60
MOST_WORDS = 256
"""Different ones of a query, the first that it has."""

MOST_PLACES = 10_000
"""How many places of its words a query looks at: the rarest words count, the commonest say little and cost much."""
MOST_ASKED = 32
OFTEN_ENOUGH = 3
"""Times that a word of a query counts."""

STOP_WORDS = frozenset(
    fold(
        """a about above after again against all also am among an and any are as at be because been before being below
        between both but by can cannot could did do does doing done down during each either few for from further had
        has have having he her here hers him his how i if in into is it its itself just me might more most must my no
        nor not now of off on once only onto or other ought our ours out over own per same shall she should so some
        such than that the their theirs them then there these they this those through to too under until up upon us
        very was we were what when where whether which while who whom whose why will with within without would you your
        der das den dem des ein eine einen einem einer eines ich du er sie es wir ihr mich dir dich uns euch mein meine
        ist sind waren bist sein habe haben wird werden kann koennen können soll und oder aber wenn dann als wie
        was wer wo welche welcher welches im auf aus zu zum zur von vom mit bei nach für über unter vor um durch ohne
        bis dass nicht kein keine noch schon auch nur sehr sich
        le la les un une du de et ou mais qui que quoi quel quelle dans en sur sous par avec sans est sont ce cet
        cette ces je tu il elle nous vous ils elles ne pas au aux se sa ses
        el los las una unos unas lo al del y o pero si quien cual como en con por para sobre desde hasta esta este
        esto estos estas es fue ser su sus se mi mis"""
    ).split()
)
"""Of English, German, French and Spanish, but none that means something in another of them."""

_SPACELESS = re.compile(f"[{SPACELESS}]")
_SPACED = re.compile(r"[^\W_]+")
_RUN = re.compile(rf"([{SPACELESS}]+)|[^\W_{SPACELESS}]+")


def indexed(text: str) -> str:
    """The words of a passage, spaced."""
    folded = fold(text)
    if not folded.isascii():
        return " ".join(_words(folded, last=True))
    return " ".join([word[:LONGEST_WORD] for word in ascii_words(folded)])


def asked(query: str) -> Mapping[str, int]:
    """The different words of a query, in order, and how often it has them; one that ends with `*` is the beginning of
    words. Words that only hold sentences together are left out where others are left."""
    times: dict[str, int] = {}
    for word in _words(fold(query), last=False):
        if word in times or len(times) < MOST_WORDS:
            times[word] = min(times.get(word, 0) + 1, OFTEN_ENOUGH)
    return {word: often for word, often in times.items() if word not in STOP_WORDS} or times


def _words(folded: str, *, last: bool) -> Iterator[str]:
    if not _SPACELESS.search(folded):
        yield from (word[:LONGEST_WORD] for word in _SPACED.findall(folded))
        return
    for match in _RUN.finditer(folded):
        run = match[0]
        if not match[1]:
            yield run[:LONGEST_WORD]
            continue
        yield from (run[at : at + 2] for at in range(len(run) - 1))
        if last:
            yield run[-1]
        elif len(run) == 1:
            yield f"{run}*"


def telling(places: Mapping[str, int]) -> list[str]:
    """Of words and how often each occurs, those worth looking for: rarest first, while they cost little."""
    found: list[str] = []
    cost = 0
    for word, count in sorted(places.items(), key=lambda item: item[1]):
        if count and (not found or cost + count <= MOST_PLACES) and len(found) < MOST_ASKED:
            found.append(word)
            cost += count
    return found
