"""Conversations and folders put straight into a Portal's storage, for tests of the list."""

from collections.abc import Sequence

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.records import ConversationRecord, FolderRecord
from portal.storage.database import Statement
from portal.testing import records
from portal.testing.portal import TestPortal

DAY = 86_400 * 1_000_000
HOUR = 3_600 * 1_000_000
_MANY = """INSERT INTO conversations
    (id, owner, title, title_source, head, folder_id, model, pinned, metadata, created_at, updated_at, deleted_at)
    VALUES (:id, :owner, :title, 'user', NULL, NULL, NULL, 0, '{}', :at, :at, NULL)"""


async def add_conversations(portal: TestPortal, titles: Sequence[str], *, folder: str | None = None) -> list[str]:
    """One conversation per title, the first the newest, a second apart; their ids."""
    now = micros()
    ids = [new_id("conv") for _ in titles]
    for index, (conversation_id, title) in enumerate(zip(ids, titles, strict=True)):
        at = now - index * 1_000_000
        record = ConversationRecord(
            id=conversation_id, owner=portal.owner, title=title, title_source="user", folder_id=folder,
            created_at=at, updated_at=at,
        )  # fmt: skip
        await portal.portal.storage.conversations.create(record)
    return ids


async def add_folder(portal: TestPortal, name: str) -> str:
    """An empty folder; its id."""
    folder = FolderRecord(id=new_id("fold"), owner=portal.owner, name=name, created_at=micros())
    await portal.portal.storage.folders.save(folder)
    return folder.id


async def add_many(portal: TestPortal, count: int, *, step: int = HOUR // 6) -> None:
    """`count` conversations named by their number, 0 the newest, `step` microseconds apart."""
    now = micros()
    for first in range(0, count, 5_000):
        numbers = range(first, min(first + 5_000, count))
        rows = [
            {"id": f"conv_{count - n:09d}", "owner": portal.owner, "title": f"Conversation {n}", "at": now - n * step}
            for n in numbers
        ]
        await portal.portal.storage.database.batch([Statement(_MANY, row) for row in rows])


async def add_long(portal: TestPortal, turns: int) -> str:
    """A conversation of so many numbered questions and answers; its id."""
    storage, owner, previous = portal.portal.storage, portal.owner, None
    record = records.conversation(owner=owner, title="A long one")
    await storage.conversations.create(record)
    for number in range(1, turns + 1):
        response = records.response(
            owner=owner, conversation_id=record.id, previous_id=previous, status="completed", id=new_id("resp")
        )
        said = records.output(response.id, records.answered(f"Answer {number}."))
        await storage.turn_log.begin(response, [records.said(f"Question {number}.")])
        await storage.turn_log.finish(response, [said])
        previous = response.id
    return record.id
