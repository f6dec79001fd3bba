"""What a turn is told of the user's own, and how its answer says where that came from."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.citations import Citations
from portal.core.events import Event
from portal.core.ids import new_id
from portal.core.model import ModelInfo, ToolCallDelta
from portal.core.recall import Recall, Recalled, Seeking, Source
from portal.errors import BackendUnavailable
from portal.testing.records import OWNER, conversation, folder
from portal.tools.function import Functions, tool

from .conftest import Rig, events_of, one_ending, open_rig

CODE = Source(passage_id="chunk_1", document_id="file_1", title="door.txt", text="The door code is 4821.")
PLAN = Source(passage_id="chunk_2", document_id="file_2", title="plan.pdf", text="We leave on Monday at six.", page=3)


class Remembering:
    """Recalls the same for every turn, and remembers what it was asked."""

    looks = "knowledge"

    def __init__(self, found: Recalled | Exception) -> None:
        self.found = found
        self.asked: list[Seeking] = []

    async def recall(self, seeking: Seeking) -> Recalled:
        self.asked.append(seeking)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Stuck:
    """Never finds an end."""

    looks = "memory"

    async def recall(self, seeking: Seeking) -> Recalled:
        await asyncio.Event().wait()
        return Recalled()


def looked_up(*sources: Source, **fields: Any) -> Recalled:
    item = {"type": "file_search_call", "id": new_id("fs"), "status": "completed", "queries": ["?"], "results": None}
    return Recalled(**{"items": [item | {"portal:untrusted": True}], "sources": sources, "untrusted": True, **fields})


@asynccontextmanager
async def rig_with(data_dir: Path, *recalls: Recall, **more: Any) -> AsyncIterator[Rig]:
    async with open_rig(data_dir, recalls=recalls, **more) as rig:
        yield rig


async def ask(rig: Rig, answer: str, text: str = "What is the door code?", **fields: Any) -> dict[str, Any]:
    rig.backend.answer(answer)
    return one_ending(await rig.ask(text, **{"model": "auto", **fields}))


def system(rig: Rig) -> str:
    return "\n".join(str(one["content"]) for one in rig.backend.requests[-1].messages if one["role"] == "system")


def cited(response: dict[str, Any]) -> list[tuple[int, str, int]]:
    notes = response["output"][-1]["content"][0]["annotations"]
    return [(note["portal:number"], note["filename"], note["index"]) for note in notes]


async def test_what_is_found_is_told_and_shown_before_the_answer_and_kept(tmp_path: Path) -> None:
    memory = Recalled(text="The user is called Ann.")
    async with rig_with(tmp_path, Remembering(memory), Remembering(looked_up(CODE, PLAN))) as rig:
        response = await ask(rig, "It is 4821 [1].", request={"instructions": "Be brief."})
        stored = (await rig.storage.responses.get(OWNER, response["id"])).items

    told = system(rig)
    assert told.startswith("Be brief.\n\nThe user is called Ann.\n\n")
    assert told.endswith("[1] door.txt\nThe door code is 4821.\n\n[2] plan.pdf, page 3\nWe leave on Monday at six.")
    assert [item["type"] for item in response["output"]] == ["file_search_call", "message"]
    assert [one.item for one in stored if one.side == "output"] == response["output"]
    assert response["output"][1]["content"][0]["annotations"] == [
        {
            "type": "file_citation",
            "index": 11,
            "file_id": "file_1",
            "filename": "door.txt",
            "portal:number": 1,
            "portal:passage_id": "chunk_1",
        }
    ]


async def test_its_events_come_again_with_their_numbers(tmp_path: Path) -> None:
    async with rig_with(tmp_path, Remembering(looked_up(CODE))) as rig:
        rig.backend.answer("It is 4821 [1].")
        run = await rig.start("What is the door code?", model="auto")
        live = await events_of(run)
        again = [event async for event in rig.agent.attach(OWNER, run.id)]

    def without_text(events: Sequence[Event]) -> list[tuple[str, int]]:
        return [(one["type"], one["sequence_number"]) for one in events if not one["type"].endswith(".delta")]

    kinds = [event["type"].removeprefix("response.") for event in live]
    assert [kind for kind in kinds if "search" in kind or "annotation" in kind] == [
        "file_search_call.in_progress",
        "file_search_call.searching",
        "file_search_call.completed",
        "output_text.annotation.added",
    ]
    assert without_text(again) == without_text(live)
    added = next(event for event in live if event["type"] == "response.output_item.added")
    assert (added["item"]["status"], "portal:untrusted" in added["item"]) == ("in_progress", False)


async def test_a_recall_knows_what_is_asked_and_what_came_before(tmp_path: Path) -> None:
    recall = Remembering(Recalled())
    async with rig_with(tmp_path, recall) as rig:
        await rig.storage.folders.save(folder(id="folder_1"))
        await rig.storage.conversations.create(conversation(id="conv_1", folder_id="folder_1"))
        await ask(rig, "It is big.", "Tell me of Rome", conversation_id="conv_1")
        await ask(rig, "Old.", "@model:tiny how old?", conversation_id="conv_1", model="auto")
        await ask(rig, "Old.", "and how old is it?", conversation_id="conv_1")

    first, *_, last = recall.asked
    assert (first.text, first.before, first.workspace.name) == ("Tell me of Rome", "", "auto")
    assert (last.text, last.before) == ("and how old is it?", "how old?\nOld.")
    assert (last.conversation_id, last.folder_id, last.room > 500) == ("conv_1", "folder_1", True)


async def test_plain_models_recall_nothing_unless_their_client_asks_for_it(tmp_path: Path) -> None:
    recall = Remembering(looked_up(CODE))
    search = {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}
    async with rig_with(tmp_path, recall) as rig:
        plain = await ask(rig, "I do not know.", model="tiny")
        off = await ask(rig, "I do not know.", model="tiny", request={**search, "tool_choice": "none"})
        assert (recall.asked, system(rig)) == ([], "")
        searched = await ask(rig, "It is 4821. [1]", model="tiny", request=search)

    assert [len(response["output"]) for response in (plain, off, searched)] == [1, 1, 2]
    assert (recall.asked[0].workspace.knowledge, recall.asked[0].workspace.memory) == (False, False)
    assert "The door code is 4821." in system(rig)
    assert cited(searched) == [(1, "door.txt", 12)]


@pytest.mark.parametrize("said", ["### Task:\nGenerate a title", "  "])
async def test_chores_and_silence_recall_nothing(tmp_path: Path, said: str) -> None:
    recall = Remembering(looked_up(CODE))
    async with rig_with(tmp_path, recall) as rig:
        await ask(rig, "A title", said)

    assert recall.asked == []


async def test_one_that_fails_or_takes_too_long_has_found_nothing(tmp_path: Path) -> None:
    fault = Remembering(BackendUnavailable("away"))
    async with rig_with(tmp_path, fault, Stuck(), Remembering(looked_up(CODE)), recall_deadline=0.05) as rig:
        response = await ask(rig, "It is 4821 [1].")

    assert (response["status"], cited(response)) == ("completed", [(1, "door.txt", 11)])


async def test_where_there_is_no_room_nobody_is_asked(tmp_path: Path) -> None:
    recall = Remembering(looked_up(CODE))
    narrow = ModelInfo(id="narrow", backend="", capabilities=frozenset({"chat"}), context_window=200)
    async with rig_with(tmp_path, recall, backend=ScriptedBackend(models=[narrow])) as rig:
        await ask(rig, "Yes.", "word " * 120)

    assert recall.asked == []


async def test_an_answer_that_cites_nothing_says_so(tmp_path: Path) -> None:
    async with rig_with(tmp_path, Remembering(looked_up(CODE, PLAN))) as rig:
        none = await ask(rig, "I would ask the porter.")
        repeated = await ask(rig, "Here it is. The door code is 4821. Bye.")
    async with rig_with(tmp_path / "other", Remembering(Recalled(text="The user is called Ann."))) as rig:
        untold = await ask(rig, "I would ask the porter.")

    assert none["output"][-1]["portal:uncited"] is True
    assert cited(repeated) == [(1, "door.txt", 34)]
    assert repeated["output"][-1]["content"][0]["annotations"][0]["portal:attributed"] is True
    assert ["portal:uncited" in one["output"][-1] for one in (repeated, untold)] == [False, False]


async def test_what_strangers_wrote_taints_the_conversation(tmp_path: Path) -> None:
    @tool(risk="fetch", scopes={"url": "url"})
    async def fetch_page(url: str) -> str:
        """Fetch a page."""
        return "page"

    async def asked_for(rig: Rig, **fields: Any) -> list[str]:
        rig.backend.script(ToolCallDelta(0, "call_0", "fetch_page", '{"url": "https://example.com"}'))
        response = one_ending(await rig.ask("fetch the page", model="auto", conversation_id="conv_1", **fields))
        return [item["type"] for item in response["output"]]

    recall = Remembering(looked_up(CODE))
    tools = [Functions("net", [fetch_page])]
    async with rig_with(tmp_path, recall, toolsets=tools, settings={"tools": {"web": True}}) as rig:
        await rig.storage.conversations.create(conversation(id="conv_1"))
        first = await asked_for(rig)
        recall.found = Recalled()
        later = await asked_for(rig)

    assert (first[0], first[-1], later) == ("file_search_call", "mcp_approval_request", ["mcp_approval_request"])


async def test_later_turns_go_on_where_something_was_found(tmp_path: Path) -> None:
    recall = Remembering(looked_up(CODE))
    async with rig_with(tmp_path, recall) as rig:
        await rig.storage.conversations.create(conversation(id="conv_1"))
        await ask(rig, "It is 4821 [1].", conversation_id="conv_1")
        recall.found = Recalled()
        await ask(rig, "You are welcome.", "Thanks", conversation_id="conv_1")

    said = [str(one["content"]) for one in rig.backend.requests[-1].messages]
    assert said == ["What is the door code?", "It is 4821 [1].", "Thanks"]


# ---------------------------------------------------------------------- citations alone


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a [1] b [2]", [(1, 2), (2, 8)]),
        ("both [1, 2].", [(1, 5), (2, 5)]),
        ("both [1-2] and [1;2]", [(1, 5), (2, 5), (1, 15), (2, 15)]),
        ("as 【1†door.txt】 says", [(1, 3)]),
        ("[Source 2] says", [(2, 0)]),
        ("not told: [3] [0] [99-999]", []),
        ("a link [1](https://example.com)", []),
        ("code `x[1]` and\n```\ny[2]\n```", []),
        ("twice [1, 1]", [(1, 6)]),
        ("", []),
        ("😀 [1]", [(1, 2)]),
    ],
)
def test_numbers_in_brackets_are_citations(text: str, expected: list[tuple[int, int]]) -> None:
    found = Citations([CODE, PLAN]).of(text)

    assert [(one["portal:number"], one["index"]) for one in found] == expected


def test_the_page_of_a_source_goes_along() -> None:
    assert Citations([PLAN]).of("[1]")[0]["portal:page"] == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The door code is 4821", [(1, 21)]),
        ("Well, the door code is 4821!", [(1, 28)]),
        ("The door code is 4821. We leave on Monday at six.", [(1, 22), (2, 49)]),
        ("4821", []),
        ("The code of that door can be asked for at the porter's.", []),
    ],
)
def test_sentences_that_repeat_one_text_cite_it(text: str, expected: list[tuple[int, int]]) -> None:
    found = Citations([CODE, PLAN]).of(text)

    assert [(one["portal:number"], one["index"]) for one in found] == expected


def test_what_several_texts_say_is_nobodys() -> None:
    assert Citations([CODE, CODE]).of("The door code is 4821.") == []


def test_text_without_spaces_is_known_again() -> None:
    source = Source(
        passage_id="chunk_1", document_id="file_1", title="門.txt", text="大門的密碼是4821,請不要告訴別人。"
    )

    assert [one["index"] for one in Citations([source, PLAN]).of("大門的密碼是4821。")] == [11]
    assert Citations([source]).of("你好") == []


def test_neighbouring_sentences_of_one_text_are_cited_once() -> None:
    source = Source(
        passage_id="chunk_1", document_id="f", title="t", text="The door code is 4821. It changes every Monday at six."
    )

    found = Citations([source, PLAN]).of("The door code is 4821. It changes every Monday at six.")

    assert [one["index"] for one in found] == [54]
