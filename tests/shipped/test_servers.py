"""The tool servers that Portal ships, each by the protocol's own client."""

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest

from mcp import Client, MCPError
from portal.cli.shipped import load
from portal.interfaces.mcp.serving import Identity, make_server
from portal.mcp.shipped import shipped
from portal.settings import load_settings
from portal.shipped.toolbox import Toolbox
from portal.testing.audio_server import AudioServer

ALONE = [one.name for one in shipped() if one.startable]


@asynccontextmanager
async def served(
    name: str, tmp_path: Path, *, folders: Sequence[Path] = (), mode: str = "auto", **more: Any
) -> AsyncIterator[Client]:
    """A shipped server in this process, in either era of the protocol."""
    read_only = more.pop("read_only", False)
    tools = {"folders": folders, **more.pop("tools", {})}
    settings = load_settings({"data_dir": tmp_path / "data", "tools": tools, **more})
    face = load(name)
    async with Toolbox(face, settings, folders=folders, read_only=read_only).loaded() as toolbox:
        server = make_server(Identity(name=face.name, title=face.title, instructions=face.instructions), toolbox)
        async with Client(server, mode=mode) as client:
            yield client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def tools(client: Client) -> Mapping[str, types.Tool]:
    return {tool.name: tool for tool in (await client.list_tools()).tools}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_each_folder_is_a_face_and_a_readme() -> None:
    for one in shipped():
        assert len(one.face.read_text(encoding="utf-8").splitlines()) <= 25
        assert one.title
        assert one.about
        assert not one.about.startswith("#")
        assert load(one.name).name == one.name
    named = (
        "documents execution filesystem git images knowledge memory music portal speech time transcription video web"
    )
    assert [one.name for one in shipped()] == named.split()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_what_tools_may_do_is_told_as_hints(tmp_path: Path, work: Path, mode: str) -> None:
    async with served("filesystem", tmp_path, folders=[work], mode=mode) as client:
        known = await tools(client)

    hints = {name: tool.annotations for name, tool in known.items()}
    assert hints["read_file"] == types.ToolAnnotations(read_only_hint=True, open_world_hint=False)
    assert hints["write_file"] == types.ToolAnnotations(
        read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False
    )
    assert known["write_file"].meta == {"portal/risk": "write", "portal/untrusted": False}


async def test_the_time_anywhere(tmp_path: Path) -> None:
    async with served("time", tmp_path) as client:
        assert [*await tools(client)] == ["current_time", "reckon_dates"]
        now = await client.call_tool("current_time", {"zone": "Asia/Tokyo"})
        wrong = await client.call_tool("current_time", {"zone": "Mars/Olympus"})
        misread = await client.call_tool("current_time", {"zone": 5, "more": 1})
        with pytest.raises(MCPError, match="no tool 'system_stats'"):
            await client.call_tool("system_stats", {})

    assert "Asia/Tokyo (UTC+0900)" in text(now)
    assert wrong.is_error
    assert "not a time zone" in text(wrong)
    assert misread.is_error


async def test_files_of_the_named_folders_alone(tmp_path: Path, work: Path) -> None:
    (work / "note.txt").write_text("remember the pears\n")
    (work / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    async with served("filesystem", tmp_path, folders=[work]) as client:
        read = await client.call_tool("read_file", {"path": "note.txt"})
        picture = await client.call_tool("read_file", {"path": "dot.png"})
        written = await client.call_tool("write_file", {"path": "made.txt", "text": "new"})
        outside = await client.call_tool("read_file", {"path": "/etc/hostname"})

    assert text(read) == "remember the pears\n"
    assert isinstance(picture.content[1], types.ImageContent)
    assert picture.content[1].mime_type == "image/png"
    link = written.content[1]
    assert isinstance(link, types.ResourceLink)
    assert (link.uri, link.size) == ((work / "made.txt").as_uri(), 3)
    assert outside.is_error


async def test_a_folder_that_holds_portals_own_is_no_place_to_begin(tmp_path: Path) -> None:
    async with served("filesystem", tmp_path, folders=[tmp_path]) as client:
        await client.call_tool("write_file", {"path": "made.txt", "text": "new"})

    assert (tmp_path / "data" / "servers" / "filesystem" / "made.txt").exists()


async def test_only_tools_that_change_nothing(tmp_path: Path, work: Path) -> None:
    async with served("filesystem", tmp_path, folders=[work], read_only=True, tools={"off": ["search_*"]}) as client:
        assert [*await tools(client)] == ["list_folder", "read_file"]


async def test_repositories_below_the_named_folders(tmp_path: Path, work: Path) -> None:
    subprocess.run(["git", "init", "-q", str(work / "garden")], check=True)
    (work / "garden" / "pears.txt").write_text("12")
    async with served("git", tmp_path, folders=[work]) as client:
        status = await client.call_tool("git_status", {"repository": "garden"})

    assert "?? pears.txt" in text(status)


async def test_addresses_of_this_machine_are_refused(tmp_path: Path) -> None:
    async with served("web", tmp_path) as client:
        known = await tools(client)
        page = await client.call_tool("fetch_page", {"url": "http://127.0.0.1:1/"})

    assert {"fetch_page", "web_search", "crawl_site", "http_request"} == {*known}
    assert known["fetch_page"].meta == {"portal/risk": "fetch", "portal/untrusted": True}
    assert page.is_error
    assert "not a public address" in text(page)


async def test_documents_are_made_where_the_person_wants_them(tmp_path: Path, work: Path) -> None:
    async with served("documents", tmp_path, folders=[work]) as client:
        made = await client.call_tool("make_document", {"content": "# Pears\n\nTwelve tons.", "save_as": "pears.pdf"})
        read = await client.call_tool("read_document", {"path": "pears.pdf"})

    assert (work / "pears.pdf").read_bytes().startswith(b"%PDF")
    assert isinstance(made.content[1], types.ResourceLink)
    assert "Twelve tons." in text(read)


async def test_a_text_is_read_aloud_and_written_down_again(tmp_path: Path, work: Path) -> None:
    news: list[str] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        news.append(message or "")

    async with AudioServer(models=["whisper-1"]) as server:
        server.answer("Twelve tons", "of pears.")
        speech = {"engines": [{"kind": "openai_compatible", "url": server.url, "transcription": ["whisper-1"]}]}
        async with served("speech", tmp_path, folders=[work]) as client:
            known = await tools(client)
            voices = await client.call_tool("list_voices", {"language": "de"})
            said = await client.call_tool("speak_text", {"text": "Twelve tons of pears", "save_as": "pears.wav"})
        async with served("transcription", tmp_path, folders=[work], speech=speech) as client:
            written = await client.call_tool(
                "transcribe_recording", {"path": "pears.wav", "form": "srt"}, progress_callback=told
            )

    assert [*known] == ["speak_text", "list_voices"]
    assert "of espeak-ng" in text(voices)
    sound = said.content[1]
    assert isinstance(sound, types.AudioContent)
    assert (work / "pears.wav").read_bytes() == base64.b64decode(sound.data)
    assert "with 2 subtitles" in text(written)
    assert "of pears." in (work / "pears.srt").read_text()
    assert isinstance(written.content[1], types.ResourceLink)
    assert news


async def test_an_engine_that_cannot_be_is_named(tmp_path: Path) -> None:
    async with served("speech", tmp_path, speech={"engines": [{"kind": "parrot"}]}) as client:
        refused = await client.call_tool("list_voices", {})

    assert refused.is_error
    assert "no kind of speech engine called 'parrot'" in text(refused)


async def test_programs_in_sessions_that_keep_their_files(tmp_path: Path) -> None:
    async with served("execution", tmp_path) as client:
        if not await tools(client):
            pytest.skip("NOT TESTED: there is no sandbox on this machine")
        first = await client.call_tool("run_bash", {"code": "echo 12 > pears; printf '\\xff' > blob", "session": "a"})
        second = await client.call_tool("run_bash", {"code": "cat pears", "session": "a"})
        other = await client.call_tool("run_bash", {"code": "ls", "session": "b"})
        files = await client.call_tool("session_files", {"session": "a"})
        blob = await client.call_tool("read_session_file", {"path": "blob", "session": "a"})
        listed = await client.call_tool("list_sessions", {})
        ended = await client.call_tool("end_session", {"session": "a"})
        gone = await client.call_tool("session_files", {"session": "a"})

    resources = [one.resource for one in first.content if isinstance(one, types.EmbeddedResource)]
    assert [(one.uri, type(one).__name__) for one in resources] == [
        ("file:///blob", "BlobResourceContents"),
        ("file:///pears", "BlobResourceContents"),
    ]
    assert text(second).startswith("12\n")
    assert "pears" not in text(other)
    assert text(files).splitlines() == ["blob", "pears"]
    assert isinstance(blob.content[1], types.EmbeddedResource)
    assert [line.partition("\t")[0] for line in text(listed).splitlines()] == ["a", "b"]
    assert not ended.is_error
    assert gone.is_error


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_that_is_cancelled_stops_its_program(tmp_path: Path, mode: str) -> None:
    code = "touch begun; sleep 600"
    place = tmp_path / "data" / "servers" / "execution" / "main"
    async with served("execution", tmp_path, mode=mode) as client:
        if not await tools(client):
            pytest.skip("NOT TESTED: there is no sandbox on this machine")
        async with asyncio.TaskGroup() as tasks:
            calling = tasks.create_task(client.call_tool("run_bash", {"code": code}))
            while not (place / "begun").exists():
                await asyncio.sleep(0.01)
            calling.cancel()
        again = await client.call_tool("run_bash", {"code": "ps ax | grep -c '[s]leep 600' || true"})

    assert text(again).startswith("0")
