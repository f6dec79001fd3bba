"""Every shipped server, started as programs start it, by clients that others made."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.media.conftest import MODELS, audio_nodes

from portal.testing.audio_server import AudioServer
from portal.testing.comfyui_server import ComfyUIServer
from portal.testing.portal import open_test_portal

NODE = Path(__file__).parents[1] / "mcp"
INSPECTOR = NODE / "node_modules" / "@modelcontextprotocol" / "inspector" / "cli" / "build" / "cli.js"
PORTAL = [str(Path(sys.executable).with_name("python")), "-m", "portal", "mcp", "serve"]
CALLS: dict[str, list[tuple[str, dict[str, Any], str]]] = {
    "time": [("reckon_dates", {"operation": "add", "date": "2026-01-31", "amount": "1 month"}, "2026-02-28")],
    "filesystem": [("read_file", {"path": "note.txt"}, "pears"), ("list_folder", {}, "note.txt")],
    "git": [("git_status", {"repository": "garden"}, "?? pears.txt")],
    "web": [("fetch_page", {"url": "http://127.0.0.1:1/"}, "not a public address")],
    "documents": [("make_document", {"content": "# Pears", "save_as": "a.pdf"}, "Made a.pdf")],
    "execution": [("run_bash", {"code": "echo $((6 * 7))"}, "42"), ("list_sessions", {}, "main")],
    "speech": [("list_voices", {"language": "de"}, "of espeak-ng")],
    "transcription": [("transcribe_recording", {"path": "none.wav"}, "cannot be read")],
    "images": [("list_image_workflows", {}, "not ready")],
    "video": [("list_video_workflows", {}, "not ready")],
    "music": [("list_music_workflows", {}, "not ready")],
    "memory": [("remember", {"text": "I like pears"}, "Remembered"), ("recall_memories", {"query": "pears"}, "I like")],
    "knowledge": [
        ("add_document", {"name": "a.md", "text": "Twelve tons of pears."}, "Added a.md"),
        ("search_knowledge", {"query": "pears"}, "Twelve tons"),
    ],
}
"""Per server: tool, arguments, and what is in its answer."""
WORK: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("images", "make_image", {"prompt": "a barn", "size": "64x48"}, "a-barn-1.png", "image"),
    ("images", "edit_image", {"prompt": "snow", "image": "a-barn-1.png"}, "snow-1.png", "image"),
    ("video", "make_video", {"prompt": "a boat", "seconds": 1}, "a-boat-1.mp4", "resource_link"),
    ("music", "make_music", {"prompt": "slow piano"}, "slow-piano-1.flac", "audio"),
    ("speech", "speak_text", {"text": "Twelve tons of pears.", "save_as": "pears.wav"}, "Made pears.wav", "audio"),
    ("transcription", "transcribe_recording", {"path": "pears.wav"}, "Twelve tons.", "text"),
]
"""Work that engines do: server, tool, arguments, what is said of it, and as what it comes."""


def node(*words: str) -> str:
    program = shutil.which("node")
    if program is None or not INSPECTOR.exists():
        pytest.skip(f"NOT TESTED: clients of npm need node and `npm ci` in {NODE}")
    done = subprocess.run([program, *words], cwd=NODE, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def words(name: str, tmp_path: Path) -> list[str]:
    work = tmp_path / "work"
    if not work.exists():
        subprocess.run(["git", "init", "-q", str(work / "garden")], check=True)
        (work / "garden" / "pears.txt").write_text("12")
        (work / "note.txt").write_text("pears")
    return [*PORTAL, name, "--data-dir", str(tmp_path / "data"), "--folder", str(work)]


def said(result: dict[str, Any]) -> str:
    return "\n".join(block.get("text", "") for block in result["content"])


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_the_typescript_sdk_drives_it(tmp_path: Path, name: str) -> None:
    command, *args = words(name, tmp_path)
    calls = [(tool, arguments) for tool, arguments, _ in CALLS[name]]
    found = json.loads(node("drive.mjs", json.dumps({"command": command, "args": args}), json.dumps(calls)))

    if name == "execution" and not found["tools"]:
        pytest.skip("NOT TESTED: there is no sandbox on this machine")
    assert found["server"]["name"] == name
    assert all("readOnlyHint" in tool["annotations"] for tool in found["tools"])
    for result, (_, _, told) in zip(found["results"], CALLS[name], strict=True):
        assert told in said(result)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_the_inspector_drives_it(tmp_path: Path, name: str) -> None:
    tool, arguments, told = CALLS[name][0]
    given = ["--tool-arg", *(f"{key}={value}" for key, value in arguments.items())] if arguments else []
    command = words(name, tmp_path)
    listed = json.loads(node(str(INSPECTOR), "--cli", *command, "--method", "tools/list"))
    if name == "execution" and not listed["tools"]:
        pytest.skip("NOT TESTED: there is no sandbox on this machine")
    call = ["--method", "tools/call", "--tool-name", tool]
    answer = json.loads(node(str(INSPECTOR), "--cli", *command, *call, *given))

    assert tool in [one["name"] for one in listed["tools"]]
    assert told in said(answer)


@pytest.mark.slow
async def test_the_typescript_sdk_has_engines_make_things(tmp_path: Path) -> None:
    """One after the other, as what one makes another takes."""
    models = {**MODELS, "ckpt_name": ["sd_xl_base_1.0.safetensors", "ace_step_v1_3.5b.safetensors"]}
    async with (
        ComfyUIServer(models=models, nodes=audio_nodes()) as comfy,
        AudioServer(models=["whisper-1"]) as ears,
    ):
        (tmp_path / "data").mkdir(mode=0o700)
        toml = f'''[[media.engines]]
kind = "comfyui"
url = "{comfy.url}"
[[speech.engines]]
kind = "openai_compatible"
url = "{ears.url}"
transcription = ["whisper-1"]
'''
        (tmp_path / "data" / "portal.toml").write_text(toml, encoding="utf-8")
        for name, tool, arguments, told, kind in WORK:
            ears.answer("Twelve tons.")
            command, *args = words(name, tmp_path)
            where, calls = json.dumps({"command": command, "args": args}), json.dumps([(tool, arguments)])
            found = json.loads(await asyncio.to_thread(node, "drive.mjs", where, calls))
            (result,) = found["results"]
            assert told in said(result), result
            assert kind in [block["type"] for block in result["content"]]
            assert name == "speech" or result["progress"]
    made = ["a-barn-1.png", "a-boat-1.mp4", "pears.wav", "slow-piano-1.flac", "snow-1.png"]
    assert [path.name for path in sorted((tmp_path / "work").iterdir()) if path.name in made] == made


@pytest.mark.slow
async def test_portal_itself_at_its_address(tmp_path: Path) -> None:
    async with open_test_portal(tmp_path, toolsets=None) as portal:
        where = json.dumps({"url": f"{portal.url}/mcp", "headers": portal.headers})
        calls = json.dumps(
            [
                ["ask", {"text": "What is Portal?"}],
                ["run_tool", {"tool": "calculate", "arguments": {"expression": "6*7"}}],
            ]
        )
        found = json.loads(await asyncio.to_thread(node, "drive.mjs", where, calls))

    ask, run = found["results"]
    assert "private AI platform" in said(ask)
    assert ask["progress"]
    assert said(run) == "42"
