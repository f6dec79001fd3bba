"""Approvals: what a tool call needs before it runs, and what a person said. Bound to the hash of exact arguments."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from portal.core.items import JsonObject
from portal.core.tools import Risk

Action: TypeAlias = Literal["allow", "ask", "deny"]
Extent: TypeAlias = Literal["once", "conversation", "arguments", "folder", "domain"]
"""How far a yes goes: this call; every call of the tool in this conversation; or always for these exact arguments,
this folder, this domain."""
ApprovalStatus: TypeAlias = Literal["pending", "approved", "denied", "expired", "used"]


def arguments_hash(tool: str, arguments: JsonObject) -> str:
    """SHA-256 in hex of a tool's name and its arguments, whatever the order of their keys."""
    return hashlib.sha256(json.dumps([tool, arguments], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRecord:
    """One question to a person: may this call run, or what is your answer. Its id is that of its item."""

    id: str
    """`mcpr_...`"""
    owner: str
    response_id: str
    conversation_id: str | None
    workspace: str
    tool: str
    toolset: str
    risk: Risk
    arguments: JsonObject
    """What would run; after an edit what the person made of it."""
    arguments_hash: str
    why: str
    """Why a person is asked, in words."""
    question: bool = False
    """A question of the model's own, to be answered rather than allowed."""
    status: ApprovalStatus = "pending"
    created_at: int
    """Times in microseconds UTC."""
    expires_at: int
    decided_at: int | None = None
    decided_by: str | None = None
    """Id of the person."""
    answer: str = ""
    """To a question; or why not."""
    extents: Sequence[Extent] = ("once",)
    """What the person can be offered."""
    scope: str = ""
    """The folder or domain that a yes of that extent would be for."""
    call_id: str | None = None
    """An aside: the item of the running call that waits for the answer. Else a turn follows once it is decided."""

    @property
    def waited(self) -> int | None:
        """Milliseconds until it was decided."""
        return None if self.decided_at is None else (self.decided_at - self.created_at) // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person said."""

    approve: bool
    extent: Extent = "once"
    arguments: JsonObject | None = None
    """Other arguments than those asked for."""
    answer: str = ""
    by: str
    """Id of the person."""
    door: str
    """Where: web, responses, cli, telegram, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRecord:
    """A yes that goes further than one call."""

    id: str
    """`grant_...`"""
    owner: str
    tool: str
    """Its exact name."""
    toolset: str
    """A tool of the same name of another family or server is another tool."""
    extent: Extent
    """Never `once`."""
    value: str
    """The conversation's id, the arguments' hash, the folder or the domain."""
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One line of the audit: who did what, with which outcome. Only ever appended."""

    id: str
    owner: str
    at: int
    action: str
    """Such as `approval.asked`, `approval.decided`, `tool.begun`, `tool.ended`, `grant.added`, `grant.removed`."""
    subject: str
    """Id of the approval, call or grant."""
    detail: Mapping[str, object] = field(default_factory=dict)
