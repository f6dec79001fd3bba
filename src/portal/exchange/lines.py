"""The lines of an export: each kind of thing as an object of a documented shape. Times are Unix seconds."""

from collections.abc import Iterable

from portal.core.collections import CollectionRecord, DocumentRecord
from portal.core.exchange import Arriving
from portal.core.items import JsonObject
from portal.core.memories import MemoryRecord
from portal.core.records import (
    ConversationRecord,
    CredentialRecord,
    FileRecord,
    FolderRecord,
    UserRecord,
    WorkspaceRecord,
)
from portal.core.schedules import ScheduleRecord


def when(stored: int | None) -> float | None:
    """Unix seconds, to the microsecond."""
    return None if stored is None else stored / 1_000_000


def conversation(record: ConversationRecord) -> JsonObject:
    """A conversation without its responses."""
    return {
        "object": "portal.conversation",
        "id": record.id,
        "title": record.title,
        "title_source": record.title_source,
        "head": record.head,
        "folder_id": record.folder_id,
        "model": record.model,
        "pinned": record.pinned,
        "metadata": record.metadata,
        "created_at": when(record.created_at),
        "updated_at": when(record.updated_at),
    }


def response(one: Arriving) -> JsonObject:
    """A response with its items: what was asked, what came."""
    record = one.response
    return {
        "object": "portal.response",
        "id": record.id,
        "conversation_id": record.conversation_id,
        "previous_response_id": record.previous_id,
        "model": record.model,
        "status": record.status,
        "created_at": when(record.created_at),
        "completed_at": when(record.completed_at),
        "input": list(one.inputs),
        "output": list(one.outputs),
        "request": record.request,
        "usage": record.usage,
        "error": record.error,
        "incomplete_details": record.incomplete_details,
        "decision": record.decision,
        "feedback": record.feedback,
    }


def folder(record: FolderRecord) -> JsonObject:
    """A folder of conversations."""
    return {
        "object": "portal.folder",
        "id": record.id,
        "name": record.name,
        "instructions": record.instructions,
        "model": record.model,
        "file_ids": list(record.file_ids),
        "created_at": when(record.created_at),
    }


def file(record: FileRecord, path: str) -> JsonObject:
    """A file; `path` is where in the export its content is."""
    return {
        "object": "portal.file",
        "id": record.id,
        "filename": record.filename,
        "path": path,
        "purpose": record.purpose,
        "bytes": record.size,
        "sha256": record.sha256,
        "content_type": record.content_type,
        "created_at": when(record.created_at),
        "expires_at": when(record.expires_at),
    }


def memory(record: MemoryRecord) -> JsonObject:
    """A memory, or an earlier wording of one."""
    return {
        "object": "portal.memory",
        "id": record.id,
        "kind": record.kind,
        "text": record.text,
        "scope": record.scope,
        "source": record.source,
        "status": record.status,
        "superseded_by": record.superseded_by,
        "confidence": record.confidence,
        "created_at": when(record.created_at),
        "changed_at": when(record.changed_at),
        "happened_at": when(record.happened_at),
    }


def workspace(record: WorkspaceRecord) -> JsonObject:
    """A workspace that its owner made."""
    fields = {name: value for name, value in record.fields.items() if name != "users"}
    return {
        "object": "portal.workspace",
        "name": record.name,
        "fields": fields,
        "created_at": when(record.created_at),
    }


def collection(record: CollectionRecord, documents: Iterable[DocumentRecord]) -> JsonObject:
    """A collection of documents; what is in them is in the files that they name."""
    return {
        "object": "portal.collection",
        "id": record.id,
        "name": record.name,
        "description": record.description,
        "metadata": record.metadata,
        "documents": [
            {"file_id": one.file_id, "filename": one.filename, "attributes": one.attributes, "place": one.place}
            for one in documents
        ],
        "created_at": when(record.created_at),
    }


def schedule(record: ScheduleRecord) -> JsonObject:
    """A schedule or a webhook, without what opens the webhook."""
    return {
        "object": "portal.schedule",
        "id": record.id,
        "name": record.name,
        "prompt": record.prompt,
        "workspace": record.workspace,
        "kind": record.kind,
        "timing": record.timing,
        "zone": record.zone,
        "continued": record.continued,
        "targets": list(record.targets),
        "permits": [f"{one.toolset}/{one.tool}" for one in record.permits],
        "paused": record.paused,
        "created_at": when(record.created_at),
    }


def key(record: CredentialRecord) -> JsonObject:
    """What is known of an API key: never the key."""
    return {
        "object": "portal.key",
        "id": record.id,
        "name": record.name,
        "hint": record.hint,
        "terms": record.terms,
        "created_at": when(record.created_at),
        "expires_at": when(record.expires_at),
        "last_used_at": when(record.last_used_at),
    }


def person(record: UserRecord) -> JsonObject:
    """Whose export it is."""
    return {
        "object": "portal.user",
        "id": record.id,
        "name": record.name,
        "login": record.login,
        "role": record.role,
        "preferences": record.preferences,
        "created_at": when(record.created_at),
    }
