"""Upgrades: a copy is migrated, verified and put in place; whatever goes wrong, what is there is whole."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from portal.errors import StorageError, StorageFull
from portal.settings import Settings
from portal.settings.backup import BackupSettings
from portal.storage.database import Statement
from portal.storage.migrate import Migration, migrate, packaged
from portal.storage.open import open_storage
from portal.storage.sqlite import SqliteDatabase, prepare
from portal.storage.upgrade import put_back, snapshots, upgrade
from portal.testing.faulty_vfs import FaultyVfs, Operation

FIRST = Migration(
    1,
    "first",
    "CREATE TABLE notes (id TEXT PRIMARY KEY, words TEXT); CREATE TABLE loose (words TEXT);"
    "CREATE TABLE gone (id TEXT PRIMARY KEY); CREATE TABLE pairs (a TEXT, b TEXT, PRIMARY KEY (a, b));",
)
GOOD = Migration(
    2, "good", "ALTER TABLE notes ADD COLUMN more TEXT; DROP TABLE gone; CREATE TABLE new AS SELECT id FROM notes;"
)
BAD = {
    "not SQL": "ALTER TABLE notes ADD COLUMN more TEXT; INSERT INTO nowhere VALUES (1);",
    "orphans": "CREATE TABLE kids (id TEXT REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED);"
    "INSERT INTO kids VALUES ('nobody');",
    "loses rows": "DELETE FROM notes WHERE id > 'note-5';",
    "loses rows without keys": "DELETE FROM loose;",
    "changes keys": "UPDATE notes SET id = 'x' || id WHERE id = 'note-7';",
    "doubles": "INSERT INTO pairs VALUES ('c', 'd');",
}


async def filled(path: Path, *, notes: int = 9, size: int = 100) -> None:
    """A database as an earlier version left it."""
    prepare(path, newest=1)
    database = SqliteDatabase(path=path)
    await migrate(database, [FIRST])
    await database.batch(
        [
            *(
                Statement("INSERT INTO notes VALUES (:id, :words)", {"id": f"note-{number}", "words": "w" * size})
                for number in range(notes)
            ),
            Statement("INSERT INTO loose VALUES ('one')"),
            Statement("INSERT INTO pairs VALUES ('a', 'b')"),
        ]
    )
    await database.aclose()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    made = tmp_path / "data" / "portal.db"
    await filled(made)
    return made


@pytest.fixture
def vfs(request: pytest.FixtureRequest) -> Iterator[FaultyVfs]:
    made = FaultyVfs(f"faulty-{request.node.name}")
    yield made
    made.unregister()


def content(path: Path) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(path))
    try:
        assert connection.pragma("integrity_check") == "ok"
        return connection.execute("SELECT id, words FROM notes ORDER BY id").fetchall()
    finally:
        connection.close()


def schema(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[60:64], "big")


async def test_the_copy_takes_its_place_and_the_old_one_stays(path: Path) -> None:
    before, file = content(path), path.stat().st_ino
    await upgrade(path, [FIRST, GOOD], keep=1)

    kept = path.with_name("portal.db.schema-1")
    assert (schema(path), schema(kept)) == (2, 1)
    assert content(path) == content(kept) == before
    assert kept.stat().st_ino == file, "it is the old file itself, not one more copy"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert sorted(os.listdir(path.parent)) == ["portal.db", "portal.db.schema-1"]


async def test_without_second_names_the_old_one_is_copied(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    (path.with_name("portal.db.schema-1")).write_text("of an earlier try")
    await upgrade(path, [FIRST, GOOD], keep=1)
    assert content(path) == content(path.with_name("portal.db.schema-1"))


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_upgrade_leaves_the_database_alone(path: Path, bad: str) -> None:
    before = content(path)
    with pytest.raises(StorageError, match="was undone; the database is as it was"):
        await upgrade(path, [FIRST, Migration(2, "bad", BAD[bad])], keep=1)
    assert (schema(path), content(path)) == (1, before)
    assert os.listdir(path.parent) == ["portal.db"]
    await upgrade(path, [FIRST, GOOD], keep=1)
    assert schema(path) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_disk_that_fills_up_leaves_the_database_alone(path: Path, vfs: FaultyVfs) -> None:
    """At every write of the migration, one after the other."""
    before, writes, room = content(path), 0, 0

    def full(operation: Operation) -> Exception | None:
        nonlocal writes
        writes += operation.kind == "write"
        return apsw.FullError("full") if operation.kind == "write" and writes > room else None

    vfs.fault = full
    while schema(path) == 1:
        writes = 0
        try:
            await upgrade(path, [FIRST, GOOD], keep=1, vfs=vfs.name)
        except StorageFull:
            assert content(path) == before
            assert os.listdir(path.parent) == ["portal.db"]
        room += 1
    assert room > 5
    assert content(path) == before


async def test_a_disk_without_enough_room_is_told_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(path)
    monkeypatch.setattr("portal.storage.upgrade.shutil.disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(StorageFull, match="Make room"):
        await upgrade(path, [FIRST, GOOD], keep=1)


async def test_who_still_has_it_open_is_not_left_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of the version before would go on writing into the file that lost its place."""
    server = SqliteDatabase(path=path)
    monkeypatch.setattr("portal.storage.upgrade._ATTEMPTS", 3)
    with pytest.raises(StorageError, match="stop it first"):
        await upgrade(path, [FIRST, GOOD], keep=1)
    await server.batch([Statement("INSERT INTO notes VALUES ('z', '')")])
    await server.aclose()
    await upgrade(path, [FIRST, GOOD], keep=1)
    assert content(path)[-1] == ("z", "")


async def test_of_several_at_once_one_upgrades(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    await old_installation(tmp_path)

    async def opened() -> None:
        async with open_storage(settings) as storage:
            assert await storage.key_values.get("kept") == {}

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(opened())
    assert [schema for schema, _ in snapshots(tmp_path / "portal.db")] == [1]


async def old_installation(folder: Path) -> None:
    prepare(folder / "portal.db", newest=1)
    old = SqliteDatabase(path=folder / "portal.db")
    await migrate(old, packaged("sqlite")[:1])
    await old.batch([Statement("INSERT INTO key_values VALUES ('kept', '{}')")])
    await old.aclose()


async def test_so_many_copies_are_kept_as_the_settings_say(tmp_path: Path) -> None:
    await old_installation(tmp_path)
    for number in (0, 7, 8):
        (tmp_path / f"portal.db.schema-{number}").touch()
    (tmp_path / "portal.db.schema-mine").touch()
    (tmp_path / "portal.db.schema-0").unlink()
    (tmp_path / "portal.db.schema-0").mkdir()
    async with open_storage(Settings(data_dir=tmp_path, backup=BackupSettings(snapshots=2))):
        pass
    assert [schema for schema, _ in snapshots(tmp_path / "portal.db")] == [8, 7, 0]
    assert (tmp_path / "portal.db.schema-mine").exists()


KILLED = """
import asyncio, logging, os, pathlib, signal, sys
from portal.settings import Settings
from portal.storage.open import open_storage

class Killer(logging.Handler):
    def __init__(self, left):
        super().__init__()
        self.left = left
    def emit(self, record):
        print(record.getMessage(), flush=True)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

logger = logging.getLogger("portal.storage.upgrade")
logger.setLevel("INFO")
logger.addHandler(Killer(int(sys.argv[2])))

async def main():
    async with open_storage(Settings(data_dir=pathlib.Path(sys.argv[1]))):
        pass

asyncio.run(main())
"""


@pytest.mark.parametrize("step", range(6))
async def test_killed_at_any_step_it_opens_again(tmp_path: Path, step: int) -> None:
    await old_installation(tmp_path)
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout.splitlines()
    assert (done.returncode == -signal.SIGKILL) == (step < 5), done.stderr
    assert len(said) == min(step + 1, 5), said
    assert schema(tmp_path / "portal.db") == (1 if step < 4 else packaged("sqlite")[-1].version)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        assert await storage.key_values.get("kept") == {}
    assert sorted(os.listdir(tmp_path)) == ["portal.db", "portal.db.schema-1"]


TIMED = """
import asyncio, pathlib, sys
from portal.storage.upgrade import upgrade
from tests.storage.test_upgrade import FIRST, GOOD
print("begun", flush=True)
asyncio.run(upgrade(pathlib.Path(sys.argv[1]), [FIRST, GOOD], keep=1))
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_killed_at_any_moment_it_opens_again(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """With a database that takes a while: 60 kills in the short form, spread over what it takes when nobody kills."""
    rounds = 3 * request.config.getoption("--kill-rounds")
    await filled(tmp_path / "first" / "portal.db", notes=4000, size=5000)
    before, began, found = content(tmp_path / "first/portal.db"), 0.0, set()
    took = 1.0
    for number in range(-1, rounds):
        path = tmp_path / f"round-{number}" / "portal.db"
        shutil.copytree(tmp_path / "first", path.parent)
        command = [sys.executable, "-c", TIMED, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=request.config.rootpath) as process:
            assert process.stdout is not None
            process.stdout.readline()
            began = time.monotonic()
            if number < 0:
                assert process.wait() == 0
                took = time.monotonic() - began
                continue
            time.sleep(took * number / rounds)
            process.kill()
        found.add(schema(path))
        assert content(path) == before
        await upgrade(path, [FIRST, GOOD], keep=1)
        assert (schema(path), content(path)) == (2, before)
        assert sorted(os.listdir(path.parent)) == ["portal.db", "portal.db.schema-1"]
        shutil.rmtree(path.parent)
    assert 1 in found


async def test_the_database_from_before_is_put_back(path: Path) -> None:
    before = content(path)
    await upgrade(path, [FIRST, GOOD], keep=1)
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO notes (id, words) VALUES ('since', '')")
    connection.close()

    aside = put_back(path, path.with_name("portal.db.schema-1"))

    assert (schema(path), content(path)) == (1, before)
    assert len(content(aside)) == len(before) + 1
    assert put_back(path, aside).name == "portal.db.aside-2"
    assert len(content(path)) == len(before) + 1


async def test_a_damaged_copy_is_not_put_back(path: Path) -> None:
    copy = path.with_name("portal.db.schema-1")
    copy.write_bytes(path.read_bytes()[:9000])
    for bad in (copy, path.with_name("portal.db.schema-0")):
        with pytest.raises(StorageError):
            put_back(path, bad)
    assert sorted(os.listdir(path.parent)) == ["portal.db", "portal.db.schema-1"]
