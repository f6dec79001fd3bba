"""Rerankers: a model server's, and one that only compares what a text means with what is asked."""

import math
from collections.abc import Sequence

from portal.core.passages import Embedder, Reranker, vector_of_question
from portal.core.ports import Models, Reranking
from portal.errors import ModelNotFound


class ModelReranker:
    """A model of a server that can rerank. Implements Reranker."""

    def __init__(self, *, backend: Reranking, model: str) -> None:
        self.name = model
        self._backend = backend

    async def judge(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """See Reranker; servers that give logits get them squeezed between 0 and 1."""
        scores = (await self._backend.rerank(self.name, query, texts)).scores
        return scores if all(0 <= score <= 1 for score in scores) else [_share(score) for score in scores]


class LikenessReranker:
    """The cosines of an embedder. Implements Reranker."""

    def __init__(self, embedder: Embedder) -> None:
        self.name = embedder.name
        self._embedder = embedder

    async def judge(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """See Reranker."""
        asked, vectors = await vector_of_question(self._embedder, query), await self._embedder.embed(texts)
        return [min(max(float(cosine), 0.0), 1.0) for cosine in vectors @ asked]


def reranker_named(models: Models, name: str) -> Reranker | None:
    """The reranker of a model id; None where there is no such model, or it cannot rerank."""
    try:
        backend, info = models.find(name)
    except ModelNotFound:
        return None
    if "rerank" not in info.capabilities or not isinstance(backend, Reranking):
        return None
    return ModelReranker(backend=backend, model=info.id)


def _share(logit: float) -> float:
    return 1 / (1 + math.exp(-max(min(logit, 60.0), -60.0)))
