"""SQLite below the database port: faults of the disk, files that are not ours, several processes."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest

from portal.errors import Conflict, DatabaseTooNew, DatabaseUnreadable, PortalError, StorageError, StorageFull
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.open import open_storage
from portal.storage.sqlite import SqliteDatabase, prepare
from portal.testing.faulty_vfs import FaultyVfs, Operation, no_fault

CREATE = "CREATE TABLE IF NOT EXISTS t (name TEXT PRIMARY KEY, value TEXT)"
INSERT = "INSERT INTO t (name, value) VALUES (:name, :value)"
NAMES = "SELECT name FROM t ORDER BY name"


def put(name: str, size: int = 1) -> Statement:
    return Statement(INSERT, {"name": name, "value": "x" * size})


@pytest.fixture
def vfs(request: pytest.FixtureRequest) -> Iterator[FaultyVfs]:
    made = FaultyVfs(f"faulty-{request.node.name}")
    yield made
    made.unregister()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    prepare(tmp_path / "data" / "portal.db", newest=1)
    return tmp_path / "data" / "portal.db"


@pytest.fixture
async def database(path: Path, vfs: FaultyVfs) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(path=path, vfs=vfs.name)
    await opened.batch([Statement(CREATE)])
    yield opened
    vfs.fault = no_fault
    await opened.aclose()


async def names(database: SqliteDatabase) -> list[str]:
    return [row["name"] for row in await database.fetch(NAMES)]


def failing(kind: str, error: type[Exception], *, after: int = 0, times: int = 10**9) -> "_Fault":
    return _Fault(kind, error, after, times)


class _Fault:
    def __init__(self, kind: str, error: type[Exception], after: int, times: int) -> None:
        self.kind, self.error, self.after, self.times = kind, error, after, times

    def __call__(self, operation: Operation) -> Exception | None:
        if operation.kind != self.kind:
            return None
        self.after -= 1
        if self.after >= 0 or self.times <= 0:
            return None
        self.times -= 1
        return self.error("the disk says no")


FAULTS = [
    pytest.param("write", apsw.FullError, StorageFull, id="disk full"),
    pytest.param("write", apsw.IOError, StorageError, id="write error"),
    pytest.param("sync", apsw.IOError, StorageError, id="sync error"),
]


@pytest.mark.parametrize(("kind", "error", "expected"), FAULTS)
@pytest.mark.parametrize("after", [0, 1, 2, 5])
async def test_a_failing_disk_fails_the_batch_and_nothing_else(
    database: SqliteDatabase,
    vfs: FaultyVfs,
    kind: str,
    error: type[Exception],
    expected: type[PortalError],
    after: int,
) -> None:
    await database.batch([put("before")])
    vfs.fault = failing(kind, error, after=after)
    stored, failed = ["before"], 0
    for number in range(8):
        try:
            await database.batch([put(f"{number}-a", 5000), put(f"{number}-b", 5000)])
        except expected:
            failed += 1
        else:
            stored += [f"{number}-a", f"{number}-b"]
    assert failed
    assert await names(database) == sorted(stored)
    vfs.fault = no_fault
    await database.batch([put("later")])
    assert await names(database) == sorted([*stored, "later"])


async def test_a_full_disk_in_a_shared_commit_fails_only_what_does_not_fit(
    database: SqliteDatabase, vfs: FaultyVfs
) -> None:
    """The first attempt of the shared transaction fails; each batch then runs alone. (One that the writer found alone
    in its queue has nobody to be saved from: it fails, and is sent again here.)"""
    vfs.fault = failing("write", apsw.FullError, times=1)
    failures: list[str] = []

    async def store(name: str) -> None:
        try:
            await database.batch([put(name, 3000)])
        except StorageFull:
            failures.append(name)
            await database.batch([put(name, 3000)])

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(store(f"{number:02}"))
        clash = group.create_task(_refused(database))
    assert len(failures) <= 1
    assert clash.result()
    assert await names(database) == [f"{number:02}" for number in range(20)]


async def _refused(database: SqliteDatabase) -> bool:
    try:
        await database.batch([put("00"), put("00")])
    except Conflict:
        return True
    return False


async def test_when_sqlite_gives_up_the_shared_transaction_the_others_are_stored_all_the_same(
    database: SqliteDatabase, vfs: FaultyVfs
) -> None:
    """A batch larger than the page cache writes before its commit; a full disk there ends the whole transaction."""
    vfs.fault = failing("write", apsw.FullError, after=100)

    async def large() -> bool:
        try:
            await database.batch([put(f"large-{number}", 2_000_000) for number in range(8)])
        except StorageFull:
            return True
        return False

    async with asyncio.TaskGroup() as group:
        group.create_task(_until_stored(database, vfs, put("small-1")))  # alone, or grouped with the large one
        failed = group.create_task(large())
        group.create_task(_until_stored(database, vfs, put("small-2")))
    assert failed.result()
    assert await names(database) == ["small-1", "small-2"]


async def _until_stored(database: SqliteDatabase, vfs: FaultyVfs, statement: Statement) -> None:
    """Somebody makes room."""
    while True:
        try:
            await database.batch([statement])
        except StorageFull:
            vfs.fault = no_fault
        else:
            return


async def test_a_fault_of_our_own_ends_the_writer_but_leaves_nobody_waiting(
    database: SqliteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    nonsense: list[Statement] = ["not a statement"]  # type: ignore[list-item]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_closed(database, nonsense)) for _ in range(300)]
    assert all(task.result() for task in tasks)
    assert "fault of its own" in caplog.text


async def _closed(database: SqliteDatabase, statements: list[Statement]) -> bool:
    try:
        await database.batch(statements)
    except StorageError as error:
        return "closed" in error.message
    return False


async def test_a_file_that_disappears_is_an_error(path: Path) -> None:
    database = SqliteDatabase(path=path)
    path.unlink()
    with pytest.raises(DatabaseUnreadable):
        await database.fetch("SELECT 1")
    await database.aclose()


async def test_queued_batches_share_a_commit(database: SqliteDatabase, vfs: FaultyVfs) -> None:
    already = sum(operation.kind == "sync" for operation in vfs.log)
    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(database.batch([put(f"{number:03}")]))
    assert len(await names(database)) == 200
    assert sum(operation.kind == "sync" for operation in vfs.log) - already < 20


async def test_every_batch_is_synced_before_its_caller_wakes(database: SqliteDatabase, vfs: FaultyVfs) -> None:
    for number in range(5):
        await database.batch([put(str(number))])
        vfs.mark("woke")
    writing = [operation.kind for operation in vfs.log if operation.kind in ("write", "sync", "mark")]
    last = [writing[at - 1] for at, kind in enumerate(writing) if kind == "mark"]
    assert last == ["sync"] * 5


async def test_closing_finishes_what_is_queued_and_refuses_what_comes_later(path: Path) -> None:
    database = SqliteDatabase(path=path)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(database.batch([Statement(CREATE)]))
        rest = [group.create_task(database.batch([put(str(number))])) for number in range(300)]
        await asyncio.sleep(0)
        await database.aclose()
    assert first.done()
    assert all(task.result() == [[]] for task in rest)
    with pytest.raises(StorageError, match="closed"):
        await database.batch([put("late")])
    with pytest.raises(StorageError, match="closed"):
        await database.fetch(NAMES)
    await database.aclose()
    assert not path.with_name("portal.db-wal").exists()


async def test_readers_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(DatabaseUnreadable, match="not writable"):
        await database.fetch("DELETE FROM t")


async def test_a_writer_of_another_process_is_waited_for(database: SqliteDatabase, path: Path) -> None:
    script = (
        "import apsw, sys; c = apsw.Connection(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); print('locked', flush=True);"
        "sys.stdin.readline(); c.execute(\"INSERT INTO t VALUES ('other', '')\"); c.execute('COMMIT')"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdin is not None
    assert other.stdout is not None
    assert await other.stdout.readline() == b"locked\n"
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(database.batch([put("ours")]))
        assert await names(database) == []
        assert not waiting.done()
        other.stdin.write(b"\n")
        group.create_task(other.communicate())
    assert await names(database) == ["other", "ours"]


async def test_a_database_that_stays_busy_is_an_error(path: Path) -> None:
    database = SqliteDatabase(path=path, busy_milliseconds=1)
    await database.batch([Statement(CREATE)])
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_busy(database, str(number))) for number in range(5)]
    assert all(task.result() for task in tasks)
    other.execute("ROLLBACK")
    other.close()
    await database.batch([put("now")])
    assert await names(database) == ["now"]
    await database.aclose()


async def _busy(database: SqliteDatabase, name: str) -> bool:
    try:
        await database.batch([put(name)])
    except StorageError as error:
        return "busy" in error.message
    return False


def fingerprint(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir() if file.is_file()}


def foreign(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all, " * 400)


def tiny(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0 and no more")


@pytest.mark.parametrize("make", [foreign, garbage, tiny])
async def test_a_file_that_is_not_ours_is_refused_and_untouched(tmp_path: Path, make: "object") -> None:
    assert callable(make)
    make(tmp_path / "portal.db")
    before = fingerprint(tmp_path)
    with pytest.raises(DatabaseUnreadable, match=r"portal\.db"):
        async with open_storage(Settings(data_dir=tmp_path)):
            pass
    assert fingerprint(tmp_path) == before


async def test_a_newer_database_is_refused_and_untouched(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        newer = "INSERT INTO schema_versions VALUES (9999, 'future', '', 0)"
        await storage.database.batch([Statement(newer), Statement("PRAGMA user_version = 9999")])
    before = fingerprint(tmp_path)
    with pytest.raises(DatabaseTooNew, match="Update Portal"):
        async with open_storage(Settings(data_dir=tmp_path)):
            pass
    assert fingerprint(tmp_path) == before


async def test_a_damaged_database_is_refused_and_untouched(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)):
        pass
    file = tmp_path / "portal.db"
    content = file.read_bytes()
    file.write_bytes(content[:100] + os.urandom(3996) + content[4096:])
    before = file.read_bytes()
    with pytest.raises(DatabaseUnreadable):
        async with open_storage(Settings(data_dir=tmp_path)):
            pass
    assert file.read_bytes() == before


async def test_a_cut_off_database_is_refused(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)):
        pass
    file = tmp_path / "portal.db"
    os.truncate(file, 4096)
    with pytest.raises(DatabaseUnreadable):
        async with open_storage(Settings(data_dir=tmp_path)):
            pass
    assert file.stat().st_size == 4096


async def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "portal.db").mkdir()
    with pytest.raises(DatabaseUnreadable):
        async with open_storage(Settings(data_dir=tmp_path)):
            pass


async def test_an_interrupted_creation_is_taken_up_again(tmp_path: Path) -> None:
    (tmp_path / "portal.db").touch()
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        assert (await storage.users.owner()).role == "owner"


async def test_a_hot_journal_is_left_to_sqlite(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        owner = await storage.users.owner()
    (tmp_path / "portal.db-journal").touch()
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        assert await storage.users.owner() == owner


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
async def test_files_are_private_under_any_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        async with open_storage(Settings(data_dir=tmp_path / "made" / "data")) as storage:
            await storage.users.owner()
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "made" / "data").iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("portal.db", "portal.db-wal", "portal.db-shm"), 0o600)
    assert stat.S_IMODE((tmp_path / "made" / "data").stat().st_mode) == 0o700


async def test_a_copy_that_others_could_read_becomes_private(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)):
        pass
    (tmp_path / "portal.db").chmod(0o644)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        await storage.users.owner()
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
