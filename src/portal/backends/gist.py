"""What sections and questions say as a whole, by sentence vectors, where an embedder is there.

A section has two: the middle of its title and the words in which people ask for it, and its text. Those of the manual
come with Portal (`guide_gists.bin`, made by `scripts/guide_gists.py`: a line with the embedder's name and the digest
of each section, then eight bits for each part); a section that is not among them is embedded at the first question.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from portal.backends.manual import Section
from portal.core.passages import Embedder
from portal.errors import BackendError

if TYPE_CHECKING:
    from portal.core.passages import Vectors

Felt = tuple[float, float]
"""How alike a question and a section are: by the section's title and other wordings, and by its text."""

FINE = 127


class Gists:
    """The vectors of sections, got when first needed."""

    def __init__(self, *, embedder: Embedder, sections: Sequence[Section], packed: bytes | None = None) -> None:
        """`packed` stands in for what comes with Portal."""
        self._embedder = embedder
        self._sections = sections
        self._packed = packed
        self._vectors: Vectors | None = None

    async def felt(self, question: str) -> Sequence[Felt]:
        """For each section; nothing while the embedder is away."""
        try:
            if self._vectors is None:
                self._vectors = await self._all()
            asked = (await self._embedder.embed([question]))[0]
        except BackendError:
            return ()
        return [(float(wordings), float(text)) for wordings, text in self._vectors @ asked]

    async def _all(self) -> "Vectors":
        """Of shape [sections, 2, dimensions]."""
        import numpy

        known = unpacked(packaged() if self._packed is None else self._packed, self._embedder)
        each = [known.get(digest(one)) for one in self._sections]
        made = [
            await gist(self._embedder, one) if vectors is None else vectors
            for one, vectors in zip(self._sections, each, strict=True)
        ]
        return numpy.stack(made) if made else numpy.empty((0, 2, self._embedder.dimensions), numpy.float32)


def digest(section: Section) -> str:
    """Of all that its vectors are made of."""
    return hashlib.sha256("\n".join([section.title, *section.asked, section.text]).encode()).hexdigest()[:16]


async def gist(embedder: Embedder, section: Section) -> "Vectors":
    """Both vectors of a section. Raises BackendError."""
    import numpy

    vectors = await embedder.embed([f"{section.title}\n{section.text}", section.title, *section.asked])
    both = numpy.stack([vectors[1:].mean(axis=0), vectors[0]])
    return _even(both)


def packaged() -> bytes:
    """Those that come with Portal."""
    return (files("portal.backends") / "guide_gists.bin").read_bytes()


def packed(embedder: Embedder, digests: Sequence[str], vectors: "Vectors") -> bytes:
    """The file for vectors of shape [sections, 2, dimensions]."""
    import numpy

    fine = numpy.rint(vectors * (FINE / numpy.abs(vectors).max(axis=-1, keepdims=True))).astype(numpy.int8)
    return b"\n".join([" ".join([embedder.name, *digests]).encode(), fine.tobytes()])


def unpacked(source: bytes, embedder: Embedder) -> "dict[str, Vectors]":
    """The vectors of a file by digest; none where another embedder made them."""
    import numpy

    line, _, rest = source.partition(b"\n")
    name, *digests = line.decode().split(" ")
    if name != embedder.name:
        return {}
    fine = numpy.frombuffer(rest, numpy.int8).reshape(len(digests), 2, embedder.dimensions)
    return dict(zip(digests, _even(fine.astype(numpy.float32)), strict=True))


def _even(vectors: "Vectors") -> "Vectors":
    """Of length 1 each."""
    import numpy

    lengths = numpy.linalg.norm(vectors, axis=-1, keepdims=True)
    even: Vectors = vectors / numpy.maximum(lengths, 1e-9)
    return even
