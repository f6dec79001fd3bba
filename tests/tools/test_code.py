import asyncio
import os
import select
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

from portal.core.tools import ToolResult
from portal.errors import ToolError
from portal.settings.tools import ToolSettings
from portal.testing.plain_sandbox import PlainSandbox
from portal.testing.tool_calls import call, tool_context
from portal.tools.code import MOST_FILES, CodeTools, interpreter

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def sandbox() -> PlainSandbox:
    return PlainSandbox(unsafe=True)


@pytest.fixture
def tools(sandbox: PlainSandbox, tmp_path: Path) -> CodeTools:
    return CodeTools(sandbox, ToolSettings(), hidden=tmp_path / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "conv_1"


def names(result: ToolResult) -> list[str]:
    return [file.name for file in result.files]


async def test_python_prints_reads_and_writes(tools: CodeTools, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "in.txt").write_text("21")
    (folder / "module.py").write_text("def double(n): return 2 * n\n")

    code = (
        "import module\nn = module.double(int(open('in.txt').read()))\nprint(n, 'ü')\n"
        "open('out.csv', 'w').write(f'n\\n{n}\\n')"
    )
    result = await call(tools, "run_python", folder, code=code)

    assert result.text == "42 ü\n[files written: out.csv]\n[exit code 0]"
    assert [(file.name, file.content_type, file.data) for file in result.files] == [("out.csv", "text/csv", b"n\n42\n")]
    assert not result.failed


async def test_an_error_shows_where(tools: CodeTools, folder: Path) -> None:
    result = await call(tools, "run_python", folder, code="x = 1\nprint('before')\nraise ValueError('no')\n")

    assert result.failed
    assert result.text.startswith("before\n[stderr]\nTraceback")
    assert "raise ValueError('no')" in result.text
    assert result.text.endswith("ValueError: no\n[exit code 1]")


async def test_changed_files_come_back_and_unchanged_ones_do_not(tools: CodeTools, folder: Path) -> None:
    await call(tools, "run_python", folder, code="for n in 'ab': open(n, 'w').write('1')")

    result = await call(tools, "run_python", folder, code="open('a', 'w').write('22')")

    assert names(result) == ["a"]


async def test_scripts_leave_no_trace(tools: CodeTools, folder: Path) -> None:
    await call(tools, "run_bash", folder, code="true")
    await call(tools, "run_python", folder, code="import os")

    assert os.listdir(folder) == [".portal"]
    assert os.listdir(folder / ".portal") == ["portal_plots.py"]


async def test_bash(tools: CodeTools, folder: Path) -> None:
    result = await call(tools, "run_bash", folder, code="mkdir -p a/b && echo hi | tee a/b/c.txt; echo no >&2; exit 3")

    assert result.text == "hi\n[stderr]\nno\n[files written: a/b/c.txt]\n[exit code 3]"
    assert result.failed


@pytest.mark.skipif(not which("node"), reason="needs Node.js")
@pytest.mark.parametrize(
    "code",
    [
        "const fs = require('fs'); console.log(fs.existsSync('.'))",
        "import fs from 'node:fs'; console.log(fs.existsSync('.'))",
        "const fs = await import('node:fs'); console.log(fs.existsSync('.'))",
        "import('node:fs').then(fs => console.log(fs.existsSync('.')))",
        "async function go() { await 1; console.log(true) }\ngo()",
    ],
)
async def test_node_takes_both_kinds_of_modules(tools: CodeTools, folder: Path, code: str) -> None:
    assert (await call(tools, "run_node", folder, code=code)).text == "true\n[exit code 0]"


async def test_time_is_bounded(tools: CodeTools, folder: Path, sandbox: PlainSandbox) -> None:
    result = await call(tools, "run_bash", folder, code="echo begun; sleep 60 & sleep 60", seconds=1)

    assert result.text == "begun\n[killed: time]"
    assert result.failed
    await call(tools, "run_bash", folder, code="true", seconds=10**6)
    assert [job.seconds for job in sandbox.jobs] == [1, 600]


async def test_what_is_left_running_is_ended(tools: CodeTools, folder: Path) -> None:
    result = await call(tools, "run_bash", folder, code="sleep 300 & echo $!", seconds=60)

    try:
        watched = os.pidfd_open(int(result.text.splitlines()[0]))
    except ProcessLookupError:
        return
    assert select.select([watched], [], [], 30)[0]
    os.close(watched)


async def test_a_cancelled_run_is_ended_and_its_script_removed(tools: CodeTools, folder: Path) -> None:
    os.makedirs(folder)
    os.mkfifo(folder / "begun")
    code = "echo $$ > begun; exec sleep 300"
    async with asyncio.TaskGroup() as group:
        running = group.create_task(tools.call("run_bash", {"code": code}, tool_context(folder)))
        pid = int(await asyncio.to_thread((folder / "begun").read_text))
        running.cancel()

    assert not Path(f"/proc/{pid}").exists()
    assert os.listdir(folder / ".portal") == []


async def test_output_is_bounded(tools: CodeTools, folder: Path) -> None:
    result = await call(tools, "run_python", folder, code="print('x' * 5_000_000)")

    assert len(result.text) < 1_100_000
    assert result.text.endswith("[more output was dropped]\n[exit code 0]")


async def test_output_that_is_no_text(tools: CodeTools, folder: Path) -> None:
    result = await call(tools, "run_bash", folder, code=r"printf '\xff\x00ok'")

    assert result.text == "\ufffd\0ok\n[exit code 0]"


async def test_files_are_bounded(tools: CodeTools, folder: Path) -> None:
    many = await call(tools, "run_bash", folder, code="for n in $(seq 60); do echo $n > $n.txt; done")
    large = await call(tools, "run_bash", folder, code="truncate -s 60M large; echo small > small")

    assert len(many.files) == MOST_FILES
    assert "40 of them are too many or too large" in many.text
    assert names(large) == ["small"]
    assert "[1 of them are too many" in large.text


async def test_links_pipes_and_hidden_files_do_not_come_back(tools: CodeTools, folder: Path) -> None:
    links = "ln -s /etc/passwd link; ln -s /etc linked; mkfifo pipe"
    code = f"{links}; mkdir .cache node_modules; touch .cache/a node_modules/b c"
    result = await call(tools, "run_bash", folder, code=code)

    assert names(result) == ["c"]


@pytest.mark.parametrize("swap", ["ln -s {outside} .portal", "touch .portal"])
async def test_a_folder_that_code_swapped_is_not_written_through(
    tools: CodeTools, folder: Path, tmp_path: Path, swap: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    await call(tools, "run_bash", folder, code=f"rm -rf .portal; {swap.format(outside=outside)}")

    assert (await call(tools, "run_bash", folder, code="echo fine")).text == "fine\n[exit code 0]"
    assert list(outside.iterdir()) == []


async def test_a_folder_that_cannot_be_written(tools: CodeTools, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ToolError, match="cannot be written"):
        await call(tools, "run_bash", tmp_path / "file", code="true")


async def test_granted_folders_can_be_read(sandbox: PlainSandbox, folder: Path, tmp_path: Path) -> None:
    granted = tmp_path / "granted"
    granted.mkdir()
    tools = CodeTools(sandbox, ToolSettings(folders=(granted, tmp_path)), hidden=tmp_path / "data")

    await call(tools, "run_bash", folder, code="true")

    assert sandbox.jobs[0].readable == [granted]
    assert not sandbox.jobs[0].network


async def test_nothing_is_offered_where_nothing_is_safe(folder: Path, tmp_path: Path) -> None:
    tools = CodeTools(PlainSandbox(unsafe=True, refusal="install bubblewrap"), ToolSettings(), hidden=tmp_path)

    assert list(tools.tools()) == []
    assert (tools.status, tools.detail) == ("failed", "install bubblewrap")
    with pytest.raises(ToolError, match="install bubblewrap"):
        await tools.call("run_bash", {"code": "touch x"}, tool_context(folder))
    assert not (folder / "x").exists()


def test_the_description_names_packages(tools: CodeTools) -> None:
    description = next(spec.description for spec in tools.tools() if spec.name == "run_python")

    seen = find_spec("matplotlib") and not Path(sys.prefix).is_relative_to("/work")
    assert tools.status == "ready"
    assert ("matplotlib" in description) == bool(seen)


def test_which_python(folder: Path, tmp_path: Path, sandbox: PlainSandbox) -> None:
    (tmp_path / "env/bin").mkdir(parents=True)
    (tmp_path / "env/bin/python").symlink_to(sys.executable)
    chosen = ToolSettings(python=tmp_path / "env/bin/python")

    assert interpreter(ToolSettings())[0][-1] == sys.executable
    assert Path(sys.base_prefix) in interpreter(ToolSettings())[1]
    assert interpreter(chosen, folder)[0][-1] == str(tmp_path / "env/bin/python")
    assert {tmp_path / "env", Path(sys.executable).resolve().parent.parent} == set(interpreter(chosen)[1])
    tools = CodeTools(sandbox, chosen, hidden=tmp_path)
    assert "Installed" not in next(spec.description for spec in tools.tools() if spec.name == "run_python")


async def test_a_python_that_does_not_run_in_the_sandbox(sandbox: PlainSandbox, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_bytes(b"\xcf\xfa\xed\xfe of another system")
    (tmp_path / "bin/python").chmod(0o755)
    tools = CodeTools(sandbox, ToolSettings(python=tmp_path / "bin/python"), hidden=tmp_path)

    assert (await call(tools, "run_python", folder, code="print(6 * 7)")).text == "42\n[exit code 0]"


@pytest.mark.skipif(not find_spec("matplotlib"), reason="needs matplotlib")
@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("plt.plot([1, 2]); plt.show(); plt.plot([3]); plt.show()", ["figure-1.png", "figure-2.png"]),
        ("plt.plot([1, 2]); plt.savefig('mine.png')", ["mine.png"]),
        ("plt.plot([1, 2]); plt.savefig('mine.pdf')", ["mine.pdf"]),
        ("plt.plot([1, 2])", ["figure-1.png"]),
        ("import os; os.chdir('/'); plt.plot([1, 2]); os.chdir(folder); plt.show()", ["figure-1.png"]),
        ("open('figure-1.png', 'w'); plt.plot([1, 2]); plt.show()", ["figure-1.png", "figure-2.png"]),
        ("pass", []),
    ],
)
async def test_plots_come_back(tools: CodeTools, folder: Path, code: str, files: list[str]) -> None:
    code = f"import os, matplotlib.pyplot as plt\nfolder = os.getcwd()\n{code}"
    result = await call(tools, "run_python", folder, code=code)

    assert not result.failed, result.text
    assert names(result) == files
    assert all(file.data.startswith(PNG) or not file.data for file in result.files if file.content_type == "image/png")
