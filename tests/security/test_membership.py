"""Two who change the same person at the same moment."""

from pathlib import Path
from typing import Any

import pytest
from tests.storage.test_races import Meddled

from portal.app.rights import open_rights
from portal.core.terms import Terms
from portal.security.credentials import Caller, Credentials
from portal.security.passwords import Attempts, PasswordDoor
from portal.security.people import Changes, Membership
from portal.security.rights import Rights
from portal.settings import Settings
from portal.storage.open import Storage, open_storage
from portal.storage.users import StoredUsers
from portal.testing.records import user


def membership(storage: Storage, rights: Rights, users: StoredUsers) -> Membership:
    async def stop(owner: str) -> None:
        pass

    return Membership(
        people=storage.people,
        users=users,
        credentials=Credentials(users=users, session_days=1, local_token="local"),
        passwords=PasswordDoor(passwords=storage.passwords, attempts=Attempts(most=3, seconds=60)),
        audit=storage.audit,
        stop=stop,
        noted=rights.note,
    )


@pytest.mark.parametrize("by_themselves", [False, True])
async def test_who_is_bounded_as_they_are_renamed_is_bounded(tmp_path: Path, by_themselves: bool) -> None:
    settings = Settings(data_dir=tmp_path)
    async with open_storage(settings) as storage:
        await storage.people.add(bob := user(name="Bob"))
        rights = await open_rights(settings, storage)
        owner = Caller((await storage.users.owner()).id, "local", "local", "owner", owns=True)

        async def bounded() -> None:
            await membership(storage, rights, storage.users).change(owner, bob.id, Changes(terms=Terms(requests=5)))

        database: Any = Meddled(storage, "FROM users", bounded)
        late = membership(storage, rights, StoredUsers(database=database))
        who = Caller(bob.id, "session", "session_1") if by_themselves else owner
        if by_themselves:
            now = await late.rename(who, name="Rob", login=None)
        else:
            now = await late.change(who, bob.id, Changes(name="Rob"))
        assert database.meddled
        assert (now.name, Terms.of(now.terms).requests) == ("Rob", 5)
        standing = rights.of(bob.id)
        assert standing is not None
        assert [one.requests for one in standing.terms] == [5]
        newest = (await storage.audit.list(who.owner)).data[0]
        assert newest.detail == {"name": "Rob"}
