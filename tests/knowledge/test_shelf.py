"""The long files of conversations, while they are read and after."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from portal.core.recall import Seeking
from portal.core.workspaces import Workspace
from portal.errors import BadRequest
from portal.knowledge.recall import KnowledgeRecall
from portal.knowledge.search import HybridSearch
from portal.knowledge.shelf import ConversationShelf
from portal.knowledge.toolset import KnowledgeTools
from portal.storage.open import Storage
from portal.testing.records import OWNER, conversation, file, folder
from portal.testing.scripted_speech import ScriptedTranscriber
from portal.testing.tool_calls import tool_context

from .conftest import Room


async def kept(storage: Storage, text: bytes, name: str = "house.txt") -> str:
    async def content() -> AsyncIterator[bytes]:
        yield text

    return (await storage.files.create(file(filename=name), content())).id


def shelf_of(storage: Storage, seconds: float = 60) -> ConversationShelf:
    stores = {"collections": storage.collections, "documents": storage.documents, "files": storage.files}
    return ConversationShelf(
        **stores, transcriber=ScriptedTranscriber(refusal="Nothing writes down here."), seconds=seconds
    )


def recall_of(storage: Storage) -> KnowledgeRecall:
    search = HybridSearch(passages=storage.passages, embedder=lambda: None)
    return KnowledgeRecall(
        search=search, passages=storage.passages, collections=storage.collections, documents=storage.documents
    )


def seeking(text: str, room: int = 4000) -> Seeking:
    return Seeking(
        owner=OWNER, text=text, workspace=Workspace(name="auto"), response_id="resp_1", shelves=["conv_1"], room=room
    )


async def test_a_turn_waits_for_what_is_read_but_not_for_ever(storage: Storage, room: Room) -> None:
    shelf, patient = shelf_of(storage, seconds=0.01), shelf_of(storage)
    assert await shelf.of(OWNER, "conv_1") == {}
    await shelf.ready(OWNER, "conv_1")
    first = await kept(storage, b"wait for the door code 4821")
    await shelf.put(OWNER, "conv_1", [first], chain=False)
    await shelf.ready(OWNER, "conv_1")
    recalled = await recall_of(storage).recall(seeking("What is the code?"))
    assert recalled.text.startswith("The attached file house.txt is still being read")
    async with room.working(), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(patient.ready(OWNER, "conv_1"))
        await room.reader.reading.wait()
        assert not waiting.done()
        room.reader.go_on.set()
        while await patient.of(OWNER, "conv_1") and not waiting.done():
            patient.tell()
            await asyncio.sleep(0.01)
    recalled = await recall_of(storage).recall(seeking("What is the code?"))
    assert recalled.text == ""
    assert [one.text for one in recalled.sources] == ["wait for the door code 4821"]
    assert recalled.untrusted


async def test_more_files_come_to_the_same_place(storage: Storage, room: Room) -> None:
    shelf = shelf_of(storage)
    first, second = await kept(storage, b"The door code is 4821."), await kept(storage, b"Bread. " * 900, "bread.txt")
    await shelf.put(OWNER, "conv_1", [first], chain=False)
    await shelf.put(OWNER, "conv_1", [second], chain=False)
    assert set(await shelf.of(OWNER, "conv_1")) == {first, second}
    async with room.working():
        await shelf.ready(OWNER, "conv_1")
    recalled = await recall_of(storage).recall(seeking("the door code", room=300))
    assert recalled.sources[0].text == "The door code is 4821."
    beginning = await recall_of(storage).recall(seeking("", room=500))
    assert beginning.sources[0].title == "bread.txt"
    tools = KnowledgeTools(
        search=HybridSearch(passages=storage.passages, embedder=lambda: None),
        passages=storage.passages,
        collections=storage.collections,
        documents=storage.documents,
        workspaces=lambda owner: [Workspace(name="auto")],
    )
    context = tool_context(Path("/nowhere"), owner=OWNER)
    found = await tools.call("search_knowledge", {"query": "door code"}, context)
    assert "4821" in found.text


async def test_files_of_a_folder_are_found_and_read_by_the_tools_of_its_chats(storage: Storage, room: Room) -> None:
    shelf, inside = shelf_of(storage), folder()
    await storage.folders.save(inside)
    for talk in (conversation(id="conv_in", folder_id=inside.id), conversation(id="conv_out")):
        await storage.conversations.create(talk)
    await shelf.put(OWNER, inside.id, [await kept(storage, b"The door code is 4821.")], chain=False, name="House")
    async with room.working():
        await shelf.ready(OWNER, inside.id)
    tools = KnowledgeTools(
        search=HybridSearch(passages=storage.passages, embedder=lambda: None),
        passages=storage.passages,
        collections=storage.collections,
        documents=storage.documents,
        workspaces=lambda owner: [],
        conversations=storage.conversations,
    )
    for place, there in (("conv_in", True), ("conv_out", False), ("conv_gone", False)):
        context = replace(tool_context(Path("/nowhere"), owner=OWNER), conversation_id=place)
        found = await tools.call("search_knowledge", {"query": "door code"}, context)
        read = await tools.call("read_knowledge", {"document": "house.txt"}, context)
        assert ("4821" in found.text, "4821" in read.text) == (there, there)


async def test_what_is_no_document_is_not_kept(storage: Storage) -> None:
    with pytest.raises(BadRequest):
        await shelf_of(storage).put(OWNER, "conv_1", [await kept(storage, b"\0\1" * 99, "x.bin")], chain=False)
    sound = await kept(storage, b"ID3\x04\x00\x00", "talk.mp3")
    with pytest.raises(BadRequest, match="writes down"):
        await shelf_of(storage).put(OWNER, "conv_1", [sound], chain=False)
    assert await storage.collections.of_conversation(OWNER, "conv_1") is None
    recalled = await recall_of(storage).recall(seeking("anything"))
    assert (recalled.sources, recalled.text) == ([], "")
