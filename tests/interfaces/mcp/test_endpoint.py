"""Portal as a tool server at /mcp: for whoever the key stands for, by the policies, with questions to the person."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2
import mcp_types as types
import pytest
from tests.interfaces.mcp.clients import Person, client_of, names, text

from portal.backends.scripted import ScriptedBackend
from portal.core.approvals import Decision
from portal.core.terms import Terms
from portal.core.tools import ToolContext, ToolFile, ToolResult
from portal.errors import PortalError
from portal.extras import add_command
from portal.interfaces.mcp.endpoint import Endpoint
from portal.storage.database import Statement
from portal.testing.portal import TestPortal, open_test_portal
from portal.tools.function import Functions, tool

ANOTHER = """INSERT INTO users (id, name, role, created_at, preferences) VALUES (:id, 'M', 'member', :now, '{}')"""
ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])


class Garden:
    """Tools of each kind."""

    def __init__(self) -> None:
        self.picked: list[str] = []
        self.waiting, self.stopped = asyncio.Event(), asyncio.Event()

    @tool(risk="read")
    async def count_pears(self, context: ToolContext) -> str:
        """Count the pears of the garden."""
        return "12 pears"

    @tool(risk="write")
    async def pick_pears(self, context: ToolContext, tree: Annotated[str, "Which tree"]) -> ToolResult:
        """Pick the pears of a tree."""
        context.report(f"climbing {tree}")
        self.picked.append(tree)
        return ToolResult(text=f"Picked {tree}.", files=[ToolFile(name="b.txt", content_type="text/plain", data=b"x")])

    @tool(risk="read")
    async def watch_pears(self, context: ToolContext) -> str:
        """Watch the pears grow."""
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()
        return ""

    @tool(risk="read", question=True)
    async def ask_gardener(self, context: ToolContext, question: str) -> str:
        """Ask the gardener something."""
        raise AssertionError


@asynccontextmanager
async def garden(tmp_path: Path, *answers: str, **settings: Any) -> AsyncIterator[tuple[TestPortal, Garden]]:
    made = Garden()
    tools = Functions("garden", [made.count_pears, made.pick_pears, made.watch_pears, made.ask_gardener])
    backend = ScriptedBackend(models=["tiny"])
    for answer in answers:
        backend.answer(answer)
    async with open_test_portal(tmp_path, backends=[backend], toolsets=[tools], settings=settings) as portal:
        yield portal, made


@ERAS
async def test_a_workspace_answers_and_the_conversation_is_kept(tmp_path: Path, mode: str) -> None:
    news: list[str] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        news.append(message or "")

    async with garden(tmp_path, "Ripe.", "Still ripe.") as (portal, _), client_of(portal, mode=mode) as client:
        first = await client.call_tool("ask", {"text": "How are the pears?"}, progress_callback=told)
        conversation = text(first).rpartition("[conversation: ")[2].rstrip("]")
        second = await client.call_tool("ask", {"text": "And now?", "conversation": conversation})
        read = await client.call_tool("read_conversation", {"conversation": conversation})
        listed = await client.call_tool("list_conversations", {})
        found = await client.call_tool("list_conversations", {"query": "pears"})
        missing = await client.call_tool("read_conversation", {"conversation": "conv_none"})
        wrong = await client.call_tool("ask", {"text": "x", "workspace": "nobody"})

    assert text(first).startswith("Ripe.")
    assert news[0] == f"in the conversation {conversation}"
    assert any("writes its answer" in one for one in news)
    assert text(second).startswith("Still ripe.")
    assert "[user] How are the pears?\n\n[assistant] Ripe." in text(read)
    assert conversation in text(listed)
    assert conversation in text(found)
    assert missing.is_error
    assert wrong.is_error


async def test_documents_and_memory_are_there(tmp_path: Path) -> None:
    async with garden(tmp_path) as (portal, _), client_of(portal) as client:
        tools = names(await client.list_tools())
        added = await client.call_tool("add_document", {"name": "pears.md", "text": "The harvest was 12 tons."})
        again = await client.call_tool("add_document", {"name": "more.md", "text": "The harvest was 12 tons."})
        found = await client.call_tool("search_knowledge", {"query": "harvest"})
        collections = await client.call_tool("list_collections", {})
        document = text(added).partition(" as ")[2].partition(",")[0]
        unknown = await client.call_tool("forget_document", {"document": document, "page": 1})
        forgotten = await client.call_tool("forget_document", {"document": document})
        gone = await client.call_tool("forget_document", {"document": document})
        empty = await client.call_tool("add_document", {"name": "pears.md", "text": " "})
        nonsense = await client.call_tool("add_document", {"name": "pears.md", "base64": "%"})
        unreadable = await client.call_tool("add_document", {"name": "pears.docx", "base64": "UEsDBA=="})
        await client.call_tool("remember", {"text": "I am allergic to nuts"})
        recalled = await client.call_tool("recall_memories", {"query": "nuts"})
        workspaces = await client.call_tool("list_workspaces", {})

    assert tools[:2] == ["ask", "search_knowledge"]
    assert {"run_tool", "get_result", "find_tools"} <= {*tools}
    assert "page" in text(unknown)
    assert "Added pears.md to Documents as file_" in text(added)
    assert "is there already" in text(again)
    assert "12 tons" in text(found)
    assert text(collections).startswith("Documents (1 documents, vs_")
    assert not forgotten.is_error
    assert all(one.is_error for one in (gone, empty, nonsense, unreadable))
    assert "allergic to nuts" in text(recalled)
    assert text(workspaces).startswith("auto: ")


@ERAS
async def test_a_tool_runs_by_the_policies(tmp_path: Path, mode: str) -> None:
    async with garden(tmp_path) as (portal, _), client_of(portal, mode=mode) as client:
        found = await client.call_tool("find_tools", {"query": "count the pears"})
        counted = await client.call_tool("run_tool", {"tool": "count_pears"})
        unknown = await client.call_tool("run_tool", {"tool": "count_figs"})
        nowhere = await client.call_tool("run_tool", {"tool": "count_pears", "workspace": "nobody"})
        lost = await client.call_tool("find_tools", {"query": "x", "workspace": "nobody"})

    assert "count_pears (read): Count the pears" in text(found)
    assert (counted.is_error, text(counted)) == (False, "12 pears")
    assert unknown.is_error
    assert "There is no tool 'count_figs'" in text(unknown)
    assert nowhere.is_error
    assert lost.is_error


@ERAS
async def test_a_person_is_asked_through_the_client(tmp_path: Path, mode: str) -> None:
    person = Person(allow_1=True)
    async with garden(tmp_path) as (portal, made), client_of(portal, person=person, mode=mode) as client:
        done = await client.call_tool("run_tool", {"tool": "pick_pears", "arguments": {"tree": "old"}})
        person.answer = {"action": "decline", "content": None}
        refused = await client.call_tool("run_tool", {"tool": "pick_pears", "arguments": {"tree": "new"}})
        person.answer = {"action": "accept", "content": {"answer_1": "In autumn."}}
        said = await client.call_tool("run_tool", {"tool": "ask_gardener", "arguments": {"question": "When?"}})

    assert text(done).startswith("Picked old.")
    assert done.content[1].type == "resource_link"
    assert made.picked == ["old"]
    assert person.asked[0].message.startswith("May Portal run pick_pears?")
    assert '"tree": "old"' in person.asked[0].message
    assert refused.is_error
    assert "said no" in text(refused)
    assert person.asked[2].message == "When?"
    assert text(said) == "In autumn."


@ERAS
async def test_without_a_person_at_the_client_it_waits_in_the_queue(tmp_path: Path, mode: str) -> None:
    async with garden(tmp_path) as (portal, made), client_of(portal, mode=mode) as client:
        waits = await client.call_tool("run_tool", {"tool": "pick_pears", "arguments": {"tree": "old"}})
        response = text(waits).rpartition(" ")[2]
        still = await client.call_tool("get_result", {"id": response})
        (asked,) = (await portal.portal.storage.approvals.list(portal.owner, status="pending")).data
        run = await portal.portal.agent.decide(
            portal.owner, {asked.id: Decision(approve=True, by=portal.owner, door="web")}
        )
        assert run is not None
        await run.ended()
        done = await client.call_tool("get_result", {"id": response})

    assert "It waits among Portal's approvals" in text(waits)
    assert not waits.is_error
    assert text(still) == text(waits)
    assert made.picked == ["old"]
    assert text(done).startswith("Picked old.")


async def test_a_person_who_looks_away_leaves_it_in_the_queue(tmp_path: Path) -> None:
    async with garden(tmp_path) as (portal, made), client_of(portal, person=Person("cancel")) as client:
        waits = await client.call_tool("run_tool", {"tool": "pick_pears", "arguments": {"tree": "old"}})
        pending = (await portal.portal.storage.approvals.list(portal.owner, status="pending")).data

    assert "It waits among Portal's approvals" in text(waits)
    assert len(pending) == 1
    assert made.picked == []


@ERAS
async def test_what_a_client_cancels_is_stopped(tmp_path: Path, mode: str) -> None:
    async with garden(tmp_path) as (portal, made), client_of(portal, mode=mode) as client:
        async with asyncio.TaskGroup() as tasks:
            calling = tasks.create_task(client.call_tool("run_tool", {"tool": "watch_pears"}))
            await made.waiting.wait()
            calling.cancel()
        async with asyncio.timeout(30):
            await made.stopped.wait()


async def test_each_key_sees_its_own(tmp_path: Path) -> None:
    async with garden(tmp_path, "Mine.", "Theirs.") as (portal, _):
        other = {"id": "user_other", "now": 0}
        await portal.portal.storage.database.batch([Statement(ANOTHER, other)])
        _, key = await portal.portal.credentials.create_key("user_other", "theirs")
        async with client_of(portal) as client:
            mine = text(await client.call_tool("ask", {"text": "Mine?"}))
            conversation = mine.rpartition("[conversation: ")[2].rstrip("]")
            waits = await client.call_tool("run_tool", {"tool": "pick_pears", "arguments": {"tree": "old"}})
            response = text(waits).rpartition(" ")[2]
        async with client_of(portal, key=key) as client:
            theirs = await client.call_tool("list_conversations", {})
            peeked = await client.call_tool("read_conversation", {"conversation": conversation})
            fetched = await client.call_tool("get_result", {"id": response})
            joined = await client.call_tool("ask", {"text": "x", "conversation": conversation})
        async with httpx2.AsyncClient() as http:
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            nobody = await http.post(f"{portal.url}/mcp", json=body)
            wrong = await http.post(f"{portal.url}/mcp", json=body, headers={"Authorization": "Bearer pk_no"})
            page = {**portal.headers, "Origin": "https://evil.example"}
            foreign = await http.post(f"{portal.url}/mcp", json=body, headers=page)
            rebound = await http.post(
                f"{portal.url}/mcp", json=body, headers={**portal.headers, "Host": "evil.example"}
            )

    assert text(theirs) == "There are none."
    assert all(one.is_error for one in (peeked, fetched, joined))
    assert [one.status_code for one in (nobody, wrong, foreign, rebound)] == [401, 401, 403, 403]


@ERAS
async def test_a_bounded_key_is_bounded_here(tmp_path: Path, mode: str) -> None:
    async with garden(tmp_path, "Once.", memory={"enabled": True}) as (portal, made):

        async def key(**bounds: Any) -> str:
            terms = Terms(**bounds)
            return (await portal.portal.credentials.create_key(portal.owner, str(bounds), terms=terms))[1]

        picking = {"tool": "pick_pears", "arguments": {"tree": "old"}}
        async with client_of(portal, key=await key(scopes=("tools:none",)), mode=mode) as client:
            none = names(await client.list_tools())
            refused = await client.call_tool("run_tool", picking)
        async with client_of(portal, key=await key(scopes=("tools:count_*", "tools:find_tools")), mode=mode) as client:
            some = names(await client.list_tools())
            found = text(await client.call_tool("find_tools", {"query": "pears"}))
            counted = await client.call_tool("run_tool", {"tool": "count_pears"})
        async with client_of(portal, key=await key(scopes=("workspaces:other",)), mode=mode) as client:
            strayed = [
                await client.call_tool("ask", {"text": "hi"}),
                await client.call_tool("run_tool", {"tool": "count_pears"}),
            ]
        async with client_of(portal, key=await key(requests=1), mode=mode) as client:
            asked = [await client.call_tool("ask", {"text": "hi"}) for _ in range(2)]
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {await key(scopes=('read-only',))}"}) as http:
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            reading = await http.post(f"{portal.url}/mcp", json=body)

    assert none == ["ask", "run_tool", "get_result"]
    assert refused.is_error
    assert some == ["ask", "find_tools", "run_tool", "get_result"]
    assert ("count_pears" in found, "pick_pears" in found) == (True, False)
    assert text(counted).startswith("12 pears")
    assert all(one.is_error and "may use" in text(one) for one in strayed)
    assert [one.is_error for one in asked] == [False, True]
    assert reading.status_code == 403
    assert made.picked == []


async def test_a_session_is_the_keys_that_began_it(tmp_path: Path) -> None:
    opening = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    }
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    async with garden(tmp_path) as (portal, _), httpx2.AsyncClient(base_url=portal.url) as http:
        record, key = await portal.portal.credentials.create_key(portal.owner, "first")
        accepts = {"Accept": "application/json, text/event-stream"}
        first, second = ({**accepts, "Authorization": f"Bearer {one}"} for one in (key, portal.key))
        session = (await http.post("/mcp", json=opening, headers=first)).headers["mcp-session-id"]
        first["mcp-session-id"] = second["mcp-session-id"] = session
        mine, others = [(await http.post("/mcp", json=listing, headers=one)).status_code for one in (first, second)]
        await portal.portal.credentials.revoke(portal.owner, record.id)
        ended = (await http.post("/mcp", json=listing, headers=first)).status_code

    assert (mine, others, ended) == (200, 404, 401)


async def test_policies_and_the_switch_hold_for_its_own_tools(tmp_path: Path) -> None:
    settings = {
        "policies": [{"action": "deny", "tool": "forget_memory"}],
        "tools": {"off": ["add_document"]},
        "memory": {"enabled": True},
    }
    async with garden(tmp_path, **settings) as (portal, _), client_of(portal) as client:
        known = names(await client.list_tools())
        denied = await client.call_tool("forget_memory", {"memory_id": "mem_1"})

    assert "add_document" not in known
    assert denied.is_error
    assert "Not allowed" in text(denied)


async def test_a_workspace_without_tools_runs_none(tmp_path: Path) -> None:
    settings = {"workspaces": {"bare": {"tools": []}}}
    async with garden(tmp_path, **settings) as (portal, _), client_of(portal) as client:
        refused = await client.call_tool("run_tool", {"tool": "count_pears", "workspace": "bare"})

    assert refused.is_error
    assert "no workspace with tools" in text(refused)


async def test_without_the_sdk_it_says_what_to_install(tmp_path: Path) -> None:
    code = """
import asyncio, sys
sys.modules["mcp"] = None
from portal.errors import NotInstalled
from portal.interfaces.mcp.endpoint import Endpoint
async def main():
    endpoint = Endpoint(lambda: None, largest=1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(endpoint.run())
        try:
            await endpoint({}, None, None)
        except NotInstalled as error:
            print(error.status, error.message)
asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("501 ")
    assert add_command("mcp") in done.stdout


async def test_who_comes_back_without_an_answer_is_asked_again(tmp_path: Path) -> None:
    call = {"tool": "pick_pears", "arguments": {"tree": "old"}}
    async with garden(tmp_path) as (portal, made), client_of(portal, person=Person()) as client:
        first = await client.session.call_tool("run_tool", call, allow_input_required=True)
        assert isinstance(first, types.InputRequiredResult)
        again = await client.session.call_tool(
            "run_tool", call, request_state=first.request_state, allow_input_required=True
        )
        assert isinstance(again, types.InputRequiredResult)
        said = types.ElicitResult(action="accept", content={"allow_1": True})
        answers = {"question": said}
        done = await client.session.call_tool(
            "run_tool", call, request_state=again.request_state, input_responses=answers, allow_input_required=True
        )
        late = await client.session.call_tool(
            "run_tool", call, request_state=again.request_state, input_responses=answers, allow_input_required=True
        )

    assert again.input_requests == first.input_requests
    assert isinstance(done, types.CallToolResult)
    assert isinstance(late, types.CallToolResult)
    assert text(done).startswith("Picked old.")
    assert text(late).startswith("Picked old.")
    assert made.picked == ["old"]


async def test_the_result_of_a_tool_that_is_under_way(tmp_path: Path) -> None:
    async with garden(tmp_path) as (portal, made), client_of(portal) as client:
        async with asyncio.TaskGroup() as tasks:
            calling = tasks.create_task(client.call_tool("run_tool", {"tool": "watch_pears"}))
            await made.waiting.wait()
            (running,) = await portal.portal.storage.responses.recent(portal.owner, 1)
            under_way = await client.call_tool("get_result", {"id": running.response.id})
            calling.cancel()
        async with asyncio.timeout(30):
            await made.stopped.wait()

    assert "It is under way" in text(under_way)


async def test_a_fault_of_its_own_leaves_portal_alone() -> None:
    def offer() -> Any:
        raise RuntimeError("broken")

    endpoint = Endpoint(offer, largest=1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(endpoint.run())
        with pytest.raises(PortalError, match="MCP cannot be served"):
            await endpoint({}, None, None)  # type: ignore[arg-type]


async def test_one_that_is_stopping_serves_nobody() -> None:
    endpoint = Endpoint(lambda: None, largest=1)  # type: ignore[arg-type, return-value]
    endpoint.stop()
    await endpoint.run()
    with pytest.raises(PortalError, match="stopping"):
        await endpoint({}, None, None)  # type: ignore[arg-type]
