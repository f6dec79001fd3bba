"""Tools of memory: what a model may keep, look up and forget."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.core.memories import Said, Wanted
from portal.core.tools import ToolContext, ToolResult
from portal.errors import ToolError
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import answered, conversation, output, response, said
from portal.tools.memory import MemoryTools


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[TestPortal]:
    async with open_test_portal(tmp_path) as running:
        yield running


@pytest.fixture
def tools(portal: TestPortal) -> MemoryTools:
    return MemoryTools(portal.portal.memory)


@pytest.fixture
def context(portal: TestPortal, tmp_path: Path) -> ToolContext:
    return ToolContext(
        owner=portal.owner,
        call_id="mcp_1",
        response_id="resp_1",
        workspace="auto",
        conversation_id="conv_1",
        folder=tmp_path,
    )


async def call(tools: MemoryTools, name: str, context: ToolContext, **arguments: Any) -> ToolResult:
    return await tools.call(name, arguments, context)


def test_risks(tools: MemoryTools) -> None:
    specs = {spec.name: spec for spec in tools.tools()}
    assert {name: (spec.risk, spec.harmless) for name, spec in specs.items()} == {
        "remember": ("write", True),
        "recall_memories": ("read", False),
        "forget_memory": ("write", False),
    }


def test_without_a_memory_there_are_no_tools() -> None:
    assert MemoryTools(None).tools() == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("I am allergic to nuts, by the way.", True),
        ("I'm vegetarian. What can I cook?", True),
        ("Ich wohne jetzt in Rom", True),
        ("J'habite à Lyon", True),
        ("Vivo en Madrid", True),
        ("What is my address?", False),
        ("Write a poem about rain", False),
        ("", False),
    ],
)
def test_remember_is_shown_when_people_speak_of_themselves(tools: MemoryTools, text: str, shown: bool) -> None:
    (spec,) = [spec for spec in tools.tools() if spec.fits]
    assert spec.name == "remember"
    assert spec.fits is not None
    assert spec.fits(text) == shown


async def test_remember(tools: MemoryTools, context: ToolContext, portal: TestPortal) -> None:
    first = await call(tools, "remember", context, text="I live in Berlin")
    assert first.text.startswith("Remembered as mem_")
    again = await call(tools, "remember", context, text="I live in berlin")
    assert again.text.startswith("Known already")
    moved = await call(tools, "remember", context, text="I live in Paris", kind="fact", only_here=False)
    assert 'takes the place of: "I live in Berlin"' in moved.text
    await call(tools, "remember", context, text="I met Ann", happened="2026-03-31", only_here=True)
    page = await portal.portal.memory.list(portal.owner, Wanted())
    met = next(one for one in page.data if one.text == "I met Ann")
    assert (met.scope, met.source, met.confidence) == ("workspace:auto", "resp_1", 0.9)
    assert met.happened_at is not None
    for arguments in ({"text": " "}, {"text": "x" * 3000}, {"text": "x", "happened": "soon"}):
        with pytest.raises(ToolError):
            await call(tools, "remember", context, **arguments)


async def test_recall(tools: MemoryTools, context: ToolContext, portal: TestPortal) -> None:
    assert (await call(tools, "recall_memories", context, query="dog")).text == "Nothing is remembered about that."
    memory, storage = portal.portal.memory, portal.portal.storage
    for text, scope in (("My dog is called Rex", "user"), ("The dog barks", "workspace:other")):
        await memory.remember(Said(owner=portal.owner, text=text, scope=scope))
    talk = conversation(owner=portal.owner, title="Pets")
    await storage.conversations.create(talk)
    record = response(owner=portal.owner, conversation_id=talk.id)
    await storage.turn_log.begin(record, [said("What does a dog eat?")])
    await storage.turn_log.finish(replace(record, status="completed"), [output(record.id, answered("Bones."))])
    found = await call(tools, "recall_memories", context, query="dog")
    assert "My dog is called Rex (fact, " in found.text
    assert "barks" not in found.text
    assert "Pets]\nWhat does a dog eat?\nBones." in found.text
    assert not found.untrusted
    only = await call(tools, "recall_memories", context, query="dog", where="memories")
    assert "Bones" not in only.text
    talks = await call(tools, "recall_memories", context, query="dog", where="conversations")
    assert "Rex" not in talks.text
    mine = await call(tools, "recall_memories", replace(context, response_id=record.id), query="dog")
    assert "Bones" not in mine.text
    late = await call(tools, "recall_memories", context, query="dog", since="2999-01-01", until="2999-01-02")
    assert late.text == "Nothing is remembered about that."
    newest = await call(tools, "recall_memories", context, query="")
    assert "Rex" in newest.text
    with pytest.raises(ToolError):
        await call(tools, "recall_memories", context, query="dog", since="once")
    await memory.switch(portal.owner, {"conversations": False})
    assert "Bones" not in (await call(tools, "recall_memories", context, query="dog")).text


async def test_forget(tools: MemoryTools, context: ToolContext, portal: TestPortal) -> None:
    kept = await portal.portal.memory.remember(Said(owner=portal.owner, text="I like tea"))
    assert (await call(tools, "forget_memory", context, memory_id=kept.memory.id)).text == "Forgotten."
    with pytest.raises(ToolError):
        await call(tools, "forget_memory", context, memory_id=kept.memory.id)


async def test_off_means_off(tools: MemoryTools, context: ToolContext, portal: TestPortal) -> None:
    await portal.portal.memory.switch(portal.owner, {"enabled": False})
    for name, arguments in (
        ("remember", {"text": "I like tea"}),
        ("recall_memories", {"query": "tea"}),
        ("forget_memory", {"memory_id": "mem_1"}),
    ):
        with pytest.raises(ToolError, match="turned memory off"):
            await call(tools, name, context, **arguments)
