"""What the page's routes need beside the core's ports; app.py hands them in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from portal.core.approvals import Decision
from portal.core.consumption import Consumption
from portal.core.items import JsonObject
from portal.core.journal import Note
from portal.core.memories import Kept, Memory, MemoryRecord, Switches, Wanted
from portal.core.model import ModelInfo
from portal.core.records import ConversationRecord, Filters, Page
from portal.observability.levels import Levels
from portal.settings.mcp import ToolServerSettings
from portal.settings.workspaces import WorkspaceSettings


class Previews(Protocol):
    """Glimpses of an owner's files."""

    async def thumbnail(self, owner: str, file_id: str) -> tuple[str, bytes]:
        """What names its version, and a PNG. Raises NotFound where there is none."""

    async def page(self, owner: str, file_id: str, number: int) -> tuple[str, bytes]:
        """What names its version, and a PNG of a page of a PDF. Raises NotFound where there is none."""

    async def text(self, owner: str, file_id: str) -> tuple[str, bool]:
        """What a document says as Markdown, and whether that is all.

        Raises:
            NotFound, BadRequest, TooLarge, BackendError: why there is none.
        """


class Activity(Protocol):
    """How this Portal is."""

    levels: Levels
    """How much is logged."""

    @property
    def consumption(self) -> Consumption:
        """What was used."""

    async def now(self) -> JsonObject:
        """{at, calls, servers, channels, tool_servers, waiting, database, loop, process, listening}; times in seconds,
        sizes in bytes."""

    async def events(self, *, kind: str, text: str, limit: int, cursor: str | None) -> Page[Note]:
        """See Notes.list."""


class Backups(Protocol):
    """Backups of this installation."""

    async def status(self) -> JsonObject:
        """Where they go and how often, what became of the last one, and the newest of those that are there."""

    async def make(self) -> JsonObject:
        """Make one and read it back; the status after it.

        Raises:
            Conflict: one is being made, or the data is not in SQLite.
            StorageError: there is none.
        """


class ModelServers(Protocol):
    """The model servers in use and their models."""

    def list(self) -> Sequence[ModelInfo]:
        """All models, without waiting."""

    def status(self) -> Sequence[JsonObject]:
        """Per server: {name, kind, url, status, error, models, source, running, queued, max_concurrency,
        across_servers, running_elsewhere, resting}."""

    def auto(self) -> JsonObject | None:
        """What `auto` means now: {model, reason}; None when there is no model."""

    def presets(self) -> Sequence[JsonObject]:
        """Servers and services known by name: {name, label, url, cloud}."""

    async def refresh(self) -> None:
        """Ask every server now."""

    async def add(self, *, kind: str, url: str, name: str, api_key: str | None) -> JsonObject:
        """Use a server from now on, also after a restart; its status.

        Raises:
            BadRequest: the kind is unknown or the URL is none.
            Conflict: there is a server of that name.
        """

    async def remove(self, name: str) -> None:
        """Forget a server that was added this way. Raises NotFound, or Conflict for one of another source."""


class Workspaces(Protocol):
    """The workspaces as a person manages them; Portal's own and those of the settings cannot be changed, but a person's
    own of that name takes their place."""

    def list(self, owner: str) -> Sequence[JsonObject]:
        """Those that this person may use, and what each means now."""

    def get(self, owner: str, name: str) -> JsonObject:
        """Raises NotFound."""

    async def put(self, owner: str, name: str, fields: WorkspaceSettings) -> JsonObject:
        """Make or replace this person's own; in use at once, for them alone unless `users` is set.

        Raises:
            BadRequest: the name or the persona is none.
            Conflict: there are too many.
        """

    async def delete(self, owner: str, name: str) -> JsonObject:
        """Forget this person's own; what has its name from now on. Raises NotFound, or Conflict for another's."""

    async def test(
        self, owner: str, name: str, *, prompt: str, persona: str, fields: WorkspaceSettings | None
    ) -> JsonObject:
        """Ask it once, storing nothing: with this prompt, or its persona's (or the named persona's) own test; as
        `fields` say instead of what is saved. Raises NotFound, BadRequest, NoModel, BackendError."""

    def personas(self) -> Sequence[JsonObject]:
        """Those that Portal brings."""

    async def take_over(self, owner: str, content: str, *, dry_run: bool) -> Sequence[JsonObject]:
        """Make workspaces of another program's export; per entry what became of it. Raises BadRequest."""


class Deciding(Protocol):
    """Where a person's decisions go."""

    async def decide(self, owner: str, decisions: Mapping[str, Decision]) -> str | None:
        """Decide questions of one response, by their ids, all or none; the id of the response that goes on, None while
        other questions of that one are open.

        Raises:
            NotFound: one is not this owner's.
            Conflict: one is decided already, or its time is over.
            BadRequest: an extent was not offered, or the arguments are not what the tool takes.
        """


class Tools(Protocol):
    """The tools that there are."""

    def describe(self, owner: str) -> Sequence[JsonObject]:
        """Per toolset {name, title, kind, status, detail, tools: [{name, title, description, risk, parameters}]}, in
        memory and without waiting. Kinds are builtin, mcp, openapi and plugin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillSource:
    """Where skills come from: an uploaded archive, or a git repository."""

    file_id: str = ""
    url: str = ""


class Skills(Protocol):
    """The skills of this installation."""

    def list(self) -> Sequence[JsonObject]:
        """{name, description, licence, compatibility, allowed_tools, metadata, folder, installed, trusted} of each."""

    def get(self, name: str) -> JsonObject:
        """One, with its instructions and files. Raises NotFound."""

    async def look(self, owner: str, source: SkillSource) -> Sequence[JsonObject]:
        """Those in a source, as `get` shows one, and whether each `replaces` one; nothing is installed.

        Raises:
            NotFound: there is no such file of this owner.
            BadRequest: it cannot be reached or read, holds no skill, or too much.
        """

    async def install(self, owner: str, source: SkillSource, names: Sequence[str]) -> Sequence[JsonObject]:
        """Those of these names, or all, in place of installed ones of their names. Raises as `look`."""

    async def delete(self, name: str) -> None:
        """Remove an installed one. Raises NotFound, or Conflict for one in a folder of the settings."""


class ConversationSearch(Protocol):
    """Finds conversations by what was said in them."""

    async def find(
        self, owner: str, query: str, filters: Filters, *, limit: int = 50, cursor: str | None = None
    ) -> Page[ConversationRecord]:
        """Those that have the words of the query, newest first, and behind the last of them those that say something
        like it, best first; with an empty query all. Raises BadRequest for a cursor of another list."""


class MemoryKeeper(Memory, Protocol):
    """Memories as a person manages them. What names one raises NotFound; what changes one raises BadRequest for a text
    that is empty or too long, and Conflict where the memory is another one by now."""

    async def switch(self, owner: str, changes: Mapping[str, bool]) -> Switches:
        """Turn parts of memory on or off; how they stand then."""

    async def list(
        self, owner: str, wanted: Wanted, *, limit: int = 50, cursor: str | None = None
    ) -> Page[MemoryRecord]:
        """Newest first. Raises BadRequest for a cursor of another list."""

    async def get(self, owner: str, ids: Sequence[str]) -> Sequence[MemoryRecord]:
        """Those that are there, in the order asked for."""

    async def history(self, owner: str, memory_id: str) -> Sequence[MemoryRecord]:
        """It, then all that it superseded, newest first."""

    async def edit(self, owner: str, memory_id: str, changes: Mapping[str, object]) -> MemoryRecord:
        """Change text, kind, scope or happened_at; another wording makes the earlier one history."""

    async def accept(self, owner: str, memory_id: str) -> Kept:
        """Use a proposal from now on."""

    async def merge(self, owner: str, ids: Sequence[str], text: str = "") -> MemoryRecord:
        """Make one of several, which become its history; without a text of theirs, one after the other."""

    async def take_over(self, owner: str, content: str, *, dry_run: bool) -> Sequence[JsonObject]:
        """Keep what an export of memories holds; per entry {text, new}. Raises BadRequest for one that is none."""


class Mind(Protocol):
    """What remembers."""

    @property
    def keeper(self) -> MemoryKeeper:
        """What is remembered."""

    @property
    def past(self) -> ConversationSearch:
        """What was said."""


class ManualSection(Protocol):
    """A heading of a page."""

    @property
    def id(self) -> str:
        """Its anchor."""

    @property
    def title(self) -> str:
        """Its words."""

    @property
    def level(self) -> int:
        """1 is the page's own heading."""


class ManualPage(Protocol):
    """A page of the manual."""

    @property
    def id(self) -> str:
        """Its place below /manual/."""

    @property
    def title(self) -> str:
        """Its heading."""

    @property
    def markdown(self) -> str:
        """Its text."""

    @property
    def sections(self) -> Sequence[ManualSection]:
        """Its headings, in order."""


class Manual(Protocol):
    """The packaged manual."""

    def pages(self) -> Sequence[ManualPage]:
        """All pages, in order."""

    def page(self, page_id: str) -> ManualPage:
        """Raises NotFound."""

    def picture(self, name: str) -> bytes:
        """A PNG. Raises NotFound."""


class Engine(Protocol):
    """The embedded engine and its model files."""

    async def status(self) -> JsonObject:
        """{installed, building, needs, models, pulls}."""

    async def install(self) -> None:
        """Begin to build it in the background. Raises Conflict while one is being built, BadRequest for what lacks."""

    async def pull(self, source: str, *, sha256: str | None) -> JsonObject:
        """Begin to fetch a model in the background; the pull. Raises BadRequest."""

    async def cancel_pull(self, pull_id: str) -> None:
        """Stop a pull; what was fetched is kept for a resumption. Raises NotFound."""


class ToolServers(Protocol):
    """Servers of tools that others made, and what they hold. What names one raises NotFound; what asks one raises
    ToolError where it cannot be reached or refuses."""

    def list(self) -> Sequence[JsonObject]:
        """Per server: {name, kind, title, source, where, status, detail, auth, trusted, about, tools}."""

    def view(self, name: str) -> JsonObject:
        """One of them."""

    def shipped(self) -> Sequence[JsonObject]:
        """Per server that comes with Portal: {name, title, about, added}, the last the name it has here, if any."""

    async def add(self, name: str, settings: ToolServerSettings) -> JsonObject:
        """Use a server at an address, or a shipped one, from now on. Raises BadRequest for a program, Conflict for a
        name in use."""

    async def remove(self, name: str) -> None:
        """Forget one that was added this way. Raises Conflict for another."""

    async def test(self, name: str) -> JsonObject:
        """Connect and look at its tools now; how it is. Raises Conflict for one that is off."""

    async def reload(self) -> Sequence[JsonObject]:
        """Read the owner's file of servers again; all servers. Raises BadRequest where it cannot be read."""

    async def take_over(self, content: str, *, dry_run: bool) -> Sequence[JsonObject]:
        """Add the addresses of another program's `mcpServers`: {name, taken, notes} each. Raises BadRequest."""

    async def sign_in(self, name: str, redirect: str) -> str:
        """Where a person has to go to sign in there; empty where they are. Raises BadRequest."""

    def come_back(self, *, code: str, state: str, iss: str | None) -> str:
        """A person was sent back from there; the server's name. Raises BadRequest where nobody waits."""

    async def resources(self, name: str) -> Sequence[JsonObject]:
        """What can be read there, and templates of it, as the protocol describes them."""

    async def read(self, name: str, uri: str) -> Sequence[JsonObject]:
        """The contents of a resource: {uri, mimeType} with text, or blob in base64."""

    async def prompts(self, name: str) -> Sequence[JsonObject]:
        """The prompts it has, as the protocol describes them."""

    async def prompt(self, name: str, prompt: str, arguments: dict[str, str]) -> JsonObject:
        """A prompt filled in: {description, messages}."""
