"""Backups of a PostgreSQL database: of one moment, while others write, and back in either engine."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.storage.test_moving import dumped, found, live

from portal.errors import StorageError
from portal.settings import Settings
from portal.storage.backups.making import Wanted, make_backup, verify_backup
from portal.storage.backups.restoring import restore
from portal.storage.open import Storage, open_storage
from portal.storage.sealed import StoredSealed
from portal.testing.postgres import PostgresServer
from portal.testing.records import conversation

WORD = "correct horse"


@pytest.fixture
def settings(postgres: PostgresServer, tmp_path: Path) -> Iterator[Settings]:
    (tmp_path / "data").mkdir()
    yield Settings(data_dir=tmp_path / "data", database=postgres.database())
    assert [one.name for one in (tmp_path / "data").glob("*.unfinished")] == []


async def keep_talking(storage: Storage) -> None:
    while True:
        await storage.conversations.create(conversation(title="written meanwhile"))


async def test_it_is_of_one_moment_and_all_is_in_it(settings: Settings, tmp_path: Path) -> None:
    target, home = tmp_path / "kept.portal-backup", tmp_path / "home"
    async with open_storage(settings) as storage:
        await live(storage, 200)
        await StoredSealed(database=storage.database).set("backend.key", "opaque")
        known = await found(storage)
        wanted = Wanted(target=target, password=WORD, secrets=True)
        async with asyncio.TaskGroup() as group:
            talking = group.create_task(keep_talking(storage))
            manifest = await asyncio.to_thread(make_backup, settings, wanted)
            talking.cancel()
    assert verify_backup(target, WORD, tmp_path) == manifest

    restore(target, home, WORD, force=False)
    async with open_storage(Settings(data_dir=home)) as there:
        assert await found(there) == known
        assert await StoredSealed(database=there.database).all() == {"backend.key": "opaque"}
        assert manifest.rows["conversations"] >= 1


async def test_it_has_every_row_and_secrets_only_if_asked(settings: Settings, tmp_path: Path) -> None:
    async with open_storage(settings) as storage:
        await live(storage, 20)
        await StoredSealed(database=storage.database).set("backend.key", "opaque")
        await asyncio.to_thread(make_backup, settings, Wanted(target=tmp_path / "folder"))
        restore(tmp_path / "folder", tmp_path / "home", None, force=False)
        async with open_storage(Settings(data_dir=tmp_path / "home")) as there:
            theirs = dict(await dumped(storage.database, there.database))
            ours = dict(await dumped(there.database, storage.database))
    assert len(theirs.pop("sealed_secrets")) == 1
    assert ours.pop("sealed_secrets") == []
    assert ours == theirs


async def test_a_server_that_is_away_or_older_is_told(settings: Settings, tmp_path: Path) -> None:
    wanted = Wanted(target=tmp_path / "folder")
    with pytest.raises(StorageError, match="older Portal"):
        await asyncio.to_thread(make_backup, settings, wanted)
    away = settings.model_copy(update={"database": "postgresql://127.0.0.1:1/none"})
    with pytest.raises(StorageError, match="cannot be reached"):
        await asyncio.to_thread(make_backup, away, wanted)
    assert not wanted.target.exists()
