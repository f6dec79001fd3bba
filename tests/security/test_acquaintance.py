"""Somebody who signs in with an identity provider in two windows at once is one person."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from portal.security.credentials import Credentials
from portal.security.identities import Acquaintance
from portal.settings import Settings
from portal.settings.people import OidcSettings
from portal.storage.open import open_storage
from portal.testing.records import user

CLAIMS = {"sub": "x", "email": "ann@example.org", "email_verified": True, "name": "Ann"}


@pytest.mark.parametrize(("known", "more"), [(False, {"create": True}), (True, {"match_email": True})])
async def test_two_windows_at_once(tmp_path: Path, known: bool, more: dict[str, Any]) -> None:
    settings = OidcSettings(issuer="https://id.example.org", client_id="portal", **more)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        if known:
            await storage.people.add(user(login="ann@example.org"))
        acquaintance = Acquaintance(
            identities=storage.identities,
            people=storage.people,
            users=storage.users,
            credentials=Credentials(users=storage.users, session_days=1, local_token="local"),
        )
        async with asyncio.TaskGroup() as tasks:
            windows = [tasks.create_task(acquaintance.of(CLAIMS, settings)) for _ in range(3)]
        (only,) = await storage.people.list()
        assert {task.result().id for task in windows} == {only.id}
        assert await storage.identities.find(settings.issuer, "x") == only.id
