"""Keeping: nothing twice, contradictions supersede, off means off, and nothing depends on an embedder or a model."""

import asyncio
from dataclasses import replace

import pytest

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.memories import Said, Switches, Wanted
from portal.errors import BackendUnavailable, BadRequest, Conflict, NotFound
from portal.testing.records import OWNER, STRANGER, memory

from .conftest import Rig, texts


async def test_what_is_known_is_not_kept_twice(rig: Rig) -> None:
    first = await rig.remember("I like tea")
    again = await rig.remember("i like TEA!")
    assert (first.new, again.new, again.memory) == (True, False, first.memory)
    assert (await rig.remember("I live in Berlin")).new
    assert not (await rig.remember("Ich wohne in Berlin")).new
    assert (await rig.remember("I like tea", scope="workspace:auto")).new
    assert sorted(await rig.active()) == ["I like tea", "I like tea", "I live in Berlin"]


async def test_contradictions_supersede_instead_of_piling_up(rig: Rig) -> None:
    for place in ("Berlin", "Paris", "Rome"):
        kept = await rig.remember(f"I live in {place}")
    assert texts(kept.superseded) == ["I live in Paris"]
    assert await rig.active() == ["I live in Rome"]
    chain = texts(await rig.keeper.history(OWNER, kept.memory.id))
    assert chain == ["I live in Rome", "I live in Paris", "I live in Berlin"]
    await rig.remember("I live in Oslo", scope="workspace:holidays")
    assert len(await rig.active()) == 2


async def test_what_happened_stays_true(rig: Rig) -> None:
    await rig.remember("I met Ann in 2019")
    await rig.remember("I met Ann in 2021")
    assert len(await rig.active()) == 2


async def test_kind_and_time_come_from_the_words(rig: Rig) -> None:
    kept = (await rig.remember("I met Ann on 3 March 2020")).memory
    assert kept.kind == "episode"
    assert kept.happened_at is not None
    assert 1_583_100_000_000_000 < kept.happened_at < 1_583_300_000_000_000
    assert (await rig.remember("I prefer tea")).memory.kind == "preference"
    assert (await rig.remember("My birthday is 3 March")).memory.happened_at is None
    told = (await rig.remember("Ann came", kind="episode", happened_at=7)).memory
    assert (told.kind, told.happened_at, told.when) == ("episode", 7, 7)


@pytest.mark.parametrize("text", ["", "   ", "\n", "x" * 2001])
async def test_no_text_or_too_long_a_one(rig: Rig, text: str) -> None:
    with pytest.raises(BadRequest):
        await rig.remember(text)


@pytest.mark.parametrize(
    "text", ["x", "🎉🎉", "Ich möchte 日本語 и кофе ☕", "nul \0 inside", "\ud800", "'; DROP TABLE"]
)
async def test_odd_texts(rig: Rig, text: str) -> None:
    kept = await rig.remember(text)
    assert len(await rig.active()) == 1
    assert await rig.keeper.forget(OWNER, [kept.memory.id]) == [kept.memory.id]


@pytest.mark.parametrize("query", ["", "   ", "x", "tea", "🎉", "日本 tea и", "tea " * 2000, '"*(', "\0"])
async def test_odd_queries(rig: Rig, query: str) -> None:
    assert await rig.find(query) == []
    await rig.remember("I like tea")
    found = await rig.find(query)
    assert found in ([], ["I like tea"])
    assert found or "tea" not in query
    assert bool(found) or query.strip()


async def test_search_by_words_and_by_meaning(rig: Rig) -> None:
    await rig.remember("My dog is called Rex")
    await rig.remember("The ferry leaves at noon", kind="episode", happened_at=10)
    await rig.remember("My dog sleeps", scope="workspace:pets")
    assert (await rig.find("hound"))[0].startswith("My dog")
    assert await rig.find("dog", scope="workspace:pets") == ["My dog sleeps"]
    assert "The ferry leaves at noon" not in await rig.find("ferry", kind="fact")
    assert await rig.find("ferry", since=5, until=11) == ["The ferry leaves at noon"]
    assert await rig.find("ferry", since=11, kind="episode") == []


async def test_proposals_and_history_are_found_among_their_own(rig: Rig) -> None:
    await rig.remember("I live in Berlin")
    await rig.remember("I live in Paris")
    await rig.remember("I live with Ann", status="proposed")
    assert await rig.find("live") == ["I live in Paris"]
    assert await rig.find("live", status="proposed") == ["I live with Ann"]
    assert await rig.find("berlin", status="superseded") == ["I live in Berlin"]
    assert await rig.find("rome", status="superseded") == []
    assert set(await rig.find("live", status=None)) == {"I live in Paris", "I live with Ann"}


async def test_without_an_embedder_words_are_enough(rig: Rig) -> None:
    rig.embedder.away = True
    kept = await rig.remember("My dog is called Rex")
    assert await rig.find("dog") == ["My dog is called Rex"]
    assert await rig.find("hound") == []
    assert [one.id for one in await rig.storage.passages.unembedded("words", 10)] == [kept.memory.id]
    rig.embedder.away = False
    await rig.embed_all()
    assert await rig.find("hound") == ["My dog is called Rex"]


async def test_a_clock_that_steps_back(rig: Rig) -> None:
    """A memory from the future, as an export or a wrong clock brings it, does no harm."""
    ahead = memory("I live in Berlin", created_at=micros() + 10**12, changed_at=micros() + 10**12)
    await rig.storage.memories.save(ahead)
    kept = await rig.remember("I live in Paris")
    assert texts(kept.superseded) == ["I live in Berlin"]
    assert await rig.active() == ["I live in Paris"]
    late = await rig.remember("I was ill", created_at=micros() + 10**15)
    assert late.memory.created_at <= micros()


async def test_twenty_at_once(rig: Rig) -> None:
    """Adding what contradicts, searching and forgetting at once: one place to live is left, found by its word."""
    cities = [f"Town{n}" for n in range(20)]

    async def move(city: str) -> None:
        await rig.remember(f"I live in {city}")
        await rig.find("live")
        extra = await rig.remember(f"I saw {city}")
        await rig.keeper.forget(OWNER, [extra.memory.id])

    async with asyncio.TaskGroup() as group:
        for city in cities:
            group.create_task(move(city))
    (left,) = await rig.active()
    assert await rig.find("live") == [left]
    (kept,) = (await rig.keeper.list(OWNER, Wanted())).data
    assert len(await rig.keeper.history(OWNER, kept.id)) == 20


async def test_another_process_is_quicker(rig: Rig) -> None:
    """What it has superseded meanwhile is looked at again."""
    old = (await rig.remember("I live in Berlin")).memory

    async def moves() -> None:
        await rig.storage.memories.save(memory("I live in Rome"), supersedes=[old.id])

    rig.memories.others.append(moves)
    kept = await rig.remember("I live in Paris")
    assert texts(kept.superseded) == ["I live in Rome"]
    assert await rig.active() == ["I live in Paris"]


async def test_other_processes_that_never_rest(rig: Rig) -> None:
    async def taken() -> None:
        raise Conflict("changed", code="memory_changed")

    rig.memories.others += [taken] * 10
    with pytest.raises(Conflict, match="try again"):
        await rig.remember("I live in Paris")
    assert await rig.active() == []


async def test_a_proposal_that_is_changed_while_it_is_accepted(rig: Rig) -> None:
    proposed = (await rig.remember("I like tea", status="proposed")).memory

    async def edits() -> None:
        changed = replace(proposed, text="I like rain", changed_at=proposed.changed_at + 1)
        await rig.storage.memories.save(changed, before=proposed)

    rig.memories.others.append(edits)
    with pytest.raises(Conflict):
        await rig.keeper.accept(OWNER, proposed.id)
    assert await rig.active() == []


async def test_a_large_store_is_still_looked_through(rig: Rig) -> None:
    await rig.remember("I live in Berlin")
    for n in range(210):
        await rig.storage.memories.save(memory(f"Unrelated number{n}", id=new_id("mem")))
    kept = await rig.remember("I live in Paris")
    assert texts(kept.superseded) == ["I live in Berlin"]


# ------------------------------------------------------------------ changing


async def test_editing(rig: Rig) -> None:
    kept = (await rig.remember("My dog is caled Rex")).memory
    changed = await rig.keeper.edit(OWNER, kept.id, {"text": " My dog is called Rex ", "scope": "workspace:pets"})
    assert (changed.id, changed.text, changed.scope) == (kept.id, "My dog is called Rex", "workspace:pets")
    now, earlier = await rig.keeper.history(OWNER, kept.id)
    assert (now, earlier.text) == (changed, "My dog is caled Rex")
    assert await rig.find("called") == ["My dog is called Rex"]
    with pytest.raises(Conflict):
        await rig.keeper.edit(OWNER, earlier.id, {"text": "no"})
    with pytest.raises(BadRequest):
        await rig.keeper.edit(OWNER, kept.id, {"text": " "})
    with pytest.raises(NotFound):
        await rig.keeper.edit(STRANGER, kept.id, {"text": "mine"})
    other = (await rig.remember("A cat")).memory
    await rig.keeper.edit(OWNER, kept.id, {"scope": "user"})
    with pytest.raises(Conflict):
        await rig.keeper.edit(OWNER, other.id, {"text": "my dog is called rex"})


async def test_merging(rig: Rig) -> None:
    one = (await rig.remember("I like tea.", happened_at=5)).memory
    two = (await rig.remember("I like coffee", confidence=0.4, happened_at=9)).memory
    merged = await rig.keeper.merge(OWNER, [one.id, two.id, one.id])
    assert (merged.text, merged.happened_at, merged.confidence) == ("I like tea. I like coffee", 9, 0.4)
    assert await rig.active() == [merged.text]
    assert len(await rig.keeper.history(OWNER, merged.id)) == 3
    three = (await rig.remember("I like water")).memory
    named = await rig.keeper.merge(OWNER, [merged.id, three.id], "I like drinks")
    assert await rig.active() == ["I like drinks"]
    for ids, error in (
        ([named.id], BadRequest),
        ([named.id, named.id], BadRequest),
        ([named.id, "mem_none"], NotFound),
        ([named.id, one.id], Conflict),
    ):
        with pytest.raises(error):
            await rig.keeper.merge(OWNER, ids)


async def test_proposals_are_accepted(rig: Rig) -> None:
    await rig.remember("I live in Berlin")
    proposed = (await rig.remember("I live in Paris", status="proposed")).memory
    assert not (await rig.remember("i live in paris", status="proposed")).new
    assert await rig.active() == ["I live in Berlin"]
    kept = await rig.keeper.accept(OWNER, proposed.id)
    assert (kept.memory.status, texts(kept.superseded)) == ("active", ["I live in Berlin"])
    assert await rig.active() == ["I live in Paris"]
    with pytest.raises(Conflict):
        await rig.keeper.accept(OWNER, proposed.id)
    with pytest.raises(NotFound):
        await rig.keeper.accept(OWNER, "mem_none")


async def test_a_proposal_that_is_known_by_now_goes(rig: Rig) -> None:
    proposed = (await rig.remember("I like tea", status="proposed")).memory
    known = (await rig.remember("I like tea")).memory
    kept = await rig.keeper.accept(OWNER, proposed.id)
    assert (kept.new, kept.memory) == (False, known)
    assert await rig.keeper.get(OWNER, [proposed.id]) == []


async def test_changes_are_announced(rig: Rig) -> None:
    with rig.bus.subscribe(OWNER) as events:
        kept = await rig.remember("I like tea")
        await rig.remember("I like tea")
        await rig.keeper.forget(OWNER, ["mem_none"])
        await rig.keeper.forget(OWNER, None)
        seen = [events.get_nowait() for _ in range(events.qsize())]
    assert [(one and one["type"], one and one["id"]) for one in seen] == [
        ("memory.changed", kept.memory.id),
        ("memory.changed", None),
    ]


# ------------------------------------------------------------------ switches


async def test_off_means_off(rig: Rig) -> None:
    await rig.remember("I like tea")
    assert (await rig.keeper.switch(OWNER, {"enabled": False})).enabled is False
    with pytest.raises(Conflict) as caught:
        await rig.remember("I like coffee")
    assert caught.value.code == "memory_off"
    assert (await rig.keeper.switches(STRANGER)).enabled
    assert await rig.active() == ["I like tea"]
    assert (await rig.keeper.forget(OWNER, None)) != []
    await rig.keeper.switch(OWNER, {"enabled": True, "propose": True})
    assert await rig.keeper.switches(OWNER) == Switches(enabled=True, conversations=True, propose=True)


@pytest.mark.parametrize("allowed", [Switches(enabled=False, conversations=False, propose=False)])
async def test_the_settings_come_first(rig: Rig, allowed: Switches) -> None:
    found = await rig.keeper.switch(OWNER, {"enabled": True, "propose": True, "conversations": True})
    assert found == allowed
    with pytest.raises(Conflict):
        await rig.remember("I like tea")


# ------------------------------------------------------------------ the judge


async def settled(rig: Rig) -> None:
    while rig.keeper.judging:
        await asyncio.sleep(0)


async def test_a_model_finds_what_rules_do_not(rig: Rig) -> None:
    old = (await rig.remember("I am single")).memory
    await settled(rig)
    rig.judge.verdict = [0]
    kept = (await rig.remember("I am happily married")).memory
    await settled(rig)
    assert await rig.active() == ["I am happily married"]
    assert texts(await rig.keeper.history(OWNER, kept.id))[1:] == [old.text]
    assert rig.judge.asked[-1] == ("I am happily married", ["I am single"])


async def test_a_judge_that_is_out_of_its_mind_ends_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await rig.remember("I am single")
    await settled(rig)
    rig.judge.verdict = [99]
    await rig.remember("I am happily married")
    await settled(rig)
    assert len(await rig.active()) == 2
    assert "was not found out" in caplog.text


@pytest.mark.parametrize("error", [BackendUnavailable("away"), RuntimeError("a library failed")])
async def test_a_judge_that_fails_ends_nothing(rig: Rig, error: Exception) -> None:
    rig.judge.error = error
    await rig.remember("I am single")
    await settled(rig)
    assert await rig.active() == ["I am single"]


async def test_a_verdict_that_comes_too_late_changes_nothing(rig: Rig) -> None:
    await rig.remember("I am single")
    await settled(rig)
    rig.judge.verdict = [0]
    kept = (await rig.remember("I am married")).memory
    changed = replace(kept, text="I am so married", changed_at=kept.changed_at + 1)
    await rig.storage.memories.save(changed, before=kept)
    await settled(rig)
    assert set(await rig.active()) == {"I am single", "I am so married"}


# ------------------------------------------------------------------ exports

OURS = (
    '{"memories": [{"text": "I like tea", "kind": "preference", "scope": "workspace:auto", "created_at": 5.5, '
    '"happened_at": null, "confidence": 0.5, "status": "active"}, {"text": "Old", "status": "superseded"}, '
    '{"text": "Maybe", "status": "proposed", "kind": "nonsense", "scope": "../x", "confidence": "x"}]}'
)
OPEN_WEBUI = (
    '[{"id": "1", "user_id": "u", "content": "I like tea", "updated_at": 1700000000, "created_at": 1700000000}]'
)
LINES = "- I like tea\n\n2. I live in Berlin\n[2024-05-01] - I met Ann\n2024-05-02 Ann left\n   \n"


async def test_our_own_export(rig: Rig) -> None:
    told = await rig.keeper.take_over(OWNER, OURS, dry_run=True)
    assert told == [{"text": "I like tea", "new": None}, {"text": "Maybe", "new": None}]
    assert await rig.active() == []
    assert [one["new"] for one in await rig.keeper.take_over(OWNER, OURS, dry_run=False)] == [True, True]
    (tea,) = (await rig.keeper.list(OWNER, Wanted())).data
    assert (tea.scope, tea.created_at, tea.confidence, tea.kind) == ("workspace:auto", 5_500_000, 0.5, "preference")
    (maybe,) = (await rig.keeper.list(OWNER, Wanted(status="proposed"))).data
    assert (maybe.scope, maybe.confidence) == ("user", 1.0)
    assert [one["new"] for one in await rig.keeper.take_over(OWNER, OURS, dry_run=False)] == [False, False]


async def test_exports_of_others(rig: Rig) -> None:
    await rig.keeper.take_over(OWNER, OPEN_WEBUI, dry_run=False)
    (tea,) = (await rig.keeper.list(OWNER, Wanted())).data
    assert tea.created_at == 1_700_000_000_000_000
    found = await rig.keeper.take_over(OWNER, LINES, dry_run=True)
    assert [one["text"] for one in found] == ["I like tea", "I live in Berlin", "I met Ann", "Ann left"]
    for text in ('["I like tea", 5, null, {"memory": "I like rain"}]', '{"data": {"value": "I like rain"}}'):
        assert (await rig.keeper.take_over(OWNER, text, dry_run=True))[-1]["text"] == "I like rain"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "  \n ",
        "[]",
        "5",
        '"x"',
        "{}",
        '[{"created_at": true}]',
        '{"memories": []}',
        '["x"]' + " " * 5 + "x",
        "x\n" * 2_001,
    ],
)
async def test_what_is_no_export(rig: Rig, content: str) -> None:
    if content.startswith('["x"]'):  # not JSON, so it is a line
        assert len(await rig.keeper.take_over(OWNER, content, dry_run=True)) == 1
        return
    with pytest.raises(BadRequest):
        await rig.keeper.take_over(OWNER, content, dry_run=True)


async def test_lines_without_words_are_skipped(rig: Rig) -> None:
    found = await rig.keeper.take_over(OWNER, "\n \n" * 2_001 + "- I like tea\n", dry_run=True)
    assert found == [{"text": "I like tea", "new": None}]


@pytest.mark.parametrize("when", ["1e30", "-1e30", '"yesterday"', '"2024-05-01T10:00:00Z"', "true", "[]", "1e3"])
async def test_odd_times(rig: Rig, when: str) -> None:
    await rig.keeper.take_over(OWNER, f'[{{"text": "I like tea", "created_at": {when}}}]', dry_run=False)
    (one,) = (await rig.keeper.list(OWNER, Wanted())).data
    assert one.created_at <= micros()


async def test_said_needs_only_an_owner_and_a_text(rig: Rig) -> None:
    assert (await rig.keeper.remember(Said(owner=OWNER, text="Hello"))).memory.scope == "user"
