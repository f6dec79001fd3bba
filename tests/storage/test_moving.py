"""Moving between the engines: all arrives, whatever interrupts it, and comes back as it was."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contract.belongings import one_of_everything

from portal.core.passages import Within
from portal.errors import Conflict, DataFolderBusy, SettingsError, StorageError
from portal.settings import Settings
from portal.storage.cells import FEW
from portal.storage.data_folder import lock_data_folder
from portal.storage.database import Database, Statement
from portal.storage.files import CHUNK
from portal.storage.moving import MARK, Move
from portal.storage.moving_ends import Place, open_ends, place_of
from portal.storage.moving_tables import left_out, tables
from portal.storage.open import Storage, open_storage
from portal.testing.postgres import PostgresServer
from portal.testing.records import OWNER, answered, conversation, file, output, passage, response, said

MANY = FEW + 300
DICE = np.random.default_rng(1)
VECTORS = DICE.normal(size=(MANY, 8)).astype(np.float32)
QUERY = (VECTORS[7] / np.linalg.norm(VECTORS[7])).astype(np.float32)
DOCUMENTS = Within(owner=OWNER, space="documents")


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.database()


async def large() -> AsyncIterator[bytes]:
    for letter in b"abc":
        yield bytes([letter]) * CHUNK


async def live(storage: Storage, many: int) -> None:
    """Fill it with some of everything, chains of answers, a large file and many passages."""
    await one_of_everything(storage)
    talk = conversation(title="Straße nach Zürich")
    await storage.conversations.create(talk)
    previous = None
    for at in range(40):
        turn = response(conversation_id=talk.id, previous_id=previous)
        await storage.turn_log.begin(turn, [said(f"question {at} 编程 naïve")])
        await storage.turn_log.append(turn.id, output(turn.id, answered(f"answer {at} \N{PARTY POPPER} running")))
        previous = turn.id
    await storage.files.create(file(filename="large"), large())
    pieces = [passage(f"chunk {at} of running foxes", document="file_many", position=at) for at in range(many)]
    await storage.passages.replace(OWNER, "documents", "file_many", pieces, embedder="e8", vectors=VECTORS[:many])
    await storage.passages.tend()


async def found(storage: Storage) -> list[object]:
    """What people find by words and by meaning."""
    talks = await storage.conversations.list(OWNER, query="zürich strasse")
    said_so = await storage.conversations.list(OWNER, query="naive question 编")
    words = await storage.passages.words(DOCUMENTS, "a running fox of chunk 77", 5)
    near = await storage.passages.nearest(DOCUMENTS, "e8", QUERY, 5)
    return [
        [talk.id for talk in talks.data],
        said_so.data,
        words[0].id,
        near[0].id,
        await storage.passages.embedders(),
    ]


async def dumped(database: Database, other: Database) -> Mapping[str, Sequence[Any]]:
    """Every row of every table that is moved."""
    sqlite, postgres = (database, other) if database.dialect == "sqlite" else (other, database)
    found = {}
    for table in await tables(sqlite, postgres):
        keys = ", ".join(table.key)
        rows = await database.fetch(f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY {keys}")
        found[table.name] = sorted(rows, key=lambda row, keys=table.key: [row[key] for key in keys])  # type: ignore[misc]
    return found


def ignored(table: str, rows: int) -> None:
    """Nobody is told."""


async def moved(source: Place, target: Place, told: Callable[[str, int], None] = ignored) -> Mapping[str, int]:
    folder = (source.path or target.path or Path()).parent
    async with AsyncExitStack() as stack:
        ends = await open_ends(source, target, folder, stack)
        return await Move(source=ends.source, target=ends.target, fingerprint=ends.fingerprint, told=told).run()


async def living(folder: Path, many: int) -> tuple[Place, list[object]]:
    async with open_storage(Settings(data_dir=folder)) as storage:
        await live(storage, many)
        return Place(path=folder / "portal.db"), await found(storage)


@pytest.fixture
async def lived_in(tmp_path: Path) -> tuple[Place, list[object]]:
    return await living(tmp_path, 200)


async def test_all_arrives_and_comes_back(url: str, tmp_path: Path) -> None:
    source, known = await living(tmp_path, MANY)
    back = Place(path=tmp_path / "back" / "portal.db")
    counts = await moved(source, Place(url=url))
    assert counts["passages"] > MANY
    assert counts["responses"] > 40
    async with open_storage(Settings(data_dir=tmp_path, database=url)) as there:
        assert await found(there) == known
        await there.passages.tend()
        assert await found(there) == known
        # New rows get numbers of their own.
        await there.passages.replace(OWNER, "documents", "new", [passage("whole new thing")])
        assert len(await there.passages.words(DOCUMENTS, "whole new thing", 5)) > 0
        await there.conversations.create(conversation(title="made on the other side"))
    await moved(Place(url=url), back)
    async with open_storage(Settings(data_dir=back.path.parent if back.path else tmp_path)) as again:
        await again.passages.tend()
        assert await found(again) == known
        assert (await again.conversations.list(OWNER, query="other side")).data
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_storage(Settings(data_dir=tmp_path)))
        there = await stack.enter_async_context(open_storage(Settings(database=url)))
        again = await stack.enter_async_context(open_storage(Settings(data_dir=tmp_path / "back")))
        before, after = await dumped(first.database, there.database), await dumped(again.database, there.database)
        assert await dumped(there.database, first.database) == after
        for name, rows in before.items():
            if name not in ("key_values", "embedders"):
                assert [row for row in rows if row not in after[name]] == [], name
        assert await left_out(first.database, there.database) == set()


class Enough(Exception):
    pass


@pytest.mark.parametrize("step", ["conversations", "responses", "responses.previous_id", "passages", "file_chunks"])
async def test_a_move_that_was_interrupted_goes_on(
    lived_in: tuple[Place, list[object]], url: str, tmp_path: Path, step: str
) -> None:
    source, known = lived_in
    seen: list[tuple[str, int]] = []

    def stop(table: str, rows: int) -> None:
        seen.append((table, rows))
        if table == step:
            raise Enough

    with pytest.raises(Enough):
        await moved(source, Place(url=url), stop)
    with pytest.raises(StorageError, match="has not come to its end"):
        async with open_storage(Settings(data_dir=tmp_path / "other", database=url)):
            pass
    again: list[tuple[str, int]] = []
    await moved(source, Place(url=url), lambda table, rows: again.append((table, rows)))
    assert not {table for table, _ in seen[:-1]} & {table for table, _ in again} - {step}
    async with open_storage(Settings(data_dir=tmp_path, database=url)) as there:
        assert await found(there) == known


async def test_what_was_changed_meanwhile_is_not_gone_on_with(
    lived_in: tuple[Place, list[object]], url: str, tmp_path: Path
) -> None:
    source, _ = lived_in

    def stop(table: str, rows: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        await moved(source, Place(url=url), stop)
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        await storage.conversations.create(conversation())
    with pytest.raises(Conflict, match="changed since"):
        await moved(source, Place(url=url))


async def test_what_arrives_otherwise_than_it_left_is_told(lived_in: tuple[Place, list[object]], url: str) -> None:
    source, _ = lived_in
    async with open_storage(Settings(database=url)) as storage:
        rule = "CREATE RULE lost AS ON INSERT TO folders DO INSTEAD NOTHING"
        await storage.database.batch([Statement(rule)])
    with pytest.raises((Conflict, StorageError)):
        await moved(source, Place(url=url))
    with pytest.raises(StorageError, match="not come to its end"):
        async with open_storage(Settings(database=url)):
            pass


async def test_only_an_empty_place_is_moved_to(lived_in: tuple[Place, list[object]], url: str) -> None:
    source, _ = lived_in
    async with open_storage(Settings(database=url)) as storage:
        await storage.users.owner()
    with pytest.raises(Conflict, match="not empty"):
        await moved(source, Place(url=url))


async def test_ends_that_cannot_be(lived_in: tuple[Place, list[object]], url: str, tmp_path: Path) -> None:
    source, _ = lived_in
    with pytest.raises(SettingsError, match="already"):
        await moved(source, Place(path=tmp_path / "x" / "portal.db"))
    with pytest.raises(StorageError, match="no database at"):
        await moved(replace(source, path=tmp_path / "none" / "portal.db"), Place(url=url))
    with lock_data_folder(tmp_path, "a server"), pytest.raises(DataFolderBusy, match="a server"):
        await moved(source, Place(url=url))
    async with open_storage(Settings(database=url)) as storage:
        await storage.database.own()
        with pytest.raises(DataFolderBusy):
            await moved(source, Place(url=url))
    (tmp_path / "portal.db").write_bytes(b"nonsense" * 100)
    with pytest.raises(StorageError, match=r"portal\.db"):
        await moved(source, Place(url=url))


async def test_a_source_of_an_older_portal_is_left_alone(lived_in: tuple[Place, list[object]], url: str) -> None:
    source, _ = lived_in
    async with open_storage(Settings(database=url)) as storage:
        await storage.database.batch(
            [Statement("DELETE FROM schema_versions WHERE version = (SELECT MAX(version) FROM schema_versions)")]
        )
    with pytest.raises(StorageError, match="older Portal"):
        await moved(Place(url=url), Place(path=source.path.with_name("other.db") if source.path else None))


def test_places(tmp_path: Path) -> None:
    assert place_of("", tmp_path).path == tmp_path / "portal.db"
    assert place_of("sqlite:", tmp_path).path == tmp_path / "portal.db"
    assert place_of("sqlite:/a/b", tmp_path).path == Path("/a/b/portal.db")
    assert place_of("sqlite:/a/b.db", tmp_path).path == Path("/a/b.db")
    secret = place_of("postgresql://me:secret@host/portal", tmp_path)
    assert str(secret) == "postgresql://me@host/portal"
    assert str(place_of("postgresql://host/portal", tmp_path)) == "postgresql://host/portal"
    with pytest.raises(SettingsError, match="mysql"):
        place_of("mysql://host/portal", tmp_path)


def test_the_mark_is_a_key_that_nobody_else_uses() -> None:
    assert MARK == "moving"
