"""What sections and questions say as a whole, by sentence vectors, where an embedder is there.

A section has the middle of its title and the words in which people ask for it, each of these by itself, and its text.
Those of the manual come with Portal (`guide_gists.bin`, made by `scripts/guide_gists.py`, see `packed`); a section that
is not among them is embedded at the first question.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate
from typing import TYPE_CHECKING

from portal.backends.manual import Section
from portal.core.passages import Embedder
from portal.errors import BackendError

if TYPE_CHECKING:
    from portal.core.passages import Vectors

Felt = tuple[float, float, float]
"""How alike a question and a section are: by the section's title and other wordings together, by the closest of these,
and by its text."""

FINE = 127
NARROW = 96
"""Numbers that are kept of a wording's vector: those along which wordings differ most."""


@dataclass(frozen=True, slots=True)
class Gist:
    """The vectors of a section."""

    whole: "Vectors"
    """Of its wordings together, and of its text."""
    each: "Vectors"
    """Of each wording: as embedded, or narrow."""


class Gists:
    """The vectors of sections, got when first needed."""

    def __init__(self, *, embedder: Embedder, sections: Sequence[Section], packed: bytes | None = None) -> None:
        """`packed` stands in for what comes with Portal."""
        self._embedder = embedder
        self._sections = sections
        self._packed = packed
        self._found: tuple[Vectors, Vectors, Vectors] | None = None

    async def felt(self, question: str) -> Sequence[Felt]:
        """For each section; nothing while the embedder is away."""
        import numpy

        try:
            if self._found is None:
                self._found = await self._all()
            asked = (await self._embedder.embed([question]))[0]
        except BackendError:
            return ()
        if not self._sections:
            return []
        basis, whole, each = self._found
        begins = [0, *accumulate(1 + len(section.asked) for section in self._sections)][:-1]
        alike = numpy.einsum("wn,n->w", each, narrow(asked, basis))  # in this thread: `@` wakes others for so little
        closest = numpy.maximum.reduceat(alike, begins)
        return [
            (float(wordings), float(close), float(text))
            for (wordings, text), close in zip(whole @ asked, closest, strict=True)
        ]

    async def _all(self) -> "tuple[Vectors, Vectors, Vectors]":
        """What vectors of wordings are narrowed with, and those of all sections: [sections, 2, dimensions], and one
        below the other [wordings, NARROW]."""
        import numpy

        basis, known = unpacked(packaged() if self._packed is None else self._packed, self._embedder)
        gists = [known.get(digest(one)) for one in self._sections]
        made = [gist or await self._made(one, basis) for one, gist in zip(self._sections, gists, strict=True)]
        whole = numpy.array([one.whole for one in made], numpy.float32)
        return basis, whole, numpy.concatenate([basis[:0, : len(basis) - 1], *(one.each for one in made)])

    async def _made(self, section: Section, basis: "Vectors") -> Gist:
        made = await gist(self._embedder, section)
        return Gist(made.whole, narrow(made.each, basis))


def digest(section: Section) -> str:
    """Of all that its vectors are made of."""
    return hashlib.sha256("\n".join([section.title, *section.asked, section.text]).encode()).hexdigest()[:16]


async def gist(embedder: Embedder, section: Section) -> Gist:
    """The vectors of a section, as embedded. Raises BackendError."""
    import numpy

    vectors = await embedder.embed([f"{section.title}\n{section.text}", section.title, *section.asked])
    return Gist(_even(numpy.stack([vectors[1:].mean(axis=0), vectors[0]])), vectors[1:])


def narrow(vectors: "Vectors", basis: "Vectors") -> "Vectors":
    """In fewer numbers: without what is common to all, along the rows of a basis, whose first row is that."""
    return _even((vectors - basis[0]) @ basis[1:].T)


def packaged() -> bytes:
    """Those that come with Portal."""
    return (files("portal.backends") / "guide_gists.bin").read_bytes()


def packed(embedder: Embedder, gists: "dict[str, Gist]") -> bytes:
    """The file for gists by digest: a line with the embedder's name and each digest with the number of its wordings;
    the basis, sixteen bits a number; then, eight bits a number, the two vectors of every section and, narrow, those of
    its wordings."""
    import numpy

    each = numpy.concatenate([one.each for one in gists.values()])
    middle = each.mean(axis=0)
    _, axes = numpy.linalg.eigh(numpy.cov((each - middle).T))
    basis = numpy.concatenate([middle[None], axes.T[::-1][:NARROW]]).astype("<f2")
    line = " ".join([embedder.name, *(f"{known}:{len(one.each)}" for known, one in gists.items())])
    whole = numpy.stack([one.whole for one in gists.values()])
    parts = [basis.tobytes(), _fine(whole), _fine(narrow(each, basis.astype(numpy.float32)))]
    return b"\n".join([line.encode(), b"".join(parts)])


def unpacked(source: bytes, embedder: Embedder) -> "tuple[Vectors, dict[str, Gist]]":
    """The basis and the gists of a file; one that changes nothing, and none, where another embedder made them."""
    import numpy

    line, _, rest = source.partition(b"\n")
    name, *digests = line.decode().split(" ")
    size = embedder.dimensions
    if name != embedder.name:
        return numpy.eye(size + 1, size, -1, numpy.float32), {}
    known, counts = zip(*((one[:-1], int(one[-1])) for one in (each.split(":") for each in digests)), strict=True)
    rows = min(NARROW, size)
    basis = numpy.frombuffer(rest, "<f2", (rows + 1) * size).reshape(rows + 1, size)
    fine = numpy.frombuffer(rest, "i1", offset=basis.nbytes).astype(numpy.float32)
    whole = _even(fine[: 2 * size * len(known)].reshape(-1, 2, size))
    each = numpy.split(_even(fine[whole.size :].reshape(-1, rows)), [*accumulate(counts)][:-1])
    return basis.astype(numpy.float32), {one[0]: Gist(*two) for one, *two in zip(known, whole, each, strict=True)}


def _fine(vectors: "Vectors") -> bytes:
    import numpy

    fine: bytes = numpy.rint(vectors * (FINE / numpy.abs(vectors).max(axis=-1, keepdims=True))).astype("i1").tobytes()
    return fine


def _even(vectors: "Vectors") -> "Vectors":
    """Of length 1 each."""
    import numpy

    lengths = numpy.linalg.norm(vectors, axis=-1, keepdims=True)
    even: Vectors = vectors / numpy.maximum(lengths, 1e-9)
    return even
