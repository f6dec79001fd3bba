"""The ports: what the core asks of the outside, each small. Rooms implement them; app.py hands them in."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

from portal.core.ask import Ask
from portal.core.decision import Route
from portal.core.items import Item, JsonObject
from portal.core.model import Embeddings, ModelEvent, ModelInfo, ModelRequest, RawRequest, RawResponse, Relevances
from portal.core.records import (
    ConversationRecord,
    CredentialRecord,
    FileRecord,
    FileUsage,
    FolderRecord,
    Page,
    ResponseRecord,
    StoredItem,
    TraceRecord,
    TurnRecord,
    UsageRecord,
    UserRecord,
    WorkspaceRecord,
)
from portal.core.workspaces import Workspace


@runtime_checkable
class Backend(Protocol):
    """A model server, or something that answers like one."""

    name: str
    """Unique among the backends in use, such as `ollama`."""
    kind: str
    url: str
    """Where it is; empty for one inside this process."""

    async def models(self) -> Sequence[ModelInfo]:
        """What is there now.

        Raises:
            BackendError: it cannot be reached in time, or does not speak its protocol.
        """

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Run a call. Closing the iterator cancels the upstream call at once.

        Every choice ends with `Finished`; one `TokenUsage` comes at the very end, estimated where the server gave none.

        Raises:
            BackendError: before the first event or in the middle; a cut stream raises, it never ends quietly.
        """

    async def aclose(self) -> None:
        """Release connections."""


@runtime_checkable
class Forwarding(Protocol):
    """A backend whose wire protocol is a door's own, so that bytes can be relayed."""

    api: str
    """`openai` or `ollama`."""

    async def forward(self, request: RawRequest) -> RawResponse:
        """Relay. Raises BackendUnavailable or BackendTimeout; a refusal is a RawResponse with its status."""


@runtime_checkable
class Embedding(Protocol):
    """A backend that can embed."""

    async def embed(
        self, model: str, texts: Sequence[str], dimensions: int | None = None, more: JsonObject | None = None
    ) -> Embeddings:
        """One vector per text, in order; `more` is what else a client sends, for a server that knows it. Raises
        BackendError."""


@runtime_checkable
class Reranking(Protocol):
    """A backend that can judge how well documents answer a query."""

    async def rerank(self, model: str, query: str, documents: Sequence[str]) -> Relevances:
        """One score a document, in order. Raises BackendError."""


@runtime_checkable
class Counting(Protocol):
    """A backend that may tell how many tokens a request has."""

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """Those of its messages and tools; None where this server does not tell."""


class Models(Protocol):
    """The router: which models and workspaces are there, and which model answers a request."""

    def route(self, ask: Ask) -> Route:
        """Where a request goes, in memory and without waiting.

        Raises:
            ModelNotFound: nothing has that name, with the nearest names.
            NoModel: no installed model can do it, with what to do.
            Forbidden: the workspace is not for this caller.
        """

    async def decide(self, ask: Ask, *, counted: bool = True, patient: bool = False) -> Route:
        """The same; where the request's kind is unclear, the embedder and a model may be asked, within deadlines.

        `counted`: a call comes of it; raises RateLimited where a budget is spent. `patient`: an embedder that sleeps is
        waited for, so that the answer is the same whenever this is asked.
        """

    def list(self) -> Sequence[ModelInfo]:
        """All plain models, in memory, no waiting."""

    def workspaces(self, owner: str = "") -> Sequence[Workspace]:
        """The workspaces that this caller may use, `auto` first; all of them where nobody is named."""

    def workspace(self, name: str, owner: str) -> Workspace | None:
        """The one of this name, if this caller may use it; quick, since every call of a plain model asks."""

    def find(self, model: str) -> tuple[Backend, ModelInfo]:
        """The backend of a plain model id. Raises ModelNotFound with the nearest names."""

    async def refresh(self) -> None:
        """Ask every backend now."""


class TurnLog(Protocol):
    """What a running turn writes. Awaited means committed."""

    async def begin(
        self, response: ResponseRecord, inputs: Sequence[Item], *, expect_head: bool = False, again: bool = False
    ) -> None:
        """Store a new response with its input items, and move its conversation's head and time, in one batch.
        With `expect_head` only if its previous response is the conversation's head still; a branch starts anywhere.
        With `again` another turn has gone on with the decisions of these inputs before.

        Raises:
            NotFound: conversation or previous response is not this owner's, or the owner was deleted.
            Conflict: `conversation_locked`, the head is another one by now; `approval_decided`, another turn has gone
                on with the decisions that these inputs bring. Nothing was stored.
        """

    async def flush(self, response_id: str, partial: StoredItem) -> None:
        """Append to an unfinished output item: `partial.item` is its skeleton, whose text and logprobs hold only what
        is new since the last flush; `cuts` are the new deltas' lengths, `last_seq` the newest delta's number.

        Raises:
            NotFound: the response is not there, or does not run any more.
        """

    async def append(self, response_id: str, done: StoredItem) -> None:
        """Store a completed output item, replacing its partial text."""

    async def finish(
        self, response: ResponseRecord, outputs: Sequence[StoredItem] = (), trace: TraceRecord | None = None
    ) -> None:
        """Store status, usage, error, decision, completed_at, last_seq, last items and where the time went, in one
        batch; drops partials."""

    async def recover(self) -> Sequence[str]:
        """At start: every response left `queued` or `in_progress` becomes `incomplete` (reason `interrupted`), its
        flushed text an incomplete item; their ids."""


class Responses(Protocol):
    """Responses and their items, by owner."""

    async def get(self, owner: str, response_id: str) -> TurnRecord:
        """With items, partial ones included. Raises NotFound."""

    async def window(self, owner: str, response_id: str, limit: int = 1000) -> Sequence[TurnRecord]:
        """The newest `limit` turns of the path from the root to this response, oldest first; `siblings` left empty.
        Raises NotFound."""

    async def recent(self, owner: str, limit: int) -> Sequence[TurnRecord]:
        """The newest turns of this owner, newest first, whatever conversation they are in; `siblings` left empty."""

    async def item(self, owner: str, item_id: str) -> StoredItem:
        """One item, of whichever response or conversation. Raises NotFound."""

    async def feedback(self, owner: str, response_id: str, rating: int) -> None:
        """Keep -1, 0 or 1. Raises NotFound."""

    async def delete(self, owner: str, response_id: str) -> None:
        """Forget a response and its items. A conversation whose head it was goes back to its parent; responses that
        follow it keep their ids and lose it from their window. Raises NotFound."""


class Conversations(Protocol):
    """Conversations, by owner; lists are keyset-paged, newest first."""

    async def create(self, conversation: ConversationRecord, items: Sequence[Item] = ()) -> None:
        """Raises Conflict, or NotFound for a folder that is not this owner's."""

    async def get(self, owner: str, conversation_id: str) -> ConversationRecord:
        """Raises NotFound, also for a deleted one."""

    async def list(
        self,
        owner: str,
        *,
        limit: int = 50,
        cursor: str | None = None,
        folder_id: str | None = None,
        query: str | None = None,
        model: str | None = None,
        since: int | None = None,
        until: int | None = None,
        among: Sequence[str] | None = None,
    ) -> Page[ConversationRecord]:
        """Pinned first, then by last change. `query` searches titles and text; any user text is safe. `model` is one
        that answered there; `since` and `until` bound the last change, the second one not included; `among` are ids.
        Raises BadRequest for a cursor that belongs to another list."""

    async def turns(
        self, owner: str, conversation_id: str, *, before: str | None = None, limit: int = 50
    ) -> Page[TurnRecord]:
        """A page of the branch on show, oldest first within it, ending before response `before` (default: at the head).
        `next` is the id to pass as `before` for the page above it. Raises NotFound."""

    async def update(self, owner: str, conversation_id: str, changes: Mapping[str, object]) -> ConversationRecord:
        """Change title, title_source, pinned, folder_id, model, metadata or head. Setting `head` to a response
        shows the newest branch through it. Raises NotFound, BadRequest."""

    async def entitle(self, owner: str, conversation_id: str, title: str, source: Literal["none", "model"]) -> None:
        """Give it a title that its user did not choose: with source `none` only where it has no title at all.
        Raises NotFound, or Conflict for one whose title is to stay."""

    async def move(self, owner: str, conversation_ids: Sequence[str], folder_id: str | None) -> None:
        """Put them into a folder, or with None outside any: all or, where one or the folder is not there, none.
        Raises NotFound."""

    async def add_items(self, owner: str, conversation_id: str, items: Sequence[Item]) -> str:
        """Append items without a model call: a completed response whose model is empty; its id. Raises NotFound, or
        Conflict (`conversation_locked`) while a turn of the conversation runs."""

    async def delete_item(self, owner: str, conversation_id: str, item_id: str) -> None:
        """Raises NotFound."""

    async def delete(self, owner: str, conversation_ids: Sequence[str]) -> Sequence[str]:
        """Hide them, to be undone by `restore`, until `purge`; the ids that were there."""

    async def restore(self, owner: str, conversation_ids: Sequence[str]) -> Sequence[str]:
        """Undo `delete`; the ids that came back."""

    async def purge(self, before: int) -> int:
        """Really delete what was deleted before this time, with responses and items; how many."""


class Folders(Protocol):
    """Folders of conversations, by owner."""

    async def list(self, owner: str) -> Sequence[FolderRecord]:
        """By name."""

    async def get(self, owner: str, folder_id: str) -> FolderRecord:
        """Raises NotFound."""

    async def save(self, folder: FolderRecord) -> None:
        """Create or replace. Raises NotFound if the id is another owner's."""

    async def delete(self, owner: str, folder_id: str) -> None:
        """Its conversations stay, outside any folder; what was read of its files for them goes. Raises NotFound."""


class Files(Protocol):
    """Uploaded files, by owner."""

    async def create(self, record: FileRecord, content: AsyncIterator[bytes]) -> FileRecord:
        """Store; size and sha256 are computed here, whatever the record says. All or nothing.

        Raises:
            StorageFull: the disk, or what this owner may keep.
            NotFound: the owner was deleted.
        """

    async def get(self, owner: str, file_id: str) -> FileRecord:
        """Raises NotFound."""

    async def list(
        self,
        owner: str,
        *,
        purpose: str | None = None,
        limit: int = 100,
        after: str | None = None,
        ascending: bool = False,
    ) -> Page[FileRecord]:
        """By creation, newest first unless `ascending`; `after` is a file id. Raises BadRequest for an unknown one."""

    def content(self, owner: str, file_id: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """In chunks, from byte `start` to before `end`. Raises NotFound before the first."""

    async def usage(self, owner: str) -> FileUsage:
        """What they take."""

    async def delete(self, owner: str, file_id: str) -> None:
        """Raises NotFound."""


class Users(Protocol):
    """People and the credentials that stand for them. Secrets come in as SHA-256 hex, never themselves."""

    async def owner(self) -> UserRecord:
        """The owner of this installation, made at the first call."""

    async def get(self, user_id: str) -> UserRecord:
        """Raises NotFound."""

    async def set_preferences(self, user_id: str, preferences: JsonObject) -> None:
        """Replace. Raises NotFound."""

    async def add_credential(self, record: CredentialRecord, secret_hash: str) -> None:
        """Raises Conflict for a key name this owner uses already."""

    async def find_credential(self, kind: str, secret_hash: str) -> CredentialRecord | None:
        """None when unknown or expired."""

    async def take_link(self, secret_hash: str) -> CredentialRecord | None:
        """Use up a one-time link: of two racing takers exactly one gets it."""

    async def credentials(self, owner: str, kind: str) -> Sequence[CredentialRecord]:
        """Newest first, expired ones left out."""

    async def touch(self, credential_id: str, when: int, *, expires_at: int | None = None) -> None:
        """Note when a credential was last used, and until when it is good from now on; None leaves that as it is."""

    async def revoke(self, owner: str, credential_id: str) -> None:
        """Raises NotFound."""

    async def revoke_others(self, owner: str, kept: str) -> Sequence[str]:
        """End all sessions and links of this owner but one; their ids."""


class UsageLog(Protocol):
    """What model calls cost."""

    def begun(self) -> None:
        """A call is under way; its `record` ends it."""

    def record(self, usage: UsageRecord) -> None:
        """Put it in the queue of the batching writer; never waits."""


class Spending(Protocol):
    """What has been used of a budget."""

    async def spent(self, kind: Literal["key", "person"], whose: str, since: int) -> tuple[int, int]:
        """Calls and tokens of a key that has a budget, or of a person."""


class Traces(Protocol):
    """Where the time of stored turns went."""

    async def get(self, owner: str, response_id: str) -> TraceRecord:
        """Raises NotFound."""

    async def of_anybody(self, response_id: str) -> TraceRecord:
        """The same, whoever's it is: for those who run this installation. Raises NotFound."""

    async def list(
        self, sort: Literal["slow", "failed", "recent"], *, since: int, limit: int = 50, cursor: str | None = None
    ) -> Page[TraceRecord]:
        """Everybody's since a time in microseconds UTC, without spans, with the person's name: slowest first, or
        newest first; a cursor brings its `since`. Raises BadRequest for one of another list."""


class SavedWorkspaces(Protocol):
    """Workspaces that people made, by owner."""

    async def all(self) -> Sequence[WorkspaceRecord]:
        """Everybody's, oldest first: for the server, when it starts."""

    async def save(self, workspace: WorkspaceRecord) -> None:
        """Create, or replace this owner's of that name, which keeps its time."""

    async def delete(self, owner: str, name: str) -> None:
        """Raises NotFound."""


class Sealer(Protocol):
    """Seals text that leaves Portal and comes back, so that it cannot be forged."""

    def seal(self, text: str) -> str:
        """An opaque token."""

    def unseal(self, token: str) -> str:
        """The text. Raises BadRequest for a token that this installation did not make."""
