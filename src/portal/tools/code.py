"""Code that a model wrote, run in the sandbox: the conversation's folder goes in, new files and pictures come out."""

import mimetypes
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Annotated, Any

from portal.core.sandbox import SandboxJob, SandboxResult
from portal.core.tool_ports import Sandbox
from portal.core.tools import ToolContext, ToolFile, ToolResult, ToolSpec
from portal.errors import ToolError
from portal.settings.tools import ToolSettings
from portal.tools.families import Needs
from portal.tools.folders import Folders, Place
from portal.tools.function import Functions, tool
from portal.tools.plots import PLOTS

MOST_SECONDS = 600
MOST_FILES = 20
MOST_BYTES = 50 * 2**20
DISK = 4 * 2**30
"""Of the folder, with the packages in it."""
ENVIRONMENT = ".venv"
_SCRIPTS = ".portal"
_WORTH_NAMING = ("numpy", "pandas", "polars", "scipy", "matplotlib", "sympy", "PIL", "openpyxl", "duckdb", "sklearn")
_HOW_LONG = 60
_NAMED = 50
_WORK = "/work"
"""Where a sandbox shows the folder: what the machine has there is out of sight."""
_PYTHON = 'if "$0" -I -S -c "" 2>/dev/null; then exec "$0" "$@"; else exec python3 "$@"; fi'
"""This interpreter, or where it cannot run, as in a container, the sandbox's own."""

Code = Annotated[str, "The whole program"]
Seconds = Annotated[float, "How long it may take"]


def create(needs: Needs) -> "CodeTools":
    """The family."""
    return CodeTools(needs.sandbox, needs.settings.tools, hidden=needs.settings.data_dir)


class Sandboxed(Functions):
    """Tools that run something in the sandbox; none where nothing can be run safely."""

    def __init__(self, name: str, functions: Sequence[Callable[..., Any]], sandbox: Sandbox) -> None:
        super().__init__(name, functions)
        self._refusal = sandbox.refusal

    @property
    def status(self) -> str:
        """Whether they are there."""
        return "failed" if self._refusal() else "ready"

    @property
    def detail(self) -> str:
        """Why they are not."""
        return self._refusal()

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return [] if self._refusal() else super().tools()


class CodeTools(Sandboxed):
    """The tools."""

    def __init__(self, sandbox: Sandbox, settings: ToolSettings, *, hidden: Path) -> None:
        self._sandbox, self._settings = sandbox, settings
        self._folders = Folders(folders=settings.folders, hidden=hidden)
        there = [self.run_node] if which("node") else []
        super().__init__("code", [self.run_python, *there, self.run_bash], sandbox)

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return [_with_packages(spec, self._settings) for spec in super().tools()]

    @tool(risk="execute", timeout=MOST_SECONDS + 30)
    async def run_python(self, context: ToolContext, code: Code, seconds: Seconds = _HOW_LONG) -> ToolResult:
        """Run a Python program and see what it prints. Files it writes and plots it shows come back. No network."""
        python, readable = interpreter(self._settings, context.folder)
        environment = {
            "PYTHONPATH": ".",
            "PYTHONIOENCODING": "utf-8",
            "MPLBACKEND": "module://portal_plots",
            "MPLCONFIGDIR": f"{_SCRIPTS}/matplotlib",
        }
        with_plots = {"portal_plots.py": PLOTS, f"{context.call_id}.py": code}
        return await self._run(python, with_plots, context, seconds, readable=readable, environment=environment)

    @tool(risk="execute", timeout=MOST_SECONDS + 30)
    async def run_node(self, context: ToolContext, code: Code, seconds: Seconds = _HOW_LONG) -> ToolResult:
        """Run a JavaScript program with Node.js and see what it prints. Files it writes come back. No network."""
        scripts = {f"{context.call_id}.{_module_kind(code)}": code}
        return await self._run(["node"], scripts, context, seconds)

    @tool(risk="execute", timeout=MOST_SECONDS + 30)
    async def run_bash(self, context: ToolContext, code: Code, seconds: Seconds = _HOW_LONG) -> ToolResult:
        """Run a bash script and see what it prints. It sees the conversation's files; files it writes come back."""
        return await self._run(["bash"], {f"{context.call_id}.sh": code}, context, seconds)

    async def _run(
        self,
        program: Sequence[str],
        scripts: Mapping[str, str],
        context: ToolContext,
        seconds: float,
        *,
        readable: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> ToolResult:
        folder = Place(context.folder.resolve(), Path(), own=True)
        folder.below(_SCRIPTS).remove()  # where it is a folder, as it should be, it stays
        try:
            for name, text in scripts.items():
                folder.below(f"{_SCRIPTS}/{name}").write(text.encode("utf-8", errors="replace"))
        except OSError as error:
            raise ToolError(
                f"The program cannot be written into the conversation's folder: {error.strerror}"
            ) from error
        script = f"{_SCRIPTS}/{list(scripts)[-1]}"
        job = SandboxJob(
            argv=[*program, script],
            folder=folder.path,
            readable=[*readable, *self._folders.readable()],
            environment=environment or {},
            seconds=max(1, min(seconds, MOST_SECONDS)),
            disk=DISK,
        )
        try:
            return await ran(self._sandbox, job)
        finally:
            folder.below(script).remove()


async def ran(sandbox: Sandbox, job: SandboxJob) -> ToolResult:
    """Run it: what it printed, how it ended, and the new files. Raises ToolError."""
    result = await sandbox.run(job)
    fresh = [name for name in result.made if not aside(Path(name))]
    return _told(result, fresh, await _taken(sandbox, job.folder, fresh))


async def _taken(sandbox: Sandbox, folder: Path, names: Sequence[str]) -> list[ToolFile]:
    """The new files with what they hold, as far as there is room."""
    files: list[ToolFile] = []
    room = MOST_BYTES
    for name in names[:MOST_FILES]:
        try:
            data = await sandbox.read(folder, name, room)
        except ToolError:
            continue
        room -= len(data)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        files.append(ToolFile(name=Path(name).name, content_type=kind, data=data))
    return files


def interpreter(settings: ToolSettings, folder: Path | None = None) -> tuple[list[str], list[Path]]:
    """How to start Python, and the folders it must be able to read: that of the environment in `folder` if there is
    one, else the one of the settings, or the one that runs Portal."""
    chosen = settings.python.expanduser() if settings.python else None
    readable = _prefixes(chosen) if chosen else {Path(sys.prefix), Path(sys.base_prefix)}
    if folder and os.path.lexists(folder / ENVIRONMENT / "bin" / "python"):
        return [f"{ENVIRONMENT}/bin/python"], sorted(readable)
    return ["sh", "-c", _PYTHON, str(chosen or sys.executable)], sorted(readable)


def _prefixes(python: Path) -> set[Path]:
    """Where an interpreter and the one behind its link are installed."""
    return {python.parent.parent, python.resolve().parent.parent}


def _with_packages(spec: ToolSpec, settings: ToolSettings) -> ToolSpec:
    """Says what is installed, where we can know."""
    there = [name for name in _WORTH_NAMING if find_spec(name)]
    if spec.name != "run_python" or settings.python or Path(sys.prefix).is_relative_to(_WORK) or not there:
        return spec
    return replace(spec, description=f"{spec.description} Installed: {', '.join(there)}.")


def _module_kind(code: str) -> str:
    """`mjs` for a module, `cjs` for what uses require or needs neither."""
    awaits = "await" in code and "async" not in code and "require(" not in code
    return "mjs" if awaits or re.search(r"^\s*(import|export)\b[^(]", code, re.MULTILINE) else "cjs"


def aside(path: Path) -> bool:
    """What nobody wants to have back: hidden files, installed packages."""
    return any(part.startswith(".") or part in ("node_modules", "__pycache__") for part in path.parts)


def _told(result: SandboxResult, fresh: Sequence[str], files: Sequence[ToolFile]) -> ToolResult:
    parts = [result.stdout.decode("utf-8", errors="replace").rstrip()]
    if result.stderr:
        parts.append(f"[stderr]\n{result.stderr.decode('utf-8', errors='replace').rstrip()}")
    if result.cut:
        parts.append("[more output was dropped]")
    if fresh:
        parts.append(f"[files written: {', '.join(fresh[:_NAMED])}{' ...' if len(fresh) > _NAMED else ''}]")
    if len(files) < len(fresh):
        parts.append(f"[{len(fresh) - len(files)} of them are too many or too large to hand over]")
    parts.append(f"[killed: {result.killed}]" if result.killed else f"[exit code {result.code}]")
    return ToolResult(text="\n".join(part for part in parts if part), failed=result.code != 0, files=files)
