"""Finds passages by words and meaning together."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from portal.core.passages import Embedder, Found, Hit, Passages, Reranker, Within, vector_of_question
from portal.errors import BackendError, BadRequest
from portal.knowledge.ranking import MEANING, MEANING_OF_TURNS, cosines, distinct, joined, weighed
from portal.knowledge.relevance import Relevance, bears, lifted

if TYPE_CHECKING:
    from portal.core.passages import Vectors

log = logging.getLogger(__name__)

_CANDIDATES = 100
"""Of each way of finding; more where more is asked for."""
_RERANKED = 30
_RERANK_SECONDS = 10.0
_SURE = 0.5
"""A reranker's score from which a match is not weak."""
_LONGEST = 8000
"""Characters of a query that are looked at."""


@dataclass(frozen=True, slots=True)
class _Hits:
    """What either way found, best first, and how like the query each is, where that is known."""

    hits: Sequence[Hit]
    likeness: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Meant:
    """What lies near a query."""

    embedder: str
    vector: "Vectors"
    floor: float
    hits: Sequence[Hit]


class HybridSearch:
    """Implements Search over an index."""

    def __init__(
        self,
        *,
        passages: Passages,
        embedder: Callable[[], Embedder | None],
        reranker: Callable[[], Reranker | None] = lambda: None,
    ) -> None:
        """`embedder` is the one whose vectors are searched now, and `reranker` the one in use, if there is one."""
        self._passages = passages
        self._embedder = embedder
        self._reranker = reranker
        self._relevance = Relevance()

    async def search(self, within: Within, text: str, *, limit: int = 10, rerank: bool = True) -> Sequence[Found]:
        """See Search."""
        return await self._search(within, text, limit, rerank=rerank, relevant=False)

    async def relevant(self, within: Within, text: str, *, limit: int = 10) -> Sequence[Found]:
        """The same without those that do not bear on the text at all: nothing, for most of what people say."""
        return await self._search(within, text, limit, rerank=True, relevant=True)

    async def _search(self, within: Within, text: str, limit: int, *, rerank: bool, relevant: bool) -> Sequence[Found]:
        text = text[:_LONGEST].strip()
        if not text or limit < 1 or (within.groups is not None and not within.groups):
            return []
        hits = await self._hits(within, text, max(_CANDIDATES, 3 * limit))
        reranker = self._reranker() if rerank else None
        count = 2 * limit if reranker is None and not relevant else max(2 * limit, _RERANKED)
        found = await self._read(within.owner, hits.hits, count)
        found = [
            replace(one, weak=not bears(text, one.passage.told, hits.likeness.get(one.passage.id))) for one in found
        ]
        if relevant:
            found = [one for one in found if not one.weak]
        if reranker is not None and found:
            found = await _reranked(reranker, text, found)
        return joined(found[: 2 * limit])[:limit]

    async def _hits(self, within: Within, text: str, count: int) -> _Hits:
        embedder = self._embedder()
        if embedder is None:
            return _Hits(weighed(await self._passages.words(within, text, count), {}, None))
        try:
            async with asyncio.TaskGroup() as tasks:
                by_words = tasks.create_task(self._passages.words(within, text, count))
                by_meaning = tasks.create_task(self._meant(embedder, within, text, count))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        words, meant = by_words.result(), by_meaning.result()
        if isinstance(meant, _Meant):
            return await self._both(within, words, meant)
        if isinstance(meant, BackendError):
            log.warning("searched by words alone: %s", meant.message)
        else:  # not for its filter, which found words; the model has changed under its name
            log.warning("%s has changed: what is kept gets its vectors again", embedder.name)
            await self._passages.forget_embedder(embedder.name)
        return _Hits(weighed(words, {}, None))

    async def _meant(
        self, embedder: Embedder, within: Within, text: str, count: int
    ) -> _Meant | BackendError | BadRequest:
        """What is near, or why that is not known."""
        try:
            vector = await vector_of_question(embedder, text)
            floor = await self._relevance.floor(embedder)
        except BackendError as error:
            return error
        try:
            hits = await self._passages.nearest(within, embedder.name, vector, count)
        except BadRequest as error:
            return error
        return _Meant(embedder.name, vector, floor, hits)

    async def _both(self, within: Within, words: Sequence[Hit], meant: _Meant) -> _Hits:
        """Fused, by the vectors of all that either way found."""
        vectors = {hit.id: hit.vector for hit in meant.hits if hit.vector is not None}
        others = dict.fromkeys(hit.id for hit in (*meant.hits, *words) if hit.id not in vectors)
        vectors |= await self._passages.vectors(within.owner, meant.embedder, list(others))
        again = within.space == "documents"  # what people say to each other is too short to tell a question anything
        meaning = MEANING_OF_TURNS if within.space == "turns" else MEANING
        return _Hits(
            weighed(words, vectors, meant.vector, again=again, meaning=meaning),
            lifted(cosines(vectors, meant.vector), meant.floor),
        )

    async def _read(self, owner: str, hits: Sequence[Hit], count: int) -> list[Found]:
        """The best that say different things."""
        scores = {hit.id: hit.score for hit in hits[: 2 * max(count, _RERANKED)]}
        passages = distinct(await self._passages.get(owner, list(scores)), count)
        return [Found(passage=one, score=scores[one.id]) for one in passages]


async def _reranked(reranker: Reranker, text: str, found: Sequence[Found]) -> list[Found]:
    """The first ones in the reranker's order, with its scores; as they are where it fails."""
    first, rest = found[:_RERANKED], found[_RERANKED:]
    try:
        async with asyncio.timeout(_RERANK_SECONDS):
            scores = await reranker.judge(text, [one.passage.told for one in first])
    except (BackendError, TimeoutError) as error:
        log.warning("found without the reranker %s: %s", reranker.name, error)
        return list(found)
    judged = [
        replace(one, score=score, weak=one.weak and score < _SURE) for one, score in zip(first, scores, strict=True)
    ]
    judged.sort(key=lambda one: -one.score)
    return [*judged, *(replace(one, score=min(one.score, judged[-1].score)) for one in rest)]
