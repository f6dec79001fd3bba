"""What a tool brought does not stay in memory, however much it was: the process of a real `portal up` is measured."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from tests.e2e.standing import client, started

from portal.testing.model_server import Answer, ToolCall
from portal.testing.openai_server import OpenAIServer

SETTINGS = """
[discovery]
enabled = false
[turns]
titles = false
[workspaces.desk]
tools = ["desk"]
"""
PLUGIN = '''
from portal.core.tools import ToolFile, ToolResult
from portal.tools.function import tool


@tool(risk="read")
async def say_much(megabytes: int) -> str:
    """Say very much."""
    return f"{'many words':63}\\n" * (megabytes * 2**14)


@tool(risk="read")
async def make_file(megabytes: int) -> ToolResult:
    """Make a large file."""
    made = ToolFile(name="a.bin", content_type="text/plain", data=bytes(megabytes * 2**20))
    return ToolResult(text="made", files=[made])
'''
MOST = 20
"""Megabytes that may stay of fifty."""


def resident(pid: int) -> float:
    """Megabytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


async def turn(api: aiohttp.ClientSession, server: OpenAIServer, tool: str, megabytes: int) -> int:
    """The size of the file that the output became."""
    server.script(Answer(tool_calls=[ToolCall(name=tool, arguments={"megabytes": megabytes})], finish="tool_calls"))
    server.answer("Done.")
    async with api.post("/v1/responses", json={"model": "desk", "input": "go"}) as answer:
        response = await answer.json()
    called, _ = response["output"]
    assert called["status"] == "completed", called
    size: int = called["portal:files"][0]["size"]
    return size


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("tool", ["say_much", "make_file"])
async def test_fifty_megabytes_leave_memory(tmp_path: Path, tool: str) -> None:
    data_dir = tmp_path / "data"
    (data_dir / "tools").mkdir(mode=0o700, parents=True)
    data_dir.chmod(0o700)
    (data_dir / "portal.toml").write_text(SETTINGS, encoding="utf-8")
    (data_dir / "tools" / "desk.py").write_text(PLUGIN, encoding="utf-8")
    async with OpenAIServer(models=["tiny"], extra=["tools"]) as server:
        process, file = await started(data_dir, server.url)
        try:
            async with client(file) as api:
                for _ in range(3):
                    await turn(api, server, tool, 1)
                before = resident(process.pid)
                assert await turn(api, server, tool, 50) == 50 * 2**20
                after = resident(process.pid)
                for _ in range(20):  # what the allocator gives back a moment later
                    if after - before <= MOST:
                        break
                    await asyncio.sleep(0.5)
                    after = resident(process.pid)
                print(f"{tool}: {before:.0f} MB before, {after:.0f} MB after")
                assert after - before <= MOST
        finally:
            process.terminate()
            await process.wait()
