"""Tools for tests of the page: one for each way a call can go."""

import asyncio
import json
import struct
import zlib
from typing import Any

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelEvent, ModelInfo, TextDelta, ToolCallDelta
from portal.core.tools import ToolContext, ToolFile, ToolResult
from portal.errors import ToolError
from portal.tools.function import Functions, tool
from portal.tools.person import ask_user


class Desk:
    """Remembers what it was asked to do; `gate` lets `wait` go on."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.gate = asyncio.Event()

    def toolsets(self) -> list[Functions]:
        """All of them."""
        notes = Functions("notes", [self.read_note, self.write_note, self.draw_chart, self.wait_long, self.break_down])
        return [notes, Functions("person", [ask_user])]

    @tool(risk="read")
    async def read_note(self, path: str) -> str:
        """Read a note."""
        return f"# {path}\n\nMilk, bread and a very long line that " + "goes on and on " * 12

    @tool(risk="write", scopes={"path": "path"})
    async def write_note(self, path: str, text: str = "", pages: int = 1, replace: bool = False) -> str:
        """Write a note. Use it when something is to be kept."""
        self.done.append((path, text, pages, replace))
        return f"written to {path}"

    @tool(risk="read", untrusted=True)
    async def draw_chart(self) -> ToolResult:
        """Draw a chart of the weather that a stranger reports."""
        table = ToolFile(name="weather.csv", content_type="text/csv", data=b"day,degrees\n1,12\n")
        return ToolResult(
            text="drawn", files=[ToolFile(name="chart.png", content_type="image/png", data=picture()), table]
        )

    @tool(risk="read")
    async def wait_long(self, context: ToolContext) -> str:
        """Wait for something."""
        context.report("half way there")
        await self.gate.wait()
        return "it came"

    @tool(risk="read")
    async def break_down(self) -> str:
        """Fail."""
        raise ToolError("There is no paper left: put some in, then try again.")


def picture(width: int = 160, height: int = 90) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x44\x50\xc4" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def able() -> ScriptedBackend:
    """A model that calls tools."""
    model = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)
    return ScriptedBackend(models=[model])


def calls(*wanted: tuple[str, str], saying: str = "") -> list[ModelEvent]:
    """One answer of a model: perhaps words, then these calls."""
    said: list[ModelEvent] = [TextDelta(saying)] if saying else []
    return [*said, *(ToolCallDelta(at, f"call_{at}", name, text) for at, (name, text) in enumerate(wanted))]


STEPS = ["Read the note with last week's figures", "Draw a chart", "Write a note", "Wait for the printer"]


def change(name: str, **arguments: object) -> tuple[str, str]:
    """A call that makes or changes a plan, or any other."""
    return name, json.dumps(arguments)


def done(step: int, note: str = "") -> tuple[str, str]:
    """A step is ticked off."""
    return change("update_plan", step=step, status="done", note=note)


def planned() -> list[list[ModelEvent]]:
    """Answers of a model that plans: two steps are done, and the third waits for a yes."""
    return [
        calls(change("make_plan", steps=STEPS), saying="I will do this step by step."),
        calls(change("read_note", path="figures.md")),
        calls(done(1, "7 commits, 3 of them large"), change("draw_chart")),
        calls(done(2), change("write_note", path="chart.md", text="7 commits")),
    ]
