"""What seldom happens in a chat, and must go right."""

import asyncio
from pathlib import Path

import pytest

from portal.backends.scripted import ScriptedBackend, echo
from portal.channels import words
from portal.channels.conversing import message_item
from portal.channels.pace import Pace
from portal.core.agent import Turn
from portal.core.channels import Attachment, Button, Limits, Press, Sender
from portal.core.clock import micros
from portal.core.model import ModelInfo, TextDelta
from portal.core.records import ConversationRecord
from portal.errors import ChannelError, ChannelGone, Forbidden, RateLimited
from portal.testing.channel import ALICE, GrowingChannel, PlatformState
from portal.testing.records import approval, arrival
from portal.testing.scripted_speech import ScriptedTranscriber

from .conftest import Chat, open_chat
from .desk import Desk, able, calls, says

TYPING = Limits(interval=0.01, per_second=10_000, typing=0.01)


async def test_a_turn_that_began_before_a_crash_is_delivered_and_not_begun_again(tmp_path: Path) -> None:
    platform = PlatformState()
    async with open_chat(tmp_path, platform) as chat:
        await chat.link()
        storage, agent, owner = chat.portal.portal.storage, chat.portal.portal.agent, chat.portal.owner
        message = arrival()
        await storage.inbox.accept(message)
        conversation = ConversationRecord(id="conv_1", owner=owner, created_at=micros(), updated_at=micros())
        await storage.conversations.create(conversation)
        item = message_item([{"type": "input_text", "text": "Hello"}])
        run = await agent.start(
            Turn(owner=owner, model="tiny", input=[item], response_id=message.response_id, conversation_id="conv_1")
        )
        await run.ended()
    async with open_chat(tmp_path, platform) as chat:
        await chat.until("Hello")
        assert chat.backend.requests == []


async def test_a_button_that_was_pressed_before_a_crash(tmp_path: Path) -> None:
    platform, desk = PlatformState(), Desk()
    async with open_chat(tmp_path, platform, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.link()
        chat.backend.script(*calls(("write_note", {"text": "milk"})))
        chat.write("Note it")
        await platform.until(lambda: bool(chat.texts()) and "Allow write_note" in chat.texts()[-1])
        bubble = chat.bubbles()[-1]
        allow, event = bubble.button("Allow"), "p1"
        chat.backend.script(*says("Noted."))
        chat.press(bubble, "Allow")
        await chat.until("✅ Allowed: **write_note**", "Noted.")
        await platform.until(lambda: bool(chat.bubbles()[-1].said.buttons))
        press = Press(event_id=event, place=bubble.place, sender=ALICE, message_id=bubble.id, data=allow.data)
        await chat.portal.portal.storage.inbox.accept(arrival(event=press))
        again = Press(
            event_id="p2",
            place=bubble.place,
            sender=ALICE,
            message_id="?",
            data=Button(action="regenerate", value=chat.bubbles()[-1].button("↻").value, label="").data,
        )
        await chat.portal.portal.storage.inbox.accept(arrival(event=again))
    async with open_chat(tmp_path, platform, backend=able(), toolsets=desk.toolsets()) as chat:
        await platform.until(lambda: len(chat.texts()) == 3)
        assert "cannot be done again from here" in chat.texts()[-1]
        assert desk.done == ["milk"]


async def test_the_direct_chat_of_a_link_follows_its_person(chat: Chat) -> None:
    chat.write("Hello", place=chat.place(chat="c9"))
    await chat.until("Hello", chat="c9")
    (link,) = await chat.portal.portal.storage.links.list(chat.portal.owner)
    assert link.chat == "c9"


async def test_an_answer_is_delivered_where_it_is_wanted(chat: Chat) -> None:
    portal, owner = chat.portal.portal, chat.portal.owner
    item = message_item([{"type": "input_text", "text": "Hello from a schedule"}])
    run = await portal.agent.start(Turn(owner=owner, model="tiny", input=[item], door="schedule", background=True))
    await portal.channels.deliver_answer(owner, "test", run.id)
    await portal.channels.deliver_answer(owner, "test", run.id)
    await chat.until("Hello from a schedule")


async def test_an_answer_that_was_deleted_is_not_delivered(chat: Chat) -> None:
    portal, owner = chat.portal.portal, chat.portal.owner
    await portal.channels.deliver_answer(owner, "test", "resp_none")
    chat.write("Hello")
    await chat.until("Hello")


async def test_quick_questions_are_kept_nowhere(chat: Chat) -> None:
    channels = chat.portal.portal.channels
    assert await channels.ask("test", ALICE, "Quick") == "Quick"
    assert (await chat.portal.portal.storage.conversations.list(chat.portal.owner)).data == []
    with pytest.raises(Forbidden):
        await channels.ask("test", Sender(id="bob"), "Quick")
    assert (await channels.home("test", Sender(id="bob"))).text == words.STRANGER_HOME


async def test_what_is_under_way_is_shown(tmp_path: Path) -> None:
    platform, desk, gate = PlatformState(), Desk(), asyncio.Event()
    desk.gate = gate
    channel = GrowingChannel(platform, limits=TYPING)
    async with open_chat(tmp_path, platform, channel=channel, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.link()
        chat.backend.script(*calls(("wait_long", {})))
        chat.backend.script(*says("It came."))
        chat.write("Wait")
        await platform.until(lambda: ("typing is using wait_long", "c1") in platform.calls)
        platform.fail = lambda call, name: ChannelError("No.") if call.startswith("typing") else None
        gate.set()
        await chat.until("It came.")
        platform.fail = lambda call, name: RuntimeError("boom") if call.startswith("typing") else None
        chat.backend.script(*says("Still here."))
        chat.write("And now")
        await chat.until("It came.", "Still here.")


async def test_a_chat_that_is_gone_in_the_middle_of_an_answer(chat: Chat) -> None:
    gate = asyncio.Event()
    chat.backend.script(TextDelta("a"), gate, TextDelta("b"))
    chat.write("One")
    await chat.until("a")
    chat.platform.fail = lambda call, name: ChannelGone("You are blocked.") if call == "edit" else None
    gate.set()
    await chat.platform.until(lambda: ("edit", "c1") in chat.platform.calls)
    chat.platform.fail = lambda call, name: None
    chat.write("Two")
    await chat.until("a", "Two")


async def test_speech_is_written_down_where_it_can_be(tmp_path: Path) -> None:
    ears = ScriptedTranscriber()
    async with open_chat(tmp_path, transcriber=ears) as chat:
        await chat.link()
        chat.platform.files = {"r1": b"Hello", "r2": b" "}
        chat.write("", files=(Attachment(ref="r1", kind="audio", name="a.ogg", content_type="audio/ogg", voice=True),))
        await chat.until("Hello")
        chat.write("", files=(Attachment(ref="r2", kind="audio", name="", content_type="audio/mpeg", voice=True),))
        await chat.until("Hello", words.FAILED.format(why=words.NOTHING_HEARD))
        assert [name for name, _ in ears.recordings] == ["voice.ogg", "voice.mp3"]


async def test_only_models_that_chat_are_offered(tmp_path: Path) -> None:
    vectors = ModelInfo(id="vectors", backend="scripted", capabilities=frozenset({"embeddings"}))
    async with open_chat(tmp_path, backend=ScriptedBackend(models=["talker", vectors], default=echo)) as chat:
        await chat.link()
        chat.write("/model vectors")
        await chat.platform.until(lambda: bool(chat.texts()))
        assert "There is no model 'vectors'. There are: talker" in chat.texts()[0]


async def test_many_models_are_not_all_offered(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=[f"m{number:02}" for number in range(20)], default=echo)
    async with open_chat(tmp_path, backend=backend) as chat:
        await chat.link()
        chat.write("/model")
        await chat.platform.until(lambda: bool(chat.texts()))
        assert "more: `/model NAME`" in chat.texts()[0]
        gone = Press(event_id="x", place=chat.place(), sender=ALICE, message_id="1", data="choose:0000")
        chat.platform.deliver(gone)
        await chat.platform.until(lambda: "not there any more" in chat.texts()[-1])


async def test_a_chat_waits_for_its_own_pause_alone() -> None:
    pace = Pace(interval=0.001, per_second=100_000)
    tried: list[str] = []

    async def refused() -> None:
        tried.append("refused")
        raise RateLimited("Slow down.", retry_after=3600)

    async def taken() -> None:
        tried.append("taken")

    assert not await pace.attempt("a", refused)
    assert not await pace.attempt("a", taken)
    await pace.call("b", taken)
    for number in range(1100):
        await pace.call(f"c{number}", taken)
    assert not await pace.attempt("a", taken)
    assert tried[:2] == ["refused", "taken"]


async def test_a_question_in_the_middle_of_a_call_is_asked_and_answered(tmp_path: Path) -> None:
    platform, desk = PlatformState(), Desk()
    async with open_chat(tmp_path, platform, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.link()
        portal, owner = chat.portal.portal, chat.portal.owner
        chat.backend.script(*says("Look: "), *calls(("wait_long", {})))
        chat.backend.script(*says("It came."))
        chat.write("Wait")
        (bubble,) = await chat.until("Look:")
        response_id = bubble.button("Stop").value
        record = approval(owner=owner, response_id=response_id, tool="sampling", call_id="mcp_1")
        form = approval(
            owner=owner, response_id=response_id, toolset="forms", call_id="mcp_1", question=True, why="Who?"
        )
        for one in (record, form):
            await portal.storage.call_log.ask([], [one])
            portal.bus.publish(owner, "approvals.changed", id=one.id, status="pending")
        await platform.until(lambda: len(chat.texts()) == 3)
        assert chat.texts()[2] == words.ON_PAGE.format(asks=words.ASKS.format(server="forms", message="Who?"))
        chat.press(chat.bubbles()[1], "Allow")
        await platform.until(lambda: chat.texts()[1] == "✅ Allowed: **sampling**")
        desk.gate.set()
        await platform.until(lambda: chat.texts()[0].endswith("It came."))
