"""Secrets in a database that servers share: sealed there, kept whatever happens, known to nobody without the key."""

import asyncio
from collections.abc import Mapping

import pytest

from portal.errors import StorageError
from portal.security.sealed_secrets import SealedSecrets

KEY = bytes(range(32))


class Table:
    """The table, which may be away."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.away = 0

    async def all(self) -> Mapping[str, str]:
        return dict(self.rows)

    async def set(self, name: str, sealed: str | None) -> None:
        if self.away:
            self.away -= 1
            raise StorageError("The database is away.")
        if sealed is None:
            self.rows.pop(name, None)
        else:
            self.rows[name] = sealed


async def test_what_one_seals_another_reads_with_the_same_key_alone() -> None:
    table = Table()
    one, other, stranger = (SealedSecrets(kept=table, key=key) for key in (KEY, KEY, bytes(32)))
    await asyncio.to_thread(one.set, "backend:mine", "sk-1")
    assert "sk-1" not in table.rows["backend:mine"]
    await other.load()
    assert other.get("backend:mine") == "sk-1"
    await stranger.load()
    assert stranger.get("backend:mine") is None
    table.rows["backend:other"] = table.rows["backend:mine"]  # nobody may put one in the place of another
    await other.load()
    assert other.get("backend:other") is None
    await asyncio.to_thread(one.set, "backend:mine", None)
    assert list(table.rows) == ["backend:other"]


async def test_what_is_set_on_the_way_is_kept_as_soon_as_can_be() -> None:
    table, told = Table(), asyncio.Event()
    secrets = SealedSecrets(kept=table, key=KEY)
    secrets.changed = told.set
    table.away = 1
    secrets.set("hook", "s3cret")
    secrets.set("hook", "s3cret")
    assert secrets.get("hook") == "s3cret"
    await secrets.load()
    assert secrets.get("hook") == "s3cret"
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(secrets.run())
        await told.wait()
        keeping.cancel()
    assert list(table.rows) == ["hook"]


async def test_who_waits_is_told_that_it_could_not_be_kept() -> None:
    table = Table()
    secrets = SealedSecrets(kept=table, key=KEY)
    table.away = 1
    with pytest.raises(StorageError):
        await asyncio.to_thread(secrets.set, "backend:mine", "sk-1")
    assert secrets.get("backend:mine") is None
    await asyncio.to_thread(secrets.set, "backend:mine", "sk-1")
    assert list(table.rows) == ["backend:mine"]
    table.away = 1
    with pytest.raises(StorageError):
        await asyncio.to_thread(secrets.set, "backend:mine", None)
    assert secrets.get("backend:mine") == "sk-1"
    await asyncio.to_thread(secrets.set, "backend:mine", None)
    assert not table.rows
