import asyncio
from pathlib import Path

import pytest

from portal.backends.scripted import CUT, ScriptedBackend, Step
from portal.core.model import ReasoningDelta, TextDelta, TokenUsage
from portal.core.records import ConversationRecord
from portal.core.titles import first_words, tidy
from portal.testing.records import OWNER, answered, conversation, said

from .conftest import MODELS, Rig, calls, one_ending, open_rig, settle


async def titled(rig: Rig, record: ConversationRecord, title: str) -> ConversationRecord:
    """The conversation once it has this title."""
    with rig.bus.subscribe(OWNER) as changes:
        while (now := await rig.storage.conversations.get(OWNER, record.id)).title != title:
            await changes.get()
        return now


async def fresh(rig: Rig, **fields: str) -> ConversationRecord:
    record = conversation(**fields)
    await rig.storage.conversations.create(record)
    return record


async def test_the_questions_first_words_at_once_then_the_models(tmp_path: Path) -> None:
    backend, gate = ScriptedBackend(models=MODELS), asyncio.Event()
    async with open_rig(tmp_path, backend=backend, titles=True) as rig:
        record = await fresh(rig)
        backend.answer("It is blue.")
        backend.script(ReasoningDelta("hm"), gate, TextDelta('Title: "The blue sky"\nor so'))
        one_ending(await rig.ask("Why is the sky blue?", conversation_id=record.id))
        assert (await titled(rig, record, "Why is the sky blue?")).title_source == "none"
        gate.set()
        assert (await titled(rig, record, "The blue sky")).title_source == "model"
        excerpt = backend.requests[-1].messages[-1]["content"]
        assert excerpt == "User: Why is the sky blue?\n\nAssistant: It is blue."
        backend.answer("Still.")
        one_ending(await rig.ask("Really?", conversation_id=record.id))
        assert len(backend.requests) == 3  # no second title


async def test_a_title_is_accounted_for(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=MODELS)
    async with open_rig(tmp_path, backend=backend, titles=True) as rig:
        record, other = await fresh(rig), await fresh(rig)
        backend.script(TextDelta("It is."), TokenUsage(7, 3))
        backend.script(TextDelta("Blue sky"), TokenUsage(20, 2))
        one_ending(await rig.ask("Why is the sky blue?", conversation_id=record.id))
        await titled(rig, record, "Blue sky")
        backend.script(TextDelta("It is."), TokenUsage(8, 4))
        backend.script(asyncio.Event())
        one_ending(await rig.ask("And grass green?", conversation_id=other.id))
        await backend.wait_running(1)
        rig.agent.stop()
        await backend.wait_running(0)
        await settle()
        assert await calls(rig) == [
            ("responses", "completed", 7, 3),
            ("responses", "completed", 8, 4),
            ("title", "cancelled", 0, 0),
            ("title", "completed", 20, 2),
        ]


async def test_a_first_turn_that_failed_does_not_cost_the_title(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=MODELS)
    async with open_rig(tmp_path, backend=backend, titles=True) as rig:
        record = await fresh(rig)
        backend.script(CUT)
        one_ending(await rig.ask("Why is the sky blue?", conversation_id=record.id))
        backend.answer("It is.")
        backend.answer("Blue sky")
        one_ending(await rig.ask("And now?", conversation_id=record.id))
        await titled(rig, record, "Blue sky")


async def test_a_title_of_the_users_own_is_never_replaced(tmp_path: Path) -> None:
    backend, gate = ScriptedBackend(models=MODELS), asyncio.Event()
    async with open_rig(tmp_path, backend=backend, titles=True) as rig:
        record = await fresh(rig)
        backend.answer("yes")
        backend.script(gate, TextDelta("The model's"))
        one_ending(await rig.ask("A question", conversation_id=record.id))
        await backend.wait_running(1)
        await rig.storage.conversations.update(OWNER, record.id, {"title": "Mine", "title_source": "user"})
        gate.set()
        await backend.wait_running(0)
        named = await fresh(rig, title="Given", title_source="user")
        backend.answer("yes")
        one_ending(await rig.ask("A question", conversation_id=named.id))
    async with open_rig(tmp_path) as rig:
        titles = [(await rig.storage.conversations.get(OWNER, one.id)).title for one in (record, named)]
        assert titles == ["Mine", "Given"]
        assert len(backend.requests) == 3


@pytest.mark.parametrize("steps", [[CUT], [TextDelta(" \n ")], [ReasoningDelta("hm")], [TextDelta("<think>hm")]])
async def test_a_model_that_finds_no_title_does_no_harm(tmp_path: Path, steps: list[Step]) -> None:
    backend = ScriptedBackend(models=MODELS)
    async with open_rig(tmp_path, backend=backend, titles=True) as rig:
        record = await fresh(rig)
        backend.answer("yes")
        backend.script(*steps)
        one_ending(await rig.ask("A question", conversation_id=record.id))
        await titled(rig, record, "A question")
        while len(backend.requests) < 2:
            await asyncio.sleep(0)
        await backend.wait_running(0)
        backend.answer("still there")
        assert one_ending(await rig.ask("Another"))["status"] == "completed"


async def test_a_title_under_way_does_not_hold_up_the_end(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=MODELS)
    async with open_rig(tmp_path, backend=backend, titles=True) as rig:
        record = await fresh(rig)
        backend.answer("yes")
        backend.script(asyncio.Event())
        one_ending(await rig.ask("A question", conversation_id=record.id))
        await backend.wait_running(1)
    assert backend.cancelled == 1


async def test_titles_are_of_the_users_words(rig: Rig) -> None:
    record = await fresh(rig)
    rig.backend.answer("yes")
    system = {**said("You are a pirate."), "role": "developer"}
    one_ending(await rig.ask(conversation_id=record.id, input=[system, said("Ahoy?"), answered("Aye.")]))
    await titled(rig, record, "Ahoy?")


def test_first_words_are_cut_between_words() -> None:
    assert first_words(" a \n b ") == "a b"
    assert first_words("x" * 60) == "x" * 60
    long = first_words("word " * 20)
    assert long.endswith("word word…")
    assert 50 < len(long) <= 60
    assert len(first_words("x" * 61)) == 60


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Blue sky", "Blue sky"),
        ('**"Blue sky."**', "Blue sky"),
        ("# Titel: Der blaue Himmel\nmehr", "Der blaue Himmel"),
        ("<think>\nhm\n</think>\n\nBlue sky", "Blue sky"),
        ("hm, a title\n</think>\nBlue sky", "Blue sky"),
        ("Blue sky <think>or not", "Blue sky"),
        ("<think>for ever", ""),
        ("", ""),
        ("„Blauer Himmel“", "Blauer Himmel"),
    ],
)
def test_tidy(said: str, title: str) -> None:
    assert tidy(said) == title


def test_first_words_leave_markdowns_marks_out() -> None:
    assert first_words("# Look:\n```python\nprint(1)\n```") == "Look: print(1)"
    assert first_words("```") == "```"
