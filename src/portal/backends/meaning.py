"""What a text is about, as a vector: texts about like things lie close together though they share no word.

The vector of a text is the sum of those of its words, which `training/guide/vectors.py` made once from public data
(`guide_vectors.bin`: 10,000 stems of everyday English, nothing about Portal): the stems in a line, then four bits for
each dimension of each.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from importlib.resources import files
from operator import add, mul, sub

from portal.backends.words import stem, words

DIMENSIONS, MIDDLE = 64, 8
FREQUENT = 3000
FINE = 127
"""Parts of a unit in which a text's vector is kept."""

Vector = Sequence[int]


class Meanings:
    """Vectors for words and texts; the data is read when first needed."""

    @cached_property
    def _data(self) -> tuple[dict[str, int], bytes]:
        known, _, packed = (files("portal.backends") / "guide_vectors.bin").read_bytes().partition(b"\n")
        return {root: place for place, root in enumerate(known.decode().split())}, packed

    @cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        return [(byte // 16 - MIDDLE, byte % 16 - MIDDLE) for byte in range(256)]

    @cache  # noqa: B019 - lives as long as the guide
    def _word(self, root: str) -> Vector | None:
        places, packed = self._data
        if (place := places.get(root)) is None:
            return None
        size = DIMENSIONS // 2
        return [step for byte in packed[place * size : (place + 1) * size] for step in self._pairs[byte]]

    def knows(self, root: str) -> bool:
        """Whether a word is of everyday English."""
        return root in self._data[0]

    def common(self, root: str) -> bool:
        """Whether a word is one of the most frequent."""
        return self._data[0].get(root, FREQUENT) < FREQUENT

    def of(self, text: str) -> Vector:
        """The direction of a text, each of its words counted once; nothing where it has no known word."""
        return self.mean(stem(word) for word in words(text))

    def mean(self, roots: Iterable[str]) -> Vector:
        """The direction of words given as stems."""
        total: Sequence[int] = [0] * DIMENSIONS
        for root in dict.fromkeys(roots):
            if vector := self._word(root):
                total = list(map(add, total, vector))
        length = math.sqrt(sum(map(mul, total, total)))
        return tuple(round(part * FINE / length) for part in total) if length else ()


def likeness(left: Vector, right: Vector) -> float:
    """1 for texts about the same, 0 for texts that have nothing to do with each other."""
    product: int = sum(map(mul, left, right))
    return product / FINE**2


class Bundle:
    """Many vectors, compared with one at once: whole numbers of any length hold one part of all of them, four bytes
    each, so that a few multiplications do the work of hundreds of thousands."""

    def __init__(self, vectors: Sequence[Vector]) -> None:
        filled = [vector or (0,) * DIMENSIONS for vector in vectors]
        self._form = f"<{len(filled)}I"
        self._shifts = [FINE * sum(vector) for vector in filled]
        parts = zip(*filled, strict=True)
        self._parts = [self._packed(part + FINE for part in column) for column in parts]

    def _packed(self, parts: Iterable[int]) -> int:
        return int.from_bytes(struct.pack(self._form, *parts), "little")

    def likeness(self, about: Vector) -> list[int]:
        """How alike each of them is to the one, in parts of FINE squared."""
        if not about or not self._shifts:
            return [0] * len(self._shifts)
        total = sum(packed * (part + FINE) for packed, part in zip(self._parts, about, strict=True))
        products = struct.unpack(self._form, total.to_bytes(struct.calcsize(self._form), "little"))
        shift = FINE * sum(about) + DIMENSIONS * FINE**2
        return list(map(sub, products, map(shift.__add__, self._shifts)))
