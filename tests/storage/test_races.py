"""What two servers, or two requests, do at the same moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from tests.contract.test_collections import added, claimed, store, text_of
from tests.contract.test_files import pieces, read

from portal.core.clock import micros
from portal.core.collections import NewDocument
from portal.core.schedules import Delivery
from portal.errors import Conflict, NotFound, StorageFull
from portal.settings import Settings
from portal.settings.backup import RetentionSettings
from portal.settings.files import FileSettings
from portal.storage.database import Row, Statement
from portal.storage.documents import StoredDocuments
from portal.storage.files import CHUNK
from portal.storage.open import Storage, open_storage
from portal.storage.retention import forget_old
from portal.storage.schedule_runs import StoredRuns
from portal.testing.postgres import PostgresServer
from portal.testing.records import OWNER, collection, conversation, file, response, schedule, schedule_run, source, user

DAY = 86_400_000_000
WAITING = "SELECT COUNT(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE NOT granted AND datname = %s"
HOLD_FIRST = """
SELECT 1 FROM files WHERE id = (SELECT file_id FROM documents ORDER BY created_at, id LIMIT 1) FOR UPDATE"""
HOLD_MARK = "SELECT 1 FROM key_values WHERE name = 'left.documents' FOR UPDATE"
CHANGE = Callable[[], Awaitable[object]]


class Meddled:
    """The database, and somebody who does something once as soon as a query has found this."""

    def __init__(self, storage: Storage, sql: str, meddle: CHANGE) -> None:
        self._inner, self._sql, self._meddle = storage.database, sql, meddle
        self.dialect = self._inner.dialect
        self.meddled = False

    async def fetch(self, sql: str, **args: object) -> list[Row]:
        rows = await self._inner.fetch(sql, **args)
        if self._sql in sql and rows and not self.meddled:
            self.meddled = True
            await self._meddle()
        return rows

    async def batch(self, statements: list[Statement]) -> list[list[Row]]:
        return await self._inner.batch(statements)


async def blocked(url: str, count: int) -> None:
    """Wait until so many wait for a lock of that database."""
    async with asyncio.timeout(30), await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        while True:
            row = await (await connection.execute(WAITING, [name])).fetchone()
            if row is not None and row[0] >= count:
                return
            await asyncio.sleep(0.02)


async def test_servers_that_delete_a_collection_together_leave_none_of_its_files(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """Each step of one found other documents than the step before it, once the other had deleted those."""
    opened = Settings(data_dir=tmp_path, database=postgres.database())
    async with open_storage(opened) as one, open_storage(opened) as other:
        shelf = await store(one)
        for number in range(200):
            await added(one, shelf, str(number))
        async with await psycopg.AsyncConnection.connect(opened.database) as connection:
            await connection.execute(HOLD_FIRST)
            # as if it had more of them than are hidden at once
            await one.database.batch([Statement("UPDATE collections SET leaving = 2")])
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(one.cleaning.clean())
                tasks.create_task(other.cleaning.clean())
                await blocked(opened.database, 2)
                await connection.rollback()
        assert await one.database.fetch("SELECT id FROM collections UNION SELECT id FROM documents") == []
        assert await one.database.fetch("SELECT id FROM files WHERE ready = 1") == []


@pytest.mark.parametrize(("first", "second"), [("delete", "sweep"), ("delete", "remove"), ("sweep", "complete")])
async def test_none_who_clear_documents_away_wait_for_each_other(
    postgres: PostgresServer, tmp_path: Path, first: str, second: str
) -> None:
    """After a second PostgreSQL would end one of them. Here it is patient, and the test is not."""
    opened = Settings(data_dir=tmp_path, database=postgres.database() + "&options=-c%20deadlock_timeout%3D30s")
    async with open_storage(opened) as one, open_storage(opened) as other:
        shelf = await store(one, expires_days=1)
        await one.sources.add(watched := source(shelf))
        file_id = await added(one, shelf, source_id=watched.id)
        await one.reading_queue.claim(micros(), 0)
        job = await claimed(one)  # whoever read it before is gone
        over = Statement("UPDATE collections SET last_active_at = 1")
        await one.database.batch([over, one.cleaning.marking("documents")])
        ways: dict[str, Callable[[Storage], Awaitable[None]]] = {
            "delete": lambda at: at.collections.delete(OWNER, shelf),
            "sweep": lambda at: at.documents.sweep(),
            "remove": lambda at: at.documents.remove(OWNER, shelf, file_id),
            "complete": lambda at: at.reading_queue.complete(job, "key", text_of(job, "read")),
        }

        async def done(name: str, at: Storage) -> None:
            with suppress(Conflict):  # it comes too late
                await ways[name](at)

        async with await psycopg.AsyncConnection.connect(opened.database) as connection:
            await connection.execute(HOLD_MARK)
            async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
                tasks.create_task(done(first, one))
                await blocked(opened.database, 1)
                tasks.create_task(done(second, other))
                await blocked(opened.database, 2)
                await connection.rollback()
        await one.cleaning.clean()
        assert await one.database.fetch("SELECT id FROM documents") == []


async def test_files_that_come_together_have_no_more_room_than_one_by_one(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    opened = Settings(data_dir=tmp_path, database=postgres.database(), files=FileSettings(quota=100))
    async with open_storage(opened) as one, open_storage(opened) as other:
        await one.people.add(user(id=OWNER))
        together = asyncio.Barrier(2)

        async def content(text: str) -> AsyncIterator[bytes]:
            yield (text * 60).encode()[:60]
            await together.wait()

        async def created(storage: Storage, text: str) -> bool:
            try:
                await storage.files.create(file(), content(text))
            except StorageFull:
                return False
            return True

        for number in range(10):
            async with asyncio.TaskGroup() as tasks:
                done = [tasks.create_task(created(at, f"{number}{at is one}")) for at in (one, other)]
            assert sorted(task.result() for task in done) == [False, True]
            for kept in (await one.files.list(OWNER)).data:
                await one.files.delete(OWNER, kept.id)


async def test_an_upload_that_is_cancelled_as_it_is_published_leaves_nothing(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """The batch goes on where its caller was cancelled: a file that is there has its content."""
    opened = Settings(data_dir=tmp_path, database=postgres.database())
    record, whole = file(), b"x" * CHUNK
    async with (
        open_storage(opened) as storage,
        await psycopg.AsyncConnection.connect(opened.database) as connection,
        asyncio.TaskGroup() as tasks,
    ):

        async def content() -> AsyncIterator[bytes]:
            yield whole
            await connection.execute("SELECT 1 FROM files WHERE id = %s FOR UPDATE", [record.id])

        task = tasks.create_task(storage.files.create(record, content()))
        await blocked(opened.database, 1)
        task.cancel()
        await blocked(opened.database, 2)
        await connection.rollback()
        await asyncio.wait([task])
        with pytest.raises(NotFound):
            await storage.files.get(OWNER, record.id)
        again = await storage.files.create(replace(file(), id="file_again"), pieces(whole))
        assert b"".join(await read(storage, again.id)) == whole
        assert await storage.database.fetch("SELECT id FROM files WHERE id = :id", id=record.id) == []


async def test_a_conversation_that_somebody_goes_on_with_is_not_too_old(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        old, used = conversation(updated_at=1), conversation(updated_at=2)
        for one in (old, used):
            await storage.conversations.create(one)

        async def goes_on() -> None:
            turn = response(conversation_id=used.id, created_at=micros())
            await storage.turn_log.begin(turn, [])

        database = Meddled(storage, "FROM conversations", goes_on)
        wanted = RetentionSettings(conversation_days=1)
        await forget_old(wanted, database=database, responses=storage.responses, audit=storage.audit)  # type: ignore[arg-type]
        assert database.meddled
        assert [one.id for one in (await storage.conversations.list(OWNER)).data] == [used.id]


async def test_an_old_response_that_somebody_deletes_ends_nothing(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        first, second = [response(created_at=at, status="completed", conversation_id=None) for at in (1, 2)]
        for one in (first, second):
            await storage.turn_log.begin(one, [])
        database = Meddled(storage, "FROM responses", lambda: storage.responses.delete(OWNER, first.id))
        wanted = RetentionSettings(conversation_days=1)
        await forget_old(wanted, database=database, responses=storage.responses, audit=storage.audit)  # type: ignore[arg-type]
        assert await storage.database.fetch("SELECT id FROM responses") == []


async def test_a_collection_that_is_used_again_as_its_time_is_over_keeps_what_it_has(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        await storage.collections.create(shelf := collection(expires_days=1))
        kept = await added(storage, shelf.id)
        await storage.database.batch([Statement("UPDATE collections SET last_active_at = 1")])
        another = (await storage.files.create(replace(file(), id="file_b"), pieces(b"another"))).id

        async def used() -> None:
            await storage.documents.add(OWNER, shelf.id, [NewDocument(file_id=another)])

        database = Meddled(storage, "last_active_at", used)
        await StoredDocuments(database=database, passages=storage.passages).sweep()  # type: ignore[arg-type]
        assert database.meddled
        assert {one.file_id for one in (await storage.documents.list(OWNER, shelf.id)).data} == {kept, another}


async def test_a_schedule_that_is_deleted_as_its_answer_is_to_go_out_ends_nothing(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        await storage.schedules.save(made := schedule(), token_hash=None)
        await storage.runs.add([run := schedule_run(made)])
        ended = replace(run, status="completed", deliveries=[Delivery(target="slack", ready_at=1)])
        await storage.runs.change(ended, "queued")
        database = Meddled(storage, "FROM schedule_runs", lambda: storage.schedules.delete(OWNER, made.id))
        assert await StoredRuns(database=database).take(5) is None  # type: ignore[arg-type]
        assert database.meddled
