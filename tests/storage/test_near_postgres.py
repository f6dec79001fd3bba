"""Many vectors on PostgreSQL: found quickly and nearly all by pgvector, and all of them without it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest
from tests.storage.test_cells import DIMENSIONS, DOCUMENTS, Library, clustered

from portal.core.passages import Within
from portal.errors import StorageError
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.near_postgres import FEW, WAITING, unusable
from portal.storage.open import Storage, open_storage
from portal.testing.postgres import PostgresServer
from portal.testing.records import OWNER, passage

INDICES = (
    "SELECT indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname ~ '^passage_near_[0-9]'"
)


@pytest.fixture
async def storage(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(Settings(data_dir=tmp_path, database=postgres.database())) as opened:
        yield opened


async def count(storage: Storage, table: str) -> int:
    return int((await storage.database.fetch(f"SELECT COUNT(*) AS n FROM {table}"))[0]["n"])


async def filled(storage: Storage, documents: int) -> Library:
    dice = np.random.default_rng(3)
    library = Library(storage)
    for number in range(documents):
        await library.put(f"d{number}", clustered(dice, 100), group=f"vs_{number % 20}")
    await storage.passages.tend()
    return library


@pytest.mark.slow
@pytest.mark.long
async def test_many_are_found_by_an_index_with_conditions_inside(storage: Storage) -> None:
    library = await filled(storage, 60)
    queries = clustered(np.random.default_rng(4), 30)
    assert len(await storage.database.fetch(INDICES)) == 1
    assert await count(storage, "passage_vectors") < WAITING
    assert await count(storage, "passage_near") > FEW
    assert await library.recall(queries) >= 0.95
    narrow = replace(DOCUMENTS, groups=["vs_7"])
    assert await library.recall(queries, narrow, ["vs_7"]) >= 0.95
    attribute = replace(DOCUMENTS, filters={"type": "eq", "key": "group", "value": "vs_3"})
    assert await library.recall(queries, attribute, ["vs_3"]) >= 0.95
    assert await storage.passages.nearest(replace(DOCUMENTS, groups=["vs_none"]), "e", queries[0], 10) == []
    ids = list(library.rows)[:5]
    known = await storage.passages.vectors(OWNER, "e", ids)
    for one in ids:
        assert known[one] == pytest.approx(library.rows[one], abs=2e-3)


async def test_what_is_replaced_and_dropped_is_gone_at_once(storage: Storage) -> None:
    library = await filled(storage, 45)
    dice = np.random.default_rng(5)
    for number in range(0, 45, 3):
        await library.put(f"d{number}", clustered(dice, 100))
    await storage.passages.drop(OWNER, "documents", document="d1")
    library.forget("d1")
    queries = clustered(dice, 20)
    assert await library.recall(queries) >= 0.95
    await storage.passages.tend()
    assert await library.recall(queries) >= 0.95
    assert await storage.passages.embedders() == {"e": len(library.rows)}
    one = next(iter(library.rows))
    await storage.passages.embed("e", [one], queries[:1])  # embedded again, it waits again
    assert (await storage.passages.nearest(DOCUMENTS, "e", queries[0], 1))[0].id == one
    assert await storage.passages.embedders() == {"e": len(library.rows)}


@pytest.mark.slow
async def test_another_embedder_has_an_index_of_its_own_and_takes_it_along(storage: Storage) -> None:
    library = await filled(storage, 45)
    ids = list(library.rows)
    wide = np.random.default_rng(6).normal(size=(len(ids), DIMENSIONS * 2)).astype(np.float32)
    for at in range(0, len(ids), 500):
        await storage.passages.embed("wide", ids[at : at + 500], wide[at : at + 500])
    await storage.passages.tend()
    assert len(await storage.database.fetch(INDICES)) == 2
    unit = wide[9] / np.linalg.norm(wide[9])
    assert (await storage.passages.nearest(DOCUMENTS, "wide", unit, 3))[0].id == ids[9]
    await storage.passages.forget_embedder("e")
    await storage.passages.tend()
    assert len(await storage.database.fetch(INDICES)) == 1
    assert await storage.passages.embedders() == {"wide": len(ids)}
    assert await storage.passages.nearest(DOCUMENTS, "e", library.rows[ids[0]], 3) == []


@pytest.mark.slow
async def test_half_an_index_that_a_crash_left_is_made_again(storage: Storage) -> None:
    await filled(storage, 45)
    broken = "UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = (SELECT indexrelid FROM ({0}) AS i)"
    await storage.database.batch([Statement(broken.format(INDICES))])
    before = await storage.database.fetch(INDICES)
    await storage.passages.tend()
    after = await storage.database.fetch(INDICES)
    assert len(after) == 1
    assert after != before


REFUSE = """
CREATE FUNCTION refused() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not for you'; END $$;
CREATE EVENT TRIGGER refusing ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION refused()"""


@pytest.mark.slow
async def test_without_the_extension_every_vector_is_compared(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(REFUSE)
    async with open_storage(Settings(data_dir=tmp_path, database=url)) as storage:
        await without_and_with(storage)


async def without_and_with(storage: Storage) -> None:
    library = await filled(storage, 45)
    await storage.passages.tend()
    assert await count(storage, "passage_near") == 0
    assert await library.recall(clustered(np.random.default_rng(7), 5)) == 1
    await storage.database.batch([Statement("DROP EVENT TRIGGER refusing")])
    await storage.passages.tend()
    assert await count(storage, "passage_near") >= FEW
    # One that is taken away again takes its vectors along: they are made again.
    await storage.database.batch([Statement("DROP EXTENSION vector CASCADE")])
    with pytest.raises(StorageError):
        await storage.passages.nearest(DOCUMENTS, "e", clustered(np.random.default_rng(7), 1)[0], 5)
    await storage.passages.tend()
    assert len(await storage.passages.unembedded("e", 10_000)) >= FEW


@pytest.mark.slow
async def test_vectors_wider_than_an_index_takes_are_compared_without_one(storage: Storage) -> None:
    pieces = [passage("x", document="file_1", position=n) for n in range(FEW + 1)]
    rows = np.zeros((len(pieces), 4_001), np.float32)
    rows[np.arange(len(pieces)), np.arange(len(pieces)) % 4_001] = 1
    for at in range(0, len(pieces), 500):
        part = pieces[at : at + 500]
        await storage.passages.replace(
            OWNER, "documents", f"file_{at}", part, embedder="wide", vectors=rows[at : at + 500]
        )
    await storage.passages.tend()
    assert await storage.database.fetch(INDICES) == []
    assert await count(storage, "passage_near") > 0
    hits = await storage.passages.nearest(Within(owner=OWNER, space="documents"), "wide", rows[3], 1)
    assert hits[0].score == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("offered", "version", "says"),
    [
        (None, None, "does not have"),
        ("0.7.4", None, "older"),
        ("0.8.1", "0.7.4", "older"),
        ("0.8.5", None, ""),
        ("1.0", "1.0", ""),
    ],
)
def test_which_extension_can_be_used(offered: str | None, version: str | None, says: str) -> None:
    why = unusable({"offered": offered, "version": version})
    assert says in why if says else not why
