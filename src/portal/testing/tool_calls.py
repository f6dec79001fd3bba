"""Calling a tool as Portal calls it, for tests of tools."""

from pathlib import Path

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult


def tool_context(folder: Path, *, call_id: str = "mcp_1", owner: str = "user_1") -> ToolContext:
    """What a call in the conversation with this folder is told."""
    return ToolContext(
        owner=owner, call_id=call_id, response_id="resp_1", workspace="auto", conversation_id="conv_1", folder=folder
    )


async def call(toolset: Toolset, tool: str, in_folder: Path, /, **arguments: object) -> ToolResult:
    """The result of one call; the tool must be offered. Raises ToolError."""
    assert tool in {spec.name for spec in toolset.tools()}, f"{tool} is not offered"
    return await toolset.call(tool, arguments, tool_context(in_folder))
