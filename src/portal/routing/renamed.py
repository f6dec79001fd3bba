"""A backend's model under another name than its server knows."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from portal.core.items import JsonObject
from portal.core.model import Embeddings, ModelEvent, ModelInfo, ModelRequest
from portal.core.ports import Backend, Embedding
from portal.errors import BadRequest


class Renamed:
    """One model of a backend; whatever name a call gives it, the server gets its own.

    It does not forward bytes: the name is inside them.
    """

    def __init__(self, *, backend: Backend, model: str) -> None:
        self.name = backend.name
        self.kind = backend.kind
        self.url = backend.url
        self._backend = backend
        self._model = model

    async def models(self) -> Sequence[ModelInfo]:
        """The backend's own list."""
        return await self._backend.models()

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """The same call under the server's name of the model."""
        return self._backend.stream(replace(request, model=self._model))

    async def embed(
        self, model: str, texts: Sequence[str], dimensions: int | None = None, more: JsonObject | None = None
    ) -> Embeddings:
        """The same, too. Raises BadRequest where the backend cannot embed."""
        if not isinstance(self._backend, Embedding):
            raise BadRequest(f"The model {model!r} cannot embed.", param="model")
        return await self._backend.embed(self._model, texts, dimensions, more)

    async def aclose(self) -> None:
        """Nothing: the registry closes the backend."""
