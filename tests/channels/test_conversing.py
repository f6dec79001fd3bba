"""Talking: a chat is an ordinary conversation of the linked person, answered once and in order."""

from .conftest import Chat



async def test_what_is_written_is_answered_in_a_conversation_of_the_page(chat: Chat) -> None:
    chat.write("Hello there")
    await chat.until("Hello there")
    storage = chat.portal.portal.storage
    (conversation,) = (await storage.conversations.list(chat.portal.owner)).data
    turns = (await storage.conversations.turns(chat.portal.owner, conversation.id)).data
    assert [turn.response.status for turn in turns] == ["completed"]
    assert conversation.metadata == {"portal:door": "test"}
    chat.write("And again")
    await chat.until("Hello there", "And again")
    turns = (await storage.conversations.turns(chat.portal.owner, conversation.id)).data
    assert len(turns) == 2
