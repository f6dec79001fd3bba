"""Servers that are programs: what they answer, how they fail, and that nobody is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.mcp.workshop import HERE, Workshop

from portal.errors import ToolError
from portal.extras import add_command


async def test_tools_answer_and_are_not_believed(workshop: Workshop) -> None:
    async with workshop.open({"plain": workshop.program("servers.py", "plain")}) as servers:
        plain = servers.get("plain")
        await plain.refresh()
        specs = {spec.name: spec for spec in plain.tools()}

        reports: list[str] = []
        added = await plain.call("plain__add", {"a": 2, "b": 3}, workshop.context())
        picture = await plain.call("plain__picture", {}, workshop.context())
        fails = await plain.call("plain__fails", {}, workshop.context())
        slow = await plain.call("plain__slow", {"seconds": 0}, workshop.context(reports=reports))
        environment = await plain.call("plain__environment", {}, workshop.context())

    assert (specs["plain__add"].risk, specs["plain__add"].untrusted, specs["plain__add"].idempotent) == (
        "network",
        True,
        False,
    )
    assert specs["plain__add"].description == "Add two numbers."
    assert specs["plain__add"].parameters["required"] == ["a", "b"]
    assert (added.text, added.failed, added.untrusted) == ("5", False, True)
    assert picture.text.splitlines()[0] == "here"
    assert [(file.name, file.content_type, file.data) for file in picture.files] == [
        ("picture-1.png", "image/png", b"\x89PNG fake")
    ]
    assert fails.failed
    assert slow.text == "done"
    assert reports == ["halfway (1 of 2)"]
    assert "MARKS" in environment.text
    assert "PORTAL" not in environment.text
    assert servers.view("plain")["about"]["protocol"] == "2026-07-28"


async def test_resources_and_prompts(workshop: Workshop) -> None:
    async with workshop.open(
        {"plain": workshop.program("servers.py", "plain"), "faulty": workshop.faulty()}
    ) as servers:
        resources = await servers.resources("plain")
        contents = await servers.read("plain", "note://one")
        prompts = await servers.prompts("plain")
        prompt = await servers.prompt("plain", "greet", {"name": "Ada"})
        with pytest.raises(ToolError, match="refused"):
            await servers.read("plain", "note://none")
        none = (await servers.resources("faulty"), await servers.prompts("faulty"))

    assert [one["uri"] for one in resources] == ["note://one"]
    assert contents[0]["text"] == "remember the milk"
    assert prompts[0]["name"] == "greet"
    assert prompt["messages"][0]["content"]["text"] == "Say hello to Ada"
    assert none == ([], [])


async def test_a_cancelled_call_is_cancelled_there(workshop: Workshop) -> None:
    async with workshop.open({"plain": workshop.program("servers.py", "plain")}) as servers:
        plain = servers.get("plain")
        await plain.refresh()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(plain.call("plain__slow", {}, workshop.context()))
            await workshop.until_marked("begun")
            task.cancel()
        await workshop.until_marked("cancelled")

        again = await plain.call("plain__echo", {"text": "still there"}, workshop.context())

    assert again.text == "still there"


@pytest.mark.parametrize("server", ["servers.py", "faulty.py"])
async def test_changed_tools_are_seen_in_both_revisions(workshop: Workshop, server: str) -> None:
    tool, change = ("s__born", "s__grow") if server == "servers.py" else ("s__count", "s__rename")
    async with workshop.open({"s": workshop.program(server, "plain")}) as servers:
        one = servers.get("s")
        await one.refresh()
        before = tool in {spec.name for spec in one.tools()}
        await one.call(change, {}, workshop.context())
        await workshop.until(lambda: (tool in {spec.name for spec in one.tools()}) != before)
        if before:
            with pytest.raises(ToolError, match="not there any more"):
                await one.call(tool, {}, workshop.context())


async def test_nothing_starts_before_it_is_needed_once_the_tools_are_known(workshop: Workshop) -> None:
    server = {"f": workshop.faulty()}
    async with workshop.open(server) as servers:
        await workshop.until(lambda: bool(servers.get("f").tools()))
    first = workshop.marked("started")

    async with workshop.open(server) as servers:
        names = [spec.name for toolset in servers.toolsets() for spec in toolset.tools()]
        asleep = servers.view("f")["status"]
        started = workshop.marked("started")
        answer = await servers.get("f").call("f__count", {}, workshop.context())
        up = servers.view("f")["status"]

    assert first == started == 1
    assert "f__count" in names
    assert (asleep, up, answer.text) == ("asleep", "up", "counted")
    assert workshop.marked("started") == 2


async def test_another_server_of_that_name_does_not_inherit_its_tools(workshop: Workshop) -> None:
    async with workshop.open({"f": workshop.faulty()}) as servers:
        await workshop.until(lambda: bool(servers.get("f").tools()))

    async with workshop.open({"f": workshop.faulty("mute")}) as servers:
        assert servers.get("f").tools() == []


async def test_what_may_have_been_done_is_not_done_again(workshop: Workshop) -> None:
    async with workshop.open({"f": workshop.faulty()}) as servers:
        server = servers.get("f")
        await server.refresh()
        with pytest.raises(ToolError, match="Whether it was done is not known"):
            await server.call("f__die", {}, workshop.context())
        alive = await server.call("f__count", {}, workshop.context())

    assert workshop.marked("die") == 1
    assert alive.text == "counted"
    assert workshop.marked("started") == 2


async def test_what_does_no_harm_is_tried_again(workshop: Workshop) -> None:
    async with workshop.open({"f": workshop.faulty(risks={"*_read": "read"})}) as servers:
        server = servers.get("f")
        await server.refresh()
        with pytest.raises(ToolError, match="ended the connection"):
            await server.call("f__die_read", {}, workshop.context())
        down = servers.view("f")

    assert workshop.marked("die_read") == 3
    assert down["status"] == "down"


async def test_many_calls_share_one_session(workshop: Workshop) -> None:
    async with workshop.open({"f": workshop.faulty()}) as servers:
        server = servers.get("f")
        async with asyncio.TaskGroup() as tasks:
            await server.refresh()
            calls = [tasks.create_task(server.call("f__count", {}, workshop.context(f"c{n}"))) for n in range(50)]

    assert {call.result().text for call in calls} == {"counted"}
    assert workshop.marked("started") == 1


async def test_a_server_that_never_answers_ends_with_its_deadline(workshop: Workshop) -> None:
    async with workshop.open({"f": workshop.faulty(timeout=0.5)}) as servers:
        server = servers.get("f")
        await server.refresh()
        with pytest.raises(ToolError, match=r"did not answer within 0\.5 seconds"):
            await server.call("f__mute", {}, workshop.context())
        with pytest.raises(ToolError, match=r"did not answer within 0\.5 seconds"):
            await server.call("f__silent_lie", {}, workshop.context())
        alive = await server.call("f__count", {}, workshop.context())

    assert alive.text == "counted"


@pytest.mark.parametrize(
    ("mode", "why"),
    [("mute", "did not get ready in time"), ("broken", "Its last words: no key was set")],
)
async def test_a_server_that_does_not_start_rests_and_delays_nobody(workshop: Workshop, mode: str, why: str) -> None:
    servers = {"bad": workshop.faulty(mode, start_timeout=1.5), "good": workshop.faulty()}
    async with workshop.open(servers) as opened:
        await workshop.until(lambda: bool(opened.get("good").tools()))
        assert (await opened.get("good").call("good__count", {}, workshop.context())).text == "counted"
        await workshop.until(lambda: opened.view("bad")["status"] == "down")
        for _ in range(3):
            with pytest.raises(ToolError, match=why):
                await opened.get("bad").refresh()
        with pytest.raises(ToolError, match="It rests for"):
            await opened.resources("bad")

        assert why in opened.view("bad")["detail"]
        assert len(opened.toolsets()) == 2


async def test_a_program_that_is_not_there(workshop: Workshop) -> None:
    async with workshop.open({"n": {"command": "no-such-program"}, "d": workshop.faulty(cwd="/no/such")}) as servers:
        for name, why in (("n", "There is no program 'no-such-program'"), ("d", "cannot be started")):
            with pytest.raises(ToolError, match=why):
                await servers.get(name).refresh()


@pytest.mark.parametrize("tool", ["lie", "garbage", "drown"])
async def test_lies_and_garbage_change_nothing(workshop: Workshop, tool: str) -> None:
    expected = {"lie": "the truth", "garbage": "after all", "drown": "drowned"}
    async with workshop.open({"f": workshop.faulty()}) as servers:
        server = servers.get("f")
        await server.refresh()
        answer = await server.call(f"f__{tool}", {}, workshop.context())
        alive = await server.call("f__count", {}, workshop.context())

    assert (answer.text, alive.text) == (expected[tool], "counted")


async def test_a_result_that_is_none(workshop: Workshop) -> None:
    async with workshop.open({"f": workshop.faulty()}) as servers:
        server = servers.get("f")
        await server.refresh()
        with pytest.raises(ToolError, match="answered what it must not"):
            await server.call("f__wrong", {}, workshop.context())
        blocks = await server.call("f__blocks", {}, workshop.context())
        odd = await server.call("f__odd", {}, workshop.context())

    assert [(file.name, file.content_type) for file in blocks.files] == [
        ("blocks-1.wav", "audio/wav"),
        ("c.pdf", "application/pdf"),
    ]
    assert blocks.text.splitlines() == [
        "[audio: blocks-1.wav]",
        "[a damaged image was left out]",
        "[file:///a/b.txt]",
        "words",
        "[file: c.pdf]",
        "[x: https://example.org/x]",
    ]
    assert odd.text == '{\n  "a": [\n    1,\n    2\n  ]\n}'


async def test_a_schema_that_contains_itself_or_points_elsewhere(workshop: Workshop) -> None:
    async with workshop.open({"f": workshop.faulty()}) as servers:
        await servers.get("f").refresh()
        tree = next(spec for spec in servers.get("f").tools() if spec.name == "f__tree")

    assert tree.parameters["properties"] == {"tree": {"$ref": "#/$defs/node"}, "far": {}}


@pytest.mark.parametrize("scene", ["refused", "whole", "flood"])
def test_much_output_leaves_memory_as_it_was(tmp_path: Path, scene: str) -> None:
    """In a process of its own: what other tests left in memory would be taken or given back at any time."""
    program = [sys.executable, "-m", "tests.mcp.memory", str(tmp_path), scene]
    said = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True).stdout

    assert int(said) < 20


async def test_a_flood_is_dropped_and_others_go_on(workshop: Workshop) -> None:
    async with workshop.open({"f": workshop.faulty(), "other": workshop.faulty()}) as servers:
        await servers.get("f").refresh()
        await servers.get("other").refresh()
        async with asyncio.TaskGroup() as tasks:
            flood = tasks.create_task(servers.get("f").call("f__flood", {}, workshop.context()))
            other = await servers.get("other").call("other__count", {}, workshop.context())
            there = flood.done()

    assert (other.text, flood.result().text) == ("counted", "flooded")
    assert not there


async def test_closing_ends_a_program_that_does_not_want_to(workshop: Workshop) -> None:
    async with workshop.open({"f": workshop.faulty("stubborn")}) as servers:
        await servers.get("f").refresh()

    pid = int((workshop.marks / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_without_the_sdk_it_says_what_to_install(workshop: Workshop) -> None:
    script = f"""
import asyncio, sys
sys.modules["mcp"] = None  # as where it is not installed
sys.path.insert(0, {str(HERE.parents[1])!r})
from pathlib import Path
from tests.mcp.workshop import Workshop
async def main():
    workshop = Workshop(Path({str(workshop.folder)!r}))
    async with workshop.open({{"f": workshop.faulty()}}) as servers:
        await workshop.until(lambda: servers.view("f")["status"] == "down")
        print(servers.view("f")["detail"])
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)

    assert add_command("mcp") in done.stdout, done.stderr


def test_importing_tool_servers_leaves_the_sdk_for_its_first_use() -> None:
    code = (
        "import sys, portal.app; print(sorted({'mcp', 'mcp_types', 'httpx2', 'jsonschema', 'yaml'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a process that was killed")
def test_programs_die_with_portal_however_it_dies(workshop: Workshop) -> None:
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(HERE.parents[1])!r})
from pathlib import Path
from tests.mcp.workshop import Workshop
async def main():
    workshop = Workshop(Path({str(workshop.folder)!r}))
    async with workshop.open({{"f": workshop.faulty("stubborn")}}) as servers:
        await servers.get("f").refresh()
        print(servers.get("f")._connection and "up", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline().strip() == "up"
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    assert len(children) == 1
    pid = os.pidfd_open(int(children[0])) if Path(f"/proc/{children[0]}").exists() else None
    if pid is not None:
        import select

        assert select.select([pid], [], [], 20)[0] == [pid]
        os.close(pid)
