"""Media jobs and their queue: over SQLite and PostgreSQL alike."""

import asyncio
from dataclasses import replace

import pytest

from portal.core.media import MediaJob
from portal.errors import BadRequest, Conflict, NotFound
from portal.storage.open import Storage
from portal.testing.records import OWNER, STRANGER, media_job, user


async def kept(storage: Storage, **fields: object) -> MediaJob:
    made = media_job(**fields)
    await storage.media_jobs.add(made)
    return made


async def test_a_job_is_kept_as_it_is(storage: Storage) -> None:
    made = await kept(storage, values={"prompt": "ä", "seed": 2**48, "cfg": 1.5}, pictures={"image": "file_1"})
    assert await storage.media_jobs.get(OWNER, made.id) == made
    for call in (storage.media_jobs.get, storage.media_jobs.delete):
        with pytest.raises(NotFound):
            await call(STRANGER, made.id)
    with pytest.raises(NotFound):
        await storage.media_jobs.cancel(STRANGER, made.id, 1)


async def test_lists_are_by_owner_newest_first_in_pages(storage: Storage) -> None:
    jobs = [await kept(storage, kind=kind, call_id="mcp_1") for kind in ("image", "video", "image")]
    await kept(storage, owner=STRANGER)
    first = await storage.media_jobs.list(OWNER, limit=2)
    assert [one.id for one in first.data] == [jobs[2].id, jobs[1].id]
    rest = await storage.media_jobs.list(OWNER, limit=2, cursor=first.next)
    assert ([one.id for one in rest.data], rest.next) == ([jobs[0].id], None)
    images = await storage.media_jobs.list(OWNER, kind="image", status="queued", call_id="mcp_1")
    assert [one.id for one in images.data] == [jobs[2].id, jobs[0].id]
    with pytest.raises(BadRequest):
        await storage.media_jobs.list(OWNER, kind="image", cursor=first.next)


async def test_jobs_are_claimed_once_in_order(storage: Storage) -> None:
    queue = storage.media_jobs
    jobs = [await kept(storage, created_at=10 + at) for at in range(4)]

    async def claim() -> MediaJob | None:
        return await queue.claim(100, 200)

    async with asyncio.TaskGroup() as tasks:
        claims = [tasks.create_task(claim()) for _ in range(6)]
    found = [one.result() for one in claims]
    assert sorted(one.id for one in found if one) == [one.id for one in jobs]
    assert {one.status for one in found if one} == {"running"}
    assert await queue.claim(150, 250) is None
    again = await queue.claim(200, 300)  # nobody renewed it
    assert again is not None
    assert again.started_at == 101


async def test_whoever_held_a_job_too_long_changes_nothing_of_it(storage: Storage) -> None:
    queue = storage.media_jobs
    made = await kept(storage, created_at=1)
    late, theirs = await queue.claim(5, 10), await queue.claim(10, 1000)
    assert late is not None
    assert theirs is not None
    assert not await queue.change(replace(late, engine_job="late"), 2000)
    assert await queue.change(replace(theirs, engine_job="theirs"), 2000)
    assert not await queue.change(replace(late, status="failed", ended_at=9), 0)
    assert (await queue.get(OWNER, made.id)).engine_job == "theirs"


async def test_what_runs_is_changed_until_it_has_ended(storage: Storage) -> None:
    queue = storage.media_jobs
    made = await kept(storage, created_at=1)
    assert not await queue.change(made, 9)  # it does not run yet
    with pytest.raises(Conflict):
        await queue.delete(OWNER, made.id)
    running = await queue.claim(5, 10)
    assert running is not None
    assert await queue.change(replace(running, engine_job="p", progress=0.5, detail="step 1"), 20)
    assert await queue.claim(15, 30) is None
    ended = replace(running, status="done", results=({"file_id": "file_1"},), ended_at=9, progress=1.0)
    assert await queue.change(ended, 0)
    assert not await queue.change(ended, 0)
    assert await queue.get(OWNER, made.id) == ended
    with pytest.raises(Conflict):
        await queue.cancel(OWNER, made.id, 50)
    await queue.delete(OWNER, made.id)
    with pytest.raises(NotFound):
        await queue.get(OWNER, made.id)


async def test_what_is_cancelled_stays_so(storage: Storage) -> None:
    queue = storage.media_jobs
    waiting, going = await kept(storage, created_at=1), await kept(storage, created_at=0)
    running = await queue.claim(5, 10)
    assert running is not None
    assert running.id == going.id
    for one in (waiting, going):
        assert (await queue.cancel(OWNER, one.id, 7)).status == "cancelled"
    assert not await queue.change(replace(running, status="done"), 0)
    assert await queue.claim(50, 60) is None


async def test_a_server_that_starts_takes_up_what_its_crash_left(storage: Storage) -> None:
    made = await kept(storage, created_at=1)
    assert await storage.media_jobs.claim(5, 1000) is not None
    await storage.media_jobs.release(6)
    found = await storage.media_jobs.claim(6, 1000)
    if storage.database.dialect == "sqlite":
        assert found is not None
        assert found.id == made.id
    else:  # another server may hold it
        assert found is None


async def test_jobs_of_who_is_suspended_wait(storage: Storage) -> None:
    waiting = await kept(storage, created_at=1)
    person = user(id=OWNER)
    await storage.people.add(replace(person, suspended_at=1))
    assert await storage.media_jobs.claim(5, 10) is None
    await storage.people.save(person)
    found = await storage.media_jobs.claim(5, 10)
    assert found is not None
    assert found.id == waiting.id
