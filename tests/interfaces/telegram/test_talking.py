"""Telegram's people talk with a whole Portal."""

from .conftest import Room


async def test_a_chat_is_linked_answered_and_a_conversation_of_the_page(room: Room) -> None:
    room.alice.write("Hello **there**")
    answer = await room.alice.reads("Hello there")
    assert answer["entities"] == [{"type": "bold", "offset": 6, "length": 5}]
    (conversation,) = (await room.api("/portal/v1/conversations"))["data"]
    print(conversation)
    assert [one["command"] for one in room.telegram.methods.commands["default"]][:3] == ["start", "help", "new"]
    assert "typing" in room.alice.chat.actions
