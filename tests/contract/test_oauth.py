"""The Clients and Refreshes ports."""

import asyncio
from dataclasses import replace

import pytest

from portal.core.clock import micros
from portal.core.oauth import Client, Refresh
from portal.errors import RateLimited
from portal.storage.open import Storage
from portal.storage.pending import StoredPending
from portal.testing.records import OWNER, credential, user

DAY = 86_400_000_000


def client(name: str, created_at: int = DAY) -> Client:
    return Client(id=f"client_{name}", name=name, redirects=["http://127.0.0.1/"], created_at=created_at)


async def test_programs_are_kept_and_bounded(storage: Storage) -> None:
    for name in ("a", "b"):
        await storage.clients.add(client(name, 1), most=2, idle_before=0)
    assert await storage.clients.get("client_a") == client("a", 1)
    assert await storage.clients.get("client_none") is None
    with pytest.raises(RateLimited, match="Too many programs"):
        await storage.clients.add(client("c"), most=2, idle_before=0)

    refresh = Refresh(owner=OWNER, credential_id="key_1", client_id="client_a", created_at=1)
    await storage.refreshes.add("hash", refresh)
    await storage.clients.add(client("c"), most=2, idle_before=2)

    assert await storage.clients.get("client_b") is None  # nobody let it in
    assert await storage.clients.get("client_a") is not None


async def test_a_token_is_used_once(storage: Storage) -> None:
    await storage.people.add(user(id=OWNER))
    key = credential()
    await storage.users.add_credential(key, "key hash")
    refresh = Refresh(owner=OWNER, credential_id=key.id, client_id="client_a", created_at=1)
    await storage.refreshes.add("one", refresh)
    renewed = replace(key, hint="new", expires_at=micros() + DAY, terms={"until": 5})

    tries = [
        storage.refreshes.rotate("one", refresh, next_hash=f"two {number}", key=renewed, key_hash=f"key {number}")
        for number in range(3)
    ]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in tries]
    done = [task.result() for task in tasks]

    assert sorted(done) == [False, False, True]
    won = done.index(True)
    found = await storage.users.find_credential("key", f"key {won}")
    assert found is not None
    assert (found.id, found.hint, found.terms) == (key.id, "new", {"until": 5})
    assert await storage.users.find_credential("key", "key hash") is None
    used, following = await storage.refreshes.get("one"), await storage.refreshes.get(f"two {won}")
    assert used is not None
    assert used.used_at is not None
    assert following == refresh
    assert (await storage.refreshes.of_key(key.id)) is not None
    kept = await storage.refreshes.key(refresh)
    assert kept is not None
    assert kept.id == key.id


async def test_tokens_end_with_their_key(storage: Storage) -> None:
    await storage.people.add(user(id=OWNER))
    key = credential()
    await storage.users.add_credential(key, "key hash")
    refresh = Refresh(owner=OWNER, credential_id=key.id, client_id="client_a", created_at=1)
    await storage.refreshes.add("one", refresh)

    await storage.users.revoke(OWNER, key.id)

    assert await storage.refreshes.key(refresh) is None
    assert not await storage.refreshes.rotate("one", refresh, next_hash="two", key=key, key_hash="other")
    unused = await storage.refreshes.get("one")
    assert unused is not None
    assert unused.used_at is None  # the batch was taken back whole
    await storage.sweep()
    assert await storage.refreshes.get("one") is None
    assert await storage.refreshes.of_key(key.id) is None


async def test_what_is_pending_is_changed_only_while_it_is_there(storage: Storage) -> None:
    kept = StoredPending(database=storage.database)
    assert not await kept.change("hash", {"x": 1}, 9, 1)
    await kept.keep("hash", {"x": 1}, 5)
    assert not await kept.change("hash", {"x": 2}, 9, 5), "it is too old"
    assert await kept.change("hash", {"x": 2}, 9, 4)
    assert await kept.take("hash", 8) == {"x": 2}
    assert not await kept.change("hash", {"x": 3}, 9, 1)
