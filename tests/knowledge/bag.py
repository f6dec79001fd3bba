"""An embedder that needs no weights: texts are alike as far as they share words, or words that mean the same."""

import re
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt

from portal.errors import BackendUnavailable

MEANINGS: Mapping[str, str] = {"car": "auto", "automobile": "auto", "physician": "doctor", "code": "pin"}


class BagEmbedder:
    """Counts words in 256 places, and keeps what it was asked."""

    name = "bag"
    dimensions = 256

    def __init__(self, meanings: Mapping[str, str] = MEANINGS) -> None:
        self.asked: list[Sequence[str]] = []
        self.away = False
        self._meanings = meanings

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if self.away:
            raise BackendUnavailable("It is away.")
        self.asked.append(texts)
        made = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(made, texts, strict=True):
            row[0] = 0.01
            for word in re.findall(r"\w+", text.casefold()):
                row[crc32(self._meanings.get(word, word).encode()) % self.dimensions] += 1
        return made / np.linalg.norm(made, axis=1, keepdims=True)
