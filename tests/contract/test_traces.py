"""The Traces port: where the time of stored turns went."""

from dataclasses import replace

import pytest

from portal.core.clock import micros
from portal.core.records import TraceRecord
from portal.errors import BadRequest, NotFound
from portal.storage.open import Storage
from portal.storage.traces import Sort
from portal.testing.records import OWNER, STRANGER, response, trace, usage, used, user


async def kept(storage: Storage, *, owner: str = OWNER, **fields: object) -> TraceRecord:
    """A turn that ended with this trace."""
    record = response(owner=owner)
    await storage.turn_log.begin(record, [])
    made = trace(record.id, owner=owner, **fields)
    await storage.turn_log.finish(replace(record, status=made.status), [], made)
    return made


async def test_it_is_kept_with_the_end_of_its_turn(storage: Storage) -> None:
    made = await kept(storage, error="broken", dropped=3)
    assert await storage.traces.get(OWNER, made.response_id) == made
    assert await storage.traces.of_anybody(made.response_id) == made
    with pytest.raises(NotFound):
        await storage.traces.get(STRANGER, made.response_id)
    with pytest.raises(NotFound):
        await storage.traces.of_anybody("resp_none")


async def test_it_goes_with_its_response(storage: Storage) -> None:
    made = await kept(storage)
    await storage.responses.delete(OWNER, made.response_id)
    with pytest.raises(NotFound):
        await storage.traces.of_anybody(made.response_id)


async def test_old_ones_are_forgotten(storage: Storage) -> None:
    old, new = await kept(storage, created_at=5), await kept(storage, created_at=9)
    await storage.traces.expire(9)
    with pytest.raises(NotFound):
        await storage.traces.of_anybody(old.response_id)
    assert await storage.traces.of_anybody(new.response_id) == new


async def test_the_slow_and_the_failed_of_all_people_come_in_pages(storage: Storage) -> None:
    await storage.people.add(user(id=STRANGER, name="Mallory"))
    now = micros()
    for place in range(7):
        status = "failed" if place % 3 == 0 else "completed"
        owner = STRANGER if place % 2 else OWNER
        await kept(storage, owner=owner, status=status, created_at=now + place, milliseconds=(place * 37) % 11)
    await kept(storage, created_at=now - 1, milliseconds=999, status="failed")

    async def pages(sort: str) -> list[TraceRecord]:
        found, cursor = list[TraceRecord](), None
        while True:
            page = await storage.traces.list(sort, since=now, limit=2, cursor=cursor)  # type: ignore[arg-type]
            found += page.data
            cursor = page.next
            if cursor is None:
                return found

    slow, failed, recent = [await pages(sort) for sort in ("slow", "failed", "recent")]
    assert [one.milliseconds for one in slow] == sorted((place * 37 % 11 for place in range(7)), reverse=True)
    assert [one.created_at - now for one in failed] == [6, 3, 0]
    assert [one.created_at - now for one in recent] == [6, 5, 4, 3, 2, 1, 0]
    assert {one.person for one in recent if one.owner == STRANGER} == {"Mallory"}
    assert not any(one.spans for one in recent)
    first = await storage.traces.list("slow", since=now, limit=2)
    with pytest.raises(BadRequest):
        await storage.traces.list("failed", since=now, cursor=first.next)


async def test_calls_that_nothing_is_stored_of_are_found_as_well(storage: Storage) -> None:
    now = micros()
    await kept(storage, created_at=now + 1, milliseconds=5000)
    calls = [
        usage(id="call_slow", created_at=now + 2, milliseconds=9000, first_milliseconds=8000),
        usage(id="call_quick", created_at=now + 3, milliseconds=10),
        usage(id="call_failed", created_at=now + 4, milliseconds=20, status="failed", error="It is\0 down."),
        usage(id="resp_stored", created_at=now + 5, milliseconds=99_000, status="failed"),
        usage(id="call_slower", created_at=now + 6, milliseconds=9000),
    ]
    for one in calls:
        storage.usage.record(one)
    await used(storage)

    async def ids(sort: Sort) -> list[str]:
        found, cursor = list[str](), None
        while True:
            page = await storage.traces.list(sort, since=now, limit=1, cursor=cursor)
            found += [one.response_id for one in page.data]
            if (cursor := page.next) is None:
                return found

    slow, failed, recent = [await ids(sort) for sort in ("slow", "failed", "recent")]
    assert slow[:2] == ["call_slower", "call_slow"]
    assert len(slow) == 3
    assert failed == ["call_failed"]
    (why,) = (await storage.traces.list("failed", since=now)).data
    assert why == replace(await storage.traces.of_anybody("call_failed"), spans=())
    assert why.error == "It is\ufffd down."
    assert recent[:4] == ["call_slower", "call_failed", "call_quick", "call_slow"]
    whole = await storage.traces.get(OWNER, "call_slow")
    assert (whole.milliseconds, whole.model) == (9000, "tiny")
    assert whole.spans[1]["attributes"]["first_ms"] == 8000
    assert await storage.traces.of_anybody("call_slow") == whole
    with pytest.raises(NotFound):
        await storage.traces.get(STRANGER, "call_slow")
    with pytest.raises(NotFound):
        await storage.traces.of_anybody("resp_stored")


async def test_why_old_calls_failed_is_forgotten_and_what_they_cost_stays(storage: Storage) -> None:
    for at in (5, 9):
        storage.usage.record(usage(id=f"call_{at}", created_at=at, status="failed", error="It is down."))
    await used(storage)
    await storage.traces.expire(9)
    old, new = await storage.traces.of_anybody("call_5"), await storage.traces.of_anybody("call_9")
    assert (old.error, old.status, new.error) == ("", "failed", "It is down.")
