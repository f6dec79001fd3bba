"""The Files port: streams both ways, all or nothing."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from portal.core.clock import micros
from portal.core.collections import CollectionRecord, NewDocument
from portal.errors import BadRequest, Conflict, NotFound, StorageFull
from portal.settings import Settings
from portal.settings.files import FileSettings
from portal.storage.database import Statement
from portal.storage.files import CHUNK, StoredFiles
from portal.storage.open import Storage, open_storage
from portal.testing.postgres import empty
from portal.testing.records import OWNER, STRANGER, credential, file, user
from portal.testing.s3_server import S3Server

DAY = 86_400_000_000

Count = Callable[[], Awaitable[int]]


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def broken(content: bytes) -> AsyncIterator[bytes]:
    yield content
    raise ConnectionResetError


async def read(storage: Storage, file_id: str, owner: str = OWNER) -> list[bytes]:
    return [chunk async for chunk in storage.files.content(owner, file_id)]


@pytest.fixture(params=["sqlite", "postgres", "s3", pytest.param("three", marks=[pytest.mark.slow, pytest.mark.long])])
def kind(request: pytest.FixtureRequest) -> str:
    """In the database, in a bucket beside it, or in the database that three servers share."""
    return str(request.param)


@pytest.fixture
def settings(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if kind == "s3":
        bucket = request.getfixturevalue("s3").bucket()
        return Settings(data_dir=tmp_path / "data", files=FileSettings(store="s3", s3=bucket))
    url = ""
    if kind != "sqlite":
        url = request.getfixturevalue("postgres_url")
        empty(url)
    return Settings(data_dir=tmp_path / "data", database=url)


@pytest.fixture
def pieces_in_s3(settings: Settings, request: pytest.FixtureRequest) -> Callable[[], int]:
    """How many chunks what is in the bucket comes to."""
    if not settings.files.s3.bucket:
        return lambda: 0
    server: S3Server = request.getfixturevalue("s3")
    return lambda: sum(-(-size // CHUNK) for size in server.objects(settings.files.s3.bucket).values())


@pytest.fixture
def chunks(storage: Storage, pieces_in_s3: Callable[[], int]) -> Callable[[], Awaitable[int]]:
    """How many chunks are kept, wherever."""

    async def counted() -> int:
        here = (await storage.database.fetch("SELECT COUNT(*) AS n FROM file_chunks"))[0]["n"]
        return int(here) + pieces_in_s3()

    return counted


@pytest.fixture
def rows(storage: Storage, chunks: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
    """How many files and chunks are kept."""

    async def counted() -> int:
        return int((await storage.database.fetch("SELECT COUNT(*) AS n FROM files"))[0]["n"]) + await chunks()

    return counted


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17])
async def test_content_comes_back_in_chunks(storage: Storage, size: int) -> None:
    content = random.Random(size).randbytes(size)
    sent = file(size=5, sha256="nonsense")
    kept = await storage.files.create(sent, pieces(content, 700_001))
    assert kept == replace(sent, size=size, sha256=hashlib.sha256(content).hexdigest())
    assert await storage.files.get(OWNER, sent.id) == kept
    chunks = await read(storage, sent.id)
    assert b"".join(chunks) == content
    assert all(len(chunk) <= CHUNK for chunk in chunks)


async def test_what_breaks_off_leaves_nothing(storage: Storage, rows: Count) -> None:
    with pytest.raises(ConnectionResetError):
        await storage.files.create(file(), broken(b"x" * (2 * CHUNK)))
    assert await rows() == 0


async def test_an_upload_that_is_cancelled_leaves_nothing(storage: Storage, rows: Count) -> None:
    stored = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * CHUNK
        stored.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(storage.files.create(file(), slow()))
        await stored.wait()
        task.cancel()
    assert task.cancelled()
    assert await rows() == 0


async def test_a_file_is_not_visible_before_it_is_whole(storage: Storage) -> None:
    record = file()

    async def watched() -> AsyncIterator[bytes]:
        yield b"x" * CHUNK
        with pytest.raises(NotFound):
            await storage.files.get(OWNER, record.id)
        with pytest.raises(NotFound):
            await read(storage, record.id)
        with pytest.raises(NotFound):
            await storage.files.delete(OWNER, record.id)
        assert (await storage.files.list(OWNER)).data == []
        yield b"y"

    await storage.files.create(record, watched())
    assert await storage.files.get(OWNER, record.id)


async def test_what_a_crash_left_is_swept_away(settings: Settings, rows: Count) -> None:
    record = file(created_at=micros() - 2 * DAY)
    async with open_storage(settings) as storage:
        kept = await storage.files.create(file(), pieces(b"kept"))
        await storage.files.create(record, pieces(b"x" * (20 * CHUNK), CHUNK))
        # As a crash in the middle of its upload leaves it.
        await storage.database.batch([Statement("UPDATE files SET ready = 0 WHERE id = :id", {"id": record.id})])
    async with open_storage(settings) as storage:
        assert [found.id for found in (await storage.files.list(OWNER)).data] == [kept.id]
        await storage.sweep()
        assert await rows() == 2
        assert await read(storage, kept.id) == [b"kept"]


async def test_sweeping_spares_an_upload_under_way(storage: Storage) -> None:
    async def swept() -> AsyncIterator[bytes]:
        yield b"x" * CHUNK
        await storage.sweep()
        yield b"y"

    record = await storage.files.create(file(), swept())
    await storage.sweep()
    assert len(b"".join(await read(storage, record.id))) == CHUNK + 1


async def test_sweeping_and_uploading_side_by_side(storage: Storage, rows: Count) -> None:
    async def sweep(uploading: "asyncio.Future[None]") -> None:
        while not uploading.done():
            await storage.sweep()

    async def upload() -> None:
        for _ in range(15):
            await storage.files.create(file(), pieces(b"x" * 10, 3))

    async with asyncio.TaskGroup() as group:
        uploading = group.create_task(upload())
        group.create_task(sweep(uploading))
    assert len((await storage.files.list(OWNER)).data) == 15
    assert await rows() == 15 + 1


async def test_sweeping_forgets_what_expired(storage: Storage, rows: Count) -> None:
    await storage.files.create(file(created_at=micros() - 2 * DAY, expires_at=micros() - 1), pieces(b"old"))
    new = await storage.files.create(file(expires_at=micros() + DAY), pieces(b"new"))
    await storage.users.add_credential(credential(kind="session", expires_at=micros() - 1), "old")
    await storage.users.add_credential(credential(kind="session", expires_at=micros() + DAY), "new")
    await storage.sweep()
    assert await rows() == 2
    assert await read(storage, new.id) == [b"new"]
    assert len(await storage.database.fetch("SELECT id FROM credentials")) == 1


async def test_expired_files_are_not_there(storage: Storage) -> None:
    record = file(expires_at=micros() - 1)
    await storage.files.create(record, pieces(b"old"))
    with pytest.raises(NotFound):
        await storage.files.get(OWNER, record.id)
    with pytest.raises(NotFound):
        await read(storage, record.id)
    assert (await storage.files.list(OWNER)).data == []


async def test_an_id_is_used_once(storage: Storage) -> None:
    record = file()
    await storage.files.create(record, pieces(b"first"))
    with pytest.raises(Conflict):
        await storage.files.create(record, pieces(b"second"))
    assert await read(storage, record.id) == [b"first"]


async def test_files_are_listed_in_pages(storage: Storage) -> None:
    made = [await storage.files.create(file(created_at=at // 2), pieces(b"x")) for at in range(5)]
    await storage.files.create(file(owner=STRANGER), pieces(b"x"))
    newest_first = sorted(made, key=lambda record: (record.created_at, record.id), reverse=True)
    for ascending, expected in ((False, newest_first), (True, newest_first[::-1])):
        page = await storage.files.list(OWNER, limit=2, ascending=ascending)
        assert page.data == expected[:2]
        assert page.next == expected[1].id
        page = await storage.files.list(OWNER, limit=3, after=page.next, ascending=ascending)
        assert page.data == expected[2:]
        assert page.next is None


async def test_files_are_listed_by_purpose(storage: Storage) -> None:
    wanted = await storage.files.create(file(purpose="vision"), pieces(b"x"))
    await storage.files.create(file(), pieces(b"x"))
    assert (await storage.files.list(OWNER, purpose="vision")).data == [wanted]
    assert len((await storage.files.list(OWNER, limit=0)).data) == 1


async def test_after_must_be_a_file_of_this_owner(storage: Storage) -> None:
    theirs = await storage.files.create(file(owner=STRANGER), pieces(b"x"))
    for wrong in (theirs.id, "file_none"):
        with pytest.raises(BadRequest) as caught:
            await storage.files.list(OWNER, after=wrong)
        assert caught.value.param == "after"


async def test_a_deleted_file_is_gone(storage: Storage, rows: Count) -> None:
    record = await storage.files.create(file(), pieces(b"x" * (20 * CHUNK), CHUNK))
    await storage.files.delete(OWNER, record.id)
    assert await rows() == 0
    with pytest.raises(NotFound):
        await storage.files.delete(OWNER, record.id)


async def test_a_file_deleted_while_it_is_read_ends_with_an_error(storage: Storage) -> None:
    record = await storage.files.create(file(), pieces(b"x" * (6 * CHUNK)))
    content = storage.files.content(OWNER, record.id)
    assert len(await anext(content)) == CHUNK
    await storage.files.delete(OWNER, record.id)
    with pytest.raises(NotFound):
        _ = [piece async for piece in content]


async def test_several_uploads_at_once(storage: Storage) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(storage.files.create(file(), pieces(bytes([number]) * 1_500_000))) for number in range(8)
        ]
    for number, task in enumerate(tasks):
        assert b"".join(await read(storage, task.result().id)) == bytes([number]) * 1_500_000


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (5, 5), (CHUNK - 1, CHUNK + 1), (CHUNK, 2 * CHUNK), (100, None), (0, 9 * CHUNK)]
)
async def test_a_part_of_the_content(storage: Storage, start: int, end: int | None) -> None:
    content = random.Random(1).randbytes(2 * CHUNK + 500)
    record = await storage.files.create(file(), pieces(content))
    found = [chunk async for chunk in storage.files.content(OWNER, record.id, start, end)]
    assert b"".join(found) == content[start:end]


async def test_the_same_bytes_are_kept_once_and_go_with_their_last_file(
    storage: Storage, rows: Count, chunks: Count
) -> None:
    content = b"x" * (2 * CHUNK) + b"y"
    first = await storage.files.create(file(filename="a"), pieces(content))
    second = await storage.files.create(file(filename="b"), pieces(content))
    third = await storage.files.create(file(filename="c"), pieces(content))
    theirs = await storage.files.create(file(owner=STRANGER), pieces(content))
    assert await chunks() == 6
    assert (await storage.files.usage(OWNER)).bytes == len(content)
    assert (await storage.files.usage(OWNER)).files == 3

    await storage.files.delete(OWNER, first.id)
    await storage.sweep()
    for kept in (second, third):
        assert b"".join(await read(storage, kept.id)) == content
    with pytest.raises(NotFound):
        await read(storage, first.id)
    await storage.files.delete(OWNER, third.id)
    again = await storage.files.create(file(filename="d"), pieces(content))
    await storage.files.delete(OWNER, second.id)
    assert b"".join(await read(storage, again.id)) == content
    await storage.files.delete(OWNER, again.id)
    assert await rows() == 1 + 3
    await storage.files.delete(STRANGER, theirs.id)
    assert await rows() == 0


async def test_what_a_crash_left_of_content_that_is_kept_already_is_swept_away(storage: Storage, chunks: Count) -> None:
    await storage.files.create(file(), pieces(b"same"))
    again = await storage.files.create(file(), pieces(b"same"))
    # As a crash behind the moment in which the second one became visible leaves it.
    left = "INSERT INTO file_chunks (file_id, number, owner, data) VALUES (:id, 0, :owner, :data)"
    await storage.database.batch([Statement(left, {"id": again.id, "owner": OWNER, "data": b"same"})])
    assert await chunks() == 2
    await storage.sweep()
    assert await chunks() == 1
    assert await read(storage, again.id) == [b"same"]


async def test_equal_files_come_and_go_side_by_side(storage: Storage, rows: Count) -> None:
    await storage.people.add(user(id=OWNER))
    content = b"z" * (CHUNK + 1)

    async def come_and_go() -> None:
        for _ in range(5):
            record = await storage.files.create(file(), pieces(content))
            assert b"".join(await read(storage, record.id)) == content
            await storage.files.delete(OWNER, record.id)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(come_and_go())
    await storage.sweep()
    assert await rows() == 0


async def test_a_quota_refuses_what_does_not_fit_and_loses_nothing(storage: Storage) -> None:
    files = StoredFiles(database=storage.database, quota=1000)
    kept = await files.create(file(), pieces(b"a" * 600))
    with pytest.raises(StorageFull, match="1,000 bytes"):
        await files.create(file(), pieces(b"b" * 401))
    with pytest.raises(StorageFull):
        await files.create(file(), pieces(b"c" * 3000))
    same = await files.create(file(), pieces(b"a" * 600))
    await files.create(file(), pieces(b"d" * 400))
    with pytest.raises(StorageFull) as full:
        await files.create(file(), pieces(b"e"))
    assert full.value.code == "file_quota_reached"
    await files.create(file(owner=STRANGER), pieces(b"f" * 1000))
    usage = await files.usage(OWNER)
    assert (usage.files, usage.bytes, usage.quota) == (3, 1000, 1000)
    assert b"".join(await read(storage, kept.id)) == b"".join(await read(storage, same.id)) == b"a" * 600


async def test_files_are_kept_as_long_as_the_settings_say(storage: Storage) -> None:
    files = StoredFiles(database=storage.database, keep_days=30)
    old = await files.create(file(created_at=micros() - 31 * DAY), pieces(b"old"))
    own = await files.create(file(created_at=micros() - 31 * DAY, expires_at=micros() + DAY), pieces(b"own"))
    used = await files.create(file(created_at=micros() - 31 * DAY), pieces(b"used"))
    new = await files.create(file(created_at=micros() - 29 * DAY), pieces(b"new"))
    await storage.collections.create(
        CollectionRecord(id="vs_1", owner=OWNER, name="Kept", created_at=micros(), last_active_at=micros())
    )
    await storage.documents.add(OWNER, "vs_1", [NewDocument(file_id=used.id)])
    await files.sweep()
    assert {one.id for one in (await files.list(OWNER)).data} == {own.id, used.id, new.id}
    with pytest.raises(NotFound):
        await files.get(OWNER, old.id)
