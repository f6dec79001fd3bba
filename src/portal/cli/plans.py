"""A plan in the terminal: its steps when it is made, then how far it is."""

import json
from typing import Any


def plan_line(item: dict[str, Any]) -> str:
    """What a call that made or changed a plan comes to, in one line; empty for every other call."""
    if item["server_label"] != "tasks" or item["name"] not in ("make_plan", "update_plan") or not item.get("output"):
        return ""
    try:
        steps = json.loads(item["output"].partition("\n")[0])["steps"]
    except ValueError:  # a bound on tool output cut it
        return ""
    if item["name"] == "make_plan":
        return "[plan: " + "; ".join(f"{number}. {step['title']}" for number, step in enumerate(steps, 1)) + "]"
    over = sum(step["status"] in ("done", "skipped") for step in steps)
    now = [step["title"] for step in steps if step["status"] == "doing"]
    failed = [step["title"] for step in steps if step["status"] == "failed"]
    told = [f"now: {', '.join(now)}" if now else "", f"failed: {', '.join(failed)}" if failed else ""]
    return "[plan: " + "; ".join([f"{over} of {len(steps)} done", *filter(None, told)]) + "]"
