"""The Folders, Users, KeyValues and UsageLog ports."""

import asyncio
from dataclasses import replace

import pytest

from portal.core.clock import micros
from portal.core.consumption import Question
from portal.core.records import CredentialRecord, UserRecord
from portal.errors import Conflict, NotFound, StorageError
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.open import Storage, open_storage
from portal.storage.usage import StoredUsageLog
from portal.testing.records import OWNER, STRANGER, collection, conversation, credential, folder, usage, workspace

HOUR = 3_600_000_000
DAY = 24 * HOUR


async def test_folders_come_back_by_name(storage: Storage) -> None:
    beta = folder(name="beta", instructions="Be brief.", model="tiny", file_ids=("file_1", "file_2"))
    alpha = folder(name="alpha")
    for one in (beta, alpha, folder(owner=STRANGER)):
        await storage.folders.save(one)
    assert await storage.folders.list(OWNER) == [alpha, beta]
    assert await storage.folders.get(OWNER, beta.id) == beta


async def test_a_saved_folder_is_replaced(storage: Storage) -> None:
    old = folder()
    await storage.folders.save(old)
    new = replace(old, name="Home", instructions="x", model="m", file_ids=("f",))
    await storage.folders.save(new)
    assert await storage.folders.list(OWNER) == [new]
    with pytest.raises(NotFound):
        await storage.folders.save(replace(new, owner=STRANGER, name="stolen"))
    assert await storage.folders.get(OWNER, new.id) == new


async def test_conversations_of_a_deleted_folder_stay_and_what_was_read_for_them_goes(storage: Storage) -> None:
    work = folder()
    await storage.folders.save(work)
    talk = conversation(folder_id=work.id)
    await storage.conversations.create(talk)
    await storage.collections.create(collection(conversation_id=work.id))
    await storage.folders.delete(OWNER, work.id)
    assert await storage.conversations.get(OWNER, talk.id) == replace(talk, folder_id=None)
    assert await storage.collections.of_conversation(OWNER, work.id) is None
    with pytest.raises(NotFound):
        await storage.folders.get(OWNER, work.id)
    with pytest.raises(NotFound):
        await storage.folders.delete(OWNER, work.id)


async def test_there_is_one_owner_whoever_asks_first(storage: Storage) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(storage.users.owner()) for _ in range(10)]
    owners = {task.result().id for task in tasks}
    assert len(owners) == 1
    owner = await storage.users.owner()
    assert isinstance(owner, UserRecord)
    assert owner.id in owners
    assert (owner.role, owner.preferences) == ("owner", {})
    assert await storage.users.get(owner.id) == owner


async def test_preferences_are_replaced(storage: Storage) -> None:
    owner = await storage.users.owner()
    await storage.users.set_preferences(owner.id, {"theme": "dark", "n": [1]})
    await storage.users.set_preferences(owner.id, {"theme": "light"})
    assert (await storage.users.get(owner.id)).preferences == {"theme": "light"}
    with pytest.raises(NotFound):
        await storage.users.set_preferences("user_none", {})
    with pytest.raises(NotFound):
        await storage.users.get("user_none")


async def test_a_credential_is_found_by_its_secret(storage: Storage) -> None:
    key = credential(name="laptop", hint="abcd", expires_at=micros() + HOUR)
    await storage.users.add_credential(key, "hash-1")
    assert await storage.users.find_credential("key", "hash-1") == key
    assert await storage.users.find_credential("session", "hash-1") is None
    assert await storage.users.find_credential("key", "hash-2") is None
    await storage.users.touch(key.id, 77)
    assert await storage.users.find_credential("key", "hash-1") == replace(key, last_used_at=77)
    await storage.users.touch(key.id, 78, expires_at=micros() + 2 * HOUR)
    touched = await storage.users.find_credential("key", "hash-1")
    assert touched is not None
    assert (touched.last_used_at, touched.expires_at or 0) > (78, micros() + HOUR)
    await storage.users.touch("cred_none", 79)


async def test_expired_credentials_are_not_there(storage: Storage) -> None:
    for kind in ("key", "session", "link"):
        await storage.users.add_credential(credential(kind=kind, expires_at=micros() - 1), f"hash-{kind}")
        assert await storage.users.find_credential(kind, f"hash-{kind}") is None
        assert await storage.users.credentials(OWNER, kind) == []
    assert await storage.users.take_link("hash-link") is None


async def test_credentials_are_listed_newest_first(storage: Storage) -> None:
    made = [credential(created_at=at) for at in range(3)]
    for one in (*made, credential(kind="session"), credential(owner=STRANGER)):
        await storage.users.add_credential(one, f"hash-{one.id}")
    assert await storage.users.credentials(OWNER, "key") == made[::-1]


async def test_a_key_name_is_used_once_by_each_owner(storage: Storage) -> None:
    await storage.users.add_credential(credential(name="laptop"), "1")
    with pytest.raises(Conflict, match="laptop"):
        await storage.users.add_credential(credential(name="laptop"), "2")
    await storage.users.add_credential(credential(name="laptop", owner=STRANGER), "3")
    await storage.users.add_credential(credential(name="laptop", kind="session"), "4")
    await storage.users.add_credential(credential(name="laptop", kind="session"), "5")


async def test_a_revoked_credential_is_gone(storage: Storage) -> None:
    key = credential(name="laptop")
    await storage.users.add_credential(key, "1")
    await storage.users.revoke(OWNER, key.id)
    assert await storage.users.find_credential("key", "1") is None
    with pytest.raises(NotFound):
        await storage.users.revoke(OWNER, key.id)
    await storage.users.add_credential(credential(name="laptop"), "2")


async def test_of_racing_takers_one_gets_the_link(storage: Storage) -> None:
    link = credential(kind="link", expires_at=micros() + HOUR)
    await storage.users.add_credential(link, "hash")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(storage.users.take_link("hash")) for _ in range(30)]
    taken = [task.result() for task in tasks if isinstance(task.result(), CredentialRecord)]
    assert taken == [link]
    assert await storage.users.take_link("hash") is None


async def test_a_key_is_no_link(storage: Storage) -> None:
    await storage.users.add_credential(credential(), "hash")
    assert await storage.users.take_link("hash") is None
    assert await storage.users.find_credential("key", "hash")


async def test_key_values_are_kept_replaced_and_deleted(storage: Storage) -> None:
    assert await storage.key_values.get("backends") is None
    await storage.key_values.set("backends", {"a": [1, "é", None]})
    await storage.key_values.set("other", {})
    assert await storage.key_values.get("backends") == {"a": [1, "é", None]}
    await storage.key_values.set("backends", {"b": 2})
    assert await storage.key_values.get("backends") == {"b": 2}
    await storage.key_values.set("backends", None)
    await storage.key_values.set("backends", None)
    assert await storage.key_values.get("backends") is None
    assert await storage.key_values.get("other") == {}


async def calls(storage: Storage, owner: str | None = OWNER) -> int:
    """How many there are."""
    rows = await storage.consumption.report(Question(since=0, until=micros() + DAY, by=(), owner=owner))
    return sum(row["calls"] for row in rows)


async def test_usage_is_written_without_anyone_waiting_for_it(storage: Storage) -> None:
    storage.usage.record(usage())
    while not await storage.database.fetch("SELECT id FROM usage_log"):
        await asyncio.sleep(0)


async def test_usage_is_written_at_the_end(settings: Settings) -> None:
    async with open_storage(settings) as storage:
        for _ in range(100):
            storage.usage.record(usage())
    async with open_storage(settings) as storage:
        assert await calls(storage) == 100


async def test_usage_survives_an_error_in_the_block(settings: Settings) -> None:
    async def fail() -> None:
        async with open_storage(settings) as storage:
            storage.usage.record(usage())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with open_storage(settings) as storage:
        assert await calls(storage) == 1


async def test_usage_that_comes_too_fast_is_lost_loudly(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    log = StoredUsageLog(database=storage.database, longest=20)
    for _ in range(23):
        log.record(usage())
    await log.write()
    assert await calls(storage) == 20
    assert "3 usage rows were lost" in caplog.text


async def test_usage_that_cannot_be_written_is_lost_loudly(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    await storage.database.batch([Statement("ALTER TABLE usage_log RENAME TO elsewhere")])
    storage.usage.record(usage())
    with pytest.raises(StorageError):
        await calls(storage)
    assert "1 usage rows were lost" in caplog.text
    await storage.database.batch([Statement("ALTER TABLE elsewhere RENAME TO usage_log")])
    storage.usage.record(usage())
    assert await calls(storage) == 1


async def test_workspaces_belong_to_who_made_them(storage: Storage) -> None:
    first = workspace(fields={"title": "Mine", "prefer": ["qwen3*"]}, created_at=1)
    theirs = workspace(owner=STRANGER, created_at=2)
    for one in (theirs, first):
        await storage.workspaces.save(one)
    assert await storage.workspaces.all() == [first, theirs]
    await storage.workspaces.save(replace(first, fields={"title": "New"}, created_at=3))
    assert await storage.workspaces.all() == [replace(first, fields={"title": "New"}), theirs]
    await storage.workspaces.delete(OWNER, "mine")
    assert await storage.workspaces.all() == [theirs]
    with pytest.raises(NotFound):
        await storage.workspaces.delete(OWNER, "mine")
