"""Conversations that outgrow their model's window."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo, ToolCallDelta
from portal.core.window import spare
from portal.errors import BackendUnavailable
from portal.testing.records import OWNER, conversation
from portal.tools.function import Functions, tool

from .conftest import Rig, one_ending, open_rig

NARROW = ModelInfo(id="narrow", backend="", capabilities=frozenset({"chat", "tools"}), context_window=1000)
LONG = "word " * 200


@tool(risk="read")
async def read_book() -> str:
    """Read a long book."""
    return LONG * 6


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    backend = ScriptedBackend(models=[NARROW])
    async with open_rig(tmp_path, backend=backend) as opened:
        await opened.storage.conversations.create(conversation(id="conv_1"))
        yield opened


async def ask(rig: Rig, text: str, **fields: Any) -> dict[str, Any]:
    known = {"model": "auto", "conversation_id": "conv_1", "request": {"truncation": "auto"}}
    return one_ending(await rig.ask(text, **{**known, **fields}))


def told(rig: Rig) -> list[str]:
    return [str(message["content"])[:40].strip() for message in rig.backend.requests[-1].messages]


async def fill(rig: Rig) -> None:
    for number in (1, 2):
        rig.backend.answer(f"answer {number} {LONG}")
        await ask(rig, f"question {number}")


async def test_the_oldest_turns_become_a_summary_that_stays(rig: Rig) -> None:
    await fill(rig)
    rig.backend.answer("They spoke of two questions.")
    rig.backend.answer("answer 3")

    response = await ask(rig, f"question 3 {LONG}")

    compaction, answer = response["output"]
    assert (compaction["type"], answer["content"][0]["text"]) == ("compaction", "answer 3")
    summarised = rig.backend.requests[-2].messages
    assert (summarised[0]["content"], summarised[-1]["content"][:9]) == ("question 1", "Summarise")
    assert told(rig) == ["Summary of the conversation so far:\nThey", "question 3 word word word word word word"]
    assert "dropped_messages" not in (await rig.storage.responses.get(OWNER, response["id"])).response.decision

    rig.backend.answer("answer 4")
    await ask(rig, "question 4")

    assert told(rig) == [
        "Summary of the conversation so far:\nThey",
        "question 3 word word word word word word",
        "answer 3",
        "question 4",
    ]


async def test_later_summaries_stand_on_the_earlier_ones(rig: Rig) -> None:
    await fill(rig)
    rig.backend.answer("Of one and two.")
    rig.backend.answer(f"answer 3 {LONG}")
    await ask(rig, f"question 3 {LONG}")
    rig.backend.answer("Of one, two and three.")
    rig.backend.answer("answer 4")

    await ask(rig, f"question 4 {LONG}")

    assert rig.backend.requests[-2].messages[0]["content"].endswith("Of one and two.")
    assert told(rig)[0] == "Summary of the conversation so far:\nOf o"
    assert rig.backend.requests[-1].messages[0]["content"].endswith("Of one, two and three.")


async def test_where_nobody_can_summarise_the_newest_that_fits_is_told(rig: Rig) -> None:
    await fill(rig)
    rig.backend.script(BackendUnavailable("gone"))
    rig.backend.answer("answer 3")

    response = await ask(rig, f"question 3 {LONG}")

    assert [item["type"] for item in response["output"]] == ["message"]
    assert [text[:10] for text in told(rig)] == ["question 2", "answer 2 w", "question 3"]


async def test_a_branch_from_before_the_summary_is_told_everything(rig: Rig) -> None:
    rig.backend.answer("answer 1")
    first = await ask(rig, "question 1")
    for number in (2, 3):
        rig.backend.answer(f"answer {number} {LONG}")
        await ask(rig, f"question {number}")
    rig.backend.answer("Summary.")
    rig.backend.answer("answer 4")
    await ask(rig, f"question 4 {LONG}")
    rig.backend.answer("another answer")

    await ask(rig, "another question", previous_response_id=first["id"])

    assert told(rig) == ["question 1", "answer 1", "another question"]


async def test_results_of_tools_are_shortened_first(tmp_path: Path) -> None:
    wide = ModelInfo(id="wide", backend="", capabilities=frozenset({"chat", "tools"}), context_window=4000)
    tools = [Functions("library", [read_book])]
    async with open_rig(tmp_path, backend=ScriptedBackend(models=[wide]), toolsets=tools) as rig:
        await rig.storage.conversations.create(conversation(id="conv_1"))
        for number in (1, 2, 3):
            rig.backend.script(ToolCallDelta(0, "c", "read_book", "{}"))
            rig.backend.answer(f"answer {number}")
            response = await ask(rig, f"question {number}")

        sizes = [len(one["content"]) for one in rig.backend.requests[-1].messages if one["role"] == "tool"]
        assert sizes[-1] == len(LONG * 6)
        assert all(size < 500 for size in sizes[:-1])
        assert [item["type"] for item in response["output"]] == ["mcp_call", "message"]


def test_only_as_much_is_shortened_as_must_be() -> None:
    def result(text: str) -> dict[str, Any]:
        return {"role": "tool", "tool_call_id": "c", "content": text}

    messages = [result("a" * 4000), result("b" * 4000), {"role": "assistant", "content": "so"}, result("c" * 4000)]

    assert spare(messages, 10_000) == messages
    spared = [len(message["content"]) for message in spare(messages, 2500)]
    assert (spared[0] < 500, spared[1:]) == (True, [4000, 2, 4000])
    assert [len(message["content"]) > 3000 for message in spare(messages, 10)] == [False, False, False, True]
