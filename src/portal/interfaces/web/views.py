"""JSON shapes of /portal/v1: records as the page and the command line read them. Times are Unix seconds."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TypeVar

from portal.channels.conversing import DOOR
from portal.core.approvals import ApprovalRecord, AuditRecord, GrantRecord
from portal.core.audit import Verified
from portal.core.items import JsonObject
from portal.core.memories import MemoryRecord, Switches
from portal.core.records import (
    ConversationRecord,
    CredentialRecord,
    FolderRecord,
    Page,
    ResponseRecord,
    StoredItem,
    TurnRecord,
    UserRecord,
)
from portal.core.responses import resource
from portal.core.schedules import RunRecord, ScheduleRecord, spoken
from portal.core.terms import Terms

T = TypeVar("T")
_MICROS = 1_000_000
_MOST_FLAWS = 100


def page(found: Page[T], view: Callable[[T], JsonObject]) -> JsonObject:
    """A list object with the cursor of its next page."""
    data = [view(row) for row in found.data]
    return {"object": "list", "data": data, "has_more": found.next is not None, "next": found.next}


def listing(data: Iterable[JsonObject]) -> JsonObject:
    """A list object that is complete."""
    return {"object": "list", "data": list(data), "has_more": False, "next": None}


def when(stored: int | None) -> float | None:
    """Unix seconds."""
    return None if stored is None else stored / _MICROS


def conversation(record: ConversationRecord, *, running: str | None) -> JsonObject:
    """`running` is the id of the response under way on the branch on show."""
    return {
        "id": record.id,
        "object": "portal.conversation",
        "title": record.title,
        "title_source": record.title_source,
        "pinned": record.pinned,
        "folder_id": record.folder_id,
        "model": record.model,
        "head": record.head,
        "created_at": when(record.created_at),
        "updated_at": when(record.updated_at),
        "running": running,
        "snippet": record.snippet,
        "alike": record.alike,
        "door": record.metadata.get(DOOR),
    }


def turn(record: TurnRecord, *, live: JsonObject | None = None, last_seq: int | None = None) -> JsonObject:
    """A turn of a conversation. `live` is the response object of a running one, as far as `last_seq`."""
    response = record.response
    return {
        "response": live or resource(response, (item.item for item in _side(record, "output"))),
        "input": [item.item for item in _side(record, "input")],
        "siblings": list(record.siblings),
        "route": response.decision,
        "feedback": response.feedback,
        "last_seq": response.last_seq if last_seq is None else last_seq,
        "ms": _milliseconds(response),
        "estimated_usage": bool((response.usage or {}).get("portal:estimated")),
    }


def _side(record: TurnRecord, side: str) -> list[StoredItem]:
    return [item for item in record.items if item.side == side]


def _milliseconds(response: ResponseRecord) -> int | None:
    return None if response.completed_at is None else (response.completed_at - response.created_at) // 1000


def folder(record: FolderRecord) -> JsonObject:
    """A folder."""
    return {
        "id": record.id,
        "object": "portal.folder",
        "name": record.name,
        "instructions": record.instructions,
        "model": record.model,
        "file_ids": list(record.file_ids),
        "created_at": when(record.created_at),
    }


def credential(record: CredentialRecord) -> JsonObject:
    """A key or a session, without its secret."""
    return {
        "id": record.id,
        "object": f"portal.{record.kind}",
        **(bounds(record.terms) if record.kind == "key" else {}),
        "name": record.name,
        "hint": record.hint,
        "created_at": when(record.created_at),
        "last_used_at": when(record.last_used_at),
        "expires_at": when(record.expires_at),
    }


def bounds(stored: JsonObject) -> JsonObject:
    """What a key or person may use, and how much of it."""
    terms = Terms.of(stored)
    return {"scopes": list(terms.scopes), "rate": terms.rate, "requests": terms.requests, "tokens": terms.tokens}


def user(record: UserRecord) -> JsonObject:
    """A person."""
    return {
        "id": record.id,
        "name": record.name,
        "role": record.role,
        "login": record.login,
        "preferences": record.preferences,
    }


def person(record: UserRecord) -> JsonObject:
    """A person, to those who manage people: nothing of what only they know."""
    return {
        "id": record.id,
        "object": "portal.user",
        "name": record.name,
        "login": record.login,
        "role": record.role,
        "suspended": record.suspended_at is not None,
        "limits": bounds(record.terms),
        "created_at": when(record.created_at),
    }


def approval(record: ApprovalRecord) -> JsonObject:
    """A question to a person."""
    times = {name: when(getattr(record, name)) for name in ("created_at", "expires_at", "decided_at")}
    return {"object": "portal.approval", **asdict(record), **times, "extents": list(record.extents)}


def grant(record: GrantRecord) -> JsonObject:
    """A yes that goes further than one call."""
    return {"object": "portal.grant", **asdict(record), "created_at": when(record.created_at)}


def audit(record: AuditRecord) -> JsonObject:
    """One line of the audit."""
    return {"object": "portal.audit", **asdict(record), "at": when(record.at)}


def verified(found: Verified) -> JsonObject:
    """How the chain of the audit was found; `head` is to be written down elsewhere."""
    flaws = [asdict(flaw) for flaw in found.flaws[:_MOST_FLAWS]]
    return {
        "object": "portal.audit.verification",
        "whole": not found.flaws,
        "lines": found.head.seq,
        "forgotten": found.start.seq,
        "unasked": found.unasked,
        "head": str(found.head),
        "flaws": flaws,
        "flaw_count": len(found.flaws),
    }


def memory(record: MemoryRecord) -> JsonObject:
    """A memory, or an earlier wording of one."""
    times = {name: when(getattr(record, name)) for name in ("created_at", "changed_at", "happened_at")}
    return {"object": "portal.memory", **asdict(record), **times}


def switches(chosen: Switches) -> JsonObject:
    """What memory may do."""
    return {"object": "portal.memory.settings", **asdict(chosen)}


def schedule(record: ScheduleRecord, last: RunRecord | None = None) -> JsonObject:
    """A schedule or webhook, with its newest run."""
    told = asdict(record)
    tools = [one.tool for one in record.permits]
    for name in ("owner", "permits", "permitted_at"):
        del told[name]
    times = {name: when(getattr(record, name)) for name in ("next_at", "created_at", "changed_at")}
    return {
        "object": "portal.schedule",
        **told,
        **times,
        "when": spoken(record.kind, record.timing),
        "tools": tools,
        "last_run": schedule_run(last) if last else None,
    }


def schedule_run(record: RunRecord) -> JsonObject:
    """A run, and where its answer went."""
    told = asdict(record)
    for name in ("owner", "payload", "last_id"):
        del told[name]
    times = {name: when(getattr(record, name)) for name in ("due_at", "ready_at", "started_at", "ended_at")}
    deliveries = [{**one, "ready_at": when(one["ready_at"])} for one in told["deliveries"]]
    return {"object": "portal.schedule.run", **told, **times, "response_id": record.last_id, "deliveries": deliveries}
