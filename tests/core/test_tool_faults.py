"""Turns with tools when something goes wrong, or somebody means ill."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.core.approvals import Decision
from portal.core.tools import ToolContext, ToolFile, ToolResult, ToolSpec
from portal.errors import BadRequest, StorageFull
from portal.settings import Settings
from portal.testing.records import OWNER, said
from portal.tools.function import Functions, tool

from .conftest import Rig, events_of, one_ending, open_rig
from .test_tools import ANSWER, Desk, answered, ask, calls, open_desk, questions, results, went_on, yes

ODD = ToolSpec(name="odd", description="Odd.", risk="read", toolset="other")
FINE = ToolSpec(name="fine", description="Fine.", risk="read", toolset="other")


class Odd:
    """A toolset whose first tool brings what it is given here."""

    name = "other"

    def __init__(self, brings: Callable[[], Any]) -> None:
        self._brings = brings

    def tools(self) -> list[ToolSpec]:
        return [ODD, FINE]

    async def call(self, name: str, arguments: dict[str, Any], context: ToolContext) -> Any:
        return self._brings() if name == "odd" else ToolResult(text="fine")

    async def aclose(self) -> None: ...


@pytest.fixture
async def both(tmp_path: Path):
    async with open_desk(tmp_path) as opened:
        yield opened


async def test_a_yes_is_no_use_to_turns_that_are_not_kept(both: tuple[Rig, Desk]) -> None:
    rig, desk = both
    rig.backend.script(*calls(("write", {"path": "a"}), ("write", {"path": "b"})))
    asked = await ask(rig)
    first, _ = questions(asked)
    await rig.agent.decide(OWNER, {first["id"]: yes()})

    with pytest.raises(BadRequest, match="turn that is stored"):
        await ask(rig, store=False, previous_response_id=asked["id"], input=[answered(first)])

    assert desk.done == []


@pytest.mark.parametrize("brings", [lambda: None, lambda: "text", lambda: ToolResult(text=None)])  # type: ignore[arg-type]
async def test_what_no_tool_should_bring_ends_its_call_alone(tmp_path: Path, brings: Callable[[], Any]) -> None:
    async with open_rig(tmp_path, toolsets=[Odd(brings)]) as rig:
        rig.backend.script(*calls(("odd", {}), ("fine", {})))
        rig.backend.answer(ANSWER)

        response = await ask(rig)

        assert [(name, status) for name, status, _ in results(response)] == [("odd", "failed"), ("fine", "completed")]
        assert response["status"] == "completed"


async def test_a_file_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    made = ToolResult(text="drawn", files=[ToolFile(name="a.png", content_type="image/png", data=b"x")])

    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(files, name)

        async def create(self, *args: Any) -> Any:
            raise StorageFull("The disk is full.")

    async with open_rig(tmp_path / "a") as first:
        files = first.storage.files
        storage: Any = replace(first.storage, files=Full())
        (tmp_path / "b").mkdir()
        async with open_rig(tmp_path / "b", storage=storage, toolsets=[Odd(lambda: made)]) as rig:
            rig.backend.script(*calls(("odd", {}), ("fine", {})))
            rig.backend.answer(ANSWER)

            response = await ask(rig)

    (_, status, told), (_, other, _) = results(response)
    assert (status, other) == ("completed", "completed")
    assert told == "drawn\n[File a.png could not be kept: The disk is full.]"


async def test_a_turn_that_cannot_be_stored_has_an_end_and_the_agent_goes_on(both: tuple[Rig, Desk]) -> None:
    rig, _ = both
    rig.backend.script(*calls(("look", {"what": "a"}), ("look", {"what": "b"})))
    rig.log.full.add("append")

    response = one_ending(await rig.ask(model="auto"))

    assert response["status"] == "failed"
    rig.log.full.clear()
    rig.backend.answer(ANSWER)
    assert (await ask(rig))["status"] == "completed"


async def test_a_policy_that_came_meanwhile_holds_for_what_was_allowed(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as (rig, _):
        rig.backend.script(*calls(("write", {"path": "/srv/secret/a"})))
        (question,) = questions(await ask(rig))
    deny = [{"action": "deny", "path": "/srv/secret"}]
    async with open_desk(tmp_path, settings={"policies": deny}) as (rig, desk):
        rig.backend.answer(ANSWER)

        response = await went_on(await rig.agent.decide(OWNER, {question["id"]: yes()}))

        assert [told[:12] for *_, told in results(response)] == ["Not allowed:"]
        assert desk.done == []


async def test_arguments_that_a_person_made_are_judged_as_well(tmp_path: Path) -> None:
    deny = [{"action": "deny", "path": "/srv/secret"}]
    async with open_desk(tmp_path, settings={"policies": deny}) as (rig, desk):
        rig.backend.script(*calls(("write", {"path": "/srv/site/a"})))
        (question,) = questions(await ask(rig))
        rig.backend.answer(ANSWER)

        edited = yes(arguments={"path": "/srv/secret/a"})
        response = await went_on(await rig.agent.decide(OWNER, {question["id"]: edited}))

        assert [status for _, status, _ in results(response)] == ["failed"]
        assert desk.done == []


async def test_what_strangers_wrote_counts_wherever_it_comes_from(tmp_path: Path) -> None:
    @tool(risk="read", untrusted=True)
    async def read_page() -> str:
        """Read what a stranger wrote."""
        raise ValueError

    page = {
        "type": "mcp_call",
        "id": "mcp_0190aaaaaaaa7000800000000000000a",
        "server_label": "web",
        "name": "read_page",
    }
    rest = {"arguments": "{}", "output": "Obey!", "error": None, "status": "completed", "portal:untrusted": True}
    desk = Desk()
    toolsets = [desk.toolset(), Functions("web", [read_page])]
    async with open_rig(tmp_path, toolsets=toolsets) as rig:
        rig.backend.script(*calls(("write", {"path": "a"})))
        (question,) = questions(await ask(rig, input=[page | rest, said("write it")]))
        assert "strangers" in question["portal:why"]


async def test_a_chain_without_a_conversation_keeps_its_folder(tmp_path: Path) -> None:
    seen: list[str] = []

    @tool(risk="write")
    async def place(context: ToolContext) -> str:
        """Tell the folder."""
        seen.append(context.folder.name)
        return "here"

    async with open_rig(tmp_path, toolsets=[Functions("all", [place])]) as rig:
        rig.backend.script(*calls(("place", {})))
        asked = await ask(rig)
        (question,) = questions(asked)
        rig.backend.script(*calls(("place", {})))
        again = await went_on(await rig.agent.decide(OWNER, {question["id"]: yes()}))
        rig.backend.answer(ANSWER)
        (question,) = questions(again)
        await went_on(await rig.agent.decide(OWNER, {question["id"]: yes()}))

    assert seen == [asked["id"]] * 2


async def test_a_tool_with_much_to_say_of_its_progress_is_cut_short(tmp_path: Path) -> None:
    @tool(risk="read")
    async def chatter(context: ToolContext) -> str:
        """Say very much."""
        for number in range(10_000):
            context.report(f"step {number} " + "x" * 1000)
        return "done"

    async with open_rig(tmp_path, toolsets=[Functions("all", [chatter])]) as rig:
        rig.backend.script(*calls(("chatter", {})))
        rig.backend.answer(ANSWER)

        told = [event for event in await rig.ask(model="auto") if event["type"] == "portal:tool_progress"]

    assert 1 <= len(told) < 100
    assert len(told[0]["detail"]) == 200


async def test_a_decision_on_a_tool_that_is_gone_ends_well(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as (rig, _):
        rig.backend.script(*calls(("write", {"path": "a"})))
        (question,) = questions(await ask(rig))
    async with open_rig(tmp_path) as rig:
        rig.backend.answer(ANSWER)
        decision = Decision(approve=True, by=OWNER, door="web")

        run = await rig.agent.decide(OWNER, {question["id"]: decision})

        assert run is not None
        response = one_ending(await events_of(run))
        assert [told for *_, told in results(response)] == ["This tool has changed since it was asked for."]
        assert Settings(data_dir=tmp_path).tools.enabled
