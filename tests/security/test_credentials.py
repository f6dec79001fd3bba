import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from portal.core.clock import micros
from portal.core.ports import Users
from portal.core.records import CredentialRecord, UserRecord
from portal.errors import BadRequest, Conflict, NotFound, StorageError, StorageFull, Unauthenticated
from portal.security.credentials import Credentials
from portal.security.limiter import Limiter
from portal.security.seal import SignedSealer, load_key
from portal.settings import Settings
from portal.storage.open import Storage, open_storage


class Watched:
    """Users with a gate after a credential was found, and a count of the questions."""

    def __init__(self, inner: Users) -> None:
        self._inner = inner
        self.gate: asyncio.Event | None = None
        self.found = asyncio.Event()
        self.asked = 0
        self.touched = 0
        self.full = False

    async def owner(self) -> UserRecord:
        return await self._inner.owner()

    async def get(self, user_id: str) -> UserRecord:
        return await self._inner.get(user_id)

    async def set_preferences(self, user_id: str, preferences: dict[str, object]) -> None:
        await self._inner.set_preferences(user_id, preferences)

    async def add_credential(self, record: CredentialRecord, secret_hash: str) -> None:
        await self._inner.add_credential(record, secret_hash)

    async def find_credential(self, kind: str, secret_hash: str) -> CredentialRecord | None:
        self.asked += 1
        found = await self._inner.find_credential(kind, secret_hash)
        self.found.set()
        if self.gate is not None:
            await self.gate.wait()
        return found

    async def take_link(self, secret_hash: str) -> CredentialRecord | None:
        return await self._inner.take_link(secret_hash)

    async def credentials(self, owner: str, kind: str) -> Sequence[CredentialRecord]:
        return await self._inner.credentials(owner, kind)

    async def touch(self, credential_id: str, when: int, *, expires_at: int | None = None) -> None:
        if self.full:
            raise StorageFull("The disk is full.")
        self.touched += 1
        await self._inner.touch(credential_id, when, expires_at=expires_at)

    async def revoke(self, owner: str, credential_id: str) -> None:
        await self._inner.revoke(owner, credential_id)

    async def revoke_others(self, owner: str, kept: str) -> Sequence[str]:
        return await self._inner.revoke_others(owner, kept)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(Settings(data_dir=tmp_path)) as opened:
        yield opened


@pytest.fixture
def users(storage: Storage) -> Watched:
    return Watched(storage.users)


@pytest.fixture
def credentials(users: Watched) -> Credentials:
    return Credentials(users=users, session_days=1, local_token="local")


async def test_a_key_is_shown_once_and_known_by_its_hash(
    storage: Storage, users: Watched, credentials: Credentials, tmp_path: Path
) -> None:
    owner = (await users.owner()).id
    record, secret = await credentials.create_key(owner, " phone ")
    assert (record.name, record.hint) == ("phone", secret[-4:])
    assert secret.startswith("portal-")
    for _ in range(3):
        caller = await credentials.by_token(secret)
        assert (caller.owner, caller.kind, caller.credential_id) == (owner, "key", record.id)
    assert (users.asked, users.touched) == (1, 1)  # known for some seconds, touched once a minute
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in kept
    again = Credentials(users=users, session_days=1, local_token="local")
    await again.by_token(secret)
    assert users.touched == 1
    with pytest.raises(Conflict):
        await credentials.create_key(owner, "phone")
    for name in ("", "  ", "x" * 101):
        with pytest.raises(BadRequest):
            await credentials.create_key(owner, name)


async def test_a_full_disk_keeps_nobody_out(users: Watched, credentials: Credentials) -> None:
    owner = (await users.owner()).id
    record, secret = await credentials.create_key(owner, "phone")
    users.full = True

    assert (await credentials.by_token(secret)).credential_id == record.id
    assert users.touched == 0


async def test_a_session_is_no_key_and_a_key_no_session(users: Watched, credentials: Credentials) -> None:
    owner = (await users.owner()).id
    _, key = await credentials.create_key(owner, "phone")
    _, link = await credentials.create_link(owner)
    record, session = await credentials.sign_in(link, device="")
    assert record.name == "browser"
    caller = await credentials.by_session(session)
    assert caller is not None
    assert caller.kind == "session"
    assert await credentials.by_session(key) is None
    for secret in (session, link, "local ", "", "\udcff"):
        with pytest.raises(Unauthenticated):
            await credentials.by_token(secret)
    assert (await credentials.by_token("local")).kind == "local"


async def test_use_prolongs_a_session(users: Watched) -> None:
    owner = (await users.owner()).id
    short = Credentials(users=users, session_days=1, local_token="local")
    _, link = await short.create_link(owner)
    record, secret = await short.sign_in(link, device="phone")
    longer = Credentials(users=users, session_days=30, local_token="local")
    assert await longer.by_session(secret) is not None
    (kept,) = await users.credentials(owner, "session")
    assert kept.id == record.id
    assert (kept.expires_at or 0) - (record.expires_at or 0) >= 29 * 86_400 * 1_000_000


async def test_what_is_revoked_while_it_is_looked_up_is_not_remembered(
    users: Watched, credentials: Credentials
) -> None:
    owner = (await users.owner()).id
    record, secret = await credentials.create_key(owner, "phone")
    users.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(credentials.by_token(secret))
        await users.found.wait()
        await credentials.revoke(owner, record.id)
        users.gate.set()
    assert looking.result().owner == owner  # it was good when it was asked
    with pytest.raises(Unauthenticated):
        await credentials.by_token(secret)
    with pytest.raises(NotFound):
        await credentials.revoke(owner, record.id)


async def test_one_revokes_ones_own_alone(users: Watched, credentials: Credentials) -> None:
    record, secret = await credentials.create_key((await users.owner()).id, "phone")
    with pytest.raises(NotFound):
        await credentials.revoke("user_stranger", record.id)
    assert await credentials.by_token(secret)


class Everyone(Watched):
    """Users that know every key."""

    async def get(self, user_id: str) -> UserRecord:
        return UserRecord(id=user_id, name="", role="member", created_at=1)

    async def find_credential(self, kind: str, secret_hash: str) -> CredentialRecord | None:
        self.asked += 1
        return CredentialRecord(
            id=secret_hash, owner="user_1", kind="key", name="", created_at=1, last_used_at=micros()
        )


async def test_many_keys_do_not_fill_the_memory(storage: Storage) -> None:
    users = Everyone(storage.users)
    credentials = Credentials(users=users, session_days=1, local_token="local")
    for number in range(1025):
        await credentials.by_token(f"key {number}")
    await credentials.by_token("key 1024")
    assert users.asked == 1025
    await credentials.by_token("key 0")  # was forgotten to make room
    assert users.asked == 1026


def test_a_sealed_text_comes_back_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    sealer = SignedSealer(key=load_key(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path) == path.read_bytes()
    token = sealer.seal("naïve 👩‍💻 text")
    assert sealer.unseal(token) == "naïve 👩‍💻 text"
    assert sealer.unseal(sealer.seal("")) == ""
    body, _, signature = token.rpartition(".")
    forged = [token[:-3] + "AAA", f"{body}x.{signature}", token[1:], f"{token}.", "a.b", f"portal2{token[7:]}"]
    for other in forged:
        with pytest.raises(BadRequest):
            sealer.unseal(other)
    with pytest.raises(BadRequest):
        SignedSealer(key=b"k" * 32).unseal(token)


def test_a_damaged_key_is_not_sealed_with(tmp_path: Path) -> None:
    for content in (b"", b"short", b"x" * 33):
        (tmp_path / "seal.key").write_bytes(content)
        with pytest.raises(StorageError, match="damaged"):
            load_key(tmp_path / "seal.key")
    with pytest.raises(StorageError, match="cannot be used"):
        load_key(tmp_path / "nowhere" / "seal.key")


async def test_who_tries_on_and_on_does_not_fill_the_audit(storage: Storage) -> None:
    minutes = [0.0]
    lines = Limiter(clock=lambda: minutes[0] * 60)
    credentials = Credentials(
        users=storage.users, session_days=1, local_token="local", audit=storage.audit, lines=lines
    )
    for _ in range(100):
        with pytest.raises(Unauthenticated):
            await credentials.sign_in("none", device="x" * 1000)
    await credentials.refused("password", login="ada")
    minutes[0] = 1
    await credentials.refused("link")
    told = [(one.subject, dict(one.detail)) for one in (await storage.audit.whole(limit=100)).data]
    assert told == [("link", {"untold": 85}), ("password", {"login": "ada"}), *[("link", {"device": "x" * 200})] * 15]
