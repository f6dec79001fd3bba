"""The People and Passwords ports: who is here, and what becomes of what they had."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.contract.belongings import one_of_everything

from portal.errors import Conflict, NotFound
from portal.storage.database import Statement
from portal.storage.leaving import KEPT, MADE, PERSONAL, SEARCHED, SHELVED
from portal.storage.migrate import packaged
from portal.storage.open import Storage
from portal.testing.records import (
    OWNER,
    STRANGER,
    collection,
    conversation,
    credential,
    file,
    memory,
    passage,
    response,
    said,
    schedule,
    used,
    user,
    workspace,
)


def owned() -> set[str]:
    """Every table that has owners in it."""
    sql = "\n".join(one.sql for one in packaged("sqlite"))
    tables = re.findall(r"CREATE TABLE (\w+) \(\n(.*?)\n\)", sql, re.DOTALL)
    return {name for name, body in tables if re.search(r"^\s*owner TEXT", body, re.MULTILINE)}


def test_no_table_is_forgotten_when_somebody_goes() -> None:
    assert owned() == {*PERSONAL, *MADE, *SHELVED, *SEARCHED, *KEPT}


async def left(storage: Storage, owner: str) -> set[str]:
    """Tables that still hold something of somebody."""
    found = set()
    for table in sorted(owned()):
        (row,) = await storage.database.fetch(f"SELECT COUNT(*) AS rows FROM {table} WHERE owner = :owner", owner=owner)
        found |= {table} if row["rows"] else set()
    return found


async def test_people_are_added_changed_and_listed(storage: Storage) -> None:
    owner = await storage.users.owner()
    alice = user(login="alice")
    await storage.people.add(alice)
    with pytest.raises(Conflict, match="alice"):
        await storage.people.add(user(login="alice"))
    new = replace(alice, name="Al", login="al", role="guest", suspended_at=7)
    await storage.people.save(new)
    assert list(await storage.people.list()) == [owner, new]
    bob = user(login="bob")
    await storage.people.add(bob)
    with pytest.raises(Conflict, match="bob"):
        await storage.people.save(replace(new, login="bob"))


async def test_a_change_takes_back_nothing_that_another_did_meanwhile(storage: Storage) -> None:
    """As when somebody renames themselves while they are suspended."""
    await storage.people.add(alice := user(login="alice"))
    await storage.people.save(replace(alice, role="guest", suspended_at=7, terms={"requests": 5}), before=alice)
    await storage.people.save(replace(alice, name="Al"), before=alice)
    await storage.people.save(replace(alice, login="al"), before=alice)
    await storage.people.save(alice, before=alice)
    now = replace(alice, name="Al", login="al", role="guest", suspended_at=7, terms={"requests": 5})
    assert await storage.users.get(alice.id) == now
    await storage.people.remove(alice.id, None)
    with pytest.raises(NotFound):
        await storage.people.save(alice, before=alice)


async def test_the_owner_stays_the_owner(storage: Storage) -> None:
    owner = await storage.users.owner()
    await storage.people.save(replace(owner, name="Me", login="me", role="guest", suspended_at=7))
    assert await storage.users.owner() == replace(owner, name="Me", login="me")
    with pytest.raises(NotFound):
        await storage.people.remove(owner.id, None)


async def test_a_password_is_found_by_its_login(storage: Storage) -> None:
    alice = user(login="alice")
    await storage.people.add(alice)
    assert (await storage.passwords.find("alice"), await storage.passwords.any()) == (None, False)
    await storage.passwords.set(alice.id, "hash")
    assert await storage.passwords.find("alice") == (alice, "hash")
    assert (await storage.passwords.of(alice.id), await storage.passwords.any()) == ("hash", True)
    await storage.passwords.set(alice.id, None)
    assert await storage.passwords.find("alice") is None


async def test_a_password_that_was_changed_meanwhile_is_not_replaced(storage: Storage) -> None:
    await storage.people.add(alice := user(login="alice"))
    await storage.passwords.set(alice.id, "first")
    await storage.passwords.set(alice.id, "second", before="first")
    with pytest.raises(Conflict):
        await storage.passwords.set(alice.id, "third", before="first")
    assert await storage.passwords.of(alice.id) == "second"
    with pytest.raises(NotFound):
        await storage.passwords.set("user_none", "hash", before="first")


async def test_what_a_suspended_person_has_opens_nothing(storage: Storage) -> None:
    alice = user()
    await storage.people.add(alice)
    for kind in ("key", "session", "link"):
        await storage.users.add_credential(credential(owner=alice.id, kind=kind), kind)
    await storage.people.save(replace(alice, suspended_at=7))
    assert await storage.users.find_credential("key", "key") is None
    assert await storage.users.find_credential("session", "session") is None
    assert await storage.users.take_link("link") is None
    await storage.people.save(alice)
    assert await storage.users.find_credential("key", "key")


async def test_all_sessions_but_one_end(storage: Storage) -> None:
    kept, other, link, key = (credential(kind=kind) for kind in ("session", "session", "link", "key"))
    for number, one in enumerate((kept, other, link, key)):
        await storage.users.add_credential(one, str(number))
    assert set(await storage.users.revoke_others(OWNER, kept.id)) == {other.id, link.id}
    assert await storage.users.credentials(OWNER, "session") == [kept]
    assert await storage.users.credentials(OWNER, "key") == [key]


async def test_who_is_deleted_leaves_nothing(storage: Storage) -> None:
    await storage.people.add(user(id=OWNER))
    things = await one_of_everything(storage)
    await used(storage, OWNER)
    await storage.passages.drop(OWNER, "documents", document=things.document)
    piece = passage("private", document=things.read, group=things.collection)
    await storage.passages.replace(OWNER, "documents", things.read, [piece], attributes={"secret": 1})

    await storage.people.remove(OWNER, None)

    assert await storage.passages.get(OWNER, [piece.id]) == []
    await storage.cleaning.clean()
    assert await left(storage, OWNER) == {"audit"}
    with pytest.raises(NotFound):
        await storage.users.get(OWNER)
    with pytest.raises(NotFound):
        await storage.files.get(OWNER, things.file)


async def test_what_comes_of_somebody_who_is_gone_is_refused_or_goes(storage: Storage) -> None:
    """They had something under way."""
    await storage.people.add(user(id=OWNER))
    await storage.people.remove(OWNER, None)

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    with pytest.raises(NotFound):
        await storage.turn_log.begin(response(), [])
    with pytest.raises(NotFound):
        await storage.files.create(file(), nothing())
    await storage.conversations.create(conversation(), [said("Hello")])
    await storage.memories.save(memory("private"))
    await storage.collections.create(collection())
    await storage.schedules.save(schedule())
    await storage.users.add_credential(credential(), "hash")
    assert await left(storage, OWNER)
    await storage.people.sweep()
    await storage.cleaning.clean()
    assert await left(storage, OWNER) == set()
    marks = "SELECT name FROM key_values WHERE name LIKE 'gone:%'"
    assert await storage.database.fetch(marks)
    await storage.database.batch([Statement("UPDATE key_values SET value = '1' WHERE name LIKE 'gone:%'")])
    await storage.people.sweep()
    assert not await storage.database.fetch(marks)


async def test_who_is_deleted_may_hand_over_what_they_made(storage: Storage) -> None:
    for one in (OWNER, STRANGER):
        await storage.people.add(user(id=one))
    things = await one_of_everything(storage)
    await used(storage, OWNER)
    theirs = schedule(owner=STRANGER)
    await storage.schedules.save(theirs)
    await storage.workspaces.save(replace(workspace(), owner=STRANGER))
    with pytest.raises(NotFound):
        await storage.people.remove(OWNER, "user_none")
    await storage.turn_log.begin(running := response(), [])

    await storage.people.remove(OWNER, STRANGER)

    assert await left(storage, OWNER) == {"audit"}
    talk = await storage.conversations.get(STRANGER, things.conversation)
    assert talk.title == "private"
    ended = (await storage.responses.get(STRANGER, running.id)).response
    assert (ended.status, ended.incomplete_details) == ("incomplete", {"reason": "interrupted"})
    assert (await storage.files.get(STRANGER, things.file)).id == things.file
    assert [one.id for one in (await storage.collections.list(STRANGER)).data] == [things.collection]
    found = (await storage.conversations.list(STRANGER, query="private")).data
    assert [one.id for one in found] == [things.conversation]
    given = await storage.schedules.get(STRANGER, things.schedule)
    assert (given.paused, list(given.permits)) == (True, [])
    assert len({one.name for one in await storage.schedules.list(STRANGER)}) == 2
    assert len([one for one in await storage.workspaces.all() if one.owner == STRANGER]) == 2
    assert (await storage.passages.get(STRANGER, [things.passage]))[0].id == things.passage
