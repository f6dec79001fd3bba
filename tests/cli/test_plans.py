"""A plan in the terminal."""

import json
from typing import Any

import pytest

from portal.cli.plans import plan_line


def item(name: str, *statuses: str, **more: Any) -> dict[str, Any]:
    steps = [{"title": f"Part {number}", "status": status} for number, status in enumerate(statuses, 1)]
    output = json.dumps({"steps": steps}) + "\nNow: step 1."
    return {"type": "mcp_call", "server_label": "tasks", "name": name, "output": output, **more}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (item("make_plan", "doing", "open"), "[plan: 1. Part 1; 2. Part 2]"),
        (item("update_plan", "done", "doing", "doing"), "[plan: 1 of 3 done; now: Part 2, Part 3]"),
        (item("update_plan", "skipped", "failed"), "[plan: 1 of 2 done; failed: Part 2]"),
        (item("update_plan", "done", "done"), "[plan: 2 of 2 done]"),
        (item("update_plan", output=None), ""),
        (item("update_plan", output='{"steps": ['), ""),
        (item("ask_workspace"), ""),
        (item("make_plan", server_label="theirs"), ""),
    ],
)
def test_how_far_a_plan_is_stands_in_one_line(call: dict[str, Any], told: str) -> None:
    assert plan_line(call) == told
