"""Turns whose models, tools or schemas are odd: one call fails, or none; the turn goes on."""

import json
from pathlib import Path

import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.items import JsonObject
from portal.core.model import ModelInfo, ReasoningDelta, TextDelta, ToolCallDelta
from portal.core.tools import ToolFile, ToolResult
from portal.testing.records import OWNER
from portal.tools.function import Functions, tool

from .conftest import events_of, one_ending, open_rig
from .test_tools import ANSWER, Desk, ask, calls, questions, results, went_on, yes

HALF = '{"%s": "\\ud83d"}'
FENCED = '```json\n{"name": "look", "arguments": {"what": "a"}}\n```'


def text_of(response: JsonObject) -> str:
    return "".join(item["content"][0]["text"] for item in response["output"] if item["type"] == "message")


async def test_half_an_emoji_ends_nothing(tmp_path: Path) -> None:
    @tool(risk="read")
    async def name() -> ToolResult:
        """Make a file of an odd name."""
        return ToolResult(text="\ud83d", files=[ToolFile(name="\ud83d.txt", content_type="\ud83d", data=b"1")])

    desk = Desk()
    async with open_rig(tmp_path, toolsets=[desk.toolset(), Functions("odd", [name])]) as rig:
        rig.backend.script(
            ReasoningDelta("\ud83d"), *calls(("look", HALF % "what"), ("name", {}), ("\ud83d", "\ud83d"))
        )
        rig.backend.script(TextDelta("done \ud83d"))

        response = await ask(rig)

        assert (response["status"], text_of(response)) == ("completed", "done \ufffd")
        assert [status for _, status, _ in results(response)] == ["completed", "completed", "failed"]
        assert desk.done == ["look \ufffd"]
        json.dumps(response, ensure_ascii=False).encode()


async def test_half_an_emoji_in_a_question_can_be_allowed(tmp_path: Path) -> None:
    desk = Desk()
    async with open_rig(tmp_path, toolsets=[desk.toolset()]) as rig:
        rig.backend.script(*calls(("write", '{"path": "a", "text": "\\ud83d"}')))
        (question,) = questions(await ask(rig))
        rig.backend.answer(ANSWER)

        await went_on(await rig.agent.decide(OWNER, {question["id"]: yes()}))

        assert desk.done == ["write a \ufffd"]


async def test_calls_that_all_carry_one_index_are_told_apart(tmp_path: Path) -> None:
    desk = Desk()
    async with open_rig(tmp_path, toolsets=[desk.toolset()]) as rig:
        rig.backend.script(
            ToolCallDelta(0, None, "look", '{"what":'),
            ToolCallDelta(0, "c1", "look", ' "a'),
            ToolCallDelta(0, "c1", "look", '"}'),
            ToolCallDelta(0, "c2", "look", '{"what": "b"}'),
            ToolCallDelta(1, "c3", "look", '{"what": "c"'),
            ToolCallDelta(1, None, None, "}"),
        )
        rig.backend.answer(ANSWER)

        await ask(rig)

        assert desk.done == ["look a", "look b", "look c"]


async def test_calls_of_one_id_are_each_answered(tmp_path: Path) -> None:
    desk = Desk()
    async with open_rig(tmp_path, toolsets=[desk.toolset()]) as rig:
        rig.backend.script(
            *(ToolCallDelta(at, "c1", "look", json.dumps({"what": what})) for at, what in enumerate("ab"))
        )
        rig.backend.answer(ANSWER)

        response = await ask(rig)

        assert results(response) == [("look", "completed", "saw a"), ("look", "completed", "saw b")]
        _, asked, *told = rig.backend.requests[1].messages
        ids = [call["id"] for call in asked["tool_calls"]]
        assert len({*ids}) == 2
        assert [(one["tool_call_id"], one["content"]) for one in told] == [(ids[0], "saw a"), (ids[1], "saw b")]


async def test_a_megabyte_of_arguments_is_refused_and_the_turn_goes_on(tmp_path: Path) -> None:
    desk = Desk()
    async with open_rig(tmp_path, toolsets=[desk.toolset()]) as rig:
        rig.backend.script(*calls(("look", {"what": "x" * 2**20}), ("look", {"what": "b"})))
        rig.backend.answer(ANSWER)

        response = await ask(rig)

        (refused, ran), told = results(response), rig.backend.requests[1].messages
        assert refused == ("look", "failed", "The arguments are longer than 256 kB: pass less, or write a file first.")
        assert (ran, desk.done, text_of(response)) == (("look", "completed", "saw b"), ["look b"], ANSWER)
        assert len(json.dumps(told)) < 300_000


async def test_a_clients_calls_of_one_index_are_told_apart(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        rig.backend.script(ToolCallDelta(0, "c1", "mine", "{}"), ToolCallDelta(0, "c2", "mine", "{}"))

        response = one_ending(await rig.ask(request={"tools": [{"type": "function", "name": "mine"}]}))

        assert [(item["call_id"], item["arguments"]) for item in response["output"]] == [("c1", "{}"), ("c2", "{}")]


async def test_a_call_written_where_there_are_no_tools_stays_text(tmp_path: Path) -> None:
    desk, written = Desk(), '<tool_call>{"name": "look", "arguments": {"what": "a"}}</tool_call>'
    async with open_rig(tmp_path, toolsets=[desk.toolset()]) as rig:
        rig.backend.answer(written)
        rig.backend.answer(written)

        response = await ask(rig, request={"max_tool_calls": 1})

        assert (response["status"], text_of(response), desk.done) == ("completed", written, ["look a"])


@pytest.mark.parametrize(("told", "tools", "runs"), [(True, True, False), (True, False, True), (False, True, True)])
async def test_json_is_a_call_of_models_that_may_know_no_other_way(
    told: bool, tools: bool, runs: bool, tmp_path: Path
) -> None:
    desk, capabilities = Desk(), frozenset({"chat", "tools"} if tools else {"chat"})
    models = [ModelInfo(id="tiny", backend="", capabilities=capabilities, told=told)]
    async with open_rig(tmp_path, backend=ScriptedBackend(models=models), toolsets=[desk.toolset()]) as rig:
        rig.backend.answer(FENCED)
        rig.backend.answer(ANSWER)

        response = await ask(rig)

        assert (text_of(response), desk.done) == ((ANSWER, ["look a"]) if runs else (FENCED, []))


async def test_a_toolset_that_cannot_list_its_tools_is_passed_over(tmp_path: Path) -> None:
    class Dead(Functions):
        def tools(self) -> list[object]:  # type: ignore[override]
            raise RuntimeError("no")

    async with open_rig(tmp_path, toolsets=[Dead("dead", []), Desk().toolset()]) as rig:
        rig.backend.script(*calls(("look", {"what": "a"})))
        rig.backend.answer(ANSWER)

        run = await rig.start("x", model="auto")

        assert results(one_ending(await events_of(run))) == [("look", "completed", "saw a")]
