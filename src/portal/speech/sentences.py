"""A text in sentences, and in parts that an engine takes at once."""

import re
from collections.abc import Sequence

_END = re.compile(r"(?<=[.!?…])\s+|(?<=[.!?…][\"'”’)\]])\s+|(?<=[。！？])|\n+")


def sentences(text: str) -> Sequence[str]:
    """Without blank ones."""
    return [part.strip() for part in _END.split(text) if part and part.strip()]


def parts(text: str, most: int) -> Sequence[str]:
    """Whole sentences together, none longer than `most` characters; a longer sentence is cut between words."""
    if not most or len(text) <= most:
        return [text]
    made: list[str] = []
    for sentence in sentences(text):
        for piece in _short(sentence, most):
            if made and len(made[-1]) + 1 + len(piece) <= most:
                made[-1] += f" {piece}"
            else:
                made.append(piece)
    return made


def _short(sentence: str, most: int) -> Sequence[str]:
    made = []
    while len(sentence) > most:
        at = sentence.rfind(" ", most // 2, most) + 1 or most
        made.append(sentence[:at].strip())
        sentence = sentence[at:]
    return [*made, sentence.strip()]
