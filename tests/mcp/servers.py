"""Small real servers, written with the SDK, each started as a program: `python servers.py NAME`."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp_types import ToolAnnotations

MARKS = Path(os.environ.get("MARKS", ""))  # noqa: TID251


def plain() -> MCPServer:
    """One tool of each kind of answer."""
    server = MCPServer("plain", version="1.2")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool(structured_output=False)
    def echo(text: str) -> str:
        """Say it again."""
        return text

    @server.tool(structured_output=False)
    def picture() -> Any:
        """A picture and words."""
        return ["here", Image(data=b"\x89PNG fake", format="png")]

    @server.tool(structured_output=False)
    def fails() -> str:
        """Never works."""
        raise ValueError("the moon is in the way")

    @server.tool(structured_output=False)
    async def slow(ctx: Context, seconds: float = 30) -> str:
        """Take a while."""
        await ctx.report_progress(1, 2, "halfway")
        MARKS.joinpath("begun").touch()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            MARKS.joinpath("cancelled").touch()
            raise
        return "done"

    @server.tool(structured_output=False)
    def environment() -> str:
        """What it was given."""
        return json.dumps(dict(os.environ))  # noqa: TID251

    @server.tool(structured_output=False)
    async def grow(ctx: Context) -> str:
        """Get another tool."""

        def born() -> str:
            """New here."""
            return "hello"

        server.add_tool(born, structured_output=False)
        await ctx.session.send_tool_list_changed()
        await ctx.notify_tools_changed()
        return "grown"

    @server.resource("note://one")
    def note() -> str:
        """A note."""
        return "remember the milk"

    @server.prompt()
    def greet(name: str) -> str:
        """Greet somebody."""
        return f"Say hello to {name}"

    @server.prompt()
    def cheer() -> str:
        """Be kind."""
        return "Say something kind."

    return server


if __name__ == "__main__":
    {"plain": plain}[sys.argv[1]]().run("stdio")
