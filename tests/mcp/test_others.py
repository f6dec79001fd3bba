"""Servers that others made, used as anybody would."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.mcp.workshop import HERE, Workshop

PACKAGES = HERE / "node_modules" / "@modelcontextprotocol"


def npm(package: str, *args: str, **fields: Any) -> dict[str, Any]:
    """A server of npm's; skips, loudly, where it is not installed."""
    node = shutil.which("node")
    if node is None or not (PACKAGES / package).exists():
        pytest.skip(f"NOT TESTED: {package} needs node and `npm ci` in {HERE}")
    return {"command": node, "args": [str(PACKAGES / package / "dist" / "index.js"), *args], **fields}


def pypi(name: str, *args: str, **fields: Any) -> dict[str, Any]:
    return {"command": str(Path(sys.executable).with_name(name)), "args": [*args], **fields}


async def test_time(workshop: Workshop) -> None:
    async with workshop.open({"time": pypi("mcp-server-time", "--local-timezone", "UTC")}) as servers:
        time = servers.get("time")
        await time.refresh()
        arguments = {"source_timezone": "Europe/Berlin", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        answer = await time.call("time__convert_time", arguments, workshop.context())
        wrong = await time.call("time__get_current_time", {"timezone": "Mars/Olympus"}, workshop.context())

    assert '"Asia/Tokyo"' in answer.text
    assert wrong.failed


async def test_git(workshop: Workshop) -> None:
    repository = workshop.folder / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    (repository / "a.txt").write_text("a")
    async with workshop.open({"git": pypi("mcp-server-git", "--repository", str(repository))}) as servers:
        git = servers.get("git")
        await git.refresh()
        answer = await git.call("git__git_status", {"repo_path": str(repository)}, workshop.context())

    assert "a.txt" in answer.text


@pytest.mark.slow
async def test_filesystem_takes_our_folders(workshop: Workshop) -> None:
    """It is told the conversation's folder as a root, and refuses what lies outside."""
    granted = workshop.folder / "granted"
    granted.mkdir()
    (granted / "note.txt").write_text("remember")
    async with workshop.open({"fs": npm("server-filesystem", str(granted), trusted=True)}) as servers:
        files = servers.get("fs")
        await files.refresh()
        risks = {spec.name: spec.risk for spec in files.tools()}
        read = await files.call("fs__read_text_file", {"path": str(granted / "note.txt")}, workshop.context())
        outside = await files.call("fs__read_text_file", {"path": "/etc/passwd"}, workshop.context())

    assert risks["fs__read_text_file"] == "read"
    assert risks["fs__write_file"] in ("write", "network")
    assert (read.text, outside.failed) == ("remember", True)


@pytest.mark.slow
async def test_memory_remembers_over_restarts(workshop: Workshop) -> None:
    server = npm("server-memory", env={"MEMORY_FILE_PATH": str(workshop.folder / "memory.json")})
    entity = {"name": "Ada", "entityType": "person", "observations": ["wrote a program"]}
    async with workshop.open({"memory": server}) as servers:
        await servers.get("memory").refresh()
        await servers.get("memory").call("memory__create_entities", {"entities": [entity]}, workshop.context())

    async with workshop.open({"memory": server}) as servers:
        graph = await servers.get("memory").call("memory__read_graph", {}, workshop.context())

    assert "wrote a program" in graph.text


@pytest.mark.slow
async def test_everything(workshop: Workshop) -> None:
    reports: list[str] = []
    async with workshop.open({"e": npm("server-everything", "stdio")}) as servers:
        everything = servers.get("e")
        await everything.refresh()
        names = {spec.name for spec in everything.tools()}

        async def call(name: str, **arguments: Any) -> Any:
            return await everything.call(f"e__{name}", arguments, workshop.context(reports=reports))

        echoed = await call("echo", message="hello")
        total = await call("get-sum", a=2, b=3)
        long = await call("trigger-long-running-operation", duration=1, steps=4)
        image = await call("get-tiny-image")
        structured = await call("get-structured-content", location="New York")
        resources = await servers.resources("e")
        contents = await servers.read("e", resources[0]["uri"])
        prompts = await servers.prompts("e")
        prompt = await servers.prompt("e", "simple-prompt", {})

    assert {"e__echo", "e__get-sum"} <= names
    assert echoed.text == "Echo: hello"
    assert "5" in total.text
    assert not long.failed
    assert reports
    assert [file.content_type for file in image.files] == ["image/png"]
    assert "temperature" in structured.text
    assert contents
    assert {one["name"] for one in prompts} >= {"simple-prompt"}
    assert prompt["messages"]
