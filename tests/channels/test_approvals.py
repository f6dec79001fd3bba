"""Questions in a chat: decided there or anywhere else, once, and the answer goes on where it was asked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portal.channels import words
from portal.core.approvals import Decision
from portal.testing.channel import ALICE, Bubble

from .conftest import Chat, open_chat
from .desk import Desk, able, calls, says


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def chat(tmp_path: Path, desk: Desk) -> AsyncIterator[Chat]:
    async with open_chat(tmp_path, backend=able(), toolsets=desk.toolsets()) as opened:
        await opened.link()
        yield opened


async def asked(chat: Chat, text: str = "milk") -> Bubble:
    chat.backend.script(*calls(("write_note", {"text": text})))
    chat.write("Note it")
    await chat.platform.until(lambda: bool(chat.texts()) and "Allow write_note" in chat.texts()[-1])
    return chat.bubbles()[-1]


async def test_a_tool_is_allowed_in_the_chat(chat: Chat, desk: Desk) -> None:
    bubble = await asked(chat)
    assert '"text": "milk"' in bubble.said.text
    chat.backend.script(*says("Noted."))
    chat.press(bubble, "Allow")
    await chat.until("✅ Allowed: **write_note**", "Noted.")
    assert desk.done == ["milk"]
    assert not bubble.said.buttons


async def test_a_tool_is_refused_and_a_second_press_is_too_late(chat: Chat, desk: Desk) -> None:
    bubble = await asked(chat)
    deny = bubble.button("Deny")
    chat.backend.script(*says("All right."))
    chat.press(bubble, "Deny")
    await chat.until("🚫 Refused: **write_note**", "All right.")
    assert desk.done == []
    bubble.said = type(bubble.said)(text=bubble.said.text, buttons=[[deny]])
    chat.press(bubble, "Deny")
    await chat.platform.until(lambda: words.FAILED.format(why=words.OVER) in chat.texts())


async def test_what_is_decided_on_the_page_goes_on_in_the_chat(chat: Chat, desk: Desk) -> None:
    await asked(chat)
    portal, owner = chat.portal.portal, chat.portal.owner
    (record,) = (await portal.storage.approvals.list(owner, status="pending")).data
    chat.backend.script(*says("Noted."))
    await portal.agent.decide(owner, {record.id: Decision(approve=True, by=owner, door="web")})
    await chat.until("✅ Allowed: **write_note**", "Noted.")


async def test_a_yes_for_the_conversation_is_not_asked_again(chat: Chat, desk: Desk) -> None:
    bubble = await asked(chat)
    chat.backend.script(*says("Noted."))
    chat.press(bubble, "Allow in this conversation")
    await chat.until("✅ Allowed: **write_note**", "Noted.")
    chat.backend.script(*calls(("write_note", {"text": "bread"})))
    chat.backend.script(*says("Noted, too."))
    chat.write("And that")
    await chat.until("✅ Allowed: **write_note**", "Noted.", "Noted, too.")
    assert desk.done == ["milk", "bread"]


async def test_going_on_without_an_answer_refuses(chat: Chat, desk: Desk) -> None:
    await asked(chat)
    chat.backend.script(*says("Never mind."))
    chat.write("Something else")
    await chat.platform.until(lambda: chat.texts() == ["🚫 Refused: **write_note**", "Never mind."])


async def test_a_question_is_answered_by_what_is_written_next(chat: Chat) -> None:
    chat.backend.script(*calls(("ask_user", {"question": "Which colour?"})))
    chat.write("Paint it")
    await chat.until(words.QUESTION.format(tool="ask_user", why="Which colour?"))
    chat.backend.script(*says("Blue it is."))
    chat.write("blue")
    await chat.until(words.ANSWERED, "Blue it is.")
    assert "blue" in str(chat.backend.requests[-1].messages)


async def test_a_question_in_a_group_is_answered_by_a_reply(chat: Chat) -> None:
    group = chat.place(chat="g1", direct=False)
    chat.backend.script(*calls(("ask_user", {"question": "Which colour?"})))
    chat.write("Paint it", place=group)
    (bubble,) = await chat.until(words.QUESTION.format(tool="ask_user", why="Which colour?"), chat="g1")
    chat.backend.script(*says("Blue it is."))
    chat.write("blue", place=group, replies_to=bubble.id)
    await chat.until(words.ANSWERED, "Blue it is.", chat="g1")


async def test_files_of_tools_are_sent(chat: Chat) -> None:
    chat.backend.script(*calls(("draw", {})))
    chat.backend.script(*says("Here."))
    chat.write("Draw")
    text, picture = await chat.until("Here.", "")
    assert text.said.file is None
    assert picture.said.file is not None
    assert (picture.said.file.kind, picture.said.file.name, picture.data) == ("image", "chart.png", b"PNG")


async def test_the_platforms_page_about_portal(chat: Chat) -> None:
    await asked(chat)
    channels = chat.portal.portal.channels
    home = await channels.home("test", ALICE)
    assert "Allow write_note" in home.text
    assert [button.label for button in home.buttons[0]] == ["Allow", "Deny"]
