"""Somebody who signs in with an identity provider in two windows at once is one person."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from portal.core.people import People
from portal.core.records import UserRecord
from portal.security.credentials import Credentials
from portal.security.identities import Acquaintance
from portal.settings import Settings
from portal.settings.people import OidcSettings
from portal.storage.open import Storage, open_storage
from portal.testing.records import user

CLAIMS = {"sub": "x", "email": "ann@example.org", "email_verified": True, "name": "Ann"}


def acquaintance_of(storage: Storage, people: People | None = None) -> Acquaintance:
    return Acquaintance(
        identities=storage.identities,
        people=people or storage.people,
        users=storage.users,
        credentials=Credentials(users=storage.users, session_days=1, local_token="local"),
    )


class Overtaken:
    """The People port, and somebody who is quicker once one was added."""

    def __init__(self, storage: Storage, quicker: Callable[[], Awaitable[object]]) -> None:
        self._inner, self._quicker = storage.people, quicker
        self.list, self.save, self.remove = self._inner.list, self._inner.save, self._inner.remove

    async def add(self, user: UserRecord) -> None:
        await self._inner.add(user)
        await self._quicker()


@pytest.mark.parametrize(("known", "more"), [(False, {"create": True}), (True, {"match_email": True})])
async def test_two_windows_at_once(tmp_path: Path, known: bool, more: dict[str, Any]) -> None:
    settings = OidcSettings(issuer="https://id.example.org", client_id="portal", **more)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        if known:
            await storage.people.add(user(login="ann@example.org"))
        acquaintance = acquaintance_of(storage)
        async with asyncio.TaskGroup() as tasks:
            windows = [tasks.create_task(acquaintance.of(CLAIMS, settings)) for _ in range(3)]
        (only,) = await storage.people.list()
        assert {task.result().id for task in windows} == {only.id}
        assert await storage.identities.find(settings.issuer, "x") == only.id


@pytest.mark.parametrize("taken", [False, True])
async def test_the_sign_in_name_is_theirs_whichever_window_got_it(tmp_path: Path, taken: bool) -> None:
    """The window that makes them without it, as the other one holds it for a moment, is the one that stays; unless
    somebody else takes it in that moment."""
    settings = OidcSettings(issuer="https://id.example.org", client_id="portal", create=True, match_email=True)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:

        async def other_window() -> None:
            await acquaintance_of(storage).of(CLAIMS, settings.model_copy(update={"match_email": False}))

        overtaken = Overtaken(storage, other_window)
        if taken:
            remove = storage.people.remove

            async def and_taken(user_id: str, heir: str | None) -> None:
                await remove(user_id, heir)
                await storage.people.add(user(login="ann@example.org"))

            overtaken.remove = and_taken
        ann = await acquaintance_of(storage, overtaken).of(CLAIMS, settings)
        assert ann == await storage.users.get(ann.id)
        assert len(await storage.people.list()) == 1 + taken
        elsewhere = settings.model_copy(update={"issuer": "https://other.example.org"})
        known = await acquaintance_of(storage).of({**CLAIMS, "sub": "y"}, elsewhere)
        assert (known.id == ann.id) is not taken
