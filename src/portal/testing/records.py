"""Records for tests of whatever keeps or shows them: complete, with fresh ids, and any field overridden."""

from collections.abc import Sequence
from typing import Any

import orjson

from portal.core.approvals import ApprovalRecord, AuditRecord, Decision, arguments_hash
from portal.core.channel_stores import Arrival, ChatRecord, LinkRecord
from portal.core.channels import Attachment, Message, Place, Sender
from portal.core.clock import micros
from portal.core.collections import CollectionRecord, SourceRecord
from portal.core.consumption import Question
from portal.core.exchange import ImportRecord
from portal.core.ids import new_id, uuid7
from portal.core.items import Item, JsonObject
from portal.core.media import MediaJob
from portal.core.memories import MemoryRecord
from portal.core.passages import Passage
from portal.core.people import PasskeyRecord
from portal.core.records import (
    ConversationRecord,
    CredentialRecord,
    FileRecord,
    FolderRecord,
    ResponseRecord,
    StoredItem,
    TraceRecord,
    UsageRecord,
    UserRecord,
    WorkspaceRecord,
)
from portal.core.schedules import RunRecord, ScheduleRecord
from portal.core.sharing import ShareRecord
from portal.storage.open import Storage

OWNER = "user_alice"
STRANGER = "user_mallory"


def said(text: str, *, item_id: str | None = None) -> Item:
    """A user's message."""
    part = {"type": "input_text", "text": text}
    identity = item_id or new_id("msg")
    return {"type": "message", "id": identity, "status": "completed", "role": "user", "content": [part]}


def answered(text: str, *, item_id: str | None = None, status: str = "completed") -> Item:
    """A model's message."""
    part: Item = {"type": "output_text", "text": text, "annotations": []}
    return {
        "type": "message",
        "id": item_id or new_id("msg"),
        "status": status,
        "role": "assistant",
        "content": [part],
    }


def output(response_id: str, item: Item, **fields: Any) -> StoredItem:
    """An output item in its place."""
    known: dict[str, Any] = {"side": "output", "position": 0, "first_seq": 2, "last_seq": 9, "cuts": (1,)}
    return StoredItem(**{**known, "item": item, "response_id": response_id, **fields})


def conversation(**fields: Any) -> ConversationRecord:
    """A conversation of OWNER."""
    now = micros()
    known: dict[str, Any] = {"id": new_id("conv"), "owner": OWNER, "created_at": now, "updated_at": now}
    return ConversationRecord(**{**known, **fields})


def response(**fields: Any) -> ResponseRecord:
    """A running response of OWNER."""
    known: dict[str, Any] = {
        "id": new_id("resp"),
        "owner": OWNER,
        "model": "tiny",
        "status": "in_progress",
        "created_at": micros(),
    }
    return ResponseRecord(**{**known, **fields})


def folder(**fields: Any) -> FolderRecord:
    """A folder of OWNER."""
    known: dict[str, Any] = {"id": new_id("folder"), "owner": OWNER, "name": "Work", "created_at": micros()}
    return FolderRecord(**{**known, **fields})


def file(**fields: Any) -> FileRecord:
    """A file of OWNER, before it is stored."""
    known: dict[str, Any] = {
        "id": new_id("file"),
        "owner": OWNER,
        "filename": "notes.txt",
        "purpose": "user_data",
        "size": 0,
        "sha256": "",
        "content_type": "text/plain",
        "created_at": micros(),
    }
    return FileRecord(**{**known, **fields})


def imported(**fields: Any) -> ImportRecord:
    """A file that OWNER brings in, looked through."""
    now = micros()
    known: dict[str, Any] = {"id": new_id("import"), "owner": OWNER, "filename": "private.zip", "size": 1}
    return ImportRecord(**{**known, "status": "ready", "created_at": now, "changed_at": now, **fields})


def share(conversation_id: str, **fields: Any) -> ShareRecord:
    """A conversation of OWNER that is shared."""
    known: dict[str, Any] = {"conversation_id": conversation_id, "owner": OWNER, "created_at": micros()}
    return ShareRecord(**{**known, **fields})


def user(**fields: Any) -> UserRecord:
    """A member."""
    known: dict[str, Any] = {"id": new_id("user"), "name": "Alice", "role": "member", "created_at": micros()}
    return UserRecord(**{**known, **fields})


def passkey(**fields: Any) -> PasskeyRecord:
    """A passkey of OWNER."""
    known: dict[str, Any] = {"id": uuid7(), "owner": OWNER, "name": "phone", "public_key": b"key", "uses": 0}
    return PasskeyRecord(**{**known, "created_at": micros(), **fields})


def credential(**fields: Any) -> CredentialRecord:
    """A key of OWNER."""
    identity = new_id("cred")
    known: dict[str, Any] = {
        "id": identity,
        "owner": OWNER,
        "kind": "key",
        "name": identity,
        "created_at": micros(),
    }
    return CredentialRecord(**{**known, **fields})


def workspace(**fields: Any) -> WorkspaceRecord:
    """A workspace of OWNER."""
    known: dict[str, Any] = {"owner": OWNER, "name": "mine", "fields": {"title": "Mine"}, "created_at": micros()}
    return WorkspaceRecord(**{**known, **fields})


def trace(response_id: str, **fields: Any) -> TraceRecord:
    """Where the time of a turn went."""
    known: dict[str, Any] = {
        "owner": OWNER,
        "created_at": micros(),
        "milliseconds": 1200,
        "status": "completed",
        "door": "portal",
        "model": "tiny",
        "workspace": "auto",
        "spans": [{"id": 0, "parent": None, "kind": "turn", "name": "auto", "start": 0.0, "ms": 1200.0}],
    }
    return TraceRecord(response_id=response_id, **{**known, **fields})


def usage(**fields: Any) -> UsageRecord:
    """One call of OWNER."""
    known: dict[str, Any] = {
        "id": new_id("use"),
        "owner": OWNER,
        "door": "chat",
        "model": "tiny",
        "backend": "ollama",
        "created_at": micros(),
        "input_tokens": 3,
        "output_tokens": 5,
        "estimated": False,
        "milliseconds": 7,
        "status": "completed",
    }
    return UsageRecord(**{**known, **fields})


async def used(storage: Storage, owner: str = OWNER) -> Sequence[JsonObject]:
    """All calls of an owner by day and model, once what waits is written."""
    return await storage.consumption.report(Question(since=0, until=micros() + 24 * HOUR, owner=owner))


HOUR = 3_600_000_000


def approval(**fields: Any) -> ApprovalRecord:
    """An open question of OWNER."""
    now, arguments = micros(), fields.get("arguments", {"path": "notes/a.txt", "text": "hello"})
    tool = fields.get("tool", "write_file")
    known: dict[str, Any] = {
        "id": new_id("mcpr"),
        "owner": OWNER,
        "response_id": "resp_1",
        "conversation_id": None,
        "workspace": "auto",
        "tool": tool,
        "toolset": "files",
        "risk": "write",
        "arguments": arguments,
        "arguments_hash": arguments_hash(tool, arguments),
        "why": "It changes files.",
        "created_at": now,
        "expires_at": now + HOUR,
    }
    return ApprovalRecord(**{**known, **fields})


def request_item(record: ApprovalRecord) -> Item:
    """The item that asks an approval's question."""
    return {
        "type": "mcp_approval_request",
        "id": record.id,
        "server_label": record.toolset,
        "name": record.tool,
        "arguments": orjson.dumps(record.arguments).decode("utf-8"),
        "portal:why": record.why,
        "portal:risk": record.risk,
        "portal:question": record.question,
        "portal:extents": list(record.extents),
        "portal:expires_at": record.expires_at // 1_000_000,
    }


def call_item(**fields: Any) -> Item:
    """A tool call that Portal is running."""
    return {
        "type": "mcp_call",
        "id": new_id("mcp"),
        "server_label": "files",
        "name": "write_file",
        "arguments": '{"path":"notes/a.txt","text":"hello"}',
        "output": None,
        "error": None,
        "status": "in_progress",
        "approval_request_id": None,
        "portal:round": 1,
        "portal:risk": "write",
        **fields,
    }


def decision(*, approve: bool = True, **fields: Any) -> Decision:
    """What OWNER said on the page."""
    known: dict[str, Any] = {"approve": approve, "by": OWNER, "door": "web"}
    return Decision(**{**known, **fields})


def audit(**fields: Any) -> AuditRecord:
    """One line of OWNER's audit."""
    known: dict[str, Any] = {
        "id": new_id("audit"),
        "owner": OWNER,
        "at": micros(),
        "action": "approval.decided",
        "subject": "mcpr_1",
        "detail": {"approve": True},
    }
    return AuditRecord(**{**known, **fields})


def passage(text: str, **fields: Any) -> Passage:
    """A passage of a document of OWNER that has no others."""
    known: dict[str, Any] = {
        "id": new_id("chunk"),
        "owner": OWNER,
        "space": "documents",
        "group": "vs_1",
        "document": new_id("file"),
        "created_at": micros(),
    }
    return Passage(**{**known, "text": text, "end": len(text), **fields})


def collection(**fields: Any) -> CollectionRecord:
    """An empty collection of OWNER."""
    now = micros()
    known: dict[str, Any] = {"id": new_id("vs"), "owner": OWNER, "name": "Papers", "created_at": now}
    return CollectionRecord(**{**known, "last_active_at": now, **fields})


def source(collection_id: str, **fields: Any) -> SourceRecord:
    """A folder that a collection of OWNER follows."""
    known: dict[str, Any] = {"id": new_id("src"), "owner": OWNER, "kind": "folder", "place": "/srv/notes"}
    return SourceRecord(**{**known, "collection_id": collection_id, "created_at": micros(), **fields})


def memory(text: str, **fields: Any) -> MemoryRecord:
    """An active memory of OWNER."""
    now = micros()
    known: dict[str, Any] = {"id": new_id("mem"), "owner": OWNER, "created_at": now, "changed_at": now}
    return MemoryRecord(**{**known, "text": text, **fields})


def schedule(**fields: Any) -> ScheduleRecord:
    """A schedule of OWNER that runs every day at 8."""
    now = micros()
    identity = new_id("sched")
    known: dict[str, Any] = {"id": identity, "owner": OWNER, "name": identity, "prompt": "private", "workspace": "auto"}
    timing = {"kind": "cron", "timing": "0 8 * * *", "zone": "UTC", "created_at": now, "changed_at": now}
    return ScheduleRecord(**{**known, **timing, "targets": ["page"], "permits": [], **fields})


def schedule_run(of: ScheduleRecord, **fields: Any) -> RunRecord:
    """A run of a schedule that waits in the queue."""
    response_id = new_id("resp")
    known: dict[str, Any] = {
        "id": new_id("run"),
        "schedule_id": of.id,
        "owner": of.owner,
        "cause": "person",
        "due_at": micros(),
        "ready_at": 0,
        "response_id": response_id,
        "last_id": response_id,
        "conversation_id": new_id("conv"),
    }
    return RunRecord(**{**known, **fields})


def media_job(**fields: Any) -> MediaJob:
    """A picture that OWNER has ordered."""
    known: dict[str, Any] = {"id": new_id("media"), "owner": OWNER, "kind": "image", "recipe": "sdxl"}
    values = {"prompt": "private", "seed": 1}
    return MediaJob(**{**known, "engine": "comfyui", "values": values, "created_at": micros(), **fields})


def link(**fields: Any) -> LinkRecord:
    """An account of a chat platform, of OWNER."""
    made = {"id": new_id("link"), "owner": OWNER, "channel": "test", "sender": Sender(id="alice", name="Alice")}
    return LinkRecord(**{**made, "chat": "c1", "created_at": micros(), **fields})


def chat(**fields: Any) -> ChatRecord:
    """A chat of OWNER."""
    return ChatRecord(**{"owner": OWNER, "place": Place(channel="test", chat="c1"), "changed_at": micros(), **fields})


def arrival(**fields: Any) -> Arrival:
    """A message that arrived in that chat."""
    message = Message(
        event_id=uuid7(),
        place=Place(channel="test", chat="c1"),
        sender=Sender(id="alice"),
        id="m1",
        text="Hello",
        files=(Attachment(ref="r1", kind="file", name="a.txt"),),
    )
    made = {"id": new_id("arr"), "event": message, "response_id": new_id("resp"), "received_at": micros()}
    return Arrival(**{**made, **fields})
