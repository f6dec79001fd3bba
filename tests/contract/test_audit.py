"""The chain of the audit: whole whoever appends at once, and what was done to it behind Portal's back is found."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from portal.core.audit import FORGOTTEN, Flaw, Place, chained
from portal.core.clock import micros
from portal.errors import BadRequest, PortalError, StorageError
from portal.storage.audit import StoredAudit, chain_older
from portal.storage.database import Database, Statement
from portal.storage.open import Storage
from portal.testing.records import audit

DAY = 86_400_000_000
TRIGGERS = ("audit_kept", "audit_fixed")


@pytest.fixture
async def lines(storage: Storage) -> list[str]:
    """The ids of six lines."""
    entries = [audit(detail={"text": "ä\0\ud800", "number": number}) for number in range(6)]
    for entry in entries:
        await storage.audit.record(entry)
    return [entry.id for entry in entries]


async def tampered(database: Database, *sqls: str) -> None:
    """What somebody with the database in their hands could do; a test that ends has its own database, or none left."""
    on = " ON audit" if database.dialect == "postgres" else ""
    await database.batch([Statement(f"DROP TRIGGER IF EXISTS {name}{on}") for name in TRIGGERS])
    await database.batch([Statement(sql) for sql in sqls])


async def restored(database: Database) -> None:
    """The guards of the database stand again, for the tests that share it."""
    if database.dialect == "postgres":
        kept = (
            "CREATE TRIGGER audit_kept BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_goes_from_its_start()"
        )
        fixed = (
            "CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit FOR EACH ROW "
            "WHEN (OLD.seq IS NOT NULL) EXECUTE FUNCTION audit_only_grows()"
        )
        await database.batch([Statement(kept), Statement(fixed)])


async def found(storage: Storage, anchor: Place | None = None) -> Sequence[Flaw]:
    return (await storage.audit.verify(anchor)).flaws


async def test_many_at_once_make_one_whole_chain(storage: Storage) -> None:
    others = [storage.audit, StoredAudit(database=storage.database), StoredAudit(database=storage.database)]
    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(others[number % 3].record(audit(detail={"number": number})))
    verified = await storage.audit.verify()
    assert (verified.head.seq, verified.flaws) == (30, [])
    with pytest.raises(PortalError):
        await storage.audit.record((await storage.audit.whole(limit=1)).data[0])
    await storage.audit.record(audit())
    assert (await storage.audit.verify(verified.head)).flaws == []


@pytest.mark.parametrize("sql", ["DELETE FROM audit", "UPDATE audit SET detail = '{}'"])
async def test_the_database_itself_lets_nothing_be_changed(storage: Storage, lines: list[str], sql: str) -> None:
    with pytest.raises(PortalError):
        await storage.database.batch([Statement(sql)])
    assert await found(storage) == []


COPY = (
    "INSERT INTO audit (id, owner, at, action, subject, detail, seq, prev, hash) "
    "SELECT 'forged', owner, at, action, subject, detail, {seq}, prev, hash FROM audit WHERE seq = 6"
)
DONE: dict[str, tuple[list[str], list[dict[str, Any]]]] = {
    "changed": (["UPDATE audit SET detail = '{}' WHERE seq = 3"], [{"kind": "changed", "seq": 3, "id": 2}]),
    "whose": (["UPDATE audit SET owner = 'user_b' WHERE seq = 6"], [{"kind": "changed", "seq": 6, "id": 5}]),
    "hash": (
        ["UPDATE audit SET hash = 'x' WHERE seq = 1"],
        [{"kind": "changed", "seq": 1, "id": 0}, {"kind": "changed", "seq": 1, "id": 0}],
    ),
    "removed": (["DELETE FROM audit WHERE seq = 4"], [{"kind": "removed", "seq": 4, "until": 4}]),
    "first": (["DELETE FROM audit WHERE seq < 3"], [{"kind": "removed", "seq": 1, "until": 2}]),
    "last": (["DELETE FROM audit WHERE seq > 4"], [{"kind": "removed", "seq": 5, "until": 6}]),
    "all": (["DELETE FROM audit"], [{"kind": "removed", "seq": 1, "until": 6}]),
    "inserted": ([COPY.format(seq="NULL")], [{"kind": "inserted", "seq": None, "id": "forged"}]),
    "appended": ([COPY.format(seq=7)], [{"kind": "inserted", "seq": 7, "id": "forged"}]),
    "before": ([COPY.format(seq=0)], [{"kind": "inserted", "seq": 0, "id": "forged"}]),
}


@pytest.mark.parametrize("case", DONE)
async def test_what_was_done_to_it_is_found_and_where(storage: Storage, lines: list[str], case: str) -> None:
    sqls, expected = DONE[case]
    await tampered(storage.database, *sqls)
    named = [{**one, "id": lines[one["id"]]} if isinstance(one.get("id"), int) else one for one in expected]
    assert await found(storage) == [Flaw(**one) for one in named]
    await restored(storage.database)


async def test_a_line_that_was_written_anew_with_its_hash_is_found_by_the_next(
    storage: Storage, lines: list[str]
) -> None:
    (row,) = await storage.database.fetch("SELECT * FROM audit WHERE seq = 2")
    forged = chained(Place(1, row["prev"]), {**row, "detail": "{}"}).hash
    await tampered(storage.database, f"UPDATE audit SET detail = '{{}}', hash = '{forged}' WHERE seq = 2")
    assert await found(storage) == [Flaw(kind="changed", seq=2, id=lines[1])]
    await tampered(storage.database, "DELETE FROM audit WHERE seq > 2", "UPDATE audit_head SET seq = 2")
    assert await found(storage) == [Flaw(kind="changed", seq=2, id=lines[1])]
    await restored(storage.database)


async def test_a_chain_that_was_made_anew_is_found_by_a_place_written_down_before(
    storage: Storage, lines: list[str]
) -> None:
    head = (await storage.audit.verify()).head
    await tampered(storage.database, "DELETE FROM audit", "DELETE FROM audit_head")
    anew = StoredAudit(database=storage.database)
    await anew.record(audit())
    assert (await anew.verify()).flaws == []
    assert (await anew.verify(head)).flaws == [Flaw(kind="removed", seq=2, until=6)]
    for _ in range(6):
        await anew.record(audit())
    assert (await anew.verify(Place.read(str(head)))).flaws == [Flaw(kind="rewritten", seq=1, until=6)]
    await tampered(storage.database, "DELETE FROM audit_head")
    assert len((await anew.verify()).flaws) == 7
    with pytest.raises(StorageError, match="audit verify"):
        await StoredAudit(database=storage.database).record(audit())
    with pytest.raises(BadRequest):
        Place.read("6:abc")
    await restored(storage.database)


async def test_lines_of_older_versions_begin_the_chain(storage: Storage) -> None:
    old = [replace(audit(), id=f"audit_{number}", at=number) for number in range(3)]
    insert = "INSERT INTO audit (id, owner, at, action, subject, detail) VALUES (:id, :owner, :at, 'a', 's', '{}')"
    rows = [Statement(insert, {"id": one.id, "owner": one.owner, "at": one.at}) for one in old]
    await storage.database.batch(rows)
    assert len(await found(storage)) == 3
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(chain_older(storage.database))
    await chain_older(storage.database)
    verified = await storage.audit.verify()
    assert (verified.head.seq, verified.flaws) == (4, [])
    newest = (await storage.audit.whole()).data
    assert [one.id for one in newest[1:]] == ["audit_2", "audit_1", "audit_0"]
    assert (newest[0].action, newest[0].detail) == ("audit.chained", {"older": 3})


async def aged(storage: Storage, *days: int) -> None:
    """Lines of so many days ago."""
    for ago in days:
        await storage.audit.record(audit(at=micros() - ago * DAY))


async def test_what_is_too_old_goes_from_the_beginning_and_the_rest_is_whole(storage: Storage) -> None:
    await aged(storage, 90, 80, 70, 20, 75, 10)
    early = (await storage.audit.verify()).head
    assert await storage_audit(storage).forget(micros() - 60 * DAY) == 3
    assert await storage_audit(storage).forget(micros() - 60 * DAY) == 0, "75 days is behind one that stays"
    verified = await storage.audit.verify(early)
    assert (verified.flaws, verified.start.seq, verified.head.seq) == ([], 3, 7)
    kept = (await storage.audit.whole()).data
    assert (kept[0].action, kept[0].detail["lines"], len(kept)) == ("audit.forgotten", 3, 4)
    await aged(storage, 5)
    assert await storage_audit(storage).forget(micros() + DAY) == 5
    with pytest.raises(BadRequest, match="cannot tell"):
        await storage.audit.verify(early, days=9)
    verified = await storage.audit.verify()
    assert (verified.flaws, verified.start.seq, len((await storage.audit.whole()).data)) == ([], 8, 1)
    assert (await storage.audit.verify(verified.start, days=9)).flaws == []
    forged = replace(verified.start, hash="0" * 64)
    assert (await storage.audit.verify(forged, days=9)).flaws == [Flaw(kind="rewritten", seq=1, until=8)]


async def test_lines_that_go_while_others_come_leave_one_whole_chain(storage: Storage) -> None:
    await aged(storage, *range(100, 70, -1))
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(storage_audit(storage).forget(micros() - 60 * DAY))
        for _ in range(10):
            group.create_task(storage.audit.record(audit()))
        looks = [group.create_task(storage.audit.verify()) for _ in range(5)]
    assert all(look.result().flaws == [] for look in looks)
    verified = await storage.audit.verify()
    assert (verified.flaws, verified.start.seq) == ([], 30)


async def test_a_beginning_that_no_line_vouches_for_is_found(storage: Storage, lines: list[str]) -> None:
    (row,) = await storage.database.fetch("SELECT hash FROM audit WHERE seq = 2")
    start = f"INSERT INTO audit_start (id, seq, hash) VALUES (1, 2, '{row['hash']}')"
    await storage.database.batch([Statement(start), Statement("DELETE FROM audit WHERE seq <= 2")])
    assert await found(storage) == [Flaw(kind="removed", seq=1, until=2)]


async def truncated(storage: Storage, until: int) -> None:
    """What plain statements can do, and no guard of the database refuses: the first lines go, and a line of its true
    hash says that they were too old."""
    (row,) = await storage.database.fetch("SELECT seq, hash FROM audit WHERE seq = :seq", seq=until)
    start = Place(**row)
    await StoredAudit(database=storage.database).record(
        audit(action=FORGOTTEN, detail={"lines": until, "until": str(start)})
    )
    moved = f"INSERT INTO audit_start (id, seq, hash) VALUES (1, {until}, '{start.hash}')"
    await storage.database.batch([Statement(moved), Statement(f"DELETE FROM audit WHERE seq <= {until}")])


async def test_lines_that_went_before_their_time_are_found_by_a_place_written_down_before(storage: Storage) -> None:
    await aged(storage, 90, 10)
    early = Place.read(str((await storage.audit.verify()).head))
    await aged(storage, 5, 4)
    await truncated(storage, 3)
    for days in (0, 30):
        assert (await storage.audit.verify(early, days=days)).flaws == [Flaw(kind="removed", seq=2, until=3)]
    with pytest.raises(BadRequest, match="cannot tell"):
        await storage.audit.verify(early, days=7)
    untimed = Place(early.seq, early.hash)
    assert Place.read(str(untimed)) == untimed == early
    with pytest.raises(BadRequest, match="cannot tell"):
        await storage.audit.verify(untimed, days=30)
    assert (await storage.audit.verify(untimed)).flaws == [Flaw(kind="removed", seq=2, until=3)]


async def test_lines_that_went_though_none_are_to_go_are_told_of(storage: Storage, lines: list[str]) -> None:
    assert not (await storage.audit.verify()).unasked
    await truncated(storage, 3)
    assert (await storage.audit.verify()).unasked
    assert not (await storage.audit.verify(days=30)).unasked


async def test_the_chain_has_one_beginning(storage: Storage, lines: list[str]) -> None:
    with pytest.raises(PortalError):
        await storage.database.batch([Statement("INSERT INTO audit_start (id, seq, hash) VALUES (2, 6, 'x')")])


async def test_a_line_before_the_beginning_was_put_in(storage: Storage) -> None:
    await aged(storage, 90, 80, 10)
    await storage_audit(storage).forget(micros() - 60 * DAY)
    copy = COPY.format(seq=1).replace("seq = 6", "seq = 3")
    await tampered(storage.database, copy)
    assert await found(storage) == [Flaw(kind="inserted", seq=1, id="forged")]
    await restored(storage.database)


def storage_audit(storage: Storage) -> StoredAudit:
    """As retention opens it, beside the server's own."""
    return StoredAudit(database=storage.database)
