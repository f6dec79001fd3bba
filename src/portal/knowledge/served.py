"""Embedding models of model servers, as embedders."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from portal.core.ports import Embedding, Models
from portal.errors import BackendProtocolError, BackendUnavailable, ModelNotFound
from portal.knowledge.minilm import missing

if TYPE_CHECKING:
    from portal.core.passages import Vectors

_PORTION = 32
"""Texts of one call."""
_PREFIXES = (
    (re.compile(r"(^|[^a-z])e5-(?!mistral)(?!.*instruct)", re.IGNORECASE), "query: ", "passage: "),
    (re.compile(r"nomic-embed-text", re.IGNORECASE), "search_query: ", "search_document: "),
)
"""Families of models that were taught by words before each text whether it asks or answers."""
_LONGEST = 2000
"""Characters of a text that are sent: some servers refuse what is longer than their model reads."""


class ServedEmbedder:
    """Implements Embedder with a model that some backend has; its name is the model's id."""

    def __init__(self, *, model: str, models: Models) -> None:
        self.name = model
        self.dimensions = 0
        self._models = models
        self._asking, self._telling = next(
            ((asks, tells) for one, asks, tells in _PREFIXES if one.search(model)), ("", "")
        )

    @property
    def prefixed(self) -> bool:
        """Whether questions are embedded otherwise than what answers them."""
        return bool(self._asking)

    async def embed(self, texts: Sequence[str]) -> "Vectors":
        """One row a text; `dimensions` is 0 until the first one."""
        return await self._embed(texts, self._telling)

    async def embed_questions(self, texts: Sequence[str]) -> "Vectors":
        """See Asking."""
        return await self._embed(texts, self._asking)

    async def _embed(self, texts: Sequence[str], prefix: str) -> "Vectors":
        rows: list[Sequence[float]] = []
        for start in range(0, len(texts), _PORTION):
            rows += await self._ask([prefix + _sent(text) for text in texts[start : start + _PORTION]])
        if sizes := {len(row) for row in rows}:
            if len(sizes | {self.dimensions or max(sizes)}) > 1 or not max(sizes):
                raise BackendProtocolError(f"{self.name} answered with vectors of different lengths.")
            self.dimensions = max(sizes)
        return _normalised(rows, self.dimensions, self.name)

    async def _ask(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        try:
            backend, model = self._models.find(self.name)
        except ModelNotFound as error:
            raise BackendUnavailable(f"The embedding model {self.name!r} is not there now.") from error
        if not isinstance(backend, Embedding):
            raise BackendUnavailable(f"The model {self.name!r} cannot embed.")
        return (await backend.embed(model.id, texts)).vectors


def _sent(text: str) -> str:
    """What stands for a text: servers refuse one that is empty."""
    return text[:_LONGEST].strip() or "."


def _normalised(rows: Sequence[Sequence[float]], dimensions: int, name: str) -> "Vectors":
    try:
        import numpy
    except ImportError as error:
        raise BackendUnavailable(missing(), code="not_installed") from error
    made = numpy.array(rows, numpy.float32).reshape(len(rows), dimensions)
    lengths = numpy.linalg.norm(made, axis=1, keepdims=True)
    if not (numpy.isfinite(lengths) & (lengths > 0)).all():
        raise BackendProtocolError(f"{name} answered with vectors that are none.")
    vectors: Vectors = made / lengths
    return vectors
