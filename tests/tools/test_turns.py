"""Tools of the machine in a whole turn over the API: looking runs at once, running code waits for a yes."""

import json
import subprocess
from pathlib import Path
from shutil import which
from typing import Any, cast

import aiohttp
import pytest
from tests.tools.loopback import LoopbackFetcher

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo, TextDelta, ToolCallDelta
from portal.core.tools import ToolContext
from portal.security.sandbox.choice import find_sandbox
from portal.settings import Settings
from portal.settings.tools import ToolSettings
from portal.testing.plain_sandbox import PlainSandbox
from portal.testing.portal import open_test_portal
from portal.testing.tool_calls import call
from portal.tools.code import CodeTools
from portal.tools.families import Needs, built_in
from portal.tools.folders import Folders
from portal.tools.function import Functions, tool
from portal.tools.git import GitTools


def wish(name: str, **arguments: object) -> ToolCallDelta:
    return ToolCallDelta(0, f"call_{name}", name, json.dumps(arguments))


def repository(folder: Path) -> Path:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    folder.mkdir()
    for command in (["init", "--quiet"], [*identity, "commit", "--quiet", "--allow-empty", "--message=a first step"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


async def test_history_is_read_at_once_and_code_runs_after_a_yes(tmp_path: Path) -> None:
    project, data, sandbox = repository(tmp_path / "project"), tmp_path / "data", PlainSandbox(unsafe=True)
    toolsets = [
        GitTools(Folders(folders=[project], hidden=data), which("git"), sandbox, LoopbackFetcher()),
        CodeTools(sandbox, ToolSettings(), hidden=data),
    ]
    model = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)
    backend = ScriptedBackend(models=[model])
    backend.script(wish("git_log", repository=str(project)))
    backend.script(wish("run_python", code="open('days.csv', 'w').write('day,commits\\n1,1\\n'); print('done')"))
    backend.script(TextDelta("One commit."))

    async with (
        open_test_portal(data, backends=[backend], toolsets=toolsets) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        first = await (await client.post("/v1/responses", json={"model": "auto", "input": "commits per day?"})).json()
        looked, asked = first["output"]
        assert (looked["type"], looked["status"]) == ("mcp_call", "completed")
        assert "Ada: a first step" in looked["output"]
        assert (asked["type"], asked["name"], asked["portal:risk"]) == ("mcp_approval_request", "run_python", "execute")
        assert sandbox.jobs == []

        yes = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
        body = {"model": "auto", "input": [yes], "previous_response_id": first["id"]}
        second = await (await client.post("/v1/responses", json=body)).json()
        ran, said = second["output"]
        assert ran["output"].startswith("done\n[files written: days.csv]\n[exit code 0]")
        (file,) = ran["portal:files"]
        made = await (await client.get(f"/v1/files/{file['file_id']}/content")).read()
        assert made == b"day,commits\n1,1\n"
        assert said["content"][0]["text"] == "One commit."


@tool(risk="read")
async def say_where(context: ToolContext) -> str:
    """Say where policies let this call be led."""
    return ", ".join(host for host in ("evil.com", "good.org") if context.allowed(f"https://{host}/"))


async def test_what_policies_close_is_closed_under_every_name(tmp_path: Path) -> None:
    (tmp_path / "real/secret").mkdir(parents=True)
    (tmp_path / "docs").symlink_to(tmp_path / "real")
    (tmp_path / "real/secret/key.txt").write_text("a key")
    (tmp_path / "real/notes.txt").write_text("a note")
    policies = [
        {"action": "deny", "path": str(tmp_path / "docs/secret")},
        {"action": "deny", "domain": "https://Evil.com"},
    ]
    settings = Settings(data_dir=tmp_path / "data", tools=ToolSettings(folders=(tmp_path / "docs",)))
    needs = Needs(
        settings=settings, sandbox=PlainSandbox(unsafe=True), fetcher=LoopbackFetcher(), files=cast(Any, None)
    )
    model = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)
    backend = ScriptedBackend(models=[model])
    for name, arguments in (
        ("read_file", {"path": str(tmp_path / "real/secret/key.txt")}),
        ("read_file", {"path": str(tmp_path / "docs/secret/key.txt")}),
        ("search_files", {"path": str(tmp_path / "docs"), "text": "key"}),
        ("read_file", {"path": "\0"}),
        ("read_file", {"path": str(tmp_path / "docs/notes.txt")}),
        ("say_where", {}),
    ):
        backend.script(wish(name, **arguments))
    backend.script(TextDelta("Done."))

    async with (
        open_test_portal(
            tmp_path / "data",
            backends=[backend],
            toolsets=[*built_in(needs, ["files"]), Functions("own", [say_where])],
            settings={"policies": policies},
        ) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        answer = await (await client.post("/v1/responses", json={"model": "auto", "input": "read"})).json()

    *refused, nowhere, note, where, _ = answer["output"]
    assert [item["error"].partition(":")[0] for item in refused] == ["Not allowed"] * 3
    assert nowhere["status"] == "failed"
    assert "a note" in note["output"]
    assert where["output"] == "good.org"


async def test_code_and_git_in_the_real_sandbox(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    sandbox, folder = await find_sandbox(settings), tmp_path / "data/work/conv_1"
    if sandbox.refusal():
        pytest.skip(sandbox.refusal())
    code = CodeTools(sandbox, settings.tools, hidden=settings.data_dir)
    git = GitTools(Folders(folders=[], hidden=settings.data_dir), None, sandbox, LoopbackFetcher())

    ran = await call(code, "run_python", folder, code="open('made.txt', 'w').write('x'); print(6 * 7)")
    await call(code, "run_bash", folder, code="git init --quiet project; echo a > project/a.txt")
    await call(git, "git_commit", folder, repository="project", message="by the tool")

    assert ran.text == "42\n[files written: made.txt]\n[exit code 0]"
    assert [(file.name, file.data) for file in ran.files] == [("made.txt", b"x")]
    assert "Portal: by the tool" in (await call(git, "git_log", folder, repository="project")).text
