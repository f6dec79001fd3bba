"""What was acknowledged survives a power cut anywhere, and no half batch is ever seen."""

import asyncio
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw
import pytest

from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.migrate import migrate, packaged
from portal.storage.open import open_storage
from portal.storage.sqlite import SqliteDatabase, prepare
from portal.testing.faulty_vfs import FaultyVfs, Operation, after_power_loss

INSERT = "INSERT INTO key_values (name, value) VALUES (:name, :value)"


@pytest.fixture
def vfs(request: pytest.FixtureRequest) -> Iterator[FaultyVfs]:
    made = FaultyVfs(f"faulty-{request.node.name}")
    yield made
    made.unregister()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path / "now" / "portal.db", newest=99)
    return tmp_path / "now"


async def migrated(folder: Path) -> None:
    database = SqliteDatabase(path=folder / "portal.db")
    await migrate(database, packaged("sqlite"))
    await database.aclose()


async def work(folder: Path, vfs: FaultyVfs, *, writers: int, batches: int, seed: int) -> None:
    """Concurrent batches of rows named BATCH:ROW:ROWS, each marked in the log once acknowledged."""
    database = SqliteDatabase(path=folder / "portal.db", vfs=vfs.name)
    # Checkpoints every few pages, so that power goes in the middle of many.
    await database.batch([Statement("PRAGMA wal_autocheckpoint = 6")])

    async def write(writer: int) -> None:
        dice = random.Random(seed * 1000 + writer)
        for number in range(batches):
            name, rows = f"{writer}-{number}", dice.randint(1, 6)
            value = dice.choice("abc") * dice.choice((3, 100, 6000))
            await database.batch(
                [Statement(INSERT, {"name": f"{name}:{row}:{rows}", "value": value}) for row in range(rows)]
            )
            vfs.mark(name)

    async with asyncio.TaskGroup() as group:
        for writer in range(writers):
            group.create_task(write(writer))
    await database.aclose()


def check(found: Path, log: Sequence[Operation]) -> int:
    """Whole batches, among them all that were acknowledged; how many were found."""
    connection = apsw.Connection(str(found / "portal.db"))
    try:
        assert connection.pragma("integrity_check") == "ok"
        names = [name.split(":") for (name,) in connection.execute("SELECT name FROM key_values")]
    finally:
        connection.close()
    rows: dict[str, int] = {}
    for batch, _, _ in names:
        rows[batch] = rows.get(batch, 0) + 1
    assert all(rows[batch] == int(expected) for batch, _, expected in names), "half a batch is visible"
    acknowledged = {operation.file for operation in log if operation.kind == "mark"}
    assert acknowledged <= rows.keys(), "an acknowledged batch is lost"
    return len(rows)


async def cut_everywhere(tmp_path: Path, folder: Path, vfs: FaultyVfs, *, cuts: int, batches: int, seed: int) -> None:
    await migrated(folder)
    before = tmp_path / "before"
    shutil.copytree(folder, before)
    await work(folder, vfs, writers=5, batches=batches, seed=seed)
    written = {(operation.kind, operation.file) for operation in vfs.log}
    assert {(kind, file) for kind in ("write", "sync") for file in ("portal.db", "portal.db-wal")} <= written
    dice = random.Random(seed)
    found = set()
    for number in range(cuts):
        log = vfs.log[: dice.randint(0, len(vfs.log))]
        target = tmp_path / "after"
        target.mkdir()
        after_power_loss(before, log, target, seed=seed * 100_000 + number)
        found.add(check(target, log))
        shutil.rmtree(target)
    assert len(found) > batches / 2, "the cuts did not fall everywhere"
    assert check(folder, vfs.log) == 5 * batches


async def test_acknowledged_batches_survive_power_loss(tmp_path: Path, folder: Path, vfs: FaultyVfs) -> None:
    await cut_everywhere(tmp_path, folder, vfs, cuts=150, batches=15, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(2, 5))
async def test_acknowledged_batches_survive_power_loss_long(
    tmp_path: Path, folder: Path, vfs: FaultyVfs, seed: int, request: pytest.FixtureRequest
) -> None:
    """400 cuts each in the short form, 4,000 in the long one."""
    cuts = 20 * request.config.getoption("--kill-rounds")
    await cut_everywhere(tmp_path, folder, vfs, cuts=cuts, batches=60, seed=seed)


async def test_without_syncing_they_would_not(tmp_path: Path, folder: Path, vfs: FaultyVfs) -> None:
    """The simulation finds what it is there to find: with its syncs taken out, the same log loses batches."""
    await migrated(folder)
    before = tmp_path / "before"
    shutil.copytree(folder, before)
    await work(folder, vfs, writers=2, batches=10, seed=1)
    log = [operation for operation in vfs.log if operation.kind not in ("sync", "delete")]
    lost = 0
    for seed in range(20):
        target = tmp_path / f"after-{seed}"
        target.mkdir()
        after_power_loss(before, log, target, seed)
        try:
            check(target, log)
        except (AssertionError, apsw.Error):
            lost += 1
    assert lost > 10


async def test_power_loss_while_the_schema_is_made(tmp_path: Path, folder: Path, vfs: FaultyVfs) -> None:
    await cut_while_migrating(tmp_path, folder, vfs, cuts=25)


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_power_loss_while_the_schema_is_made_long(
    tmp_path: Path, folder: Path, vfs: FaultyVfs, request: pytest.FixtureRequest
) -> None:
    """80 cuts in the short form, 800 in the long one."""
    await cut_while_migrating(tmp_path, folder, vfs, cuts=4 * request.config.getoption("--kill-rounds"))


async def cut_while_migrating(tmp_path: Path, folder: Path, vfs: FaultyVfs, *, cuts: int) -> None:
    before = tmp_path / "before"
    shutil.copytree(folder, before)
    database = SqliteDatabase(path=folder / "portal.db", vfs=vfs.name)
    await migrate(database, packaged("sqlite"))
    await database.aclose()
    dice = random.Random(cuts)
    for number in range(cuts):
        target = tmp_path / f"after-{number}"
        target.mkdir()
        after_power_loss(before, vfs.log[: dice.randint(0, len(vfs.log))], target, seed=number)
        async with open_storage(Settings(data_dir=target)) as storage:
            assert (await storage.users.owner()).role == "owner"
