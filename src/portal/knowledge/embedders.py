"""Which embedder is in use, and the change from one to another: in the background, while the old one's vectors answer.

Nothing of this is kept but in the index: what has no vector of the embedder that is wanted gets one; when all have, the
others' are dropped. So it goes on after a restart, and serves passages that were stored without vectors as well.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable

from portal.core.duty import Duty
from portal.core.items import JsonObject
from portal.core.key_values import KeyValues
from portal.core.passages import Embedder, Passages
from portal.core.ports import Models
from portal.errors import BackendError, BadRequest, PortalError
from portal.knowledge.minilm import MODEL
from portal.knowledge.served import ServedEmbedder

log = logging.getLogger(__name__)

_CHOSEN = "knowledge.embedder"
_PREFIXED = "knowledge.prefixed"
_PORTION = 64
_PAUSE = 60.0
"""Seconds after which to look again, where nobody hurries it: for passages of other processes, and servers back."""
_BETTER = re.compile(
    r"qwen3-embedding|bge-m3|embeddinggemma|multilingual-e5|nomic-embed-text-v2|arctic-embed2|paraphrase-multilingual",
    re.IGNORECASE,
)
"""Models that know many languages, which the embedded one does not."""


class Embedders:
    """The choice of the embedder."""

    def __init__(
        self,
        *,
        own: Embedder,
        model: str,
        models: Models,
        passages: Passages,
        key_values: KeyValues,
        on_change: Callable[[], None] = lambda: None,
        duty: Duty | None = None,
    ) -> None:
        """`own` is the embedded one, `model` the setting: empty for it. Of several servers the one with the `duty`
        makes vectors."""
        self._duty = duty or Duty()
        self._own = own
        self._models = models
        self._passages = passages
        self._key_values = key_values
        self._on_change = on_change
        self._wanted = self._answers = self._made(model)
        self._problem = ""
        self._restored = False
        self._wake = asyncio.Event()

    def current(self) -> Embedder | None:
        """The one to search and store with now: of the change under way still the old one; None while it is away."""
        return self._answers if self._answers.dimensions else None

    async def status(self) -> JsonObject:
        """What people are shown: the one in use, whether it answers, and how far a change to another has come."""
        there = await self._passages.embedders()
        done = there.get(self._wanted.name, 0)
        return {
            "name": self._answers.name,
            "dimensions": self._answers.dimensions,
            "available": self.current() is not None,
            "detail": self._problem,
            "wanted": self._wanted.name,
            "embedded": done,
            "waiting": max(there.values(), default=0) - done,
            "choices": [self._own.name, *self._able()],
            "suggested": self._suggested(),
        }

    async def choose(self, model: str) -> None:
        """Change to this one, or with an empty name to the embedded one; the change goes on in the background.

        Raises:
            ModelNotFound: no model has this name.
            BadRequest: it cannot embed.
        """
        wanted = self._made(model)
        if wanted is not self._own and self._models.find(model)[1].id not in self._able():
            raise BadRequest(f"The model {model!r} cannot embed.", param="model")
        await self._key_values.set(_CHOSEN, {"model": model})
        if wanted.name != self._wanted.name:
            self._wanted = wanted
            self.hurry()

    async def again(self) -> None:
        """Another server has changed to another one, or is done with it."""
        self._restored = False
        self.hurry()

    def hurry(self) -> None:
        """Look now: passages without vectors came, or a model server is back."""
        self._wake.set()

    async def run(self) -> None:
        """Give vectors to what has none, for ever."""
        while True:
            self._wake.clear()
            more = await self._tried()
            if not more:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PAUSE):
                        await self._wake.wait()

    async def _tried(self) -> bool:
        try:
            more = await self._step()
        except PortalError as error:
            if error.message != self._problem:
                log.warning("passages wait for their vectors, and are found by words: %s", error.message)
            self._tell(error.message)
            return False
        except Exception as error:  # the boundary of this task: Portal goes on whatever an embedder does
            log.exception("passages wait for their vectors, and are found by words")
            self._tell(str(error))
            return False
        self._tell("")
        return more

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._on_change()

    async def _restore(self) -> None:
        """Who was chosen, and of a change that was under way the old one, by the vectors there are."""
        if chosen := await self._key_values.get(_CHOSEN):
            self._wanted = self._made(str(chosen["model"]))
        self._answers = self._wanted
        await self._renew_unprefixed(self._wanted)
        there = dict(await self._passages.embedders())
        done = there.pop(self._wanted.name, 0)
        if there and max(there.values()) > done:
            self._answers = self._made(max(there, key=lambda name: there[name]))

    async def _renew_unprefixed(self, embedder: Embedder) -> None:
        """Vectors from before its questions and answers were told apart are made anew."""
        if isinstance(embedder, ServedEmbedder) and embedder.prefixed:
            known = await self._key_values.get(_PREFIXED)
            if known is None or known["model"] != embedder.name:
                if embedder.name in await self._passages.embedders():
                    await self._passages.forget_embedder(embedder.name)
                await self._key_values.set(_PREFIXED, {"model": embedder.name})

    async def _step(self) -> bool:
        """Vectors for some passages; whether there may be more."""
        if not self._restored:
            await self._restore()
            self._restored = True
        wanted = self._wanted
        if not self._answers.dimensions:
            await self._tell_dimensions(self._answers)
        if not self._duty.held:
            return False
        waiting = await self._passages.unembedded(wanted.name, _PORTION)
        if not waiting:
            await self._complete(wanted)
            return False
        vectors = await wanted.embed([passage.told for passage in waiting])
        ids = [passage.id for passage in waiting]
        try:
            await self._passages.embed(wanted.name, ids, vectors)
        except BadRequest:  # the model has changed under its name: its older vectors are of another size
            await self._passages.forget_embedder(wanted.name)
            await self._passages.embed(wanted.name, ids, vectors)
        self._on_change()
        return True

    async def _tell_dimensions(self, embedder: Embedder) -> None:
        """Ask for them; an old one that is away must not hold up the one that is wanted."""
        try:
            await embedder.embed(["dimensions"])
        except BackendError:
            if embedder is self._wanted:
                raise

    async def _complete(self, wanted: Embedder) -> None:
        """Every passage has its vector: the new one answers, the others' are dropped."""
        if wanted is not self._wanted:
            return
        changed, self._answers = self._answers is not wanted, wanted
        for name in await self._passages.embedders():
            if name != wanted.name:
                await self._passages.forget_embedder(name)
                changed = True
        if changed:
            self._on_change()

    def _made(self, model: str) -> Embedder:
        if model in ("", MODEL, self._own.name):
            return self._own
        return ServedEmbedder(model=model, models=self._models)

    def _able(self) -> list[str]:
        """The embedding models of the model servers."""
        found = (one.id for one in self._models.list() if "embeddings" in one.capabilities)
        return [name for name in found if name != MODEL]

    def _suggested(self) -> str:
        """A better one that is there, where the embedded one is in use."""
        better = (name for name in self._able() if _BETTER.search(name))
        return next(better, "") if self._wanted is self._own else ""
