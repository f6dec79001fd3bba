"""How many megabytes a process holds more after a server said very much: `memory FOLDER refused|whole|flood`."""

import asyncio
import gc
import sys
from pathlib import Path

import pytest
from tests.mcp.workshop import Workshop

from portal.errors import ToolError
from portal.mcp.servers import ToolServers

LIMITS = {"refused": 32, "whole": 64, "flood": 64}
"""The largest message in MB."""


def resident() -> int:
    """Megabytes of this process in memory."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


async def call(servers: ToolServers, workshop: Workshop, name: str, **arguments: int) -> str:
    return (await servers.get("f").call(f"f__{name}", arguments, workshop.context())).text


async def listen(servers: ToolServers, workshop: Workshop, scene: str) -> None:
    if scene == "flood":
        assert await call(servers, workshop, "flood") == "flooded"
    elif scene == "whole":
        assert len(await call(servers, workshop, "big", size=50_000_000)) == 50_000_000
    else:
        with pytest.raises(ToolError, match="larger than 32 MB"):
            await call(servers, workshop, "big", size=50_000_000)


async def grown(folder: Path, scene: str) -> int:
    workshop = Workshop(folder)
    workshop.marks.mkdir()
    async with workshop.open({"f": workshop.faulty()}, max_message=LIMITS[scene] * 2**20) as servers:
        await servers.get("f").refresh()
        await call(servers, workshop, "big", size=1000)
        gc.collect()
        before = resident()
        await listen(servers, workshop, scene)
        await call(servers, workshop, "count")
        gc.collect()
        return resident() - before


if __name__ == "__main__":
    print(asyncio.run(grown(Path(sys.argv[1]), sys.argv[2])))
