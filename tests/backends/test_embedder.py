from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from portal.backends.embedder import EmbedderBackend
from portal.core.model import ModelRequest
from portal.core.ports import Backend, Embedding
from portal.errors import BackendRejected


class Counts:
    """An embedder: the length of a text, and 1."""

    name, dimensions = "counts", 2

    async def embed(self, texts: Sequence[str]) -> Any:
        return np.array([[len(text), 1] for text in texts], np.float32)


@pytest.fixture
def backend() -> EmbedderBackend:
    return EmbedderBackend(embedder=Counts(), model="counts", tokens=256)


async def test_one_model_that_embeds(backend: EmbedderBackend) -> None:
    (model,) = await backend.models()

    assert isinstance(backend, Backend)
    assert isinstance(backend, Embedding)
    assert (model.id, model.capabilities, model.context_window) == ("counts", {"embeddings"}, 256)
    made = await backend.embed("counts", ["a", "abc"])
    assert (made.vectors, made.estimated) == ([[1, 1], [3, 1]], True)
    assert (await backend.embed("counts", ["a"], 2)).vectors == [[1, 1]]
    await backend.aclose()


async def test_it_has_no_other_dimensions_and_does_not_chat(backend: EmbedderBackend) -> None:
    with pytest.raises(BackendRejected, match="2 dimensions only"):
        await backend.embed("counts", ["a"], 3)
    with pytest.raises(BackendRejected, match="only embeds"):
        await anext(backend.stream(ModelRequest(model="counts", messages=[])))
