"""Skills over the API: look, install from an uploaded archive, remove; and a turn that uses one at once."""

import asyncio
import io
import json
import shutil
import subprocess
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo, TextDelta, ToolCallDelta
from portal.settings import Settings
from portal.testing.plain_sandbox import PlainSandbox
from portal.testing.portal import TestPortal, open_test_portal
from portal.tools.folders import granted
from portal.tools.skill import Shelf
from portal.tools.skills import SkillTools

from .conftest import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")
EXAMPLE = Path(__file__).parents[2] / "fixtures/skills/tide-tables"
ALL = "/portal/v1/skills"


async def uploaded(door: Door, content: bytes, name: str = "skills.zip") -> str:
    form = aiohttp.FormData({"purpose": "user_data"})
    form.add_field("file", content, filename=name)
    async with door.client.post("/v1/files", data=form) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["id"])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = shutil.make_archive(str(tmp_path_factory.mktemp("packed") / "a"), "zip", EXAMPLE.parent)
    return Path(path).read_bytes()


async def test_a_skill_is_installed_seen_and_removed(me: Door, portal: TestPortal, archive: bytes) -> None:
    assert (await me("GET", ALL))["data"] == []
    made = await me("POST", ALL, {"file_id": await uploaded(me, archive)})

    (one,) = made["data"]
    folder = portal.portal.settings.data_dir / "skills/tide-tables"
    summary = {name: value for name, value in one.items() if name not in ("instructions", "files")}
    assert summary == {
        "object": "portal.skill",
        "name": "tide-tables",
        "description": "Make tables of high and low tide for a place. "
        "Use it when somebody asks about tides, springs or neaps.",
        "licence": "MIT",
        "compatibility": "Needs Python",
        "allowed_tools": "",
        "metadata": {"author": "examples", "version": "1.0"},
        "folder": str(folder.resolve()),
        "installed": True,
        "trusted": False,
    }
    assert one["instructions"].startswith("# Tide tables")
    assert {"path": "scripts/say.sh", "size": 16, "script": True} in one["files"]
    assert (await me("GET", ALL))["data"] == [summary]
    assert await me("GET", f"{ALL}/tide-tables") == one
    assert await me("DELETE", f"{ALL}/tide-tables") == {"name": "tide-tables", "deleted": True}
    assert (await me("GET", ALL))["data"] == []


async def test_what_cannot_be_done(me: Door, stranger: Door, archive: bytes) -> None:
    large = io.BytesIO()
    with zipfile.ZipFile(large, "w") as packed:
        packed.writestr("zeros", bytes(20 * 2**20))
    mine = await uploaded(me, archive)

    assert "zip or tar" in (await me.refused("POST", ALL, {"file_id": await uploaded(me, b"x")}, status=400))["message"]
    told = await me.refused("POST", ALL, {"file_id": await uploaded(me, large.getvalue())}, status=400)
    assert "larger than 20 MB" in told["message"]
    await me.refused("POST", ALL, {"file_id": "file-none"}, status=404)
    await me.refused("GET", f"{ALL}/none", status=404)
    await me.refused("DELETE", f"{ALL}/..%2Fnone", status=404)
    await stranger.refused("POST", ALL, {"file_id": mine}, status=403)
    await stranger.refused("DELETE", f"{ALL}/none", status=403)


async def test_one_in_a_folder_of_the_settings_stays(tmp_path: Path) -> None:
    settings = {"skills": {"folders": [str(EXAMPLE.parent)]}}
    async with (
        open_test_portal(tmp_path, settings=settings) as running,
        aiohttp.ClientSession(running.url, headers=running.headers) as client,
    ):
        assert not (await Door(client)("GET", f"{ALL}/tide-tables"))["installed"]
        await Door(client).refused("DELETE", f"{ALL}/tide-tables", status=409)
    assert (EXAMPLE / "SKILL.md").is_file()


async def test_a_turn_uses_what_was_just_installed_and_asks_before_its_script_runs(
    tmp_path: Path, archive: bytes
) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    tools = SkillTools(Shelf(settings), PlainSandbox(unsafe=True), settings.tools, granted(settings))
    model = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)
    backend = ScriptedBackend(models=[model])
    async with (
        open_test_portal(tmp_path, backends=[backend], toolsets=[tools]) as running,
        aiohttp.ClientSession(running.url, headers=running.headers) as client,
    ):
        me = Door(client)
        await me("POST", ALL, {"file_id": await uploaded(me, archive)})
        run = {"name": "tide-tables", "path": "scripts/table.py", "arguments": ["4.3"]}
        backend.script(ToolCallDelta(0, "call_1", "use_skill", '{"name": "tide-tables"}'))
        backend.script(ToolCallDelta(0, "call_2", "run_skill_script", json.dumps(run)))
        backend.script(TextDelta("Here is the table."))

        first = await me("POST", "/v1/responses", {"model": "auto", "input": "tides at Dover?"})
        loaded, asked = first["output"]
        yes = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
        body = {"model": "auto", "input": [yes], "previous_response_id": first["id"]}
        second = await me("POST", "/v1/responses", body)

    assert "# Tide tables" in loaded["output"]
    assert loaded["portal:untrusted"] is True
    assert (asked["type"], asked["name"], asked["portal:risk"]) == (
        "mcp_approval_request",
        "run_skill_script",
        "execute",
    )
    assert "5 rows" in second["output"][0]["output"]
    assert [file["filename"] for file in second["output"][0]["portal:files"]] == ["tides.csv"]


async def test_looking_installs_nothing_and_names_choose(me: Door, portal: TestPortal, archive: bytes) -> None:
    source = {"file_id": await uploaded(me, archive)}
    (seen,) = (await me("POST", f"{ALL}/look", source))["data"]
    assert (seen["name"], seen["replaces"]) == ("tide-tables", False)
    assert seen["instructions"].startswith("# Tide tables")
    assert (await me("GET", ALL))["data"] == []
    assert "none-such" in (await me.refused("POST", ALL, {**source, "names": ["none-such"]}, status=400))["message"]
    await me("POST", ALL, {**source, "names": ["tide-tables"]})
    assert (await me("POST", f"{ALL}/look", source))["data"][0]["replaces"]
    await me("DELETE", f"{ALL}/tide-tables")


async def upload_pack(repository: Path, *words_and_request: Any) -> web.Response:
    """Git's own way to serve a repository over HTTP."""
    *words, request = words_and_request
    process = await asyncio.create_subprocess_exec(
        *("git", "upload-pack", "--stateless-rpc", *words, str(repository)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate(await request.read())
    told = "advertisement" if words else "result"
    opening = b"001e# service=git-upload-pack\n0000" if words else b""
    return web.Response(body=opening + said, content_type=f"application/x-git-upload-pack-{told}")


async def test_a_git_repository_is_a_source_where_tools_may_reach_it(tmp_path: Path, me: Door, stranger: Door) -> None:
    work, bare = tmp_path / "work", tmp_path / "site/skills.git"
    shutil.copytree(EXAMPLE, work / "tide-tables")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=work, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    app = web.Application()
    app.router.add_get("/skills.git/info/refs", partial(upload_pack, bare, "--advertise-refs"))
    app.router.add_post("/skills.git/git-upload-pack", partial(upload_pack, bare))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    url = f"http://127.0.0.1:{port}/skills.git"
    settings = {"tools": {"private_hosts": [f"127.0.0.1:{port}"]}}
    try:
        async with (
            open_test_portal(tmp_path / "data", settings=settings) as running,
            aiohttp.ClientSession(running.url, headers=running.headers) as client,
        ):
            mine = Door(client)
            (seen,) = (await mine("POST", f"{ALL}/look", {"url": url}))["data"]
            (made,) = (await mine("POST", ALL, {"url": url}))["data"]
            assert seen["name"] == made["name"] == "tide-tables"
    finally:
        await runner.cleanup()
    assert "not a public address" in (await me.refused("POST", f"{ALL}/look", {"url": url}, status=400))["message"]
    assert "git repository" in (await me.refused("POST", ALL, {"url": "/etc"}, status=400))["message"]
    assert (await me.refused("POST", ALL, {}, status=400))["param"] == "file_id"
    await stranger.refused("POST", f"{ALL}/look", {"url": url}, status=403)
