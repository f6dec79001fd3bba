"""The embedded embedder as a built-in model server, so that the APIs offer it like any other embedding model."""

from collections.abc import AsyncGenerator, Sequence

from portal.core.items import JsonObject
from portal.core.model import Embeddings, ModelEvent, ModelInfo, ModelRequest
from portal.core.passages import Embedder
from portal.core.tokens import estimate
from portal.errors import BackendRejected


class EmbedderBackend:
    """Implements Backend and Embedding over an embedder with one model."""

    kind = "embedder"
    url = ""

    def __init__(self, *, embedder: Embedder, model: str, tokens: int, name: str = "embedder") -> None:
        self.name = name
        self._embedder = embedder
        self._model = ModelInfo(
            id=model, backend=name, capabilities=frozenset({"embeddings"}), context_window=tokens, family="bert"
        )

    async def models(self) -> Sequence[ModelInfo]:
        """One, always there."""
        return [self._model]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """It cannot. Raises BackendRejected."""
        raise BackendRejected(f"The model {request.model!r} only embeds.", status=400, code="unsupported_model")
        yield

    async def embed(
        self, model: str, texts: Sequence[str], dimensions: int | None = None, more: JsonObject | None = None
    ) -> Embeddings:
        """One vector a text. Raises BackendRejected for other `dimensions` than it has."""
        if dimensions not in (None, self._embedder.dimensions):
            said = f"{model} has vectors of {self._embedder.dimensions} dimensions only."
            raise BackendRejected(said, status=400, param="dimensions")
        vectors = await self._embedder.embed(texts)
        return Embeddings(vectors.tolist(), sum(map(estimate, texts)), estimated=True)

    async def aclose(self) -> None:
        """Nothing to release."""
