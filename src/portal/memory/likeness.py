"""How much texts mean alike, on one scale for every embedder: what has nothing to do with each other is 0."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from portal.core.passages import Embedder, Passages, vector_of_question
from portal.errors import PortalError

if TYPE_CHECKING:
    from portal.core.passages import Vectors

log = logging.getLogger(__name__)

ALIKE = 0.3
"""From here on texts say something like each other."""
_SECONDS = 2.0
_STRANGERS = (
    "The ferry to the island leaves at noon.",
    "Add two spoons of sugar and stir the dough.",
    "The parliament voted on the new tax law.",
    "My bicycle has a flat tyre.",
    "Photosynthesis turns light into energy.",
    "Der Drucker im Büro hat kein Papier mehr.",
    "Le chat dort sur le canapé.",
    "El equipo ganó el partido de ayer.",
)
"""Texts that have nothing in common: how alike an embedder finds them is its zero."""


class Likeness:
    """Compares a text with passages."""

    def __init__(self, *, passages: Passages, embedder: Callable[[], Embedder | None]) -> None:
        self._passages = passages
        self._embedder = embedder
        self._zeros: dict[str, float] = {}

    async def of(self, owner: str, text: str, ids: Sequence[str]) -> Mapping[str, float]:
        """Of the passages that have a vector, up to 1; nothing without an embedder, or where it is away."""
        embedder = self._embedder()
        if embedder is None or not ids:
            return {}
        try:
            async with asyncio.timeout(_SECONDS):
                zero = await self._zero(embedder)
                vector = await vector_of_question(embedder, text)
                cosines = await self._passages.cosines(owner, embedder.name, vector, ids)
        except (PortalError, TimeoutError) as error:
            log.info("texts are compared by their words alone: %s", error or "the embedder is too slow")
            return {}
        return {one: (cosine - zero) / (1 - zero) for one, cosine in cosines.items()}

    async def _zero(self, embedder: Embedder) -> float:
        if embedder.name not in self._zeros:
            self._zeros[embedder.name] = _mean_of_pairs(await embedder.embed(_STRANGERS))
        return self._zeros[embedder.name]


def _mean_of_pairs(vectors: "Vectors") -> float:
    """The mean cosine of two different rows; below 1, so that it can be a zero."""
    count = len(vectors)
    mean = (float((vectors @ vectors.T).sum()) - count) / (count * (count - 1))
    return min(max(mean, 0.0), 0.95)
