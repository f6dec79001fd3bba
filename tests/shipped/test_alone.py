"""Running a shipped server by itself: as a program, on a port, over Portal's own stores."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp.client.streamable_http import streamable_http_client
from tests.interfaces.mcp.clients import Person, client_of, names, text

from mcp import Client, MCPError, StdioServerParameters
from portal.cli.server_file import ServerFile
from portal.cli.shipped import load
from portal.core.clock import micros, seconds
from portal.extras import add_command
from portal.interfaces.mcp.serving import Identity, make_server
from portal.settings import load_settings
from portal.shipped.relay import Address, Relay, Running
from portal.shipped.stores import StoreTools
from portal.storage.data_folder import lock_data_folder
from portal.testing.portal import TestPortal, open_test_portal

PORTAL = [sys.executable, "-m", "portal", "mcp", "serve"]
IDENTITY = Identity(name="test", title="Test", instructions="")
READY = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'


def at(portal: TestPortal) -> Running:
    return lambda: Address(url=portal.url, token=portal.portal.local_token)


def nowhere() -> None:
    return None


@asynccontextmanager
async def stores(name: str, tmp_path: Path, running: Running, *, read_only: bool = False) -> AsyncIterator[Client]:
    settings = load_settings({"data_dir": tmp_path})
    server = make_server(IDENTITY, StoreTools(load(name), settings, running, read_only=read_only))
    async with Client(server) as client:
        yield client


async def test_without_a_portal_the_database_is_opened_for_the_call(tmp_path: Path) -> None:
    async with stores("memory", tmp_path, nowhere) as client:
        known = names(await client.list_tools())
        kept = await client.call_tool("remember", {"text": "I am allergic to nuts"})
    async with stores("memory", tmp_path, nowhere, read_only=True) as client:
        looking = names(await client.list_tools())
    async with open_test_portal(tmp_path) as portal, stores("memory", tmp_path, at(portal)) as client:
        recalled = await client.call_tool("recall_memories", {"query": "nuts"})
    async with stores("knowledge", tmp_path, nowhere) as client:
        news: list[str] = []

        async def told(progress: float, total: float | None, message: str | None) -> None:
            news.append(message or "")

        added = await client.call_tool(
            "add_document", {"name": "a.md", "text": "Twelve tons of pears."}, progress_callback=told
        )
        found = await client.call_tool("search_knowledge", {"query": "pears"})

    assert known == ["remember", "recall_memories", "forget_memory"]
    assert looking == ["recall_memories"]
    assert text(kept).startswith("Remembered as mem_")
    assert "allergic to nuts" in text(recalled)
    assert "Added a.md" in text(added)
    assert news[0].startswith("reading a.md")
    assert "Twelve tons" in text(found)


async def test_memory_that_is_off_says_so(tmp_path: Path) -> None:
    settings = load_settings({"data_dir": tmp_path, "memory": {"enabled": False}})
    server = make_server(IDENTITY, StoreTools(load("memory"), settings, nowhere, read_only=False))
    async with Client(server) as client:
        refused = await client.call_tool("remember", {"text": "I like pears"})

    assert refused.is_error
    assert "turned off" in text(refused)


async def test_a_portal_that_is_just_starting_is_waited_for(tmp_path: Path) -> None:
    """It has the data folder already, and answers a moment later."""
    asked = 0

    async with open_test_portal(tmp_path / "portal") as portal:

        def soon() -> Address | None:
            nonlocal asked
            asked += 1
            return None if asked < 3 else at(portal)()

        with lock_data_folder(tmp_path / "data", "Portal (process 1)"):
            async with stores("memory", tmp_path / "data", soon) as client:
                kept = await client.call_tool("remember", {"text": "I like pears"})

    assert text(kept).startswith("Remembered")
    assert asked >= 3


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_running_portal_is_passed_on_with_its_questions(tmp_path: Path, mode: str) -> None:
    person = Person(allow_1=True)
    async with open_test_portal(tmp_path, toolsets=None) as portal:
        server = make_server(IDENTITY, Relay(at(portal)))
        async with Client(server, mode=mode, elicitation_callback=person) as client, client_of(portal) as direct:
            tools = (await client.list_tools()).tools
            same = (await direct.list_tools()).tools
            written = await client.call_tool(
                "run_tool", {"tool": "write_file", "arguments": {"path": "a.txt", "text": "x"}}
            )
            wrong = await client.call_tool("get_result", {"id": "resp_none"})
            person.answer = {"action": "decline", "content": None}
            refused = await client.call_tool(
                "run_tool", {"tool": "write_file", "arguments": {"path": "b.txt", "text": "x"}}
            )

    assert tools == same
    assert text(written).startswith("Wrote a.txt")
    assert len(person.asked) == 2
    assert wrong.is_error
    assert "said no" in text(refused)


async def test_where_no_portal_runs_or_another_program_answers(tmp_path: Path) -> None:
    async with Client(make_server(IDENTITY, Relay(nowhere))) as client:
        with pytest.raises(MCPError, match="start it with `portal up`"):
            await client.list_tools()
    async with open_test_portal(tmp_path) as portal:
        stranger = Relay(lambda: Address(url=portal.url, token="wrong"))
        async with Client(make_server(IDENTITY, stranger)) as client:
            with pytest.raises(MCPError, match="did not answer as it should"):
                await client.list_tools()


async def test_the_command_finds_the_running_portal(tmp_path: Path) -> None:
    from portal.cli.shipped import _running

    async with open_test_portal(tmp_path) as portal:
        assert _running(tmp_path) is None
        with lock_data_folder(tmp_path, f"Portal (process {(me := 4711)})"):
            ServerFile(pid=me, url=portal.url, token="t", started_at=seconds(micros()), version="1").write(tmp_path)
            assert _running(tmp_path) == Address(url=portal.url, token="t")


async def started(*options: str, tmp_path: Path) -> tuple[asyncio.subprocess.Process, str, str]:
    """A server on a port: its process, its address, and its key if it has one."""
    process = await asyncio.create_subprocess_exec(
        *PORTAL, "time", "--data-dir", str(tmp_path), "--http", "0", *options, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    url = (await process.stderr.readline()).decode().split()[-1]
    key = (await process.stderr.readline()).decode().split()[-1] if "--host" in options else ""
    return process, url, key


async def test_on_a_port_of_this_machine(tmp_path: Path) -> None:
    process, url, _ = await started(tmp_path=tmp_path)
    head = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    try:
        async with Client(url) as client:
            now = await client.call_tool("current_time", {})
        async with httpx2.AsyncClient(headers=head) as http:
            rebound = await http.post(url, content=READY, headers={"Host": "evil.example"})
            foreign = await http.post(url, content=READY, headers={"Origin": "https://evil.example"})
    finally:
        process.terminate()
        await process.wait()

    assert not now.is_error
    assert (rebound.status_code, foreign.status_code) == (403, 403)
    assert rebound.json()["error"]["code"] == "host_not_allowed"


async def test_where_others_reach_it_it_has_a_key(tmp_path: Path) -> None:
    process, url, key = await started("--host", "0.0.0.0", tmp_path=tmp_path)
    url = url.replace("0.0.0.0", "127.0.0.1")
    try:
        async with httpx2.AsyncClient() as http:
            closed = await http.post(url, content=READY)
            wrong = await http.post(url, content=READY, headers={"x-api-key": "guess"})
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            now = await client.call_tool("current_time", {})
    finally:
        process.terminate()
        await process.wait()
    again, _, same = await started("--host", "0.0.0.0", tmp_path=tmp_path)
    again.terminate()
    await again.wait()

    assert (closed.status_code, wrong.status_code) == (401, 401)
    assert closed.headers["www-authenticate"] == "Bearer"
    assert not now.is_error
    assert same == key


async def test_a_face_is_a_program_of_its_own(tmp_path: Path) -> None:
    face = str(Path(__file__).parents[2] / "mcp" / "time" / "server.py")
    environment = {name: value for name, value in os.environ.items() if name[:9] == "COVERAGE_"}  # noqa: TID251
    program = StdioServerParameters(command=sys.executable, args=[face, "--data-dir", str(tmp_path)], env=environment)
    async with Client(program) as client:
        assert names(await client.list_tools()) == ["current_time", "reckon_dates"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_the_command_says(tmp_path: Path) -> None:
    listed = run(*PORTAL)
    unknown = run(*PORTAL, "weather")
    missing = run(*PORTAL, "time", "--data-dir", str(tmp_path), "--folder", str(tmp_path / "none"))
    without = run(
        sys.executable, "-c", "import sys; sys.modules['mcp'] = None; from portal.cli import portal; portal()",
        "mcp", "serve", "time", "--data-dir", str(tmp_path),
    )  # fmt: skip
    taken = run(*PORTAL, "time", "--data-dir", str(tmp_path), "--http", "1", "--host", "203.0.113.1")

    assert "time\tWhat time it is anywhere" in listed.stdout
    assert "There are: documents, execution" in unknown.stderr
    assert "There is no folder" in missing.stderr
    assert add_command("mcp") in without.stderr
    assert "Cannot listen on 203.0.113.1 port 1" in taken.stderr
