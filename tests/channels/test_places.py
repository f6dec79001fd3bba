"""Places: where a reply goes on, what threads take from their room, and by which names they are asked for."""

import asyncio
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from portal.backends.scripted import ScriptedBackend, echo
from portal.channels import words
from portal.core.channel_stores import ChatRecord
from portal.core.channels import Content, Place, Sender
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.records import ConversationRecord
from portal.errors import NotFound
from portal.testing.channel import Bubble

from .conftest import Chat, open_chat


async def said_in(chat: Chat) -> dict[str, int]:
    """How many turns there are in each conversation, by what it began with."""
    storage, owner = chat.portal.portal.storage, chat.portal.owner
    found = {}
    for talk in (await storage.conversations.list(owner)).data:
        turns = (await storage.conversations.turns(owner, talk.id)).data
        found[str(turns[0].items[0].item["content"][0]["text"]) if turns else ""] = len(turns)
    return found


async def answered(chat: Chat, text: str, *, place: Place | None = None, replies_to: str = "") -> Bubble:
    """What is answered to it, in whatever place."""
    place = place or chat.place()
    before = len(chat.bubbles(place.chat))
    chat.write(text, place=place, replies_to=replies_to)
    await chat.platform.until(lambda: len(chat.bubbles(place.chat)) > before)
    bubble = chat.bubbles(place.chat)[-1]
    await chat.platform.until(lambda: not any(one.label == "Stop" for row in bubble.said.buttons for one in row))
    return bubble


async def begun(chat: Chat) -> str:
    """A conversation of the page."""
    now = micros()
    made = ConversationRecord(id=new_id("conv"), owner=chat.portal.owner, created_at=now, updated_at=now, title="Plans")
    await chat.portal.portal.storage.conversations.create(made)
    return made.id


async def test_a_reply_goes_on_with_the_conversation_of_what_it_replies_to(chat: Chat) -> None:
    first = await answered(chat, "Mountains")
    chat.write("/new")
    await chat.platform.until(lambda: chat.texts()[-1] == words.NEW)
    second = await answered(chat, "Seas")
    assert await said_in(chat) == {"Mountains": 1, "Seas": 1}
    await answered(chat, "How high?", replies_to=first.id)
    await answered(chat, "And where?")
    assert await said_in(chat) == {"Mountains": 3, "Seas": 1}
    await answered(chat, "How deep?", replies_to=second.id)
    assert await said_in(chat) == {"Mountains": 3, "Seas": 2}


async def test_a_reply_that_is_only_supposed_moves_nothing(chat: Chat) -> None:
    first = await answered(chat, "Mountains")
    chat.write("/new")
    await chat.platform.until(lambda: chat.texts()[-1] == words.NEW)
    chat.write("Seas", replies_to=first.id, supposed=True)
    await chat.until("Mountains", words.NEW, "Seas")
    assert await said_in(chat) == {"Mountains": 1, "Seas": 1}


async def test_a_reply_to_what_is_gone_or_of_no_conversation_changes_nothing(chat: Chat) -> None:
    storage, owner = chat.portal.portal.storage, chat.portal.owner
    first = await answered(chat, "Mountains")
    (talk,) = (await storage.conversations.list(owner)).data
    await storage.conversations.delete(owner, [talk.id])
    await answered(chat, "How high?", replies_to=first.id)
    chat.write("/help")
    await chat.platform.until(lambda: words.HELP in chat.texts()[-1])
    await answered(chat, "And then?", replies_to=chat.bubbles()[-1].id)
    assert await said_in(chat) == {"How high?": 2}


async def test_what_portal_brings_is_gone_on_with_by_a_reply_or_in_its_thread(chat: Chat) -> None:
    channels, owner = chat.portal.portal.channels, chat.portal.owner
    await answered(chat, "Mountains")
    plans = await begun(chat)
    await channels.deliver(owner, "test", Content(text="Here are the plans.", conversation_id=plans))
    await chat.platform.until(lambda: chat.texts()[-1] == "Here are the plans.")
    brought = chat.bubbles()[-1]
    await answered(chat, "How high?")
    assert await said_in(chat) == {"Mountains": 2, "": 0}
    await answered(chat, "Which of them first?", replies_to=brought.id)
    await answered(chat, "And in a thread?", place=chat.place(thread=brought.id))
    chat.write("/new", place=chat.place(thread=brought.id))
    await chat.platform.until(lambda: chat.texts()[-1] == words.NEW)
    await answered(chat, "Seas", place=chat.place(thread=brought.id))
    assert await said_in(chat) == {"Mountains": 2, "Which of them first?": 2, "Seas": 1}


async def test_a_conversation_that_goes_on_in_a_chat_goes_on_in_its_thread(chat: Chat) -> None:
    plans = await begun(chat)
    await chat.portal.portal.channels.move_to(chat.portal.owner, plans, "test")
    await chat.until(words.MOVED.format(title="Plans", last="").strip())
    await answered(chat, "First", place=chat.place(thread=chat.bubbles()[-1].id))
    await answered(chat, "Second")
    assert await said_in(chat) == {"First": 2}


async def test_a_reply_to_what_somebody_else_was_told_is_a_question_of_ones_own(chat: Chat) -> None:
    portal, group = chat.portal.portal, chat.place(chat="g1", direct=False, title="Team")
    theirs = await answered(chat, "Mountains", place=group)
    bob = Sender(id="bob", name="Bob")
    body = {"name": "Bob"}
    async with aiohttp.ClientSession(chat.portal.url, headers=chat.portal.headers) as client:
        made = await (await client.post("/portal/v1/users", json=body)).json()
    code, _ = await portal.channels.linking.offer(made["id"])
    await portal.channels.linking.redeem(replace(group, chat="c2", direct=True), bob, code)
    chat.write("And who am I?", place=group, sender=bob, replies_to=theirs.id)
    await chat.platform.until(lambda: len(chat.texts("g1")) == 2)
    assert await said_in(chat) == {"Mountains": 1}
    assert [len((await portal.storage.conversations.list(one)).data) for one in (chat.portal.owner, made["id"])] == [
        1,
        1,
    ]


async def test_a_group_is_always_answered_in_all_its_threads(chat: Chat) -> None:
    places, owner = chat.portal.portal.channels.places, chat.portal.owner
    group = chat.place(chat="g1", direct=False, title="Team")
    await answered(chat, "Hello", place=replace(group, thread="a"))

    def unasked() -> None:
        for thread in ("a", "b", ""):
            chat.write(f"Unasked in {thread}!", place=replace(group, thread=thread), addressed=False)

    changed = await places.change(owner, "test:g1", mode="always", model=None)
    assert (changed.place, changed.mode) == (group, "always")
    unasked()
    await chat.platform.until(lambda: len(chat.texts("g1")) == 4)
    assert sorted(chat.texts("g1")[1:]) == ["Unasked in !", "Unasked in a!", "Unasked in b!"]
    changed = await places.change(owner, "test:g1/b", mode="mentioned", model="tiny")
    assert (changed.place, changed.mode, changed.model) == (replace(group, thread="b"), "mentioned", "tiny")
    unasked()
    await answered(chat, "Done")
    while await chat.portal.portal.storage.inbox.open("test"):
        await asyncio.sleep(0.01)
    assert len(chat.texts("g1")) == 4


async def test_a_chat_among_very_many_is_found_and_changed(chat: Chat) -> None:
    storage, owner = chat.portal.portal.storage, chat.portal.owner
    places, group = chat.portal.portal.channels.places, chat.place(chat="g1", direct=False, title="Team")
    async with asyncio.TaskGroup() as saving:
        for number in range(505):
            place = replace(group, thread=f"t{number}")
            kept = ChatRecord(owner=owner, place=place, mode="mentioned", changed_at=number)
            saving.create_task(storage.chats.save(kept))
    for thread in ("t0", "t1"):
        assert await places.find(owner, f"test:g1/{thread}") == replace(group, thread=thread)
    changed = await places.change(owner, "test:g1/t0", mode="always", model="tiny")
    assert (changed.place.thread, changed.mode, changed.model) == ("t0", "always", "tiny")
    for thread in ("t1", "t504", "new"):
        assert (await places.of(owner, replace(group, thread=thread))).mode == "always"
    assert {one.mode for one in await storage.chats.list(owner)} == {"always"}
    assert await places.find(owner, "test:g1") == group
    with pytest.raises(NotFound):
        await places.find(owner, "test:g1/none")


async def test_a_new_thread_is_answered_by_the_model_of_its_room(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny", "large"], default=echo)
    async with open_chat(tmp_path, backend=backend) as chat:
        await chat.link()
        chat.write("/model large")
        await chat.until(words.CHOSEN.format(name="large"))
        await answered(chat, "Hello", place=chat.place(thread="7"))
        assert backend.requests[-1].model == "large"


async def test_threads_are_told_apart_by_what_they_began_with(chat: Chat) -> None:
    channels, owner = chat.portal.portal.channels, chat.portal.owner
    group = chat.place(chat="g1", direct=False, title="Team")
    for thread, text in (("a", "How high\nis it?"), ("b", "How deep?")):
        await answered(chat, text, place=replace(group, thread=thread))
    assert await channels.targets(owner) == [
        ("test", "Alice, direct"),
        ("test:g1", "Team"),
        ("test:g1/b", "Team: How deep?"),
        ("test:g1/a", "Team: How high is it?"),
    ]
    await channels.deliver(owner, "test:g1", Content(text="To all"))
    await chat.platform.until(lambda: chat.texts("g1")[-1] == "To all")
    assert chat.bubbles("g1")[-1].place == group
