"""An index of words that is damaged is made anew from what it indexes, by whoever comes upon it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
import pytest_asyncio

from portal.core.passages import Within
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.open import Storage, open_storage
from portal.storage.sqlite import SqliteDatabase
from portal.storage.words_anew import words_anew
from portal.testing.records import OWNER, conversation, passage, said

TABLES = ("documents_words", "search_words")
DAMAGES = {
    "cut": "UPDATE {table}_data SET block = substr(block, 1, 6) WHERE id > 10",
    "gone": "DELETE FROM {table}_data WHERE id > 10",
    "structure": "UPDATE {table}_data SET block = x'ffffffffffffffff' WHERE id = 10",
}


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(Settings(data_dir=tmp_path)) as opened:
        for number in range(20):
            piece = passage(f"zanzibar number{number}", document=f"file_{number}", heading=("Islands",))
            await opened.passages.replace(OWNER, "documents", piece.document, [piece])
        await opened.conversations.create(conversation(title="Islands"), [said("Where is zanzibar?")])
        yield opened


async def damage(storage: Storage, how: str) -> None:
    for table in TABLES:
        await storage.database.batch([Statement(DAMAGES[how].format(table=table))])


async def found(storage: Storage, text: str) -> int:
    return len(await storage.passages.words(Within(owner=OWNER, space="documents"), text, 50))


async def told(storage: Storage, text: str) -> int:
    return len((await storage.conversations.list(OWNER, query=text)).data)


@pytest.mark.parametrize("how", DAMAGES)
async def test_whoever_searches_finds(storage: Storage, how: str, caplog: pytest.LogCaptureFixture) -> None:
    await damage(storage, how)
    async with asyncio.TaskGroup() as group:
        several = [group.create_task(found(storage, "zanzibar")) for _ in range(5)]
    assert [one.result() for one in several] == [20] * 5
    assert await found(storage, "island number7") == 20
    assert (await told(storage, "zanzibar"), await told(storage, "islands"), await told(storage, "atlantis")) == (
        1,
        1,
        0,
    )
    assert "documents_words" in caplog.text


@pytest.mark.parametrize("how", DAMAGES)
async def test_whoever_writes_stores(storage: Storage, how: str) -> None:
    await damage(storage, how)
    await storage.passages.drop(OWNER, "documents", document="file_3")
    for number in range(20, 40):
        await storage.passages.replace(
            OWNER, "documents", f"file_{number}", [passage("pemba", document=f"file_{number}")]
        )
    await storage.conversations.create(conversation(), [said("And pemba?")])
    assert (await found(storage, "zanzibar"), await found(storage, "pemba")) == (19, 20)
    assert (await told(storage, "zanzibar"), await told(storage, "pemba")) == (1, 1)


async def test_all_who_come_upon_it_wait_for_one_who_mends(storage: Storage, tmp_path: Path) -> None:
    await damage(storage, "cut")
    mended: list[apsw.Connection] = []

    def mend(connection: apsw.Connection) -> None:
        mended.append(connection)
        words_anew(connection)

    database = SqliteDatabase(path=tmp_path / "portal.db", mend=mend)
    look = "SELECT COUNT(*) AS found FROM documents_words WHERE documents_words MATCH 'zanzibar'"
    async with asyncio.TaskGroup() as group:
        several = [group.create_task(database.fetch(look)) for _ in range(8)]
    await database.aclose()
    assert [one.result() for one in several] == [[{"found": 20}]] * 8
    assert len(mended) < 4, "hardly any came upon it while it was being mended, and heard of it after"


async def test_what_is_whole_is_left_alone(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert await found(storage, "zanzibar") == 20
    assert not caplog.records
