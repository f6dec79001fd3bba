"""What a turn is told of documents unasked, and the tools by which models look themselves."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.core.arguments import read_arguments
from portal.core.passages import Found
from portal.core.recall import Recalled, Seeking, heard
from portal.core.workspaces import Workspace
from portal.errors import ToolError
from portal.knowledge.recall import KnowledgeRecall, chosen
from portal.knowledge.search import HybridSearch
from portal.knowledge.told import fitting, result, source
from portal.knowledge.toolset import KnowledgeTools
from portal.storage.open import Storage
from portal.testing.records import OWNER, STRANGER, collection, memory
from portal.testing.tool_calls import tool_context

from .bag import BagEmbedder
from .conftest import Room

CODE, STEW = "The door code is 4821.", "Stew needs two hours."


class Desk:
    """Documents, what recalls them, and the tools."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.embedder = BagEmbedder()
        search = HybridSearch(passages=storage.passages, embedder=lambda: self.embedder)
        stores = {"collections": storage.collections, "documents": storage.documents}
        self.knowledge = KnowledgeRecall(search=search, passages=storage.passages, **stores)
        self.workspaces = [Workspace(name="auto")]
        self.tools = KnowledgeTools(
            search=search, passages=storage.passages, workspaces=lambda owner: self.workspaces, **stores
        )

    async def put(self, *texts: tuple[str, str], name: str = "Papers") -> tuple[str, list[str]]:
        """A collection of these files; its id and theirs."""
        record = collection(name=name)
        await self.storage.collections.create(record)
        room = Room(self.storage, record, embedder=self.embedder)  # type: ignore[arg-type]
        ids = [await room.add(text, filename) for filename, text in texts]
        async with room.working():
            await room.settled(*ids)
        return record.id, ids

    async def recall(self, text: str, *, room: int = 1000, workspace: Any = None, **fields: Any) -> Recalled:
        place = Workspace(name="auto", **(workspace or {}))
        known = {"owner": OWNER, "response_id": "resp_1", "text": text, "workspace": place, "room": room}
        return await self.knowledge.recall(Seeking(**{**known, **fields}))

    async def call(self, name: str, owner: str = OWNER, **arguments: Any) -> tuple[bool, str]:
        result = await self.tools.call(name, arguments, tool_context(Path("/nowhere"), owner=owner))
        return result.failed, result.text


@pytest.fixture
def desk(storage: Storage) -> Desk:
    return Desk(storage)


async def test_where_nothing_is_nothing_is_looked_for(desk: Desk) -> None:
    assert await desk.recall("What is the door code?") == Recalled()
    assert desk.embedder.asked == []


async def test_it_tells_what_bears_on_the_question_and_says_so(desk: Desk) -> None:
    _, (file_id, _) = await desk.put(("door.txt", CODE), ("stew.txt", STEW))

    recalled = await desk.recall("What is the door code?")

    (source,) = recalled.sources
    assert (source.document_id, source.title, source.text, source.page) == (file_id, "door.txt", CODE, None)
    (item,) = recalled.items
    assert (item["type"], item["status"], item["queries"]) == (
        "file_search_call",
        "completed",
        ["What is the door code?"],
    )
    (found,) = item["portal:found"]
    assert (found["file_id"], found["portal:passage_id"]) == (file_id, source.passage_id)
    assert (item["results"], item["portal:untrusted"], recalled.untrusted) == (None, True, True)


@pytest.mark.parametrize("text", ["Good morning to you all", "Tell me a joke"])
async def test_small_talk_finds_nothing(desk: Desk, text: str) -> None:
    await desk.put(("door.txt", CODE))

    assert await desk.recall(text) == Recalled()


async def test_others_and_workspaces_without_knowledge_find_nothing(desk: Desk) -> None:
    await desk.put(("door.txt", CODE))

    assert await desk.recall("What is the door code?", owner=STRANGER) == Recalled()
    assert await desk.recall("What is the door code?", workspace={"knowledge": False}) == Recalled()


async def test_a_workspace_may_look_into_some_collections_only(desk: Desk) -> None:
    house, _ = await desk.put(("door.txt", CODE), name="House")
    await desk.put(("old.txt", "The door code was 1111."), name="Archive")

    async def titles(*collections: str) -> list[str]:
        found = await desk.recall("What is the door code?", workspace={"collections": collections})
        return sorted(source.title for source in found.sources)

    assert await titles() == ["door.txt", "old.txt"]
    assert await titles("House") == await titles(house) == ["door.txt"]
    assert await titles("Garage") == []


async def test_a_short_question_is_asked_with_what_came_before(desk: Desk) -> None:
    await desk.put(("door.txt", CODE))

    recalled = await desk.recall("And now?", before="What is the door code?")

    assert recalled.items[0]["queries"] == ["And now?", "What is the door code?\nAnd now?"]
    assert [source.text for source in recalled.sources] == [CODE]


async def test_only_what_fits_is_told(desk: Desk) -> None:
    long = "The door code is kept by the porter. " * 12
    await desk.put(("door.txt", CODE), ("long.txt", long))

    assert len((await desk.recall("What is the door code?", room=1000)).sources) == 2
    assert len((await desk.recall("What is the door code?", room=150)).sources) == 1
    assert await desk.recall("What is the door code?", room=50) == Recalled()
    assert fitting([], 10) == []


async def test_a_document_that_is_gone_is_not_told(desk: Desk) -> None:
    store, (file_id,) = await desk.put(("door.txt", CODE))
    await desk.storage.documents.remove(OWNER, store, file_id)

    assert await desk.recall("What is the door code?") == Recalled()


async def test_the_page_of_a_passage_goes_along(desk: Desk) -> None:
    store, (file_id,) = await desk.put(("door.txt", CODE))
    record = await desk.storage.documents.get(OWNER, store, file_id)
    (passage,) = await desk.storage.passages.of(OWNER, record.id)
    found = Found(passage=replace(passage, page=3), score=1)

    assert source(found, record).page == result(found, record, text=False)["portal:page"] == 3


def test_without_a_user_nothing_is_heard() -> None:
    assert heard([]) == heard([{"type": "reasoning"}]) == ("", "")


# ---------------------------------------------------------------------- tools


async def test_a_model_searches_and_reads(desk: Desk) -> None:
    _, (file_id, _) = await desk.put(("door.txt", CODE), ("stew.txt", STEW))

    failed, told = await desk.call("search_knowledge", query="door code", limit=1)

    passage = told.partition("passage ")[2].partition(")")[0]
    assert (failed, told) == (False, f"door.txt (document {file_id}, passage {passage}):\n{CODE}")
    assert await desk.call("read_knowledge", document=file_id) == (False, CODE)
    assert await desk.call("read_knowledge", document="stew.txt") == (False, STEW)
    assert await desk.call("read_knowledge", document=file_id, around=passage) == (False, CODE)
    assert await desk.call("read_knowledge", document=file_id, around="chunk_gone") == (False, CODE)


async def test_a_model_sees_only_the_collections_of_its_workspace(desk: Desk) -> None:
    _, (door,) = await desk.put(("door.txt", CODE), name="Secret")
    _, told = await desk.call("search_knowledge", query="door code")
    passage = told.partition("passage ")[2].partition(")")[0]
    await desk.put(("stew.txt", STEW), name="Kitchen")
    desk.workspaces = [Workspace(name="auto", collections=("Kitchen",))]

    assert CODE not in (await desk.call("search_knowledge", query="door code"))[1]
    assert (await desk.call("search_knowledge", query="door code", collection="Secret"))[0]
    assert STEW in (await desk.call("search_knowledge", query="stew", collection="Kitchen"))[1]
    for document in (door, "door.txt"):
        assert (await desk.call("read_knowledge", document=document, around=passage))[0]
    assert await desk.call("read_knowledge", document="stew.txt") == (False, STEW)


async def test_memories_are_no_documents(desk: Desk) -> None:
    await desk.put(("stew.txt", STEW))
    await desk.storage.memories.save(known := memory("I like rain"))
    assert await desk.call("read_knowledge", document="stew.txt", around=known.id) == (False, STEW)


async def test_around_a_passage_are_its_neighbours(desk: Desk) -> None:
    paragraphs = "\n\n".join(f"Paragraph {number}. " + f"It says much of {number}. " * 25 for number in range(14))
    _, (file_id,) = await desk.put(("long.txt", paragraphs))
    record = (await desk.storage.documents.find(OWNER, file_id=file_id))[0]
    second = (await desk.storage.passages.of(OWNER, record.id, 1, 1))[0]

    _, told = await desk.call("read_knowledge", document=file_id, around=second.id)

    assert second.text in told
    assert told.startswith("Paragraph 0.")
    assert len(paragraphs) / 4 < len(told) < len(paragraphs)


async def test_what_is_not_there_is_told(desk: Desk) -> None:
    assert await desk.call("search_knowledge", query="x") == (True, "There is no collection of documents.")
    await desk.put(("empty.txt", ""))

    assert (await desk.call("search_knowledge", query="x", collection="Garage"))[1] == (
        "There is no collection of documents named 'Garage'."
    )
    assert await desk.call("search_knowledge", query="x", collection="Papers") == (False, "Nothing was found.")
    assert (await desk.call("read_knowledge", document="gone.txt"))[0]
    assert (await desk.call("read_knowledge", owner=STRANGER, document="empty.txt"))[0]
    assert (await desk.call("read_knowledge", document="empty.txt"))[1] == "The document is empty."


async def test_both_only_look_and_bring_what_strangers_wrote(desk: Desk) -> None:
    specs = desk.tools.tools()

    assert [(one.name, one.risk, one.untrusted, one.toolset) for one in specs] == [
        ("search_knowledge", "read", True, "knowledge"),
        ("read_knowledge", "read", True, "knowledge"),
    ]
    await desk.tools.aclose()


async def test_an_argument_that_a_tool_does_not_have_is_named(desk: Desk) -> None:
    for spec in desk.tools.tools():
        given = dict.fromkeys((*spec.parameters["required"], "page"), "stew")
        with pytest.raises(ToolError, match="page"):
            read_arguments(json.dumps(given), spec.parameters)


async def test_all_collections_are_looked_into_but_those_of_other_conversations(storage: Storage) -> None:
    ids = []
    for number in range(1003):
        record = collection(name="Papers", created_at=number)
        ids.append(record.id)
        await storage.collections.create(record)
    await storage.collections.create(collection(name="Papers", conversation_id="conv_1"))
    assert sorted(await chosen(storage.collections, OWNER)) == sorted(ids)
    assert sorted(await chosen(storage.collections, OWNER, ["Papers"])) == sorted(ids)
    own = await storage.collections.of_conversation(OWNER, "conv_1")
    assert own
    assert await chosen(storage.collections, OWNER, [own.id]) == [own.id]
