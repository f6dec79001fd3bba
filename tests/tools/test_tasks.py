"""Plans and tasks in a whole Portal with the tools it brings."""

import json
from pathlib import Path
from typing import Any

from portal.app import open_portal
from portal.backends.scripted import ScriptedBackend
from portal.core.agent import Turn
from portal.core.model import ModelEvent, ModelInfo, TextDelta, ToolCallDelta
from portal.settings import load_settings
from portal.storage.data_folder import make_private_folder
from portal.testing.records import said
from portal.tools.several import several

WORK = "Calculate 6 times 7, ask the coding workspace what that is in hexadecimal, then tell me both."
MODEL = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)


def call(name: str, **arguments: object) -> ModelEvent:
    return ToolCallDelta(0, f"call_{name}", name, json.dumps(arguments))


def shown(backend: ScriptedBackend, at: int) -> list[str]:
    tools: Any = backend.requests[at].parameters["tools"]
    return [one["function"]["name"] for one in tools]


async def test_a_plan_with_a_task_for_another_workspace(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=[MODEL])
    backend.script(TextDelta("Four."))
    backend.script(call("make_plan", steps=["Calculate", "Ask", "Tell"]))
    backend.script(call("calculate", expression="6*7"))
    backend.script(call("update_plan", step=1, status="done"))
    backend.script(call("ask_workspace", workspace="auto-coding", task="What is 42 in hexadecimal?"))
    backend.script(TextDelta("0x2A"))
    backend.script(call("update_plan", step=2, status="done"))
    backend.script(TextDelta("42 and 0x2A."))
    off = {"discovery": {"enabled": False}, "classifier": {"enabled": False}, "turns": {"titles": False}}
    make_private_folder(tmp_path / "data")
    async with open_portal(load_settings({"data_dir": tmp_path / "data", **off}), backends=[backend]) as portal:
        await portal.models.refresh()
        owner = (await portal.storage.users.owner()).id

        async def ask(text: str) -> list[dict[str, Any]]:
            run = await portal.agent.start(Turn(owner=owner, model="auto", input=[said(text)]))
            return [item for item in (await run.result())["output"] if item["type"] == "mcp_call"]

        assert await ask("What is two and two?") == []
        done = await ask(WORK)

    assert several(WORK)
    assert [(item["name"], item["status"]) for item in done] == [
        *(("make_plan", "completed"), ("calculate", "completed"), ("update_plan", "completed")),
        *(("ask_workspace", "completed"), ("update_plan", "completed")),
    ]
    assert done[3]["output"] == "0x2A\n\n[Answer of auto-coding; tools it used: none]"
    steps = json.loads(done[-1]["output"].partition("\n")[0])["steps"]
    assert [(step["status"], step.get("calls")) for step in steps] == [("done", 1), ("done", 1), ("doing", None)]
    assert "make_plan" not in shown(backend, 0)
    assert "make_plan" in shown(backend, 1)
    assert "update_plan" not in shown(backend, 1)
    assert "update_plan" in shown(backend, 2)
