"""Who came in before: known without the database for a moment, and with a key for longer while it is away."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from portal.core.clock import micros
from portal.core.records import CredentialRecord
from portal.errors import StorageUnavailable
from portal.security.credentials import Caller
from portal.security.known import KnownCallers, Secret

KEY: Secret = ("key", "a hash")
SESSION: Secret = ("session", "a hash")
CALLER = Caller("user_1", "key", "key_1")
MINUTE = 60.0


class Database:
    """One that may be away, silent or without the key. `now` is the time."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.now, self.asked = 1000.0, 0
        self.away = self.gone = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.expires_at: int | None = None
        self.known = KnownCallers(look_up=self.look_up, tasks=tasks, clock=lambda: self.now)

    async def look_up(self, secret: Secret) -> Caller | None:
        self.asked += 1
        await self.answers.wait()
        if self.away:
            raise StorageUnavailable("The database cannot be reached at present.")
        if self.gone:
            return None
        record = CredentialRecord(
            id="key_1", owner="user_1", kind="key", name="", created_at=1, expires_at=self.expires_at
        )
        self.known.remember(secret, CALLER, record)
        return CALLER


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with asyncio.TaskGroup() as tasks:
        made = Database(tasks)
        yield made
        made.answers.set()


async def test_while_the_database_is_away_a_key_of_before_is_good_for_a_quarter_of_an_hour(database: Database) -> None:
    assert await database.known.caller(KEY) == CALLER
    database.away = True
    for _ in range(14):
        database.now += MINUTE
        assert await database.known.caller(KEY) == CALLER
    database.now += 2 * MINUTE
    with pytest.raises(StorageUnavailable):
        await database.known.caller(KEY)


async def test_nobody_new_comes_in_while_it_is_away(database: Database) -> None:
    database.away = True
    with pytest.raises(StorageUnavailable):
        await database.known.caller(KEY)


async def test_a_session_is_good_for_a_moment_alone(database: Database) -> None:
    assert await database.known.caller(SESSION) == CALLER
    database.away = True
    database.now += MINUTE / 4
    assert await database.known.caller(SESSION) == CALLER
    database.now += MINUTE / 4
    with pytest.raises(StorageUnavailable):
        await database.known.caller(SESSION)


async def test_a_key_that_ends_is_good_until_then(database: Database) -> None:
    database.expires_at = micros() + 120 * 1_000_000
    assert await database.known.caller(KEY) == CALLER
    database.away = True
    database.now += MINUTE
    assert await database.known.caller(KEY) == CALLER
    database.now += MINUTE
    with pytest.raises(StorageUnavailable):
        await database.known.caller(KEY)


async def test_nobody_waits_for_a_database_that_says_nothing(database: Database) -> None:
    assert await database.known.caller(KEY) == CALLER
    database.answers.clear()
    database.now += 10 * MINUTE
    assert await database.known.caller(KEY) == CALLER
    assert await database.known.caller(KEY) == CALLER
    assert database.asked == 2  # once for both


async def test_what_is_revoked_is_out_as_soon_as_that_is_known(database: Database) -> None:
    assert await database.known.caller(KEY) == CALLER
    database.gone = True
    database.now += MINUTE  # the database is there: it is asked first
    assert await database.known.caller(KEY) is None
    database.gone = False
    assert await database.known.caller(KEY) == CALLER
    database.away = True
    database.now += MINUTE
    assert await database.known.caller(KEY) == CALLER
    database.known.clear()  # another server has told of it
    with pytest.raises(StorageUnavailable):
        await database.known.caller(KEY)
