"""Plans: steps that a person sees, done with real calls, through approvals and restarts; and when they are offered."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.approvals import Decision
from portal.core.items import Item
from portal.core.model import ModelEvent, ToolCallDelta
from portal.errors import ToolError
from portal.testing.records import OWNER, conversation
from portal.tools.function import Functions, tool
from portal.tools.several import several
from portal.tools.tasks import Plan, Tasks

from .conftest import MODELS, Rig, events_of, one_ending, open_rig

WORK = "What changed this week? Draw a chart of it and save it as a PDF."
STEPS = ["Read the log", "Draw a chart", "Save it"]
YES = Decision(approve=True, by=OWNER, door="web")


class Shop:
    """Tools that remember."""

    def __init__(self) -> None:
        self.done: list[str] = []

    @tool(risk="read")
    async def read_log(self, days: int = 7) -> str:
        """Read the log."""
        self.done.append("read")
        return f"{days} commits"

    @tool(risk="read")
    async def draw(self, what: str) -> str:
        """Draw a chart."""
        self.done.append(f"draw {what}")
        return f"chart of {what}"

    @tool(risk="write")
    async def save(self, what: str) -> str:
        """Save something."""
        self.done.append(f"save {what}")
        return "saved"


@asynccontextmanager
async def open_shop(data_dir: Path, **more: Any) -> AsyncIterator[tuple[Rig, Shop]]:
    shop = Shop()
    toolsets = [Functions("shop", [shop.read_log, shop.draw, shop.save]), Tasks()]
    async with open_rig(data_dir, toolsets=toolsets, **more) as rig:
        yield rig, shop


def calls(*wanted: tuple[str, dict[str, Any]]) -> list[ModelEvent]:
    return [ToolCallDelta(at, f"call_{at}", name, json.dumps(given)) for at, (name, given) in enumerate(wanted)]


def plan(*steps: Any) -> tuple[str, dict[str, Any]]:
    return "make_plan", {"steps": [*(steps or STEPS)]}


def done(step: int, **more: Any) -> tuple[str, dict[str, Any]]:
    return "update_plan", {"step": step, "status": "done", **more}


def states(response: dict[str, Any]) -> list[str]:
    """The steps' states after each change of the plan, and how many calls each took."""
    made = [item for item in response["output"] if item["type"] == "mcp_call" and item["server_label"] == "tasks"]
    plans = [json.loads(item["output"].partition("\n")[0])["steps"] for item in made if item["output"]]
    return [" ".join(f"{one['status']}{one.get('calls', '')}" for one in steps) for steps in plans]


def offered(rig: Rig, at: int) -> list[str]:
    tools: Any = rig.backend.requests[at].parameters.get("tools", ())
    return [one["function"]["name"] for one in tools]


async def ask(rig: Rig, text: str = WORK, **fields: Any) -> dict[str, Any]:
    return one_ending(await rig.ask(text, model="auto", **fields))


async def went_on(rig: Rig, asked: dict[str, Any]) -> dict[str, Any]:
    """After a yes."""
    (question,) = (item for item in asked["output"] if item["type"] == "mcp_approval_request")
    run = await rig.agent.decide(OWNER, {question["id"]: YES})
    assert run is not None
    return one_ending(await events_of(run))


# ------------------------------------------------------------------ step by step


async def test_steps_are_done_with_real_calls_through_an_approval_and_a_restart(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as (rig, shop):
        await rig.storage.conversations.create(conversation(id="conv_1"))
        rig.backend.script(*calls(plan()))
        rig.backend.script(*calls(("read_log", {})))
        rig.backend.script(*calls(done(1, note="7 commits"), ("draw", {"what": "7 commits"})))
        rig.backend.script(*calls(done(2), ("save", {"what": "chart of 7 commits"})))

        asked = await ask(rig, conversation_id="conv_1")

        assert states(asked) == ["doing open open", "done1 doing open", "done1 done1 doing"]
        assert asked["incomplete_details"] == {"reason": "approval_required"}
        assert shop.done == ["read", "draw 7 commits"]

    async with open_shop(tmp_path) as (rig, shop):
        rig.backend.script(*calls(done(3)))
        rig.backend.answer("There it is.")

        response = await went_on(rig, asked)

        assert states(response) == ["done1 done1 done1"]
        assert (shop.done, response["status"]) == (["save chart of 7 commits"], "completed")
        assert "update_plan" in offered(rig, 0)
        told = [str(message["content"]) for message in rig.backend.requests[0].messages]
        assert any("Now: step 2 (Draw a chart)." in text for text in told)

        rig.backend.script(*calls(("update_plan", {"step": 3, "status": "doing"})))
        rig.backend.answer("Once more.")
        assert states(await ask(rig, "save it again", conversation_id="conv_1")) == ["done1 done1 doing"]


async def test_steps_that_do_not_need_each_other_go_side_by_side(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as (rig, shop):
        apart = [{"title": "A", "needs": []}, {"title": "B", "needs": []}, {"title": "C", "needs": [1, 2]}]
        rig.backend.script(*calls(plan(*apart), ("update_plan", {"step": 2, "status": "doing"})))
        rig.backend.script(*calls(("draw", {"what": "a"}), ("draw", {"what": "b"})))
        rig.backend.script(*calls(done(1), done(2)))
        rig.backend.script(*calls(done(3)))
        rig.backend.answer("Done.")

        response = await ask(rig)

        assert states(response) == [
            *("doing open open", "doing doing open"),
            *("done2 doing open", "done2 done2 doing", "done2 done2 done0"),
        ]
        assert shop.done == ["draw a", "draw b"]
        told = [item["output"].partition("\n")[2] for item in response["output"] if item["type"] == "mcp_call"]
        assert "Beside that you can begin: step 2 (B)." in told[0]
        assert "No tool was used for step 3" in told[-1]


async def test_a_branch_has_the_plan_as_it_was_there(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as (rig, _):
        rig.backend.script(*calls(plan()))
        rig.backend.answer("Shall I?")
        first = await ask(rig)
        for step, expected in ((1, "skipped0 doing open"), (1, "skipped0 doing open")):
            rig.backend.script(*calls(("update_plan", {"step": step, "status": "skipped"})))
            rig.backend.answer("Skipped.")
            assert states(await ask(rig, "leave that out", previous_response_id=first["id"])) == [expected]


# ------------------------------------------------------------------ what does not fit


def change(made: Plan, number: int, status: str, note: str = "") -> str:
    return made.change("update_plan", {"step": number, "status": status, "note": note})


def begun(*steps: Any) -> Plan:
    made = Plan()
    made.change(*plan(*steps))
    return made


@pytest.mark.parametrize(
    ("number", "status", "told"),
    [(4, "done", "steps 1 to 3"), (0, "done", "steps 1 to 3"), (2, "done", "needs 1 before"), (3, "doing", "needs 2")],
)
def test_what_a_plan_refuses(number: int, status: str, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        change(begun(), number, status)


def test_a_plan_has_to_be_there_and_in_order() -> None:
    with pytest.raises(ToolError, match="no plan"):
        change(Plan(), 1, "done")
    with pytest.raises(ToolError, match="Step 1 can only need steps before it"):
        begun({"title": "a", "needs": [2]}, "b")


def test_what_goes_on_after_a_failure() -> None:
    made = begun("a", "b", {"title": "c", "needs": []})
    assert "Now: step 3 (c)." in change(made, 1, "failed", "no paper")
    assert "others need it" in change(made, 3, "done")
    assert "Now: step 1 (a)." in change(made, 1, "doing")
    assert "Now: step 2 (b)." in change(made, 1, "skipped")
    assert "answer now" in change(made, 2, "done")


def item(number: int, name: str, arguments: dict[str, Any], **more: Any) -> Item:
    told = {"type": "mcp_call", "id": f"mcp_{number}", "server_label": "tasks", "name": name, "error": None}
    return {**told, "status": "completed", "arguments": json.dumps(arguments), **more}


def test_what_was_refused_did_not_happen() -> None:
    items: Sequence[Item] = [
        {"type": "message", "id": "msg_1"},
        item(1, *plan()),
        item(2, *done(1), error="Not allowed"),
        item(3, *done(2), status="in_progress"),
        item(4, "look", {}, server_label="shop", status="failed"),
        item(5, "ask_workspace", {}),
        item(6, *done(1)),
        item(7, *done(2)),
    ]
    made = Plan()
    made.take(items, "mcp_7")
    assert [(step.status, step.calls) for step in made.steps] == [("done", 1), ("doing", None), ("open", None)]


# ------------------------------------------------------------------ when a plan is offered


async def test_plain_requests_do_not_pay_for_it(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as (rig, _):
        rig.backend.answer("Four.")
        response = await ask(rig, "What is two and two?")
        assert offered(rig, 0) == ["read_log", "draw", "save"]
        assert (len(rig.backend.requests), response["status"]) == (1, "completed")
        rig.backend.answer("Well.")
        await ask(rig, WORK)
        assert offered(rig, 1) == ["read_log", "draw", "save", "make_plan"]
        rig.backend.script(*calls(plan()))
        rig.backend.answer("Well.")
        await ask(rig, WORK)
        assert offered(rig, 3) == ["read_log", "draw", "save", "make_plan", "update_plan"]


async def test_alone_it_is_not_offered_where_nothing_fits(tmp_path: Path) -> None:
    async with open_rig(tmp_path, toolsets=[Tasks()], backend=ScriptedBackend(models=MODELS)) as rig:
        rig.backend.answer("Four.", "Well.")
        await ask(rig, "What is two and two?")
        assert offered(rig, 0) == []


@pytest.mark.parametrize(
    "text",
    [
        WORK,
        "Read sales.csv, compare it with last year's and write a report as report.docx",
        "First download the page, then extract the table, and finally plot it.",
        "Lies die Datei, berechne die Summe und schreib sie in eine neue Tabelle",
        "Please do this:\n1. the repository\n2. its tests\n3. what fails",
    ],
)
def test_requests_for_several_things_are_known_by_their_words(text: str) -> None:
    assert several(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hi",
        "Write a poem about the sea and the wind.",
        "Make a plan for my trip to Rome",
        "List my files and count them",
        "Who wrote Faust, and when?",
        "- a\n- b",
        ", " * 100_000,
        "\n" * 100_000,
    ],
)
def test_others_are_not(text: str) -> None:
    assert not several(text)
