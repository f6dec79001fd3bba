"""Passages: text of the user's that can be found by its words and by what it means, and the ports around them.

Documents, memories and past turns are all kept as passages, so that one index and one way of ranking serve them.
Vectors are float32 arrays of shape [n, dimensions], every row of length 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

from portal.core.items import JsonObject

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors: TypeAlias = npt.NDArray[np.float32]

Space: TypeAlias = Literal["documents", "memories", "turns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of a document, a memory, or a turn together with the one before it."""

    id: str
    """With the prefix of its space: `chunk_`, `mem_`, `resp_`."""
    owner: str
    space: Space
    group: str
    """What it is searched within: the collection of a document, the scope of a memory, the conversation of a turn."""
    document: str
    """What it is a part of and goes away with: a document's id; of a memory or turn its own."""
    position: int = 0
    """0-based, among the passages of its document."""
    text: str
    """As it reads."""
    heading: Sequence[str] = ()
    """The headings that it stands under, outermost first; found as well, and told to whoever reads it."""
    page: int | None = None
    """1-based, where its document has pages."""
    start: int = 0
    end: int = 0
    """Its place in the document's text, in characters."""
    created_at: int
    """Microseconds UTC: when what it says was said or written, as far as that is known."""

    @property
    def told(self) -> str:
        """What is embedded and what models read: the text under its headings."""
        return f"{' > '.join(self.heading)}\n{self.text}" if self.heading else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """Where a search looks; all conditions must hold, and they hold inside the search, not after it."""

    owner: str
    space: Space
    groups: Sequence[str] | None = None
    """None for all of the owner's."""
    filters: JsonObject | None = None
    """A comparison or compound filter over the attributes of documents, as OpenAI's file search has them:
    {type: eq|ne|gt|gte|lt|lte|in|nin, key, value} or {type: and|or, filters: [...]}."""
    since: int | None = None
    until: int | None = None
    """Bounds of `created_at`, in microseconds UTC, the second one not included."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One passage found; a score compares with others of the same list only, higher is better."""

    id: str
    score: float
    vector: "Vectors | None" = field(default=None, compare=False, repr=False)
    """Of the passage, where the search had to read it."""


class Embedder(Protocol):
    """Turns texts into vectors: texts that mean like things lie close."""

    name: str
    """Of the model and its place; vectors of another name do not compare with its own."""
    dimensions: int

    async def embed(self, texts: Sequence[str]) -> "Vectors":
        """One row a text, in order; an empty text has one too.

        Raises:
            BackendError: it is away or failed.
        """


@runtime_checkable
class Asking(Protocol):
    """An embedder that embeds questions otherwise than what answers them."""

    async def embed_questions(self, texts: Sequence[str]) -> "Vectors":
        """As Embedder.embed."""


async def vector_of_question(embedder: Embedder, text: str) -> "Vectors":
    """Of what somebody asks, to compare with what is kept. Raises BackendError."""
    vectors = await (embedder.embed_questions([text]) if isinstance(embedder, Asking) else embedder.embed([text]))
    first: Vectors = vectors[0]
    return first


class Passages(Protocol):
    """The index. Awaited means committed; words, vector and passage come and go in one transaction."""

    async def replace(
        self,
        owner: str,
        space: Space,
        document: str,
        passages: Sequence[Passage],
        *,
        embedder: str = "",
        vectors: "Vectors | None" = None,
        attributes: JsonObject | None = None,
    ) -> None:
        """Let these be all the passages of a document; without vectors they are found by words, until `embed`.

        Raises:
            BadRequest: vectors of another size than the embedder's others, or an attribute that is no text (up to 512
                characters), number or boolean.
        """

    async def describe(self, owner: str, document: str, attributes: JsonObject) -> None:
        """Replace the attributes that filters look at. Raises BadRequest."""

    async def drop(self, owner: str, space: Space, *, document: str | None = None, group: str | None = None) -> None:
        """Forget those of a document, of a group, or of the whole space; nothing of the text is left in the file."""

    async def get(self, owner: str, ids: Sequence[str]) -> Sequence[Passage]:
        """Those that are there, in the order asked for."""

    async def of(self, owner: str, document: str, first: int = 0, last: int | None = None) -> Sequence[Passage]:
        """Those of a document from one position to another, both included, in order."""

    async def words(self, within: Within, text: str, limit: int) -> Sequence[Hit]:
        """The best by BM25; any text is safe, and a passage need not have all of its words."""

    async def nearest(self, within: Within, embedder: str, vector: "Vectors", limit: int) -> Sequence[Hit]:
        """The best by cosine; `vector` has the shape [dimensions]. Nothing where this embedder has no vectors."""

    async def cosines(self, owner: str, embedder: str, vector: "Vectors", ids: Sequence[str]) -> Mapping[str, float]:
        """The exact cosine of those that have a vector."""

    async def vectors(self, owner: str, embedder: str, ids: Sequence[str]) -> "Mapping[str, Vectors]":
        """Those that are there."""

    async def unembedded(self, embedder: str, limit: int) -> Sequence[Passage]:
        """Passages, of whoever, that have no vector of this embedder yet."""

    async def embed(self, embedder: str, ids: Sequence[str], vectors: "Vectors") -> None:
        """Add vectors to passages that are there still; another embedder's stay."""

    async def embedders(self) -> Mapping[str, int]:
        """The embedders that have vectors here, and how many."""

    async def forget_embedder(self, embedder: str) -> None:
        """Drop the vectors of one."""


class Reranker(Protocol):
    """Judges how well texts answer a query, better and slower than a search."""

    name: str

    async def judge(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """0 to 1 for each, in order.

        Raises:
            BackendError: it is away or failed.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A passage that answers a query, merged with its neighbours where they were found too."""

    passage: Passage
    """With the text of all that was merged; the id is the best one's."""
    score: float
    """0 to 1; comparable within one search."""
    weak: bool = False
    """It is the best there is, and does not bear on the query."""
    attributes: JsonObject = field(default_factory=dict)


class Search(Protocol):
    """Finds passages by words and meaning together."""

    async def search(self, within: Within, text: str, *, limit: int = 10, rerank: bool = True) -> Sequence[Found]:
        """The best, best first; duplicates dropped. Without an embedder by words alone.

        Raises:
            BadRequest: a filter that cannot be understood.
        """
