"""Documents in collections: records, and the ports of those who keep them, read them and watch where they come from.

A collection is OpenAI's vector store; a document is its file: a file of `/v1/files` within one collection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from portal.core.items import JsonObject
from portal.core.passages import Passage
from portal.core.records import Page

if TYPE_CHECKING:
    from portal.core.passages import Vectors

DocumentStatus: TypeAlias = Literal["in_progress", "completed", "failed", "cancelled"]
ErrorCode: TypeAlias = Literal["server_error", "unsupported_file", "invalid_file"]
Kind: TypeAlias = Literal["folder", "url"]

_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Counts:
    """How many documents are how far."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.in_progress + self.completed + self.failed + self.cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRecord:
    """A collection, `vs_...`; what it holds is counted when it is read."""

    id: str
    owner: str
    name: str
    created_at: int
    last_active_at: int
    description: str = ""
    metadata: JsonObject = field(default_factory=dict)
    expires_days: int | None = None
    """Days without use after which it is forgotten."""
    conversation_id: str | None = None
    """Of one that holds the files of a conversation (or of a chain of responses, by its first), and goes with it."""
    counts: Counts = Counts()
    usage_bytes: int = 0

    @property
    def expires_at(self) -> int | None:
        """Microseconds UTC."""
        return None if self.expires_days is None else self.last_active_at + self.expires_days * _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """What is to be read into a collection."""

    file_id: str
    attributes: JsonObject = field(default_factory=dict)
    chunking: JsonObject = field(default_factory=dict)
    """OpenAI's static strategy {max_chunk_size_tokens, chunk_overlap_tokens}; empty for passages after the text's own
    structure."""
    place: str = ""
    """The path or address it came from."""
    modified: int | None = None
    """When it was changed there, in microseconds UTC."""
    source_id: str | None = None
    """Where it is followed; its older version there goes once this one can be found."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a document could not be read, and what to do."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRecord:
    """A document, without its text."""

    id: str
    """`doc_...`: its passages carry it, for the same file may be in several collections."""
    owner: str
    collection_id: str
    file_id: str
    filename: str
    status: DocumentStatus
    created_at: int
    size: int = 0
    sha256: str = ""
    problem: Problem | None = None
    attributes: JsonObject = field(default_factory=dict)
    chunking: JsonObject = field(default_factory=dict)
    progress: float = 0.0
    """0 to 1."""
    passages: int = 0
    usage_bytes: int = 0
    """Of its passages and their vectors."""
    note: str = ""
    """What could not be read of one that is completed."""
    place: str = ""
    modified: int | None = None
    source_id: str | None = None
    batch_id: str | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """Documents that were added at once, `vsfb_...`."""

    id: str
    owner: str
    collection_id: str
    created_at: int
    cancelled: bool = False
    counts: Counts = Counts()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """A folder of this machine, or an address, that a collection follows."""

    id: str
    owner: str
    collection_id: str
    kind: Kind
    place: str
    """Absolute path, or URL."""
    created_at: int
    checked_at: int | None = None
    """When the last look began that is over."""
    next_at: int = 0
    """When it is looked at again."""
    error: str = ""
    """Why the last look found nothing out, and what to do; empty where it did."""
    state: JsonObject = field(default_factory=dict)
    """What the next look compares with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A document that a worker has to itself, as long as it renews its claim in time."""

    document: DocumentRecord
    claim: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadText:
    """What became of a document: its passages, and their vectors where an embedder was there."""

    passages: Sequence[Passage]
    embedder: str = ""
    vectors: "Vectors | None" = None
    note: str = ""
    """What could not be read of it, for people."""


class Collections(Protocol):
    """Collections, by owner."""

    async def create(self, collection: CollectionRecord) -> None:
        """Raises Conflict."""

    async def get(self, owner: str, collection_id: str) -> CollectionRecord:
        """Raises NotFound."""

    async def list(
        self,
        owner: str,
        *,
        limit: int = 20,
        after: str | None = None,
        before: str | None = None,
        ascending: bool = False,
    ) -> Page[CollectionRecord]:
        """By creation; `after` and `before` are ids. Raises BadRequest for an unknown one."""

    async def of_conversation(self, owner: str, conversation_id: str) -> CollectionRecord | None:
        """The one that holds its files, or those of a folder of this id, where there is one."""

    async def change(self, owner: str, collection_id: str, changes: Mapping[str, object]) -> CollectionRecord:
        """Set name, description, metadata or expires_days, or note that it is used with {}. Raises NotFound."""

    async def delete(self, owner: str, collection_id: str, *, files: bool = False) -> None:
        """With its documents and sources; files that came from a source go, uploaded ones if `files` says so, unless
        another collection has them. Raises NotFound."""


class Documents(Protocol):
    """Documents of collections, by owner. What names a collection raises NotFound where it is not this owner's."""

    async def add(
        self, owner: str, collection_id: str, documents: Sequence[NewDocument], *, batch_id: str | None = None
    ) -> None:
        """Let them be read, all or none; `batch_id` makes a batch of them. One that is there already is read again
        where its content or its cutting is another. Raises NotFound for a file that is not this owner's."""

    async def get(self, owner: str, collection_id: str, file_id: str) -> DocumentRecord:
        """Raises NotFound."""

    async def list(
        self,
        owner: str,
        collection_id: str,
        *,
        status: DocumentStatus | None = None,
        batch_id: str | None = None,
        limit: int = 20,
        after: str | None = None,
        before: str | None = None,
        ascending: bool = False,
    ) -> Page[DocumentRecord]:
        """By creation; `after` and `before` are file ids. Raises BadRequest for an unknown one."""

    async def find(
        self, owner: str, *, ids: Sequence[str] = (), file_id: str | None = None, source_id: str | None = None
    ) -> Sequence[DocumentRecord]:
        """Those with these document ids, of this file, or of this source, in whatever collection."""

    async def same(self, owner: str, collection_id: str, file_id: str) -> DocumentRecord | None:
        """One of the collection, read or waiting, that has the content of this file and is another."""

    async def describe(self, owner: str, collection_id: str, file_id: str, attributes: JsonObject) -> DocumentRecord:
        """Replace its attributes. Raises NotFound, BadRequest."""

    async def again(self, owner: str, collection_id: str, file_id: str | None = None) -> int:
        """Read what failed or was cancelled once more: this one, or all; how many."""

    async def moved(self, owner: str, document_id: str, *, place: str, filename: str, modified: int | None) -> None:
        """The same content is elsewhere now, or was touched. Raises NotFound."""

    async def remove(self, owner: str, collection_id: str, file_id: str, *, gone: bool = False) -> None:
        """Forget it and its passages; the file stays, unless it came from a source: from there it comes back when it
        has changed, or was `gone` there. Raises NotFound."""


class Batches(Protocol):
    """Documents that were added at once, by owner."""

    async def get(self, owner: str, collection_id: str, batch_id: str) -> BatchRecord:
        """Raises NotFound."""

    async def cancel(self, owner: str, collection_id: str, batch_id: str) -> BatchRecord:
        """Let those that are not read yet be. Raises NotFound."""


class Sources(Protocol):
    """Watched places, by owner."""

    async def add(self, source: SourceRecord) -> None:
        """Raises NotFound for a collection that is not this owner's, Conflict where it follows that place already."""

    async def list(self, owner: str, collection_id: str | None = None) -> Sequence[SourceRecord]:
        """Oldest first. Raises NotFound."""

    async def remove(self, owner: str, source_id: str, *, documents: bool) -> None:
        """Follow it no more, and forget what came from it or keep it as it is. Raises NotFound."""

    async def due(self, now: int | None) -> Sequence[SourceRecord]:
        """Those, of whoever, that are to be looked at again by then; with None all. For the server."""

    async def removed(self, owner: str, source_id: str) -> Mapping[str, str]:
        """What came from it and was removed here, though it is there still: SHA-256 by place."""

    async def looked(self, source: SourceRecord) -> None:
        """Keep what a look found; one that was removed meanwhile stays so."""


class ReadingQueue(Protocol):
    """The documents that wait to be read: durable, each read by one worker at a time."""

    async def claim(self, now: int, until: int) -> Job | None:
        """The next one, of whoever, for oneself until then; None where nothing waits. What a worker that is gone had
        claimed comes again once its time is over."""

    async def renew(self, job: Job, until: int, progress: float) -> None:
        """Tell how far it is. Raises Conflict where it was cancelled, removed or claimed by another."""

    async def twin(self, job: Job, key: str) -> str | None:
        """Id of a document of the same owner whose passages were made of the same; it may be this one."""

    async def complete(self, job: Job, key: str, text: ReadText | None) -> None:
        """Store document, passages, words and vectors in one transaction, and forget the older version of one that is
        followed; without a text its passages stay. `key` says what they were made of. Raises Conflict like `renew`."""

    async def fail(self, job: Job, problem: Problem, *, retry_at: int | None = None) -> None:
        """It could not be read, for good or until then. Raises Conflict like `renew`."""

    async def release(self, job: Job | None = None) -> None:
        """Give one back as if it had never been claimed; or, at a start where no other server can be at it, all."""
