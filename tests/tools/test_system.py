import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import orjson
import pytest

from portal.errors import ToolError
from portal.settings.environment import program_environment
from portal.testing.tool_calls import call, tool_context
from portal.tools.system import SystemTools


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def system(programs: Path, tmp_path: Path, *, clipboard: bool = True) -> SystemTools:
    return SystemTools(clipboard=clipboard, data_dir=tmp_path, find=lambda name: which(name, path=str(programs)))


async def test_time_in_zones(tmp_path: Path, programs: Path) -> None:
    tools = system(programs, tmp_path)

    assert re.fullmatch(
        r"[A-Z][a-z]+day \d{4}-\d\d-\d\d \d\d:\d\d:\d\d Asia/Kolkata \(UTC\+0530\)",
        (await call(tools, "current_time", tmp_path, zone="Asia/Kolkata")).text,
    )
    assert "(UTC" in (await call(tools, "current_time", tmp_path)).text
    for zone in ("Nowhere/Town", "../../etc/passwd", "Europe"):
        with pytest.raises(ToolError, match="not a time zone"):
            await call(tools, "current_time", tmp_path, zone=zone)


async def test_how_busy_it_is(tmp_path: Path, programs: Path) -> None:
    stats = orjson.loads((await call(system(programs, tmp_path), "system_stats", tmp_path)).text)

    assert 0 <= stats["cpu_percent"] <= 100
    assert stats["cores"] == os.cpu_count()
    assert re.fullmatch(r"[\d.]+ GB free of [\d.]+ GB", stats["memory"])
    assert set(stats["disks"]) == {"/", str(tmp_path)}
    assert stats["gpus"] == []


async def test_graphics_cards(tmp_path: Path, programs: Path) -> None:
    program(programs, "nvidia-smi", "echo 'RTX 4090, 7 %, 1024 MiB, 24564 MiB, 45'")
    assert orjson.loads((await call(system(programs, tmp_path), "system_stats", tmp_path)).text)["gpus"] == [
        "RTX 4090, 7 %, 1024 MiB, 24564 MiB, 45"
    ]

    program(programs, "nvidia-smi", "echo 'no driver'; exit 9")
    assert orjson.loads((await call(system(programs, tmp_path), "system_stats", tmp_path)).text)["gpus"] == []


async def test_processes(tmp_path: Path, programs: Path) -> None:
    tools = system(programs, tmp_path)
    with subprocess.Popen(["sleep", "300"]) as sleeping:
        found = (await call(tools, "list_processes", tmp_path, name="SLEEP", sort="memory", limit=500)).text
        sleeping.kill()

    assert re.search(rf"^ *{sleeping.pid} \w+ +\d+\.\d % +\d+ MB sleep$", found, re.MULTILINE)
    assert "300" not in found.replace(str(sleeping.pid), "")
    assert len((await call(tools, "list_processes", tmp_path, limit=3)).text.splitlines()) == 4


async def test_the_clipboard_is_off_by_default(tmp_path: Path, programs: Path) -> None:
    program(programs, "xclip", "echo secret")
    off, missing = system(programs, tmp_path, clipboard=False), system(tmp_path / "none", tmp_path)

    for tools in (off, missing):
        assert [spec.name for spec in tools.tools()] == ["current_time", "system_stats", "list_processes"]
        with pytest.raises(ToolError, match="clipboard is off"):
            await tools.call("read_clipboard", {}, tool_context(tmp_path))


async def test_the_clipboard_by_its_program(tmp_path: Path, programs: Path) -> None:
    program(programs, "wl-copy", f"cat > {tmp_path}/board")
    program(programs, "wl-paste", f'[ "$1" = --no-newline ] && cat {tmp_path}/board')
    tools = system(programs, tmp_path)

    with pytest.raises(ToolError, match="cannot be reached: cat: "):
        await call(tools, "read_clipboard", tmp_path)
    await call(tools, "write_clipboard", tmp_path, text="Grüße")
    assert (await call(tools, "read_clipboard", tmp_path)).text == "Grüße"
    await call(tools, "write_clipboard", tmp_path, text="")
    assert (await call(tools, "read_clipboard", tmp_path)).text == "The clipboard is empty."


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    read, write = os.pipe()
    with subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "100x100x8"], pass_fds=[write]) as server:
        os.close(write)
        with os.fdopen(read) as display:
            monkeypatch.setenv("DISPLAY", f":{display.readline().strip()}")
        yield
        server.terminate()


@pytest.mark.skipif(not (which("Xvfb") and which("xclip")), reason="needs Xvfb and xclip")
async def test_a_real_clipboard(tmp_path: Path, screen: None) -> None:
    tools = SystemTools(clipboard=True, data_dir=tmp_path, find=lambda name: which(name) if name == "xclip" else None)

    await call(tools, "write_clipboard", tmp_path, text="from Portal")

    assert (await call(tools, "read_clipboard", tmp_path)).text == "from Portal"


def test_programs_get_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_OLLAMA__TOKEN", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("DISPLAY", ":7")

    environment = program_environment()

    assert "secret" not in environment.values()
    assert environment["DISPLAY"] == ":7"
    assert which("sh", path=environment["PATH"])
