"""Tools whose effects can be seen from outside: a call's id stands in a file beside the data folder, at its beginning
and at its end."""

import fcntl
import time
from pathlib import Path

from portal.core.tools import ToolContext
from portal.tools.function import tool

EFFECTS = Path(__file__).parents[2] / "effects.txt"


def _note(what: str, number: int, context: ToolContext) -> None:
    with EFFECTS.open("a", encoding="utf-8") as effects:
        fcntl.flock(effects, fcntl.LOCK_EX)
        effects.write(f"{what} {number} {context.call_id}\n")


def _work(number: int, before: float, after: float, context: ToolContext) -> str:
    time.sleep(before)
    _note("begin", number, context)
    time.sleep(after)
    _note("end", number, context)
    return f"done {number}"


@tool(risk="read", idempotent=False)
def look(number: int, before: float, after: float, context: ToolContext) -> str:
    """Look at something on the desk."""
    return _work(number, before, after, context)


@tool(risk="write")
def change(number: int, before: float, after: float, context: ToolContext) -> str:
    """Change something on the desk."""
    return _work(number, before, after, context)
