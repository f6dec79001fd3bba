"""What a call through Portal costs beside the bare SDK, on warm sessions: `python bench/tool_servers.py [--calls 200]`.
And how long the servers that Portal ships take to start beside an empty one of the SDK: `--starts 5 --names time web`.

Both talk to the same small server, over stdio and over streamable HTTP, in turns: the ratio is of medians in one run.
A start is over when the tools are listed; its processor time is what the process has used by then.
"""

import argparse
import asyncio
import json
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from mcp import Client, StdioServerParameters
from portal.core.items import JsonObject
from portal.core.tools import ToolContext
from portal.mcp.opening import Surroundings
from portal.mcp.servers import ToolServers
from portal.mcp.shipped import shipped
from portal.security.secret_file import SecretFile
from portal.settings import load_settings

SERVER = """
import sys
from mcp.server.mcpserver import MCPServer
server = MCPServer("bench")
@server.tool(structured_output=False)
def echo(text: str) -> str:
    "Say it again."
    return text
server.run("streamable-http", port=int(sys.argv[1])) if len(sys.argv) > 1 else server.run("stdio")
"""
ARGUMENTS = {"text": "hello " * 20}
Call = Callable[[], Awaitable[object]]


class Memory:
    """KeyValues that forget at the end."""

    def __init__(self) -> None:
        self._values: dict[str, JsonObject] = {}

    async def get(self, key: str) -> JsonObject | None:
        return self._values.get(key)

    async def set(self, key: str, value: JsonObject | None) -> None:
        self._values[key] = value or {}


async def timed(call: Call) -> float:
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000


async def compare(bare: Call, ours: Call, calls: int) -> dict[str, float]:
    for call in (bare, ours) * 10:
        await call()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(calls):
        times[0].append(await timed(bare))
        times[1].append(await timed(ours))
    sdk, portal = (statistics.median(each) for each in times)
    return {"sdk_ms": round(sdk, 2), "portal_ms": round(portal, 2), "ratio": round(portal / sdk, 2)}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def measure(folder: Path, calls: int) -> dict[str, dict[str, float]]:
    script, port = folder / "server.py", free_port()
    script.write_text(SERVER, encoding="utf-8")
    quiet = asyncio.subprocess.DEVNULL
    remote = await asyncio.create_subprocess_exec(sys.executable, str(script), str(port), stdout=quiet, stderr=quiet)
    url = f"http://127.0.0.1:{port}/mcp"
    servers = {"stdio": {"command": sys.executable, "args": [str(script)]}, "http": {"url": url}}
    settings = load_settings({"data_dir": folder, "mcp": {"servers": servers}})
    context = ToolContext(owner="u", call_id="c", response_id="r", workspace="auto", folder=folder)
    bare = {"stdio": StdioServerParameters(command=sys.executable, args=[str(script)]), "http": url}
    found = {}
    async with asyncio.timeout(60):
        await listening(port)
    async with asyncio.TaskGroup() as tasks:
        around = Surroundings(
            settings=settings, key_values=Memory(), secrets=SecretFile(folder / "secrets.json"), tasks=tasks
        )
        opened = ToolServers(around)
        await opened.restore()
        for name, target in bare.items():
            server = opened.get(name)
            await server.refresh()
            async with Client(target) as client:
                await client.list_tools()
                found[name] = await compare(
                    lambda client=client: client.call_tool("echo", ARGUMENTS),  # type: ignore[misc]
                    lambda server=server, name=name: server.call(f"{name}__echo", ARGUMENTS, context),  # type: ignore[misc]
                    calls,
                )
        await opened.aclose()
    remote.terminate()
    await remote.wait()
    return found


EMPTY = """
from mcp.server.mcpserver import MCPServer
server = MCPServer("empty")
@server.tool(structured_output=False)
def nothing() -> str:
    "Nothing."
    return ""
server.run("stdio")
"""
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}


async def begun(words: list[str]) -> tuple[float, float, float]:
    """Milliseconds until it answers, until its tools are listed, and of the processor."""
    at = time.perf_counter()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *words, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, limit=2**24
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(HELLO).encode() + b"\n")
    await process.stdout.readline()
    answered = time.perf_counter() - at
    process.stdin.write(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
    process.stdin.write(b'{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}\n')
    await process.stdout.readline()
    listed = time.perf_counter() - at
    used = psutil.Process(process.pid).cpu_times()
    spent = used.user + used.system + used.children_user + used.children_system
    process.stdin.close()
    await process.wait()
    return answered * 1000, listed * 1000, spent * 1000


async def starts(folder: Path, names: list[str], count: int) -> dict[str, dict[str, float]]:
    script = folder / "empty.py"
    script.write_text(EMPTY, encoding="utf-8")
    serve = [sys.executable, "-m", "portal", "mcp", "serve"]
    options = ["--data-dir", str(folder / "data"), "--folder", str(folder)]
    servers = {"empty": [sys.executable, str(script)], **{name: [*serve, name, *options] for name in names}}
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in servers}
    for words in servers.values():  # so that all are compiled and in memory
        await begun(words)
    for _ in range(count):
        for name, words in servers.items():
            times[name].append(await begun(words))
    medians = {name: [statistics.median(one) for one in zip(*each, strict=True)] for name, each in times.items()}
    measures = ("answers", "lists", "cpu")
    return {
        name: {
            **{f"{what}_ms": round(value) for what, value in zip(measures, found, strict=True)},
            **{
                f"{what}_ratio": round(one / base, 2)
                for what, one, base in zip(measures, found, medians["empty"], strict=True)
            },
        }
        for name, found in medians.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--starts", type=int, default=0, help="measure starts instead, so often each")
    parser.add_argument("--names", nargs="*", default=[one.name for one in shipped()])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.starts:
            for name, measured in asyncio.run(starts(Path(folder), arguments.names, arguments.starts)).items():
                print(name, json.dumps(measured))
            return
        for way, figures in asyncio.run(measure(Path(folder), arguments.calls)).items():
            print(way, json.dumps(figures))


if __name__ == "__main__":
    main()
