"""The Memories port: a memory with its words and vector, its history behind it, all of it gone once forgotten."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from portal.core.clock import micros
from portal.core.memories import Embedded, MemoryRecord, Wanted
from portal.core.passages import Within
from portal.errors import BadRequest, Conflict, NotFound
from portal.settings import Settings
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER, STRANGER, memory

MEMORIES = Within(owner=OWNER, space="memories")


async def words(storage: Storage, text: str, *groups: str) -> list[str]:
    within = replace(MEMORIES, groups=groups or None)
    return [hit.id for hit in await storage.passages.words(within, text, 10)]


async def kept(storage: Storage, text: str, **fields: object) -> MemoryRecord:
    one = memory(text, **fields)
    await storage.memories.save(one)
    return one


async def test_a_memory_comes_back_as_it_was(storage: Storage) -> None:
    one = memory(
        "I met Ann 🎉 in 東京",
        kind="episode",
        scope="workspace:auto",
        source="resp_1",
        happened_at=5,
        confidence=0.5,
    )
    await storage.memories.save(one)
    other = await kept(storage, "I like tea")
    assert await storage.memories.get(OWNER, [other.id, "mem_none", one.id]) == [other, one]
    assert await storage.memories.get(OWNER, []) == []
    assert await storage.memories.history(OWNER, one.id) == [one]
    assert await words(storage, "ann") == [one.id]
    assert await words(storage, "東京", "workspace:auto") == [one.id]
    assert await words(storage, "ann", "user") == []


async def test_an_empty_store(storage: Storage) -> None:
    assert (await storage.memories.list(OWNER, Wanted())).data == []
    assert await storage.memories.forget(OWNER, None) == []
    assert await storage.memories.forget(OWNER, ["mem_none"]) == []
    with pytest.raises(NotFound):
        await storage.memories.history(OWNER, "mem_none")


async def test_its_vector_is_stored_with_it(storage: Storage) -> None:
    vectors = np.array([[0.6, 0.8]], dtype=np.float32)
    one = memory("I live in Berlin")
    await storage.memories.save(one, embedded=Embedded("e", vectors))
    assert [hit.id for hit in await storage.passages.nearest(MEMORIES, "e", vectors[0], 5)] == [one.id]
    await storage.memories.forget(OWNER, [one.id])
    assert await storage.passages.nearest(MEMORIES, "e", vectors[0], 5) == []


async def test_what_is_superseded_is_history_and_not_found(storage: Storage) -> None:
    berlin = await kept(storage, "I live in Berlin")
    paris, rome = memory("I live in Paris"), memory("I live in Rome")
    await storage.memories.save(paris, supersedes=[berlin.id])
    await storage.memories.save(rome, supersedes=[paris.id])
    chain = await storage.memories.history(OWNER, rome.id)
    assert [one.text for one in chain] == ["I live in Rome", "I live in Paris", "I live in Berlin"]
    assert [one.status for one in chain] == ["active", "superseded", "superseded"]
    assert [one.superseded_by for one in chain] == [None, rome.id, paris.id]
    assert chain[2].changed_at == paris.changed_at
    assert await words(storage, "live") == [rome.id]
    assert [one.id for one in (await storage.memories.list(OWNER, Wanted())).data] == [rome.id]
    old = await storage.memories.list(OWNER, Wanted(status="superseded"))
    assert {one.id for one in old.data} == {berlin.id, paris.id}


async def test_only_what_is_active_can_be_superseded(storage: Storage) -> None:
    berlin = await kept(storage, "I live in Berlin")
    await storage.memories.save(memory("I live in Paris"), supersedes=[berlin.id])
    for text, ids in (("I live in Rome", [berlin.id]), ("I live in Oslo", ["mem_none"])):
        with pytest.raises(Conflict) as caught:
            await storage.memories.save(memory(text), supersedes=ids)
        assert caught.value.code == "memory_changed"
    assert await words(storage, "Rome Oslo") == []


async def test_the_same_is_not_kept_twice_in_one_scope(storage: Storage) -> None:
    await kept(storage, "I like tea")
    with pytest.raises(Conflict) as caught:
        await kept(storage, "  i LIKE tea!")
    assert caught.value.code == "memory_exists"
    await kept(storage, "I like tea", scope="workspace:auto")
    await kept(storage, "I like tea", owner=STRANGER)
    await kept(storage, "I like tea", status="proposed")
    await kept(storage, "🎉")
    with pytest.raises(Conflict):
        await kept(storage, "🎉")


async def test_a_merged_text_may_be_that_of_a_part(storage: Storage) -> None:
    tea, coffee = await kept(storage, "I like tea"), await kept(storage, "I like coffee")
    both = memory("I like tea")
    await storage.memories.save(both, supersedes=[tea.id, coffee.id])
    assert {one.id for one in await storage.memories.history(OWNER, both.id)} == {both.id, tea.id, coffee.id}


async def test_an_edit_keeps_the_earlier_wording(storage: Storage) -> None:
    before = await kept(storage, "I live in Belrin")
    after = replace(before, text="I live in Berlin", changed_at=before.changed_at + 1)
    await storage.memories.save(after, before=before)
    now, earlier = await storage.memories.history(OWNER, before.id)
    assert now == after
    assert (earlier.text, earlier.status, earlier.superseded_by) == ("I live in Belrin", "superseded", before.id)
    assert await words(storage, "Belrin") == []
    assert await words(storage, "Berlin") == [before.id]
    moved = replace(after, scope="workspace:auto", changed_at=after.changed_at + 1)
    await storage.memories.save(moved, before=after)
    assert len(await storage.memories.history(OWNER, before.id)) == 2
    with pytest.raises(Conflict):
        await storage.memories.save(after, before=before)


async def test_a_proposal_is_found_only_among_proposals_until_it_is_accepted(storage: Storage) -> None:
    berlin = await kept(storage, "I live in Berlin")
    proposed = await kept(storage, "I live in Paris", status="proposed")
    assert await words(storage, "Paris", "user") == []
    assert await words(storage, "Paris", "proposed") == [proposed.id]
    accepted = replace(proposed, status="active", changed_at=micros())
    await storage.memories.save(accepted, before=proposed, supersedes=[berlin.id])
    assert await words(storage, "live", "user") == [proposed.id]
    assert len(await storage.memories.history(OWNER, proposed.id)) == 2


async def test_lists_are_paged_and_narrowed(storage: Storage) -> None:
    made = [
        await kept(storage, f"Number {n}", happened_at=n * 10, kind="episode" if n % 2 else "fact") for n in range(7)
    ]
    newest = [one.id for one in reversed(made)]
    seen: list[str] = []
    cursor = None
    while True:
        page = await storage.memories.list(OWNER, Wanted(), limit=3, cursor=cursor)
        seen += [one.id for one in page.data]
        cursor = page.next
        if cursor is None:
            break
    assert seen == newest
    narrowed = await storage.memories.list(OWNER, Wanted(kind="episode", since=10, until=50))
    assert [one.happened_at for one in narrowed.data] == [30, 10]
    assert (await storage.memories.list(OWNER, Wanted(scope="workspace:auto"))).data == []
    first = await storage.memories.list(OWNER, Wanted(), limit=3)
    with pytest.raises(BadRequest):
        await storage.memories.list(OWNER, Wanted(kind="fact"), limit=3, cursor=first.next)


async def test_forgetting_takes_the_history_along(storage: Storage) -> None:
    berlin, tea = await kept(storage, "I live in Berlin"), await kept(storage, "I like tea")
    paris = memory("I live in Paris")
    await storage.memories.save(paris, supersedes=[berlin.id])
    assert await storage.memories.forget(OWNER, [paris.id, "mem_none"]) == [paris.id]
    assert await storage.memories.get(OWNER, [paris.id, berlin.id]) == []
    assert await words(storage, "live Berlin Paris") == []
    await kept(storage, "Mine", owner=STRANGER)
    assert await storage.memories.forget(OWNER, None) == [tea.id]
    assert await storage.database.fetch("SELECT 1 FROM passages WHERE owner = :owner", owner=OWNER) == []
    assert len((await storage.memories.list(STRANGER, Wanted())).data) == 1


async def test_twenty_at_once_leave_rows_and_words_in_step(storage: Storage) -> None:
    async def busy(n: int) -> None:
        one = memory(f"Cat number{n} is grey")
        await storage.memories.save(one)
        await storage.passages.words(MEMORIES, "cat", 5)
        if n % 2:
            await storage.memories.forget(OWNER, [one.id])

    async with asyncio.TaskGroup() as group:
        for n in range(20):
            group.create_task(busy(n))
    left = {one.id for one in (await storage.memories.list(OWNER, Wanted(), limit=50)).data}
    assert len(left) == 10
    assert {hit.id for hit in await storage.passages.words(MEMORIES, "cat", 50)} == left


async def test_two_processes_do_not_keep_the_same_twice(settings: Settings) -> None:
    """As two servers on one PostgreSQL do; on SQLite two openers of one file."""
    async with open_storage(settings) as one, open_storage(settings) as other:

        async def save(storage: Storage) -> bool:
            try:
                await kept(storage, "I like tea")
            except Conflict:
                return False
            return True

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(save(storage)) for storage in (one, other) for _ in range(5)]
        assert sum(task.result() for task in tasks) == 1
        assert len((await other.memories.list(OWNER, Wanted())).data) == 1
