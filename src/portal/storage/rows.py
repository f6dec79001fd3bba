"""Between rows and records: column lists, and converters both ways."""

import json
from collections.abc import Sequence
from typing import Any

import orjson

from portal.core.approvals import ApprovalRecord, AuditRecord, GrantRecord
from portal.core.items import Item, JsonObject
from portal.core.records import (
    ConversationRecord,
    CredentialRecord,
    FileRecord,
    FolderRecord,
    ResponseRecord,
    StoredItem,
    UserRecord,
    WorkspaceRecord,
)
from portal.storage.database import Row


def to_json(value: object) -> str:
    """JSON text. What strict UTF-8 or 64 bits cannot hold is replaced or kept as wide as it is, never refused."""
    try:
        return orjson.dumps(value).decode("utf-8")
    except TypeError:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")


def maybe_json(value: object | None) -> str | None:
    """JSON text, or NULL for None."""
    return None if value is None else to_json(value)


def from_json(text: str | None) -> Any:
    """The value of a JSON column; None for NULL."""
    return None if text is None else orjson.loads(text)


RESPONSE = (
    "id, owner, conversation_id, previous_id, model, status, created_at, completed_at, request, usage, error, "
    "incomplete_details, decision, background, feedback, last_seq"
)
CONVERSATION = (
    "id, owner, title, title_source, head, folder_id, model, pinned, metadata, created_at, updated_at, deleted_at"
)
FOLDER = "id, owner, name, instructions, model, file_ids, created_at"
FILE = "id, owner, filename, purpose, size, sha256, content_type, created_at, expires_at"
USER = "id, name, role, created_at, preferences, login, suspended_at, terms"
WORKSPACE = "owner, name, fields, created_at"
APPROVAL = (
    "id, owner, response_id, conversation_id, workspace, tool, toolset, risk, arguments, arguments_hash, why, "
    "question, status, created_at, expires_at, decided_at, decided_by, answer, extents, scope, "
    "call_id"
)
GRANT = "id, owner, tool, toolset, extent, value, created_at"
AUDIT = "id, owner, at, action, subject, detail"
CREDENTIAL = "id, owner, kind, name, hint, created_at, expires_at, last_used_at, terms"


def columns(names: str, table: str) -> str:
    """The same columns, each of this table."""
    return ", ".join(f"{table}.{name}" for name in names.split(", "))


def response_args(record: ResponseRecord) -> dict[str, object]:
    """Arguments named as the columns of RESPONSE."""
    return {
        "id": record.id,
        "owner": record.owner,
        "conversation_id": record.conversation_id,
        "previous_id": record.previous_id,
        "model": record.model,
        "status": record.status,
        "created_at": record.created_at,
        "completed_at": record.completed_at,
        "request": to_json(record.request),
        "usage": maybe_json(record.usage),
        "error": maybe_json(record.error),
        "incomplete_details": maybe_json(record.incomplete_details),
        "decision": maybe_json(record.decision),
        "background": int(record.background),
        "feedback": record.feedback,
        "last_seq": record.last_seq,
    }


def response_of(row: Row, *, last_seq: int = -1) -> ResponseRecord:
    """The record; `last_seq` is the newest number among its flushed pieces."""
    return ResponseRecord(
        id=row["id"],
        owner=row["owner"],
        conversation_id=row["conversation_id"],
        previous_id=row["previous_id"],
        model=row["model"],
        status=row["status"],
        created_at=row["created_at"],
        completed_at=row["completed_at"],
        request=from_json(row["request"]),
        usage=from_json(row["usage"]),
        error=from_json(row["error"]),
        incomplete_details=from_json(row["incomplete_details"]),
        decision=from_json(row["decision"]),
        background=bool(row["background"]),
        feedback=row["feedback"],
        last_seq=max(row["last_seq"], last_seq),
    )


def item_args(response_id: str, stored: StoredItem) -> dict[str, object]:
    """Arguments named as the columns of `items`, its owner apart."""
    return {
        "response_id": response_id,
        "side": stored.side,
        "position": stored.position,
        "item_id": str(stored.item.get("id", "")),
        "item": to_json(stored.item),
        "first_seq": stored.first_seq,
        "last_seq": stored.last_seq,
        "cuts": to_json(list(stored.cuts)),
    }


def item_of(row: Row) -> StoredItem:
    """A stored item."""
    return StoredItem(
        item=from_json(row["item"]),
        response_id=row["response_id"],
        side=row["side"],
        position=row["position"],
        first_seq=row["first_seq"],
        last_seq=row["last_seq"],
        cuts=tuple(from_json(row["cuts"])),
    )


def inputs_of(response_id: str, items: Sequence[Item]) -> list[StoredItem]:
    """Input items in their places."""
    return [
        StoredItem(item=item, response_id=response_id, side="input", position=position)
        for position, item in enumerate(items)
    ]


def conversation_of(row: Row, *, snippet: str = "") -> ConversationRecord:
    """The record."""
    metadata: JsonObject = from_json(row["metadata"])
    return ConversationRecord(
        id=row["id"],
        owner=row["owner"],
        title=row["title"],
        title_source=row["title_source"],
        head=row["head"],
        folder_id=row["folder_id"],
        model=row["model"],
        pinned=bool(row["pinned"]),
        metadata=metadata,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
        snippet=snippet,
    )


def folder_of(row: Row) -> FolderRecord:
    """The record."""
    return FolderRecord(**{**row, "file_ids": tuple(from_json(row["file_ids"]))})


def file_of(row: Row) -> FileRecord:
    """The record."""
    return FileRecord(**row)


def user_of(row: Row) -> UserRecord:
    """The record."""
    return UserRecord(**{**row, "preferences": from_json(row["preferences"]), "terms": from_json(row["terms"])})


def workspace_of(row: Row) -> WorkspaceRecord:
    """The record."""
    return WorkspaceRecord(**{**row, "fields": from_json(row["fields"])})


def credential_of(row: Row) -> CredentialRecord:
    """The record."""
    return CredentialRecord(**{**row, "terms": from_json(row["terms"])})


def approval_args(record: ApprovalRecord) -> dict[str, object]:
    """Arguments named as the columns of APPROVAL."""
    plain = {name: getattr(record, name) for name in APPROVAL.split(", ")}
    stored = {"arguments": to_json(record.arguments), "extents": to_json(list(record.extents))}
    return {**plain, **stored, "question": int(record.question)}


def approval_of(row: Row) -> ApprovalRecord:
    """The record."""
    read = {"arguments": from_json(row["arguments"]), "extents": tuple(from_json(row["extents"]))}
    return ApprovalRecord(**{**row, **read, "question": bool(row["question"])})


def grant_of(row: Row) -> GrantRecord:
    """The record."""
    return GrantRecord(**row)


def audit_of(row: Row) -> AuditRecord:
    """The record."""
    return AuditRecord(**{**row, "detail": from_json(row["detail"])})
