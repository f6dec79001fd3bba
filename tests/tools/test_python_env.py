import base64
import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from portal.errors import ToolError
from portal.settings.tools import ToolSettings
from portal.testing.plain_sandbox import PlainSandbox
from portal.testing.tool_calls import call, tool_context
from portal.tools.code import CodeTools
from portal.tools.python_env import PythonTools


def wheel(folder: Path) -> str:
    """A package of its own, so that nothing has to be fetched."""
    name = "greeting-1.5-py3-none-any.whl"
    files = {
        "greeting.py": "WORDS = 'hello from a package'\n",
        "greeting-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.5\n",
        "greeting-1.5.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text)}\n"
        for path, text in files.items()
    )
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in {**files, "greeting-1.5.dist-info/RECORD": record}.items():
            archive.writestr(path, text)
    return f"./{name}"


@pytest.mark.slow
async def test_packages_are_installed_listed_and_used(tmp_path: Path) -> None:
    sandbox, settings = PlainSandbox(unsafe=True), ToolSettings()
    tools, code = PythonTools(sandbox, settings), CodeTools(sandbox, settings, hidden=tmp_path / "data")
    assert "no packages" in (await call(tools, "python_packages", tmp_path)).text
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/damaged").touch()

    installed = await call(tools, "python_install", tmp_path, packages=[wheel(tmp_path)], fresh=True)

    assert "greeting 1.5" in installed.text
    assert "greeting 1.5" in (await call(tools, "python_packages", tmp_path)).text
    ran = await call(code, "run_python", tmp_path, code="import greeting; print(greeting.WORDS)")
    assert ran.text == "hello from a package\n[exit code 0]"
    assert [job.network for job in sandbox.jobs] == [False, True, False]

    with pytest.raises(ToolError, match="It did not work"):
        await call(tools, "python_install", tmp_path, packages=["./absent-1.0-py3-none-any.whl"])
    assert not (tmp_path / ".venv/bin/damaged").exists()
    assert "greeting 1.5" in (await call(tools, "python_install", tmp_path, packages=[])).text


async def test_options_are_not_packages(tmp_path: Path) -> None:
    tools = PythonTools(PlainSandbox(unsafe=True), ToolSettings())

    for package in ("--index-url=http://elsewhere", "-r/etc/passwd", ""):
        with pytest.raises(ToolError, match="is not a package"):
            await call(tools, "python_install", tmp_path, packages=["six", package])


async def test_an_index_of_your_own(tmp_path: Path) -> None:
    sandbox = PlainSandbox(unsafe=True)
    tools = PythonTools(sandbox, ToolSettings(package_index="http://127.0.0.1:9/simple"))
    (tmp_path / ".venv/bin").mkdir(parents=True)
    os.symlink("/bin/false", tmp_path / ".venv/bin/python")

    with pytest.raises(ToolError, match="exit code 1"):
        await call(tools, "python_install", tmp_path, packages=["six"])
    assert sandbox.jobs[0].environment["PIP_INDEX_URL"] == "http://127.0.0.1:9/simple"


async def test_nothing_is_offered_where_nothing_is_safe(tmp_path: Path) -> None:
    tools = PythonTools(PlainSandbox(unsafe=True, refusal="install bubblewrap"), ToolSettings())

    assert list(tools.tools()) == []
    with pytest.raises(ToolError, match="install bubblewrap"):
        await tools.call("python_install", {"packages": ["six"]}, tool_context(tmp_path))
