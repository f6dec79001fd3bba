"""Talking: a chat is an ordinary conversation of the linked person, answered once and in order."""

import asyncio
from pathlib import Path

from portal.backends.scripted import ScriptedBackend, echo
from portal.channels import words
from portal.channels.conversing import message_item
from portal.core.agent import Turn
from portal.core.channels import Attachment, Limits, Reaction, Sender
from portal.core.model import ModelInfo, TextDelta
from portal.core.records import TurnRecord
from portal.errors import BackendTimeout
from portal.speech.faster_whisper import step
from portal.testing.channel import ALICE

from .conftest import Chat, open_chat

BOB = Sender(id="bob", name="Bob")


async def turns(chat: Chat) -> list[TurnRecord]:
    """Of the newest conversation."""
    storage = chat.portal.portal.storage
    conversation = (await storage.conversations.list(chat.portal.owner)).data[0]
    return list((await storage.conversations.turns(chat.portal.owner, conversation.id)).data)


async def test_what_is_written_is_answered_in_a_conversation_of_the_page(chat: Chat) -> None:
    chat.write("Hello there")
    await chat.until("Hello there")
    (conversation,) = (await chat.portal.portal.storage.conversations.list(chat.portal.owner)).data
    assert conversation.metadata == {"portal:door": "test"}
    assert [turn.response.status for turn in await turns(chat)] == ["completed"]
    chat.write("And again")
    await chat.until("Hello there", "And again")
    assert len(await turns(chat)) == 2


async def test_an_event_that_comes_again_is_known(chat: Chat) -> None:
    first = chat.write("Hello")
    await chat.until("Hello")
    chat.platform.deliver(first)
    chat.write("Next")
    await chat.until("Hello", "Next")
    assert len(await turns(chat)) == 2


async def test_a_chat_is_answered_in_order_and_others_beside_it(chat: Chat) -> None:
    gate = asyncio.Event()
    chat.backend.script(gate, TextDelta("slow"))
    chat.write("one")
    chat.write("two")
    chat.write("three", place=chat.place(chat="c2"))
    await chat.until("three", chat="c2")
    assert chat.texts() == []
    gate.set()
    await chat.until("slow", "two")


async def test_an_edited_message_is_answered_on_a_branch(chat: Chat) -> None:
    chat.write("Before")
    await chat.until("Before")
    message = chat.write("Helo")
    await chat.until("Before", "Helo")
    chat.write("Hello", id=message.id, edited=True)
    await chat.until("Before", "Helo", "Hello")
    shown = await turns(chat)
    assert [len(turn.siblings) for turn in shown] == [1, 2]
    chat.write("A", id="unknown", edited=True)
    await chat.until("Before", "Helo", "Hello", "A")
    assert len(await turns(chat)) == 3


async def test_the_first_message_edited_begins_the_conversation_again(chat: Chat) -> None:
    message = chat.write("Helo")
    await chat.until("Helo")
    chat.write("Hello", id=message.id, edited=True)
    await chat.until("Helo", "Hello")
    (turn,) = await turns(chat)
    assert len(turn.siblings) == 2
    command = chat.write("/help")
    await chat.platform.until(lambda: len(chat.texts()) == 3)
    chat.write("No command", id=command.id, edited=True)
    await chat.platform.until(lambda: chat.texts()[-1] == "No command")


async def test_groups_are_answered_when_addressed(chat: Chat) -> None:
    group = chat.place(chat="g1", direct=False, title="Family")
    chat.write("among us", place=group, addressed=False)
    chat.write("you there", place=group)
    await chat.until("you there", chat="g1")
    (conversation,) = (await chat.portal.portal.storage.conversations.list(chat.portal.owner)).data
    assert conversation.title == "Family"
    chat.write("a stranger among us", sender=BOB, place=group, addressed=False)
    chat.write("who am I", sender=BOB, place=group)
    await chat.until("you there", words.STRANGER, chat="g1")


async def test_groups_can_always_be_answered(tmp_path: Path) -> None:
    async with open_chat(tmp_path, settings={"channels": {"groups": "always"}}) as chat:
        await chat.link()
        chat.write("among us", place=chat.place(chat="g1", direct=False), addressed=False)
        await chat.until("among us", chat="g1")


async def test_files_come_in(tmp_path: Path) -> None:
    seeing = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "vision"}))
    async with open_chat(tmp_path, backend=ScriptedBackend(models=[seeing], default=echo)) as chat:
        await chat.link()
        await _with_files(chat)


async def _with_files(chat: Chat) -> None:
    chat.platform.files = {"r1": b"PNG", "r2": b"some notes"}
    picture = Attachment(ref="r1", kind="image", name="a.png", content_type="image/png")
    notes = Attachment(ref="r2", kind="file", name="a.txt", content_type="text/plain")
    chat.write("Look", files=(picture, notes))
    await chat.platform.until(lambda: bool(chat.texts()))
    (turn,) = await turns(chat)
    content = turn.items[0].item["content"]
    assert [part["type"] for part in content] == ["input_text", "input_image", "input_file"]
    assert "some notes" in str(chat.backend.requests[-1].messages)


async def test_files_that_are_too_large_or_spoken_are_told_of(tmp_path: Path) -> None:
    limits = Limits(interval=0.01, per_second=10_000, typing=0, fetch=4 * 2**20)
    async with open_chat(tmp_path, limits=limits) as chat:
        await chat.link()
        large = Attachment(ref="r1", kind="file", name="a.pdf", size=5 * 2**20)
        chat.write("", files=(large,))
        too_large = words.FAILED.format(why=words.TOO_LARGE.format(name="a.pdf", limit=4))
        await chat.until(too_large)
        chat.platform.files = {"r1": b"0" * (5 * 2**20)}
        chat.write("", files=(Attachment(ref="r1", kind="file", name="a.pdf"),))
        await chat.until(too_large, too_large)
        chat.write("", files=(Attachment(ref="r1", kind="audio", name="a.ogg", voice=True),))
        await chat.until(
            too_large, too_large, words.FAILED.format(why=words.NO_SPEECH.format(why=step(tmp_path / "speech")))
        )


async def test_a_failure_is_told_and_can_be_tried_again(chat: Chat) -> None:
    chat.backend.script(BackendTimeout("The model is away."))
    chat.write("Hello")
    (bubble,) = await chat.until(words.FAILED.format(why="The model is away."))
    chat.press(bubble, "↻")
    await chat.platform.until(lambda: chat.texts()[-1] == "Hello")
    (turn,) = await turns(chat)
    assert len(turn.siblings) == 2


async def test_an_answer_is_shown_while_it_is_written_and_can_be_stopped(chat: Chat) -> None:
    gate = asyncio.Event()
    chat.backend.script(TextDelta("Half "), gate, TextDelta("and half"))
    chat.write("Hello")
    (bubble,) = await chat.until("Half")
    chat.press(bubble, "Stop")
    await chat.until(f"Half\n\n{words.WAS_STOPPED}")
    assert [turn.response.status for turn in await turns(chat)] == ["cancelled"]


async def test_stop_does_not_wait(chat: Chat) -> None:
    chat.write("/stop")
    await chat.until(words.NOTHING_RUNS)
    gate = asyncio.Event()
    chat.backend.script(TextDelta("Half"), gate)
    chat.write("Hello")
    await chat.until(words.NOTHING_RUNS, "Half")
    chat.write("/stop")
    await chat.platform.until(lambda: words.STOPPED in chat.texts() and any("(Stopped" in one for one in chat.texts()))
    chat.write("/stop")
    await chat.platform.until(lambda: chat.texts().count(words.NOTHING_RUNS) == 2)


async def test_a_reaction_is_feedback(chat: Chat) -> None:
    chat.write("Hello")
    (bubble,) = await chat.until("Hello")
    chat.platform.deliver(Reaction(event_id="r1", place=bubble.place, sender=ALICE, message_id=bubble.id, rating=1))
    chat.platform.deliver(Reaction(event_id="r2", place=bubble.place, sender=ALICE, message_id="?", rating=1))
    chat.platform.deliver(Reaction(event_id="r3", place=bubble.place, sender=BOB, message_id=bubble.id, rating=-1))
    chat.write("Next")
    await chat.until("Hello", "Next")
    while (await turns(chat))[0].response.feedback != 1:
        await asyncio.sleep(0)


async def test_a_conversation_that_was_deleted_is_followed_by_another(chat: Chat) -> None:
    chat.write("Hello")
    await chat.until("Hello")
    storage, owner = chat.portal.portal.storage, chat.portal.owner
    (old,) = (await storage.conversations.list(owner)).data
    await storage.conversations.delete(owner, [old.id])
    chat.write("Again")
    await chat.until("Hello", "Again")
    (new,) = (await storage.conversations.list(owner)).data
    assert new.id != old.id


async def test_a_turn_of_the_page_is_waited_for(chat: Chat) -> None:
    chat.write("Hello")
    await chat.until("Hello")
    gate = asyncio.Event()
    chat.backend.script(gate, TextDelta("for the page"))
    (conversation,) = (await chat.portal.portal.storage.conversations.list(chat.portal.owner)).data
    turn = Turn(
        owner=chat.portal.owner,
        model="tiny",
        input=[message_item([{"type": "input_text", "text": "page"}])],
        door="web",
        conversation_id=conversation.id,
        background=True,
    )
    await chat.portal.portal.agent.start(turn)
    chat.write("From the chat")
    await asyncio.sleep(0)
    gate.set()
    await chat.until("Hello", "From the chat")
    assert [turn.items[0].item["content"][0]["text"] for turn in await turns(chat)] == [
        "Hello",
        "page",
        "From the chat",
    ]
