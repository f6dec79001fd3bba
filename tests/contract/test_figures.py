"""The Consumption, Notes and Backlog ports: what was used, what happened, what waits."""

from datetime import UTC, datetime
from typing import Any

import pytest

from portal.core.backlog import Waiting
from portal.core.clock import micros
from portal.core.consumption import By, Question
from portal.core.ids import new_id
from portal.core.journal import Note
from portal.core.ports import UsageLog
from portal.errors import BadRequest
from portal.storage import journal
from portal.storage.database import Statement
from portal.storage.open import Storage
from portal.testing.records import (
    OWNER,
    STRANGER,
    approval,
    credential,
    media_job,
    output,
    request_item,
    response,
    usage,
)

HOUR = 3_600_000_000
DAY = 24 * HOUR


def at(text: str) -> int:
    """Microseconds of a moment in UTC."""
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


def used(log: UsageLog, moment: str, **fields: Any) -> None:
    log.record(usage(**{"created_at": at(moment), **fields}))


async def asked(storage: Storage, *by: By, since: str = "2024-01-01", until: str = "2027-01-01", **more: Any) -> Any:
    question = Question(since=at(since), until=at(until), by=by, **{"owner": OWNER, **more})
    return await storage.consumption.report(question)


async def test_calls_are_summed_by_day_and_model(storage: Storage) -> None:
    for moment, model in (
        ("2024-10-04", "a"),
        ("2024-10-04T01:00", "a"),
        ("2024-10-04T23:59", "b"),
        ("2024-10-05", "a"),
    ):
        used(storage.usage, moment, model=model)
    used(storage.usage, "2024-10-03T23:59", model="a")
    used(storage.usage, "2024-10-04", owner=STRANGER, decision={"why": "x"})
    same = usage(created_at=at("2024-10-05"), model="a", first_milliseconds=4, status="failed")
    storage.usage.record(same)
    storage.usage.record(same)

    rows = await asked(storage, "day", "model", since="2024-10-04")

    told = [(row["day"], row["model"], row["calls"], row["input_tokens"], row["output_tokens"]) for row in rows]
    assert told == [
        ("2024-10-05", "a", 2, 6, 10),
        ("2024-10-04", "a", 2, 6, 10),
        ("2024-10-04", "b", 1, 3, 5),
    ]
    assert [(row["failures"], row["milliseconds"], row["first_milliseconds"]) for row in rows] == [
        (1, 7, 4),
        (0, 7, None),
        (0, 7, None),
    ]


async def test_by_whatever_a_call_says_of_itself(storage: Storage) -> None:
    used(storage.usage, "2024-10-04", decision={"workspace": "auto"}, door="responses", credential="cred_1")
    used(storage.usage, "2024-10-05", owner=STRANGER, backend="other")

    whole = await asked(storage, "user", "workspace", "door", "backend", "key", owner=None)

    assert {tuple(row[name] for name in ("user", "workspace", "door", "backend", "key")) for row in whole} == {
        (OWNER, "auto", "responses", "ollama", "cred_1"),
        (STRANGER, "", "chat", "other", ""),
    }
    assert [row["calls"] for row in await asked(storage, owner=None)] == [2]
    assert await asked(storage, owner=None, until="2024-01-02") == []
    assert [row["user"] for row in await asked(storage, "user", owner=None, limit=1, model="tiny")] != []
    assert await asked(storage, "user", owner=None, model="none") == []


@pytest.mark.parametrize(
    ("zone", "moments", "days"),
    [
        ("UTC", ["2026-03-29T23:30"], ["2026-03-29"]),
        ("Europe/Berlin", ["2026-03-28T22:59", "2026-03-28T23:01"], ["2026-03-29", "2026-03-28"]),
        ("Europe/Berlin", ["2026-03-29T21:59", "2026-03-29T22:01"], ["2026-03-30", "2026-03-29"]),
        ("Europe/Berlin", ["2026-10-25T22:59", "2026-10-25T23:01"], ["2026-10-26", "2026-10-25"]),
        ("America/Los_Angeles", ["2026-06-02T06:59", "2026-06-02T07:01"], ["2026-06-02", "2026-06-01"]),
        ("Asia/Kathmandu", ["2026-06-01T18:14", "2026-06-01T18:16"], ["2026-06-02", "2026-06-01"]),
    ],
)
async def test_days_begin_where_one_lives(storage: Storage, zone: str, moments: list[str], days: list[str]) -> None:
    for moment in moments:
        used(storage.usage, moment)
    rows = await asked(storage, "day", zone=zone)
    assert [row["day"] for row in rows] == days


def note(**fields: Any) -> Note:
    known = {
        "id": new_id("note"),
        "at": micros(),
        "kind": "backend",
        "level": "info",
        "source": "portal.x",
        "text": "up",
    }
    return Note(**{**known, **fields})


async def test_notes_come_back_newest_first_and_found(storage: Storage) -> None:
    notes = [note(at=at, text=f"{at} 100% OF it", kind="error" if at == 2 else "backend") for at in (1, 2, 3)]
    await storage.notes.add(notes[:1])
    await storage.notes.add(notes[1:])

    first = await storage.notes.list(limit=2)

    assert [one.at for one in first.data] == [3, 2]
    rest = await storage.notes.list(limit=2, cursor=first.next)
    assert (list(rest.data), rest.next) == ([notes[0]], None)
    assert list((await storage.notes.list(kind="error")).data) == [notes[1]]
    assert [one.at for one in (await storage.notes.list(text="100% of")).data] == [3, 2, 1]
    assert list((await storage.notes.list(text="1_0")).data) == []
    with pytest.raises(BadRequest):
        await storage.notes.list(kind="error", cursor=first.next)


async def test_only_so_many_notes_are_kept(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT", 3)
    await storage.notes.add([note(at=at) for at in range(1, 7)])

    assert [one.at for one in (await storage.notes.list()).data] == [6, 5, 4, 3]


async def test_what_waits_is_counted(storage: Storage) -> None:
    assert await storage.backlog.waiting() == Waiting(unsent=[])
    await storage.users.owner()
    asking, owner = response(), OWNER
    await storage.turn_log.begin(asking, [])
    question = approval(response_id=asking.id)
    await storage.call_log.ask([output(asking.id, request_item(question), cuts=())], [question])
    await storage.users.add_credential(credential(kind="session"), "hash")
    await storage.users.add_credential(credential(kind="session", expires_at=1), "older")
    await storage.media_jobs.add(media_job(owner=owner))
    delivery = """INSERT INTO channel_deliveries (id, owner, channel, place, content, created_at, open)
        VALUES (:id, 'o', 'slack', '{}', '{}', :created_at, :open)"""
    rows = [{"id": f"d{at}", "created_at": at, "open": int(at < 3)} for at in (1, 2, 3)]
    await storage.database.batch([Statement(delivery, row) for row in rows])

    waiting = await storage.backlog.waiting()

    assert (waiting.approvals, waiting.sessions, waiting.media_queued, waiting.media_running) == (1, 1, 1, 0)
    assert [(one.channel, one.count, one.since) for one in waiting.unsent] == [("slack", 2, 1)]
