"""The ports of the agent's tools: toolsets, what they run in and reach out by, and what a person decides."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from portal.core.approvals import ApprovalRecord, ApprovalStatus, AuditRecord, Decision, GrantRecord
from portal.core.audit import Place, Verified
from portal.core.items import JsonObject
from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.core.records import Page, StoredItem
from portal.core.sandbox import SandboxJob, SandboxResult
from portal.core.tools import ToolContext, ToolResult, ToolSpec


class Toolset(Protocol):
    """Tools that belong together: a family of built-in ones, an MCP server, an OpenAPI server."""

    name: str

    def tools(self) -> Sequence[ToolSpec]:
        """What there is, in memory and without waiting; for a server that sleeps, what it last had."""

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Run one. `arguments` fit the schema; the caller sets the deadline, and cancelling stops the work.

        Raises:
            ToolError: the tool could not do it, or cannot be reached; a model is told.
        """

    async def aclose(self) -> None:
        """Release what it holds."""


class Likeness(Protocol):
    """Tells which tools a request is like, where words say too little; a second opinion."""

    async def of(self, request: str, specs: Sequence[ToolSpec]) -> Sequence[float]:
        """For each tool, in order, up to 1 for what could not be more alike; nothing where that is not known within
        a few milliseconds. Never fails."""


class Sandbox(Protocol):
    """Runs programs that nobody vouches for."""

    def refusal(self) -> str:
        """Why nothing can be run safely on this machine, and what to install; empty where it can."""

    async def run(self, job: SandboxJob) -> SandboxResult:
        """Run to its end, bounded; cancelling kills everything it started.

        Raises:
            ToolError: it cannot be run safely here, or the program is not there.
        """

    async def read(self, place: Path, name: str, largest: int) -> bytes:
        """A file out of a job's folder, whole; what a program left there may be a link to anywhere: none is followed.

        Raises:
            ToolError: there is no plain file of this name, or it is larger.
        """


class SubAgent(Protocol):
    """Lets another workspace do a part of the work."""

    async def ask(self, context: ToolContext, workspace: str, task: str) -> ToolResult:
        """What it answers, and which tools it used; nothing of it is stored but its usage, nobody is asked anything.
        Cancelling stops it.

        Raises:
            ToolError: there is no such workspace for this owner, it cannot begin, or the caller is such a task itself.
        """


class Fetcher(Protocol):
    """The outbound guard: reaches public addresses only."""

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        """The answer to a request by http or https, whatever its status.

        Raises:
            ToolError: the address is not allowed, cannot be reached, or did not answer in time.
        """

    async def check(self, url: str) -> Sequence[str]:
        """For git, which connects by itself: the only addresses at which it may reach this URL of http, https, ssh or
        git.

        Raises:
            ToolError: it may not be reached.
        """


class CallLog(Protocol):
    """What a running turn writes about tool calls. Awaited means committed; the end of a call is TurnLog.append."""

    async def begin(self, call: StoredItem, *, approval_id: str | None = None, arguments_hash: str = "") -> None:
        """Store that a tool is about to run: its item, in progress, and that its approval is used, in one batch.
        A crash from here on leaves the item incomplete: nobody knows what the tool did, and it is never run again.

        Raises:
            NotFound: the response is not there, or does not run any more.
            Conflict: `approval_unusable`: not approved for just these arguments, used before, or too old; nothing
                was stored.
        """

    async def ask(self, items: Sequence[StoredItem], approvals: Sequence[ApprovalRecord]) -> None:
        """Store questions to a person and their items, in one batch: those that a response ends with, or asides."""


class Approvals(Protocol):
    """Questions to people, by owner."""

    async def get(self, owner: str, approval_id: str) -> ApprovalRecord:
        """Raises NotFound."""

    async def of_response(self, owner: str, response_id: str) -> Sequence[ApprovalRecord]:
        """Those that a response ended with, in their order; no asides."""

    async def list(
        self, owner: str, *, status: ApprovalStatus | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[ApprovalRecord]:
        """Newest first. Raises BadRequest for a cursor of another list."""

    async def decide(self, owner: str, decisions: Mapping[str, Decision]) -> int:
        """Decide questions of one response, all or none, and add the grants that the decisions ask for; how many of
        that response's questions are still open, asides apart. Of racing deciders exactly one gets 0.

        Raises:
            NotFound: one is not this owner's.
            Conflict: `approval_decided`, one is decided, expired or superseded already; nothing was changed.
            BadRequest: they belong to several responses, or an extent was not offered.
        """

    async def conclude(self, owner: str, approval_id: str) -> ApprovalRecord:
        """The call that waited for an aside goes on or is over: an open one has expired, a yes is used. How it ended.

        Raises:
            NotFound: it is not this owner's, or no aside.
        """

    async def supersede(self, owner: str, response_id: str) -> None:
        """The conversation went on without an answer: open questions of this response count as no."""

    async def expire(self, now: int) -> Sequence[ApprovalRecord]:
        """Those whose time is over count as no from here on; which."""

    async def continuable(self, decided_before: int) -> Sequence[tuple[str, str, int]]:
        """Owner, response and time of the last decision of each round that people have decided, all of it before this
        moment, and with which no turn ever went on: Portal was stopped in between, or could not begin it."""


class Grants(Protocol):
    """What people allowed for longer, by owner."""

    async def list(self, owner: str) -> Sequence[GrantRecord]:
        """Newest first."""

    async def remove(self, owner: str, grant_id: str) -> None:
        """Raises NotFound."""


class Audit(Protocol):
    """Who did what. Append-only: nothing changes an entry, and only the oldest are ever removed; their chain shows
    where somebody did otherwise."""

    async def record(self, entry: AuditRecord) -> None:
        """Store one, after all that were stored before."""

    async def list(self, owner: str, *, limit: int = 100, cursor: str | None = None) -> Page[AuditRecord]:
        """Newest first. Raises BadRequest for a cursor of another list."""

    async def whole(self, *, limit: int = 100, cursor: str | None = None) -> Page[AuditRecord]:
        """Everybody's, newest first, for those who run the installation. Raises BadRequest as `list` does."""

    async def verify(self, anchor: Place | None = None, *, days: int = 0) -> Verified:
        """Whether the chain is whole, and is the one that `anchor` was a place of; `days` is after how many its lines
        are deleted, 0 for never. Raises BadRequest for an anchor that cannot tell."""
