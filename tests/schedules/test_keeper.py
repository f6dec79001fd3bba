"""Schedules as people make and change them."""

from dataclasses import replace
from typing import Any

import pytest
from tests.schedules.conftest import Table

from portal.core.schedules import Permit, Wanted
from portal.errors import BadRequest, Conflict, NotFound

DAY = 86_400_000_000


async def test_what_is_left_out(table: Table) -> None:
    made, token = await table.keeper.create(table.owner, Wanted(when="every day at 8", prompt="Tell me the news " * 9))
    assert token == ""
    assert made.name == ("Tell me the news " * 9)[:60].strip()
    assert (made.workspace, made.zone, made.targets, made.permits) == ("auto", "UTC", ("page",), ())
    assert (made.catch_up, made.jitter, made.parallel, made.continued) == ("once", 0, 1, False)
    assert [one.id for one in await table.keeper.list(table.owner)] == [made.id]
    assert await table.keeper.list("somebody else") == []


async def test_a_plan(table: Table) -> None:
    plan = table.keeper.plan("every weekday at 8:00", "Europe/Berlin")
    assert (plan.kind, plan.timing, plan.zone) == ("cron", "0 8 * * 1-5", "Europe/Berlin")
    assert [at - plan.next[0] for at in plan.next] == [0, DAY, 2 * DAY]
    assert table.keeper.plan("webhook").next == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": " "}, "prompt"),
        ({"when": None}, "when"),
        ({"when": "2020-01-01 08:00"}, "when"),
        ({"zone": "Mars"}, "zone"),
        ({"targets": ["pigeon"]}, "targets"),
        ({"tools": ["no_such"]}, "tools"),
        ({"tools": ["ask_user"]}, "tools"),
        ({"when": "webhook", "signature": "github"}, "secret"),
    ],
)
async def test_what_cannot_be(table: Table, fields: dict[str, Any], param: str) -> None:
    wanted = Wanted(**{"when": "every day at 8", "prompt": "x", **fields})
    with pytest.raises(BadRequest) as error:
        await table.keeper.create(table.owner, wanted)
    assert error.value.param == param
    assert await table.keeper.list(table.owner) == []


async def test_too_many_and_twice_the_same_name(table: Table) -> None:
    for number in range(20):
        await table.make(name=f"n{number}")
    with pytest.raises(BadRequest, match="20 schedules are the most"):
        await table.make(name="one more")
    await table.keeper.delete(table.owner, (await table.keeper.find(table.owner, "n7")).id)
    with pytest.raises(Conflict, match="named 'n3' already"):
        await table.make(name="n3")
    found = await table.keeper.find(table.owner, "n4")
    with pytest.raises(Conflict):
        await table.keeper.change(table.owner, found.id, Wanted(name="n3"))


async def test_finding_one(table: Table) -> None:
    made = await table.make(name="Morning News")
    for name in (made.id, "Morning News", "morning news"):
        assert (await table.keeper.find(table.owner, name)).id == made.id
    with pytest.raises(NotFound, match="'Morning News'"):
        await table.keeper.find(table.owner, "evening")
    with pytest.raises(NotFound, match="none"):
        await table.keeper.find("somebody else", made.id)


async def test_changing_one(table: Table) -> None:
    made = await table.make(tools=["write_note"])
    assert made.permits == [Permit(toolset="notes", tool="write_note")]
    table.clock.pass_(minutes=5)
    renamed = await table.keeper.change(table.owner, made.id, Wanted(name="Other", targets=["slack", "slack"]))
    assert (renamed.name, renamed.targets, renamed.next_at) == ("Other", ["slack"], made.next_at)
    assert renamed.permitted_at == made.permitted_at
    later = await table.keeper.change(table.owner, made.id, Wanted(when="every day at 9", tools=[]))
    assert (later.next_at, later.permits) == ((made.next_at or 0) + DAY // 24, [])
    assert later.permitted_at == table.clock()
    moved = await table.keeper.change(table.owner, made.id, Wanted(zone="Europe/Berlin"))
    assert moved.next_at == made.next_at
    with pytest.raises(BadRequest, match="webhook stays one"):
        await table.keeper.change(table.owner, made.id, Wanted(when="webhook"))
    with pytest.raises(NotFound):
        await table.keeper.change("somebody else", made.id, Wanted(name="Stolen"))


async def test_a_change_never_takes_a_time_back(table: Table) -> None:
    """Who renames a schedule just when its time comes does not make it run twice."""
    made = await table.make()
    storage = table.portal.portal.storage.schedules
    table.clock.pass_(hours=1)
    seen = await storage.get(table.owner, made.id)
    await table.tick()
    await storage.save(replace(seen, name="Late", changed_at=seen.changed_at + 1), before=seen)
    await table.tick()
    assert len(await table.runs(made)) == 1
    with pytest.raises(Conflict):
        await storage.save(replace(seen, name="Later"), before=seen)


async def test_a_webhook_s_token(table: Table) -> None:
    made, token = await table.keeper.create(table.owner, Wanted(when="webhook", prompt="x"))
    assert len(token) == 43
    assert made.next_at is None
    stored = await table.portal.portal.storage.database.fetch("SELECT * FROM schedules")
    assert token not in str(stored)
    _, another = await table.keeper.renew_token(table.owner, made.id)
    assert another != token
    plain = await table.make()
    with pytest.raises(BadRequest, match="Only a webhook"):
        await table.keeper.renew_token(table.owner, plain.id)
    with pytest.raises(BadRequest, match="when it is called"):
        await table.keeper.run_now(table.owner, made.id)


async def test_what_it_comes_to_in_words(table: Table) -> None:
    wanted = Wanted(
        when="every weekday at 8", prompt="x", zone="Europe/Berlin", targets=["slack"], tools=["write_note"]
    )
    told = table.keeper.explain(wanted)
    assert "next: Tue 03 Mar 2026 08:00 CET, Wed 04 Mar 2026 08:00 CET, Thu 05 Mar 2026 08:00 CET." in told
    assert "goes to: slack" in told
    assert "without asking: write_note" in told
    assert table.keeper.explain(Wanted(when="webhook", prompt="x")).startswith("A webhook runs it.")
    with pytest.raises(BadRequest):
        table.keeper.explain(Wanted(when="soon", prompt="x"))


async def test_who_did_what_leaves_a_trace(table: Table) -> None:
    made = await table.make(tools=["write_note"], name="News")
    await table.keeper.change(table.owner, made.id, Wanted(paused=True))
    await table.keeper.run_now(table.owner, made.id)
    await table.keeper.delete(table.owner, made.id)
    lines = (await table.portal.portal.storage.audit.list(table.owner)).data
    trace = [one for one in lines if one.action.startswith("schedule.")]
    assert [one.action for one in reversed(trace)] == [
        "schedule.made",
        "schedule.changed",
        "schedule.run",
        "schedule.deleted",
    ]
    assert {one.subject for one in trace} == {made.id}
    assert trace[-1].detail["tools"] == ["write_note"]
