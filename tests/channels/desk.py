"""Tools for tests of channels."""

import asyncio
import json

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelEvent, ModelInfo, TextDelta, ToolCallDelta
from portal.core.tools import ToolFile, ToolResult
from portal.tools.function import Functions, tool
from portal.tools.person import ask_user


class Desk:
    """Remembers what it did."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.gate = asyncio.Event()

    def toolsets(self) -> list[Functions]:
        return [Functions("desk", [self.write_note, self.draw, self.wait_long]), Functions("person", [ask_user])]

    @tool(risk="write")
    async def write_note(self, text: str) -> str:
        """Write a note."""
        self.done.append(text)
        return "written"

    @tool(risk="read")
    async def wait_long(self) -> str:
        """Wait for something."""
        await self.gate.wait()
        return "it came"

    @tool(risk="read")
    async def draw(self) -> ToolResult:
        """Draw a chart."""
        return ToolResult(text="drawn", files=[ToolFile(name="chart.png", content_type="image/png", data=b"PNG")])


def able() -> ScriptedBackend:
    """A model that calls tools."""
    model = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)
    return ScriptedBackend(models=[model])


def calls(*wanted: tuple[str, dict[str, object]]) -> list[ModelEvent]:
    """One answer of a model: these calls."""
    return [
        ToolCallDelta(index=place, id=f"call_{place}", name=name, arguments=json.dumps(arguments))
        for place, (name, arguments) in enumerate(wanted)
    ]


def says(text: str) -> list[ModelEvent]:
    return [TextDelta(text)]
