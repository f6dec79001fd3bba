"""What was deleted goes in the background: once for several deletions, again where it could not be, and at the end."""

import asyncio
from pathlib import Path

import apsw
import pytest
from tests.contract.test_collections import added, claimed, rows_of, store, text_of

from portal.errors import StorageError
from portal.settings import Settings
from portal.storage.backups.data_files import DATABASE_NAME
from portal.storage.cleaning import Cleaning
from portal.storage.database import Row, Statement
from portal.storage.open import Storage, open_storage
from portal.storage.passage_index import index_on
from portal.testing.postgres import PostgresServer
from portal.testing.records import OWNER, passage

MARKED = "SELECT COUNT(*) AS marks FROM key_values WHERE name LIKE 'left.%'"


class Watched:
    """The database, which counts how often its files are gone through, and may fail or wait."""

    def __init__(self, storage: Storage) -> None:
        self._inner = storage.database
        self.dialect = self._inner.dialect
        self.scrubs = 0
        self.failure: StorageError | None = None
        self.done = True
        self.held: asyncio.Event | None = None
        self.scrubbed = asyncio.Event()

    async def fetch(self, sql: str, **args: object) -> list[Row]:
        if self.failure:
            raise self.failure
        return await self._inner.fetch(sql, **args)

    async def batch(self, statements: list[Statement]) -> list[list[Row]]:
        return await self._inner.batch(statements)

    async def scrub(self) -> bool:
        self.scrubs += 1
        self.scrubbed.set()
        if self.held:
            await self.held.wait()
        return self.done and await self._inner.scrub()


async def forgotten(storage: Storage, number: int) -> None:
    await storage.database.batch(list(storage.passages.dropping(OWNER, "memories", document=f"mem_{number}")))


async def marks(storage: Storage) -> int:
    return int((await storage.database.fetch(MARKED))[0]["marks"])


async def test_deletions_that_follow_each_other_are_cleared_away_together(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        database = Watched(storage)
        cleaning = Cleaning(database=database, index=index_on(storage.database))  # type: ignore[arg-type]
        for number in range(20):
            await storage.passages.replace(
                OWNER, "memories", f"mem_{number}", [passage(f"zanzibar{number}x", document=f"mem_{number}")]
            )
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(cleaning.run())
            for number in range(20):
                await forgotten(storage, number)
                cleaning.call()
            while await marks(storage):
                await asyncio.sleep(0.01)
            running.cancel()
        assert 1 <= database.scrubs <= 3
        assert b"zanzibar" not in b"".join(path.read_bytes() for path in tmp_path.glob(f"{DATABASE_NAME}*"))


async def test_what_could_not_be_done_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        database = Watched(storage)
        cleaning = Cleaning(database=database, index=index_on(storage.database))  # type: ignore[arg-type]
        await forgotten(storage, 1)
        database.done = False
        assert not await cleaning.clean()
        assert await marks(storage) == 1
        database.failure = StorageError("The disk is away.")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(cleaning.run())
            while "could not be cleared away" not in caplog.text:
                await asyncio.sleep(0.01)
            await cleaning.finish()
            database.failure, database.done = None, True
            cleaning.call()
            while await marks(storage):
                await asyncio.sleep(0.01)
            running.cancel()


async def test_at_the_end_it_is_given_some_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        database = Watched(storage)
        database.held = asyncio.Event()
        cleaning = Cleaning(database=database, index=index_on(storage.database))  # type: ignore[arg-type]
        await forgotten(storage, 1)
        await cleaning.finish(0.05)
        assert "at the next start" in caplog.text
        assert await marks(storage) == 1
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        while await marks(storage):
            await asyncio.sleep(0.01)


async def test_files_that_are_read_all_the_time_are_left_for_later(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        await storage.database.batch([Statement("CREATE TABLE t (name TEXT)"), Statement("INSERT INTO t VALUES ('x')")])
        reading = apsw.Connection(str(tmp_path / DATABASE_NAME))
        reading.execute("BEGIN")
        assert reading.execute("SELECT name FROM t").fetchall() == [("x",)]
        await forgotten(storage, 1)
        assert not await storage.cleaning.clean()
        reading.execute("ROLLBACK")
        reading.close()
        assert await storage.cleaning.clean()


async def test_servers_that_clear_away_the_same_leave_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    """One that meets what another has just deleted finds none of it, which does not say that there is no more."""
    opened = Settings(data_dir=tmp_path, database=postgres.database())
    async with open_storage(opened) as one, open_storage(opened) as other:
        for _ in range(5):
            shelf = await store(one)
            file_id = await added(one, shelf)
            job = await claimed(one)
            await one.reading_queue.complete(job, "k", text_of(job, *(f"piece{number}" for number in range(500))))
            await one.documents.remove(OWNER, shelf, file_id)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(one.cleaning.clean())
                tasks.create_task(other.cleaning.clean())
            assert await rows_of(one) == [0, 0, 0]
