"""What the classifier reads of a text: folded words, neighbours, beginnings and endings, a few marks of its shape."""

import re
import unicodedata
from collections.abc import Container

HEAD, TAIL = 700, 300
_LONGEST_WORD, _LONGEST_CHINESE = 32, 4
_TOKEN = re.compile(r"[\u0900-\u0963\u0966-\u097f]+|[\u3400-\u9fff]+|[^\W\d_]+|\d+|[^\w\s]")
_FENCE = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_NUKTA = {0x093C: None} | {0x0958 + i: base for i, base in enumerate("कखगजडढफय")}


def _accents() -> dict[int, str]:
    letters = {code: unicodedata.normalize("NFD", chr(code)) for code in range(0xC0, 0x250)}
    return {code: parts[0] for code, parts in letters.items() if len(parts) > 1} | {0xDF: "ss"}


_FOLD = _accents() | _NUKTA


def fold(text: str) -> str:
    """Small letters without accents, so that hasty typing is read alike."""
    return text.lower().translate(_FOLD)


def words(text: str, known: Container[str]) -> list[str]:
    """The words, numbers by their length, and signs of a folded text; Chinese is cut into the longest known words."""
    found: list[str] = []
    for token in _TOKEN.findall(text):
        if "\u3400" <= token[0] <= "\u9fff":
            found.extend(_chinese(token, known))
        elif token[0].isdecimal():
            found.append("0" * min(len(token), 4))
        else:
            found.append(token[:_LONGEST_WORD])
    return found


def _chinese(run: str, known: Container[str]) -> list[str]:
    found, at = [], 0
    while at < len(run):
        size = next((size for size in range(_LONGEST_CHINESE, 1, -1) if run[at : at + size] in known), 1)
        found.append(run[at : at + size])
        at += size
    return found


def parts(word: str, known: Container[str]) -> list[str]:
    """The known word itself, or the known words that begin and end an unknown one."""
    if word in known:
        return [word]
    for size in range(len(word) - 1, 3, -1):
        if word[:size] in known:
            rest = word[size:]
            return [word[:size], rest] if len(rest) > 3 and rest in known else [word[:size]]
    return []


def shape(text: str, length: int) -> list[str]:
    """Marks of a text's form: how long it is, code fences, a question, several lines."""
    marks = [f"\x01{min(length, 1999).bit_length()}"]
    if "```" in text:
        marks.append("\x01fence")
    if text.endswith(("?", "？")):
        marks.append("\x01?")
    if "\n" in text:
        marks.append("\x01lines")
    return marks


def _cut(text: str, head: int, tail: int) -> str:
    return text if len(text) <= head + tail else f"{text[:head]}\n{text[-tail:]}"


def pieces(text: str, known: Container[str]) -> list[str]:
    """Every piece of a text that may have a weight, once; `known` holds the pieces that have one.

    Of a long text head and tail are read, without fenced code: what is wanted stands there, what is pasted between.
    """
    near = _cut(text, 3 * HEAD, TAIL).strip()
    said = words(fold(_cut(_FENCE.sub(" ", near) if "```" in near else near, HEAD, TAIL)), known)
    found = [part for word in said for part in parts(word, known)]
    found.extend(f"{first} {second}" for first, second in zip(["^", *said], said, strict=False))
    long = [word for word in said if len(word) > 4]
    found.extend(f"{word[:4]}-" for word in long)
    found.extend(f"-{word[-4:]}" for word in long)
    return [*dict.fromkeys(found), *shape(near, len(text))]
