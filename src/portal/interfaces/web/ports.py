"""What the page's routes need beside the core's ports; app.py hands them in."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from portal.core.approvals import Decision
from portal.core.items import JsonObject
from portal.core.model import ModelInfo
from portal.settings.mcp import ToolServerSettings
from portal.settings.workspaces import WorkspaceSettings


class ModelServers(Protocol):
    """The model servers in use and their models."""

    def list(self) -> Sequence[ModelInfo]:
        """All models, without waiting."""

    def status(self) -> Sequence[JsonObject]:
        """Per server: {name, kind, url, status, error, models, source, running, queued, max_concurrency, resting}."""

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


class Skills(Protocol):
    """The skills of this installation."""

    def list(self) -> Sequence[JsonObject]:
        """{name, description, licence, compatibility, allowed_tools, metadata, folder, installed, trusted} of each."""

    def get(self, name: str) -> JsonObject:
        """One, with its instructions and files. Raises NotFound."""

    async def install(self, owner: str, file_id: str) -> Sequence[JsonObject]:
        """Those in an uploaded zip or tar file, in place of installed ones of their names.

        Raises:
            NotFound: there is no such file of this owner.
            BadRequest: it is no archive, holds no skill, or too much.
        """

    async def delete(self, name: str) -> None:
        """Remove an installed one. Raises NotFound, or Conflict for one in a folder of the settings."""


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

    async def add(self, name: str, settings: ToolServerSettings) -> JsonObject:
        """Use a server at an address from now on. Raises BadRequest for a program, Conflict for a name in use."""

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
