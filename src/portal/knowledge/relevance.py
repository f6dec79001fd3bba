"""Whether a passage bears on what somebody says at all: a search always finds something, even for a greeting."""

import re
from collections.abc import Mapping

from portal.core.passages import Embedder

_LIKE = 0.35
"""Likeness from which a passage bears on a question by what it means."""
_WORDS, _UNLIKE = 0.5, 0.12
"""Share of a question's telling words from which it does by its words, unless it means something else altogether."""
_TELLING = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]{2}|[^\W_]{4,}|[^\W_]*\d[^\W_]*")
_STEM = 6
"""Letters by which words are compared: endings do not matter."""
_STRANGERS = (
    "The cat sleeps on the sofa.",
    "Interest rates rose by half a percent.",
    "Mix flour, eggs and milk.",
    "The train to the coast leaves at noon.",
    "She plays the violin in an orchestra.",
    "The patient was given antibiotics.",
    "Our team lost the final match.",
    "The contract ends in December.",
)
"""Texts that have nothing to do with each other."""


class Relevance:
    """Judges passages that a search found. Embedders differ in how alike they find texts that have nothing to do with
    each other, so each is asked once."""

    def __init__(self) -> None:
        self._floors: dict[str, float] = {}

    async def floor(self, embedder: Embedder) -> float:
        """The cosine of texts that have nothing to do with each other. Raises BackendError."""
        if embedder.name not in self._floors:
            vectors = await embedder.embed(_STRANGERS)
            count = len(_STRANGERS)
            all_pairs = float((vectors @ vectors.T).sum())
            self._floors[embedder.name] = (all_pairs - count) / (count * (count - 1))
        return self._floors[embedder.name]


def bears(question: str, text: str, likeness: float | None) -> bool:
    """Whether a text bears on a question; `likeness` is their cosine above the floor, 0 to 1, where there is one."""
    if likeness is not None and likeness >= _LIKE:
        return True
    asked = _telling(question)
    shared = len(asked & _telling(text))
    return shared >= _WORDS * len(asked) > 0 and (likeness is None or likeness >= _UNLIKE)


def lifted(cosines: Mapping[str, float], floor: float) -> Mapping[str, float]:
    """Likeness above the floor."""
    return {one: (cosine - floor) / max(1 - floor, 1e-6) for one, cosine in cosines.items()}


def _telling(text: str) -> set[str]:
    return {word[:_STEM] for word in _TELLING.findall(text.casefold())}
