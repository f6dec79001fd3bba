"""The Conversations port: lists, branches, changes, deletion."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from portal.core.clock import micros
from portal.core.items import text_of
from portal.core.records import ConversationRecord, ResponseRecord
from portal.errors import BadRequest, Conflict, NotFound
from portal.storage.open import Storage
from portal.testing.records import OWNER, STRANGER, answered, conversation, folder, output, response, said


async def made(storage: Storage, **fields: object) -> ConversationRecord:
    record = conversation(**fields)
    await storage.conversations.create(record)
    return record


async def turn(storage: Storage, talk: str, previous: str | None, text: str = "hi", **fields: object) -> ResponseRecord:
    record = response(conversation_id=talk, previous_id=previous, **fields)
    await storage.turn_log.begin(record, [said(text)])
    return record


async def chain(storage: Storage, talk: str, length: int, previous: str | None = None) -> list[str]:
    ids: list[str] = []
    for number in range(length):
        ids.append((await turn(storage, talk, ids[-1] if ids else previous, f"turn {number}")).id)
    return ids


async def listed(storage: Storage, **arguments: object) -> list[str]:
    """The whole list, page by page."""
    ids: list[str] = []
    cursor = None
    while True:
        page = await storage.conversations.list(OWNER, cursor=cursor, limit=3, **arguments)  # type: ignore[arg-type]
        assert len(page.data) <= 3
        ids += [record.id for record in page.data]
        cursor = page.next
        if cursor is None:
            return ids


async def test_a_conversation_comes_back_as_it_was(storage: Storage) -> None:
    work = folder()
    await storage.folders.save(work)
    talk = await made(
        storage,
        title="Title",
        title_source="user",
        folder_id=work.id,
        model="tiny",
        pinned=True,
        metadata={"a": "b"},
    )
    assert await storage.conversations.get(OWNER, talk.id) == talk


async def test_creating_with_items_makes_a_first_turn(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk, [said("first"), answered("second")])
    page = await storage.conversations.turns(OWNER, talk.id)
    (first,) = page.data
    assert [text_of(stored.item) for stored in first.items] == ["first", "second"]
    assert (first.response.status, first.response.model) == ("completed", "")
    assert (await storage.conversations.get(OWNER, talk.id)).head == first.response.id


async def test_an_id_is_used_once(storage: Storage) -> None:
    talk = await made(storage, title="original")
    with pytest.raises(Conflict):
        await storage.conversations.create(replace(talk, title="other"))
    assert (await storage.conversations.get(OWNER, talk.id)).title == "original"


async def test_a_folder_must_be_this_owners(storage: Storage) -> None:
    theirs = folder(owner=STRANGER)
    await storage.folders.save(theirs)
    talk = await made(storage)
    for wrong in (theirs.id, "folder_none"):
        with pytest.raises(NotFound):
            await storage.conversations.create(conversation(folder_id=wrong))
        with pytest.raises(NotFound):
            await storage.conversations.update(OWNER, talk.id, {"folder_id": wrong})


async def test_the_list_is_pinned_first_then_newest_change(storage: Storage) -> None:
    made_at = [await made(storage, updated_at=at, pinned=at in (3, 5)) for at in range(10)]
    expected = [made_at[at].id for at in (5, 3, 9, 8, 7, 6, 4, 2, 1, 0)]
    assert await listed(storage) == expected


async def test_conversations_of_the_same_moment_are_all_listed_once(storage: Storage) -> None:
    ids = {(await made(storage, updated_at=1)).id for _ in range(11)}
    found = await listed(storage)
    assert len(found) == 11
    assert set(found) == ids


async def test_a_list_may_end_at_a_page(storage: Storage) -> None:
    for _ in range(3):
        await made(storage)
    assert (await storage.conversations.list(OWNER, limit=3)).next is None
    assert (await storage.conversations.list(STRANGER)).data == []
    assert len((await storage.conversations.list(OWNER, limit=0)).data) == 1


async def test_the_list_of_a_folder(storage: Storage) -> None:
    work = folder()
    await storage.folders.save(work)
    inside = [await made(storage, folder_id=work.id, updated_at=at) for at in range(5)]
    await made(storage)
    assert await listed(storage, folder_id=work.id) == [record.id for record in reversed(inside)]
    assert await listed(storage, folder_id="folder_none") == []


async def test_a_cursor_belongs_to_its_list(storage: Storage) -> None:
    work = folder()
    await storage.folders.save(work)
    for _ in range(3):
        await made(storage, folder_id=work.id, title="word")
    cursor = (await storage.conversations.list(OWNER, limit=1)).next
    assert cursor
    found = (await storage.conversations.list(OWNER, limit=1, query="word")).next
    for wrong in (cursor[:-2], cursor + "AAAA", "", "é", "e30", "bnVsbA", "WzFd", "x" * 5000, found):
        with pytest.raises(BadRequest) as caught:
            await storage.conversations.list(OWNER, cursor=wrong)
        assert caught.value.param == "cursor"
    for owner, other in ((STRANGER, {}), (OWNER, {"folder_id": work.id}), (OWNER, {"query": "word"})):
        with pytest.raises(BadRequest):
            await storage.conversations.list(owner, cursor=cursor, **other)


async def test_turns_come_in_pages_from_the_head_up(storage: Storage) -> None:
    talk = await made(storage)
    ids = await chain(storage, talk.id, 8)
    page = await storage.conversations.turns(OWNER, talk.id, limit=3)
    assert [found.response.id for found in page.data] == ids[5:]
    assert page.next == ids[5]
    page = await storage.conversations.turns(OWNER, talk.id, before=page.next, limit=3)
    assert [found.response.id for found in page.data] == ids[2:5]
    page = await storage.conversations.turns(OWNER, talk.id, before=page.next, limit=3)
    assert [found.response.id for found in page.data] == ids[:2]
    assert page.next is None
    assert (await storage.conversations.turns(OWNER, talk.id, before=ids[0])).data == []
    assert (await storage.conversations.turns(OWNER, talk.id, limit=8)).next is None


async def test_an_empty_conversation_has_no_turns(storage: Storage) -> None:
    talk = await made(storage)
    page = await storage.conversations.turns(OWNER, talk.id)
    assert (page.data, page.next) == ([], None)


async def test_turns_show_siblings_and_partial_text(storage: Storage) -> None:
    talk = await made(storage)
    root = await turn(storage, talk.id, None)
    first = await turn(storage, talk.id, root.id)
    second = await turn(storage, talk.id, root.id)
    await storage.turn_log.flush(second.id, output(second.id, answered("so far"), last_seq=7))
    page = await storage.conversations.turns(OWNER, talk.id)
    assert [found.siblings for found in page.data] == [(root.id,), (first.id, second.id)]
    assert text_of(page.data[1].items[-1].item) == "so far"
    assert page.data[1].response.last_seq == 7


async def test_before_must_be_a_turn_of_this_conversation(storage: Storage) -> None:
    talk, other = await made(storage), await made(storage)
    await chain(storage, talk.id, 2)
    (elsewhere,) = await chain(storage, other.id, 1)
    for wrong in (elsewhere, "resp_none"):
        with pytest.raises(NotFound):
            await storage.conversations.turns(OWNER, talk.id, before=wrong)


async def test_a_conversation_may_go_on_from_a_response_outside_any(storage: Storage) -> None:
    talk = await made(storage)
    outside = response()
    await storage.turn_log.begin(outside, [said("before")])
    inside = await turn(storage, talk.id, outside.id)
    page = await storage.conversations.turns(OWNER, talk.id, limit=1)
    assert page.next == inside.id
    page = await storage.conversations.turns(OWNER, talk.id, before=inside.id)
    assert [found.response.id for found in page.data] == [outside.id]


async def test_setting_the_head_shows_the_newest_branch_through_it(storage: Storage) -> None:
    talk = await made(storage)
    root, *_ = await chain(storage, talk.id, 1)
    old = await chain(storage, talk.id, 3, previous=root)
    new = await chain(storage, talk.id, 2, previous=root)
    newest = await chain(storage, talk.id, 1, previous=old[0])
    update = storage.conversations.update
    assert (await update(OWNER, talk.id, {"head": new[0]})).head == new[1]
    assert (await update(OWNER, talk.id, {"head": old[1]})).head == old[2]
    assert (await update(OWNER, talk.id, {"head": old[0]})).head == newest[0]
    assert (await update(OWNER, talk.id, {"head": root})).head == newest[0]
    page = await storage.conversations.turns(OWNER, talk.id)
    assert [found.response.id for found in page.data] == [root, old[0], newest[0]]


async def test_the_head_must_be_in_the_conversation(storage: Storage) -> None:
    talk, other = await made(storage), await made(storage)
    (elsewhere,) = await chain(storage, other.id, 1)
    for wrong in (elsewhere, "resp_none"):
        with pytest.raises(NotFound):
            await storage.conversations.update(OWNER, talk.id, {"head": wrong})


async def test_update_changes_what_it_names(storage: Storage) -> None:
    work = folder()
    await storage.folders.save(work)
    talk = await made(storage)
    changes = {
        "title": "New",
        "title_source": "model",
        "pinned": True,
        "folder_id": work.id,
        "model": "big",
        "metadata": {"k": "v"},
    }
    changed = await storage.conversations.update(OWNER, talk.id, changes)
    assert changed == replace(talk, **changes)  # type: ignore[arg-type]
    assert await storage.conversations.get(OWNER, talk.id) == changed
    undone = {"pinned": False, "folder_id": None, "model": None}
    assert await storage.conversations.update(OWNER, talk.id, undone) == replace(changed, **undone)  # type: ignore[arg-type]
    assert await storage.conversations.update(OWNER, talk.id, {}) == replace(changed, **undone)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": STRANGER},
        {"id = 'x', title": "injected"},
        {"title": None},
        {"title": 5},
        {"title_source": "robot"},
        {"pinned": 1},
        {"folder_id": 3},
        {"model": []},
        {"metadata": "x"},
        {"head": None},
    ],
)
async def test_update_refuses_what_cannot_be(storage: Storage, changes: dict[str, object]) -> None:
    talk = await made(storage)
    with pytest.raises(BadRequest) as caught:
        await storage.conversations.update(OWNER, talk.id, changes)
    assert caught.value.param in changes
    assert await storage.conversations.get(OWNER, talk.id) == talk


async def test_items_are_added_at_the_head(storage: Storage) -> None:
    talk = await made(storage)
    first = await turn(storage, talk.id, None, status="completed")
    added = await storage.conversations.add_items(OWNER, talk.id, [said("note"), answered("noted")])
    page = await storage.conversations.turns(OWNER, talk.id)
    assert [found.response.id for found in page.data] == [first.id, added]
    assert [text_of(stored.item) for stored in page.data[1].items] == ["note", "noted"]
    assert (await storage.conversations.get(OWNER, talk.id)).updated_at > talk.updated_at


async def test_items_added_at_once_make_one_chain(storage: Storage) -> None:
    talk = await made(storage)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(storage.conversations.add_items(OWNER, talk.id, [said(str(number))]))
            for number in range(40)
        ]
    page = await storage.conversations.turns(OWNER, talk.id, limit=100)
    assert {found.response.id for found in page.data} == {task.result() for task in tasks}
    assert all(below.response.previous_id == above.response.id for above, below in pairwise(page.data))


async def test_an_item_is_deleted(storage: Storage) -> None:
    talk, other = await made(storage), await made(storage)
    await storage.conversations.add_items(OWNER, talk.id, [said("xylophone", item_id="msg_a"), said("zither")])
    await storage.conversations.add_items(OWNER, other.id, [said("xylophone", item_id="msg_a")])
    await storage.conversations.delete_item(OWNER, talk.id, "msg_a")
    page = await storage.conversations.turns(OWNER, talk.id)
    assert [text_of(stored.item) for stored in page.data[0].items] == ["zither"]
    assert await listed(storage, query="xylophone") == [other.id]
    assert await listed(storage, query="zither") == [talk.id]
    with pytest.raises(NotFound):
        await storage.conversations.delete_item(OWNER, talk.id, "msg_a")


async def test_deleted_conversations_are_hidden_until_restored(storage: Storage) -> None:
    first, second, third = [await made(storage, title="word") for _ in range(3)]
    assert await storage.conversations.delete(OWNER, [second.id, "conv_none", first.id, second.id]) == [
        second.id,
        first.id,
    ]
    assert await storage.conversations.delete(OWNER, [first.id]) == []
    assert await listed(storage) == [third.id]
    assert await listed(storage, query="word") == [third.id]
    for call in (
        storage.conversations.get(OWNER, first.id),
        storage.conversations.turns(OWNER, first.id),
        storage.conversations.update(OWNER, first.id, {"title": "x"}),
        storage.conversations.add_items(OWNER, first.id, [said("x")]),
        storage.conversations.delete_item(OWNER, first.id, "msg_x"),
    ):
        with pytest.raises(NotFound):
            await call
    assert await storage.conversations.restore(OWNER, [third.id, first.id]) == [first.id]
    assert await storage.conversations.get(OWNER, first.id) == first
    assert await storage.conversations.delete(OWNER, []) == []


async def test_conversations_move_together_or_not_at_all(storage: Storage) -> None:
    work = folder()
    theirs = folder(owner=STRANGER)
    for shelf in (work, theirs):
        await storage.folders.save(shelf)
    first, second, gone = await made(storage, pinned=True), await made(storage), await made(storage)
    await storage.conversations.delete(OWNER, [gone.id])
    move, get = storage.conversations.move, storage.conversations.get
    for ids, target in (
        ([first.id, "conv_none"], work.id),
        ([second.id, gone.id], work.id),
        ([first.id, second.id], theirs.id),
        ([first.id], "fold_none"),
    ):
        with pytest.raises(NotFound):
            await move(OWNER, ids, target)
        assert [await get(OWNER, one.id) for one in (first, second)] == [first, second]
    await move(OWNER, [second.id, first.id, second.id], work.id)
    assert [await get(OWNER, one.id) for one in (first, second)] == [
        replace(one, folder_id=work.id) for one in (first, second)
    ]
    await move(OWNER, [first.id], None)
    assert await get(OWNER, first.id) == first
    await move(OWNER, [], None)


async def test_an_automatic_title_gives_way_to_the_users(storage: Storage) -> None:
    talk = await made(storage)
    entitle, get = storage.conversations.entitle, storage.conversations.get
    await entitle(OWNER, talk.id, "Firstwords here", "none")
    with pytest.raises(Conflict):
        await entitle(OWNER, talk.id, "Other words", "none")
    assert await get(OWNER, talk.id) == replace(talk, title="Firstwords here")
    await entitle(OWNER, talk.id, "Modeltitle", "model")
    assert await get(OWNER, talk.id) == replace(talk, title="Modeltitle", title_source="model")
    assert await listed(storage, query="modeltitle") == [talk.id]
    assert await listed(storage, query="firstwords") == []
    await storage.conversations.update(OWNER, talk.id, {"title": "Mineonly", "title_source": "user"})
    for source in ("none", "model"):
        with pytest.raises(Conflict):
            await entitle(OWNER, talk.id, "Latecomer", source)  # type: ignore[arg-type]
    assert (await get(OWNER, talk.id)).title == "Mineonly"
    assert await listed(storage, query="latecomer") == []
    assert await listed(storage, query="mineonly") == [talk.id]
    with pytest.raises(NotFound):
        await entitle(OWNER, "conv_none", "x", "model")


async def test_nothing_is_added_while_a_turn_runs(storage: Storage) -> None:
    talk, other = await made(storage), await made(storage)
    running = await turn(storage, talk.id, None)
    add = storage.conversations.add_items
    with pytest.raises(Conflict) as refused:
        await add(OWNER, talk.id, [said("x")])
    assert refused.value.code == "conversation_locked"
    assert (await storage.conversations.get(OWNER, talk.id)).head == running.id
    await add(OWNER, other.id, [said("x")])
    await storage.turn_log.finish(replace(running, status="completed"))
    added = await add(OWNER, talk.id, [said("x")])
    assert (await storage.responses.get(OWNER, added)).response.previous_id == running.id


async def test_purging_really_deletes_what_was_deleted_before(storage: Storage) -> None:
    gone, kept = await made(storage, title="gonetitle"), await made(storage)
    ids = await chain(storage, gone.id, 3)
    await storage.turn_log.flush(ids[-1], output(ids[-1], answered("partial")))
    outside = response(previous_id=ids[-1])
    await storage.turn_log.begin(outside, [said("goes on")])
    await chain(storage, kept.id, 2)
    await storage.conversations.delete(OWNER, [gone.id])
    assert await storage.conversations.purge(micros() - 60_000_000) == 0
    assert await storage.conversations.purge(micros() + 1) == 1
    assert await storage.conversations.purge(micros() + 1) == 0
    assert await storage.conversations.restore(OWNER, [gone.id]) == []
    for response_id in ids:
        with pytest.raises(NotFound):
            await storage.responses.get(OWNER, response_id)
    assert len(await storage.responses.window(OWNER, outside.id)) == 1
    assert len((await storage.conversations.turns(OWNER, kept.id)).data) == 2
    for table in ("items", "partials", "search_texts"):
        rows = await storage.database.fetch(f"SELECT DISTINCT response_id FROM {table}")
        assert not {row["response_id"] for row in rows} & set(ids)


async def test_purging_many_goes_on_to_the_end(storage: Storage) -> None:
    ids = [(await made(storage)).id for _ in range(120)]
    await storage.conversations.delete(OWNER, ids)
    assert await storage.conversations.purge(micros() + 1) == 120


async def test_purging_and_restoring_at_once_lose_nothing_by_halves(storage: Storage) -> None:
    ids = []
    for _ in range(30):
        talk = await made(storage)
        await storage.conversations.add_items(OWNER, talk.id, [said("treasure")])
        ids.append(talk.id)
    await storage.conversations.delete(OWNER, ids)
    async with asyncio.TaskGroup() as group:
        purging = group.create_task(storage.conversations.purge(micros() + 1))
        restoring = [group.create_task(storage.conversations.restore(OWNER, [one])) for one in reversed(ids)]
    back = [one for task in restoring for one in task.result()]
    assert purging.result() + len(back) == 30
    assert sorted(await listed(storage, query="treasure")) == sorted(back)
