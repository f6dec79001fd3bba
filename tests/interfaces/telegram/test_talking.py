"""Telegram's people talk with a whole Portal."""

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.channels import Content, Outgoing, Place
from portal.core.model import ModelInfo, TextDelta, ToolCallDelta
from portal.core.tools import ToolFile, ToolResult
from portal.testing.scripted_speech import ScriptedTranscriber
from portal.testing.telegram_people import buttons, words
from portal.testing.telegram_server import TelegramFault, TelegramServer
from portal.tools.function import Functions, tool

from .conftest import Room, made_channel, open_room, until

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", 40, 30) + b"rest"


async def test_a_chat_is_linked_answered_and_a_conversation_of_the_page(room: Room) -> None:
    room.alice.write("Hello **there**")
    answer = await room.alice.reads("Hello there")
    assert answer["entities"] == [{"type": "bold", "offset": 6, "length": 5}]
    (sent,) = [call for call in room.telegram.called("sendMessage") if "Hello" in call.given["text"]]
    assert sent.given["link_preview_options"] == {"is_disabled": True}
    (conversation,) = (await room.api("/portal/v1/conversations"))["data"]
    assert conversation["title"] == "Hello there"
    assert [one["command"] for one in room.telegram.methods.commands["default"]][:3] == ["start", "help", "new"]
    assert "typing" in room.alice.chat.actions
    # the page goes on with it, and what is written in Telegram after that follows the page's turn
    body = {"model": "tiny", "input": "from the page", "conversation": conversation["id"]}
    await room.api("/v1/responses", body)
    room.alice.write("and back")
    await room.alice.reads("and back")
    said = [message["content"] for message in room.backend.requests[-1].messages if message["role"] == "user"]
    assert [str(one) for one in said] == ["Hello **there**", "from the page", "and back"]


async def test_strangers_are_refused_until_the_owner_lets_them_in(room: Room) -> None:
    bob = room.telegram.person("Bob <b>& Co</b>")
    bob.write("let me in")
    await bob.reads("I do not know you yet")
    (asking,) = (await room.api("/portal/v1/channels/pairings"))["data"]
    assert asking["name"] == "Bob <b>& Co</b>"
    await room.api(f"/portal/v1/channels/pairings/{asking['id']}", {"approve": True})
    await bob.reads("You are linked")
    bob.write("thank you")
    await bob.reads("thank you")
    assert len(room.backend.requests) == 1


async def test_an_edit_is_a_branch(room: Room) -> None:
    first = room.alice.write("Count to three")
    await room.alice.reads("Count to three")
    room.alice.edit(first, "Count to four")
    await room.alice.reads("Count to four")
    assert [message["content"] for message in room.backend.requests[-1].messages if message["role"] == "user"] == [
        "Count to four"
    ]


async def test_files_come_in_as_files_of_the_person(room: Room) -> None:
    room.alice.send("document", b"Milk and bread", name="list.txt", mime="text/plain", caption="What is on it?")
    await room.alice.reads("What is on it?")
    (file,) = (await room.api("/v1/files"))["data"]
    assert (file["filename"], file["bytes"]) == ("list.txt", 14)
    assert "Milk and bread" in str(room.backend.requests[-1].messages)
    room.alice.send("voice", b"OggS", mime="audio/ogg")
    await room.alice.reads("I cannot listen")
    big = room.alice.send("document", bytes(20 * 2**20 + 1), name="big.bin")
    await room.alice.reads("too large", after=big)


async def test_a_model_that_sees_is_shown_a_photo(tmp_path: Path, telegram: TelegramServer) -> None:
    seeing = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "vision"}))
    async with open_room(tmp_path, telegram, backend=ScriptedBackend(models=[seeing], default=echo)) as room:
        telegram.fail("sendChatAction", TelegramFault(status=429, retry_after=9))
        room.alice.send("photo", PNG, caption="What is this?")
        await room.alice.reads("What is this?")
        assert "image_url" in str(room.backend.requests[-1].messages)


async def test_an_album_is_one_question(room: Room) -> None:
    for name in ("a.txt", "b.txt"):
        caption = "Compare them" if name == "a.txt" else ""
        room.alice.send("document", name.encode(), name=name, mime="text/plain", caption=caption, group="7")
    await room.alice.reads("Compare them")
    assert len(room.backend.requests) == 1
    assert {one["filename"] for one in (await room.api("/v1/files"))["data"]} == {"a.txt", "b.txt"}


async def test_what_is_spoken_is_written_down_and_answered(tmp_path: Path, telegram: TelegramServer) -> None:
    async with open_room(tmp_path, telegram, transcriber=ScriptedTranscriber()) as room:
        room.alice.send("voice", b"good morning", mime="audio/ogg")
        await room.alice.reads("good morning")
        room.alice.send("video_note", b"look at me", mime="video/mp4")
        await room.alice.reads("look at me")


class Desk:
    def __init__(self) -> None:
        self.done: list[str] = []

    @tool(risk="write")
    async def write_note(self, text: str) -> str:
        """Write a note. Use it when something is to be kept."""
        self.done.append(text)
        return "written"

    @tool(risk="read")
    async def draw_chart(self) -> ToolResult:
        """Draw a chart of the weather."""
        made = [
            ToolFile(name="chart.png", content_type="image/png", data=PNG),
            ToolFile(name="table.csv", content_type="text/csv", data=b"day,degrees\n"),
            ToolFile(name="odd.png", content_type="image/png", data=b"no picture at all"),
            ToolFile(name="song.mp3", content_type="audio/mpeg", data=b"ID3"),
            ToolFile(name="film.mp4", content_type="video/mp4", data=b"mp4"),
            ToolFile(name="voice.ogg", content_type="audio/ogg", data=b"OggS"),
        ]
        return ToolResult(text="drawn", files=made)


def desk_backend() -> ScriptedBackend:
    able = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)
    return ScriptedBackend(models=[able], default=echo)


async def test_what_tools_make_is_sent_as_what_it_is(tmp_path: Path, telegram: TelegramServer) -> None:
    backend = desk_backend()
    async with open_room(
        tmp_path, telegram, backend=backend, toolsets=[Functions("desk", [Desk().draw_chart])]
    ) as room:
        backend.script(ToolCallDelta(index=0, id="c1", name="draw_chart", arguments="{}"))
        backend.answer("Here it is.")
        room.alice.write("/model auto")
        await room.alice.reads("auto")
        room.alice.write("Draw the weather")
        await room.alice.reads("Here it is.")
        await room.alice.reads(lambda message: "voice" in message)
        kinds = ("photo", "document", "audio", "video", "voice")
        sent = [next((kind for kind in kinds if kind in message), "text") for message in room.alice.sees()]
        assert sent[-6:] == ["photo", "document", "document", "audio", "video", "voice"]


async def test_a_dangerous_call_is_allowed_by_a_button_and_vanishes_from_the_page(
    tmp_path: Path, telegram: TelegramServer
) -> None:
    backend, desk = desk_backend(), Desk()
    async with open_room(tmp_path, telegram, backend=backend, toolsets=[Functions("desk", [desk.write_note])]) as room:
        room.alice.write("/model auto")
        await room.alice.reads("auto")
        for text in ("milk", "bread"):
            backend.script(ToolCallDelta(index=0, id="c1", name="write_note", arguments=f'{{"text": "{text}"}}'))
            backend.answer(f"Noted {text}.")
        asked = room.alice.write("Note milk")
        question = await room.alice.reads("Allow write_note?", after=asked)
        (waiting,) = (await room.api("/portal/v1/approvals?status=pending"))["data"]
        assert [one["text"] for one in buttons(question)][:2] == ["Allow", "Deny"]
        query = room.alice.press("Allow")
        await room.alice.reads("Noted milk.")
        await room.alice.reads("✅ Allowed: write_note")
        assert (await room.api("/portal/v1/approvals?status=pending"))["data"] == []
        assert desk.done == ["milk"]
        await telegram.until(lambda: query in telegram.methods.answers)
        # and the other way round: decided on the page, the buttons go in the chat
        asked = room.alice.write("Note bread")
        await room.alice.reads("Allow write_note?", after=asked)
        (waiting,) = (await room.api("/portal/v1/approvals?status=pending"))["data"]
        await room.api(f"/portal/v1/approvals/{waiting['id']}", {"approve": False})
        refused = await room.alice.reads("🚫 Refused: write_note")
        assert buttons(refused) == []
        assert desk.done == ["milk"]


async def test_private_answers_grow_as_drafts_that_can_be_stopped(room: Room) -> None:
    gate = asyncio.Event()
    room.backend.script(TextDelta("One **two"), gate, TextDelta("** three"))
    room.alice.write("Count")
    await room.telegram.until(lambda: any(one["text"] == "One **two" for one in room.alice.chat.drafts.values()))
    room.alice.stop_draft()
    stopped = await room.alice.reads("Stopped.)")
    assert "One **two" in words(stopped)
    assert room.alice.chat.drafts == {}
    assert len({one["draft_id"] for one in room.alice.chat.history if "draft_id" in one}) == 1


async def test_elsewhere_a_message_is_edited_as_it_grows(tmp_path: Path, telegram: TelegramServer) -> None:
    async with open_room(tmp_path, telegram, drafts=False) as room:
        gate = asyncio.Event()
        room.backend.script(TextDelta("One"), gate, TextDelta(" two"))
        room.alice.write("Count")
        growing = await room.alice.reads("One")
        assert [one["text"] for one in buttons(growing)] == ["Stop"]
        gate.set()
        whole = await room.alice.reads(
            lambda one: "One two" in words(one) and "Stop" not in [button["text"] for button in buttons(one)]
        )
        assert whole["message_id"] == growing["message_id"]
        room.backend.script(TextDelta("Never"), asyncio.Event())
        room.alice.write("Again")
        await room.alice.reads("Never")
        room.alice.press("Stop")
        await room.alice.reads("(Stopped.)")


async def test_an_answer_is_given_again(room: Room) -> None:
    room.backend.answer("First try")
    room.backend.answer("Second try")
    room.alice.write("Say something")
    await room.alice.reads("First try")
    room.telegram.fail("answerCallbackQuery", TelegramFault(status=400, description="Bad Request: query is too old"))
    room.alice.press("↻")
    await room.alice.reads("Second try")
    assert len(room.backend.requests) == 2


async def test_the_model_is_chosen_by_a_button(tmp_path: Path, telegram: TelegramServer) -> None:
    backend = ScriptedBackend(models=["tiny", "large"], default=echo)
    async with open_room(tmp_path, telegram, backend=backend) as room:
        asked = room.alice.write("/model")
        menu = await room.alice.reads(lambda message: bool(buttons(message)), after=asked)
        chosen = next(one["text"] for one in buttons(menu) if "large" in one["text"])
        room.alice.press(chosen)
        await room.alice.reads("large", after=menu)
        room.alice.write("Hello")
        await room.alice.reads("Hello")
        assert backend.requests[-1].model == "large"


async def test_long_answers_are_split_and_long_code_is_a_file(room: Room) -> None:
    code = "print('x' * 10)\n" * 400
    text = "\n\n".join(f"Paragraph {count} " + "😀 word " * 100 for count in range(6))
    room.backend.answer(f"{text}\n\n```python\n{code}```\n\nThe end | of & <it>")
    room.alice.write("Write much")
    last = await room.alice.reads("The end | of & <it>")
    file = await room.alice.reads(lambda message: "document" in message)
    assert room.telegram.world.files[file["document"]["file_id"]].content.decode() == code
    said = "".join(words(message) for message in room.alice.sees() if message["message_id"] <= last["message_id"])
    assert all(f"Paragraph {count}" in said for count in range(6))


async def test_a_group_is_answered_when_it_calls(room: Room) -> None:
    room.telegram.world.reads_everything = True
    group = room.telegram.group("Team", room.alice)
    bob = room.telegram.person("Bob", username="bob")
    room.alice.write("just among us", chat=group)
    room.alice.write("/help@another_bot", chat=group)
    bob.write("The deadline is Friday", chat=group)
    original = list(group.messages.values())[-1]
    room.alice.write("@portal_test_bot: when is it?", chat=group, reply_to=original)
    answer = await room.alice.reads("when is it?", chat=group)
    assert len(room.backend.requests) == 1
    assert "> The deadline is Friday" in str(room.backend.requests[0].messages)
    room.alice.write("and who?", chat=group, reply_to=answer)
    await room.alice.reads("and who?", chat=group)
    assert [one["title"] for one in (await room.api("/portal/v1/conversations"))["data"]] == ["Team"]
    assert not any("draft_id" in shown for shown in group.history)


async def test_a_group_that_becomes_a_supergroup_goes_on(room: Room) -> None:
    group = room.telegram.group("Team", room.alice, kind="group")
    room.alice.write("@portal_test_bot one", chat=group)
    await room.alice.reads("one", chat=group)
    target = f"telegram:{group.id}"
    fields = {"name": "News", "when": "every day at 8:00", "prompt": "Any news?", "targets": ["page", target]}
    await room.api("/portal/v1/schedules", fields)
    larger = room.alice.upgrade(group)
    channels = room.portal.portal.channels
    await until(lambda: room.telegram.updates.polls and not room.telegram.updates.pending)
    async with asyncio.timeout(60):
        while target in dict(await channels.targets(room.portal.owner)):
            await asyncio.sleep(0.01)
    assert f"telegram:{larger.id}" in dict(await channels.targets(room.portal.owner))
    (schedule,) = (await room.api("/portal/v1/schedules"))["data"]
    assert schedule["targets"] == ["page", f"telegram:{larger.id}"]
    room.alice.write("@portal_test_bot two", chat=larger)
    await room.alice.reads("two", chat=larger)
    (conversation,) = (await room.api("/portal/v1/conversations"))["data"]
    assert [m["content"] for m in room.backend.requests[-1].messages if m["role"] == "user"] == ["one", "two"]
    await room.channel.send(Place(channel="telegram", chat=str(group.id)), Outgoing(text="late"), "n")
    await room.alice.reads("late", chat=larger)
    assert conversation["title"] == "Team"


async def test_topics_have_conversations_of_their_own(room: Room) -> None:
    forum = room.telegram.group("Forum", room.alice, forum=True)
    for name in ("Garden", "Kitchen"):
        topic = room.telegram.world.topic(forum, name)
        room.alice.write(f"@portal_test_bot about the {name}", chat=forum, thread=topic["message_thread_id"])
        answer = await room.alice.reads(f"about the {name}", chat=forum)
        assert answer["message_thread_id"] == topic["message_thread_id"]
    assert len((await room.api("/portal/v1/conversations"))["data"]) == 2


async def test_a_reaction_is_feedback(room: Room) -> None:
    room.alice.write("Hello")
    answer = await room.alice.reads("Hello")
    (conversation,) = (await room.api("/portal/v1/conversations"))["data"]
    storage = room.portal.portal.storage
    for emoji, rating in ((("🔥",), 1), (("👎",), -1), ((), 0)):
        room.alice.react(answer, *emoji)
        await _feedback(storage, room.portal.owner, conversation["head"], rating)


async def _feedback(storage: Any, owner: str, response_id: str, rating: int) -> None:
    async with asyncio.timeout(60):
        while (await storage.responses.get(owner, response_id)).response.feedback != rating:
            await asyncio.sleep(0.01)


async def test_inline_questions_are_answered_once_typing_ends(tmp_path: Path, telegram: TelegramServer) -> None:
    async with open_room(tmp_path, telegram, inline=True) as room:
        for text in ("", "What", "What is", "What is **it**"):
            query = room.alice.ask_inline(text)
        await telegram.until(lambda: query in telegram.methods.answers)
        assert list(telegram.methods.answers) == [query]
        (result,) = telegram.methods.answers[query]["results"]
        assert result["input_message_content"]["message_text"] == "What is <b>it</b>"
        bob = telegram.person("Bob")
        bob.ask_inline("")
        room.alice.write("between")
        await room.alice.reads("between")
        query = bob.ask_inline("Who am I")
        await telegram.until(lambda: query in telegram.methods.answers)
        assert len(room.backend.requests) == 2


async def test_what_portal_says_by_itself_comes_too(room: Room) -> None:
    channels = room.portal.portal.channels
    content = Content(text="**News** of the day")
    await channels.deliver(room.portal.owner, "telegram", content, key="once")
    await channels.deliver(room.portal.owner, "telegram", content, key="once")
    await room.alice.reads("News of the day")
    room.alice.write("thanks")
    await room.alice.reads("thanks")
    assert sum("News" in words(message) for message in room.alice.sees()) == 1


async def test_the_settings_name_a_bot(tmp_path: Path, telegram: TelegramServer) -> None:
    from portal.testing.portal import open_test_portal

    settings = {"telegram": {"token": telegram.token, "api_base": telegram.url}}
    async with open_test_portal(tmp_path / "a", channels=None, settings=settings) as portal:
        await telegram.until(lambda: telegram.updates.polls)
        await until(lambda: portal.portal.channels.status()[0]["state"] == "up")
    settings = {"telegram": {"token": "not-a-token", "api_base": telegram.url}}
    async with open_test_portal(tmp_path / "b", channels=None, settings=settings) as portal:
        (status,) = portal.portal.channels.status()
        assert status["state"] == "broken"
        assert "BotFather" in str(status["detail"])


def test_where_answers_are_drafts(telegram: TelegramServer) -> None:
    assert made_channel(telegram).limits.fetch == 20 * 2**20


pytestmark = pytest.mark.timeout(200)
