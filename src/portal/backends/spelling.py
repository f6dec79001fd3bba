"""Misspelt words: the known word that was probably meant."""

from collections.abc import Iterable

_SHORTEST = 5
_LONG = 9


def meant(word: str, known: Iterable[str]) -> str | None:
    """The closest known word with the same first and last letter, or None when none is close enough to be a slip.

    Another last letter is more often another form of a word, or another word, than a slip.
    """
    if len(word) < _SHORTEST:
        return None
    allowed = 2 if len(word) >= _LONG else 1
    slips = [(distance(word, other), other) for other in known if _alike(word, other, allowed)]
    best = min(slips, default=(allowed + 1, ""))
    if best[0] > allowed or (len(word) == len(best[1]) < _LONG and not _swapped(word, best[1])):
        return None
    return best[1]


def _alike(word: str, other: str, allowed: int) -> bool:
    ends = (word[0], word[-1]) == (other[0], other[-1])
    return ends and len(other) >= _SHORTEST and abs(len(other) - len(word)) <= allowed


def _swapped(word: str, other: str) -> bool:
    """One letter for another in a short word is more often another word than a slip; two swapped letters are a slip."""
    return sorted(word) == sorted(other)


def distance(left: str, right: str) -> int:
    """Letters to insert, drop, change or swap with their neighbour (optimal string alignment)."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, letter in enumerate(left, 1):
        here = [row]
        for column, other in enumerate(right, 1):
            best = min(above[column] + 1, here[-1] + 1, above[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == right[column - 2] and left[row - 2] == other:
                best = min(best, before[column - 2] + 1)
            here.append(best)
        before, above = above, here
    return above[-1]
