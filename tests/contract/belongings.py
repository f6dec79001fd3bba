"""One of everything that a person can have."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import numpy as np

from portal.core.clock import micros
from portal.core.collections import NewDocument
from portal.core.oauth import Refresh
from portal.storage.open import Storage
from portal.storage.traces import keeping
from portal.testing.records import (
    OWNER,
    STRANGER,
    answered,
    approval,
    audit,
    chat,
    collection,
    conversation,
    credential,
    decision,
    file,
    folder,
    imported,
    link,
    media_job,
    memory,
    output,
    passage,
    passkey,
    request_item,
    response,
    said,
    schedule,
    schedule_run,
    share,
    source,
    trace,
    usage,
    used,
    workspace,
)

VECTOR = np.array([0.6, 0.8], dtype=np.float32)


@dataclass(frozen=True)
class Things:
    """One of everything, all of OWNER."""

    conversation: str
    deleted: str
    response: str
    item: str
    folder: str
    file: str
    credential: str
    passkey: str
    approval: str
    allowed: str
    hash: str
    grant: str
    passage: str
    document: str
    collection: str
    batch: str
    source: str
    read: str
    """Id of a document of the collection."""
    memory: str
    schedule: str
    run: str
    link: str
    media_job: str
    imported: str


async def pieces() -> AsyncIterator[bytes]:
    yield b"private"


async def one_of_everything(storage: Storage) -> Things:
    """Kept for OWNER."""
    shelf, talk, deleted, turn, upload, key = (
        folder(),
        conversation(title="private"),
        conversation(),
        response(),
        file(),
        credential(),
    )
    await storage.folders.save(shelf)
    await storage.conversations.create(replace(talk, folder_id=shelf.id))
    await storage.conversations.create(deleted)
    await storage.conversations.delete(OWNER, [deleted.id])
    await storage.turn_log.begin(replace(turn, conversation_id=talk.id), [said("private", item_id="msg_private")])
    await storage.turn_log.append(turn.id, output(turn.id, answered("private too")))
    await storage.files.create(upload, pieces())
    await storage.users.add_credential(key, "hash")
    await storage.passkeys.add(opener := passkey())
    let_in = Refresh(owner=OWNER, credential_id=key.id, client_id="client_1", created_at=1)
    await storage.refreshes.add("refresh hash", let_in)
    await storage.identities.add("https://id.example", "alice", OWNER)
    storage.usage.record(usage())
    await storage.database.batch([keeping(trace(turn.id))])
    await storage.workspaces.save(workspace())
    await storage.audit.record(audit())
    asked, allowed = (approval(response_id=turn.id, extents=("once", "arguments")) for _ in range(2))
    items = [output(turn.id, request_item(one), position=place) for place, one in enumerate((asked, allowed), start=1)]
    await storage.call_log.ask(items, [asked, allowed])
    await storage.approvals.decide(OWNER, {allowed.id: decision(extent="arguments")})
    (grant,) = await storage.grants.list(OWNER)
    piece = passage("private")
    await storage.passages.replace(
        OWNER, "documents", piece.document, [piece], embedder="e", vectors=VECTOR[None], attributes={"secret": 1}
    )
    await storage.imports.add(brought := imported())
    shelf_of_papers = collection()
    await storage.collections.create(shelf_of_papers)
    await storage.documents.add(OWNER, shelf_of_papers.id, [NewDocument(file_id=upload.id)], batch_id="vsfb_1")
    followed = source(shelf_of_papers.id)
    await storage.sources.add(followed)
    (read,) = await storage.documents.find(OWNER, file_id=upload.id)
    known = memory("private")
    await storage.memories.save(known)
    planned = schedule(next_at=1)
    await storage.schedules.save(planned)
    await storage.runs.add([run := schedule_run(planned)])
    await storage.pairing.offer(OWNER, "hash", micros() + 1_000_000_000, micros())
    linked = await storage.pairing.redeem("hash", link(), micros())
    assert linked is not None
    await storage.shares.save(share(talk.id), "hash")
    await storage.chats.save(chat(conversation_id=talk.id))
    await storage.media_jobs.add(painted := media_job(call_id="mcp_1"))
    return Things(
        conversation=talk.id,
        deleted=deleted.id,
        response=turn.id,
        item="msg_private",
        folder=shelf.id,
        file=upload.id,
        credential=key.id,
        passkey=opener.id,
        approval=asked.id,
        allowed=allowed.id,
        hash=allowed.arguments_hash,
        grant=grant.id,
        passage=piece.id,
        document=piece.document,
        collection=shelf_of_papers.id,
        batch="vsfb_1",
        source=followed.id,
        read=read.id,
        memory=known.id,
        schedule=planned.id,
        run=run.id,
        link=linked.id,
        media_job=painted.id,
        imported=brought.id,
    )


async def everything(storage: Storage) -> list[object]:
    """What OWNER has."""
    await used(storage)
    tables = (
        "conversations",
        "items",
        "folders",
        "files",
        "file_chunks",
        "credentials",
        "usage_log",
        "approvals",
        "passkeys",
        "shares",
        "identities",
        "oauth_refreshes",
    )
    knowledge = ("collections", "documents", "sources", "file_batches")
    timed = ("schedules", "schedule_runs", "schedule_deliveries")
    more = (
        *knowledge,
        *timed,
        "media_jobs",
        "imports",
        "passkeys",
        "shares",
        "identities",
        "traces",
        "memories",
        "responses",
        "approval_rounds",
        "grants",
        "audit",
        "passages",
        "passage_attributes",
    )
    found = [await storage.database.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in (*tables, *more)]
    return [[row for row in rows if row.get("owner") != STRANGER] for rows in found]
