"""Tools out of functions: threads of plain ones, and what comes back."""

import asyncio
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.core.tools import ToolFile, ToolResult, sound
from portal.errors import ToolError
from portal.testing.tool_calls import call
from portal.tools.function import Functions, tool

FILE = ToolFile(name="a", content_type="text/plain", data=b"1")


class Hall:
    """Plain functions that wait until they are let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.inside = threading.Semaphore(0)
        self.gone_on = 0

    @tool(risk="read")
    def hang(self) -> str:
        """Wait."""
        self.inside.release()
        self.gate.wait(30)
        self.gone_on += 1
        return "let go"

    @tool(risk="read")
    def quick(self) -> str:
        """Be quick."""
        return threading.current_thread().name

    @tool(risk="read")
    async def aside(self) -> str:
        """Be quick without a thread."""
        return "here"

    async def entered(self, count: int) -> None:
        """Wait until so many functions run."""
        for _ in range(count):
            assert await asyncio.to_thread(self.inside.acquire, timeout=30)


@pytest.fixture
def hall() -> Iterator[Hall]:
    made = Hall()
    yield made
    made.gate.set()


@tool(risk="read")
def give(what: str) -> Any:
    """Give back something odd."""
    given: dict[str, Any] = {
        "text": ToolResult(text=None),  # type: ignore[arg-type]
        "failed": ToolResult(text="x", failed=None),  # type: ignore[arg-type]
        "untrusted": ToolResult(text="x", untrusted=re.match("x", "x")),  # type: ignore[arg-type]
        "files": ToolResult(text="x", files=None),  # type: ignore[arg-type]
        "no file": ToolResult(text="x", files=["a.txt"]),  # type: ignore[list-item]
        "data": ToolResult(text="x", files=[ToolFile(name="a", content_type="x", data="str")]),  # type: ignore[arg-type]
        "kept": ToolResult(text="x", kept=["file_1"]),  # type: ignore[list-item]
        "tokens": ToolResult(text="x", tokens=None),  # type: ignore[arg-type]
        "wide": 2**70,
        "half": {"a": "\ud83d"},
        "list": [1, None, {"a": Path("b")}],
        "nothing": None,
        "whole": ToolResult(text="fine", files=[FILE]),
    }
    return given[what]


@tool(risk="read")
def leave(how: str) -> str:
    """End in an odd way."""
    if how == "exit":
        sys.exit(3)
    if how == "stop":
        raise StopIteration
    raise KeyError(how)


@tool(risk="read")
async def leave_softly() -> str:
    """End Portal."""
    sys.exit(3)


@pytest.mark.parametrize(
    "what", ["text", "failed", "untrusted", "files", "no file", "data", "kept", "tokens", "wide", "half"]
)
async def test_what_is_no_result_is_a_clear_failure(what: str, tmp_path: Path) -> None:
    result = await call(Functions("odd", [give]), "give", tmp_path, what=what)

    assert (result.failed, result.files) == (True, ())
    assert "The tool ran, but what it gave back" in result.text


@pytest.mark.parametrize(("what", "text"), [("list", '[1,null,{"a":"b"}]'), ("nothing", "null"), ("whole", "fine")])
async def test_results_are_text_or_json(what: str, text: str, tmp_path: Path) -> None:
    result = await call(Functions("odd", [give]), "give", tmp_path, what=what)

    assert (result.text, result.failed) == (text, False)


def test_only_results_are_sound() -> None:
    fine = ToolResult(text="x", files=[FILE])

    assert sound(fine) is fine
    assert [sound(one).failed for one in (None, "text", {"text": "x"})] == [True, True, True]


@pytest.mark.parametrize(("how", "told"), [("exit", "SystemExit"), ("stop", "StopIteration")])
async def test_a_function_that_leaves_ends_its_call_only(how: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=f"ended with {told}"):
        await call(Functions("odd", [leave]), "leave", tmp_path, how=how)


async def test_what_a_function_raises_is_raised(tmp_path: Path) -> None:
    toolset = Functions("odd", [leave, leave_softly])

    with pytest.raises(KeyError):
        await call(toolset, "leave", tmp_path, how="x")
    with pytest.raises(ToolError, match="ended with SystemExit"):
        await call(toolset, "leave_softly", tmp_path)


def test_a_plain_function_says_that_nothing_stops_it(hall: Hall) -> None:
    specs = Functions("hall", [hall.quick, hall.aside]).tools()

    assert [(one.name, one.stoppable) for one in specs] == [("quick", False), ("aside", True)]


async def test_what_hangs_stops_only_its_own_toolset(hall: Hall, tmp_path: Path) -> None:
    toolset = Functions("hall", [hall.hang, hall.quick, hall.aside])
    async with asyncio.TaskGroup() as group:
        hanging = [group.create_task(call(toolset, "hang", tmp_path)) for _ in range(16)]
        await hall.entered(16)
        waiting = group.create_task(call(toolset, "quick", tmp_path))
        for one in hanging:
            one.cancel()
        await asyncio.wait(hanging)

        assert all(one.cancelled() for one in hanging)
        with pytest.raises(ToolError, match="16 earlier calls of these tools hang"):
            await call(toolset, "quick", tmp_path)
        assert (await call(toolset, "aside", tmp_path)).text == "here"
        assert (await call(Functions("other", [hall.quick]), "quick", tmp_path)).text == "portal tool"
        hall.gate.set()
        assert (await waiting).text == "portal tool"

    assert (await call(toolset, "quick", tmp_path)).text == "portal tool"
    assert hall.gone_on >= 1


async def test_who_waited_for_a_thread_and_left_takes_none(hall: Hall, tmp_path: Path) -> None:
    toolset = Functions("hall", [hall.hang, hall.quick])
    async with asyncio.TaskGroup() as group:
        hanging = [group.create_task(call(toolset, "hang", tmp_path)) for _ in range(16)]
        await hall.entered(16)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await call(toolset, "quick", tmp_path)
        hall.gate.set()

    assert {one.result().text for one in hanging} == {"let go"}
    assert (await call(toolset, "quick", tmp_path)).text == "portal tool"
