"""How alike a request and tools are, by the embedded embedder: what tells apart tools that words alone do not.

What people ask and what tools say of themselves are different kinds of text, so the vector of a request is turned
before it is compared (`tool_turn.bin`: one matrix for all tools, learned once by `training/tools/build.py` from
requests and the tools that they need). Vectors of tools are made in the background when they are first wanted, and
kept by the text that they are made of.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

from portal.core.passages import Embedder
from portal.core.thesaurus import words
from portal.core.tools import ToolSpec
from portal.errors import BackendError

if TYPE_CHECKING:
    from portal.core.passages import Vectors

log = logging.getLogger(__name__)

READ = 150
"""Characters that are read at the beginning and at the end of a long request."""
SECONDS = 0.025
"""How long a turn waits at most: ten times what the vector of a short request takes."""
FINE = 127
_PORTION = 8
"""Tools that are embedded between two looks at what else is wanted: one thread's work."""
MOST = 2000


class EmbeddedLikeness:
    """Implements Likeness; nothing is known of tools before `run` has seen to them."""

    def __init__(self, *, embedder: Embedder, seconds: float = SECONDS, most: int = MOST) -> None:
        """Nobody waits longer than `seconds`; more than `most` tools are not compared, and twice as many kept."""
        self._embedder = embedder
        self._seconds = seconds
        self._most = most
        self._known: dict[str, Vectors] = {}
        self._missing: dict[str, None] = {}
        self._wanted = asyncio.Event()

    async def of(self, request: str, specs: Sequence[ToolSpec]) -> Sequence[float]:
        """See Likeness."""
        texts = [described(spec) for spec in specs]
        if not 0 < len(texts) <= self._most:
            return ()
        self._missing |= dict.fromkeys(text for text in texts if text not in self._known)
        if self._missing:
            self._wanted.set()
            return ()
        known = [self._known[text] for text in texts]
        try:
            async with asyncio.timeout(self._seconds):
                asked = (await self._embedder.embed([shortened(request)]))[0]
        except TimeoutError:  # it is busy, or sleeps: then it is woken for the next one
            self._wanted.set()
            return ()
        except BackendError:
            return ()
        import numpy  # is loaded by now

        alike = numpy.stack(known) @ turned(asked, self._turn)
        return [float(one) for one in alike]

    async def run(self) -> None:
        """Make the vectors that are wanted, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._learn()
            except BackendError:
                log.exception("tools are chosen by words alone, for they cannot be embedded")
                return

    async def _learn(self) -> None:
        await self._embedder.embed([""])
        while self._missing:
            portion = [*self._missing][:_PORTION]
            vectors = await self._embedder.embed(portion)
            if len(self._known) >= 2 * self._most:
                self._known.clear()
            self._known.update(zip(portion, centred(vectors, self._turn), strict=True))
            for text in portion:
                self._missing.pop(text, None)

    @cached_property
    def _turn(self) -> "Vectors":
        return unpacked(packaged(), self._embedder)


def described(spec: ToolSpec) -> str:
    """What the vector of a tool is made of: its name in words, and the first sentence that it says of itself."""
    first = " ".join(spec.description.split()).partition(". ")[0]
    return f"{' '.join(words(spec.name.rpartition('__')[2]))}: {first}"


def shortened(request: str) -> str:
    """So that its vector takes no longer than that of a few lines."""
    return request if len(request) <= 2 * READ else f"{request[:READ]} {request[-READ:]}"


def turned(asked: "Vectors", turn: "Vectors") -> "Vectors":
    """The vector of a request, or of several, to compare with those of tools."""
    return _even(asked + asked @ turn[1:])


def centred(tools: "Vectors", turn: "Vectors") -> "Vectors":
    """The vectors of tools without what is common to all."""
    return _even(tools - turn[0])


def packaged() -> bytes:
    """What comes with Portal."""
    return (files("portal.knowledge") / "tool_turn.bin").read_bytes()


def packed(embedder: Embedder, turn: "Vectors") -> bytes:
    """The file for the middle of all tools and the matrix below it: a line with the embedder's name, a scale for each
    row, then eight bits a number."""
    import numpy

    scales = (numpy.abs(turn).max(axis=1, keepdims=True) / FINE).astype("<f4")
    return b"\n".join([embedder.name.encode(), scales.tobytes() + numpy.rint(turn / scales).astype("i1").tobytes()])


def unpacked(source: bytes, embedder: Embedder) -> "Vectors":
    """Of shape [1 + dimensions, dimensions]; for another embedder than the file's one that changes nothing."""
    import numpy

    name, _, rest = source.partition(b"\n")
    shape = rows, _ = embedder.dimensions + 1, embedder.dimensions
    if name.decode() != embedder.name:
        return numpy.zeros(shape, numpy.float32)
    scales = numpy.frombuffer(rest, "<f4", rows)
    turn: Vectors = numpy.frombuffer(rest, "i1", offset=scales.nbytes).reshape(shape) * scales[:, None]
    return turn


def _even(vectors: "Vectors") -> "Vectors":
    """Of length 1 each."""
    import numpy

    lengths = numpy.linalg.norm(vectors, axis=-1, keepdims=True)
    even: Vectors = vectors / numpy.maximum(lengths, 1e-9)
    return even
