"""A second look at a request whose words leave open what it is: what its meaning says, by the embedded embedder.

The request's vector goes through one linear layer (`second_look.bin`, learned by `training/classifier/second_look.py`),
and its scores are mixed with those of the classifier. Nobody waits for an embedder that is busy or sleeps.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

from portal.core.passages import Embedder
from portal.errors import BackendError
from portal.routing.judgement import TASKS, Judgement

if TYPE_CHECKING:
    from portal.core.passages import Vectors

log = logging.getLogger(__name__)

READ = 150
"""Characters that are read at the beginning and at the end of a long request."""
SECONDS = 0.025
"""How long a request waits at most: several times what its vector takes."""
PATIENT = 30.0
"""The same where nobody waits for an answer: an embedder is loaded in that time."""
SHARE = 0.3
"""The weight of the meaning beside the words."""
_LEAST = 1e-9


class SecondLook:
    """Mixes what a request means into a judgement of its words."""

    def __init__(self, *, embedder: Embedder, seconds: float = SECONDS) -> None:
        """Nobody waits longer than `seconds`."""
        self._embedder = embedder
        self._seconds = seconds
        self._wanted = asyncio.Event()

    async def judge(self, text: str, judged: Judgement, *, patient: bool = False) -> Judgement:
        """The judgement with another task where the meaning says so; as it was where the embedder is late or away."""
        try:
            async with asyncio.timeout(PATIENT if patient else self._seconds):
                vectors = await self._embedder.embed([shortened(text)])
        except TimeoutError:  # it is busy, or sleeps: then it is woken for the next one
            self._wanted.set()
            return judged
        except BackendError:
            return judged
        if self._layer is None:
            return judged
        return mixed(judged, (self._layer[0] + vectors[0] @ self._layer[1:]).tolist())

    async def run(self) -> None:
        """Wake the embedder when it is wanted, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._embedder.embed([""])
            except BackendError:
                log.exception("requests are judged by their words alone, for they cannot be embedded")
                return

    @cached_property
    def _layer(self) -> "Vectors | None":
        return unpacked(packaged(), self._embedder)


def shortened(text: str) -> str:
    """So that its vector takes no longer than that of a few lines."""
    return text if len(text) <= 2 * READ else f"{text[:READ]} {text[-READ:]}"


def mixed(judged: Judgement, scores: Sequence[float]) -> Judgement:
    """A weighted geometric mean of what the words and what the meaning says; `scores` in the order of TASKS."""
    import numpy  # is loaded by now

    meant = numpy.array(scores) - numpy.logaddexp.reduce(scores)
    said = numpy.log([max(judged.scores.get(task, 0.0), _LEAST) for task in TASKS])
    both = numpy.exp((1 - SHARE) * said + SHARE * meant)
    shares = dict(zip(TASKS, (both / both.sum()).tolist(), strict=True))
    task = max(shares, key=shares.__getitem__)
    by = judged.by if task == judged.task else "by its meaning"
    return replace(judged, task=task, confidence=shares[task], scores=shares, by=by)


def packaged() -> bytes:
    """What comes with Portal."""
    return (files("portal.routing") / "second_look.bin").read_bytes()


def packed(embedder: Embedder, layer: "Vectors") -> bytes:
    """The file: a line with the embedder's name, then sixteen bits a number, the bias first."""
    return b"\n".join([embedder.name.encode(), layer.astype("<f2").tobytes()])


def unpacked(source: bytes, embedder: Embedder) -> "Vectors | None":
    """Of shape [1 + dimensions, tasks]; None where the file is for another embedder."""
    import numpy

    name, _, rest = source.partition(b"\n")
    if name.decode() != embedder.name:
        return None
    layer: Vectors = numpy.frombuffer(rest, "<f2").reshape(-1, len(TASKS)).astype(numpy.float32)
    return layer
