"""This machine: its processes, how busy it is, its clock, and its clipboard where a person turned that on."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from shutil import which
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from portal.core.clock import now
from portal.core.tools import ToolSpec
from portal.errors import ToolError
from portal.settings.environment import program_environment
from portal.tools.families import Needs
from portal.tools.function import Functions, tool
from portal.tools.program import run

_MEASURED = 0.2
"""Seconds over which use of the processor is measured."""
_LARGEST_CLIPBOARD = 2**20
_READERS = (
    ("wl-paste", "--no-newline"),
    ("xclip", "-selection", "clipboard", "-out"),
    ("xsel", "--clipboard", "--output"),
    ("pbpaste",),
)
_WRITERS = (("wl-copy",), ("xclip", "-selection", "clipboard", "-in"), ("xsel", "--clipboard", "--input"), ("pbcopy",))
_GPU = "--query-gpu=name,utilization.gpu,memory.used,memory.total,temperature.gpu"


def create(needs: Needs) -> "SystemTools":
    """The family."""
    return SystemTools(clipboard=needs.settings.tools.clipboard, data_dir=needs.settings.data_dir)


class SystemTools(Functions):
    """The tools; the clipboard's only where they are turned on and a program for it is there."""

    def __init__(self, *, clipboard: bool, data_dir: Path, find: Callable[[str], str | None] = which) -> None:
        """`find` is where programs are looked for."""
        self._data_dir, self._find = data_dir, find
        self._clipboard = clipboard and self._first(_READERS) is not None
        super().__init__(
            "system",
            [self.current_time, self.system_stats, self.list_processes, self.read_clipboard, self.write_clipboard],
        )

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return [spec for spec in super().tools() if self._clipboard or "clipboard" not in spec.name]

    @tool(risk="read")
    def current_time(self, zone: Annotated[str, "Such as Europe/Berlin; empty for this machine's"] = "") -> str:
        """Tell the date, weekday and time now, here or in another time zone."""
        try:
            here = now().astimezone(ZoneInfo(zone) if zone else None)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ToolError(f"{zone!r} is not a time zone; write one as Europe/Berlin or UTC.") from error
        return f"{here:%A %Y-%m-%d %H:%M:%S} {zone or here.tzname()} (UTC{here:%z})"

    @tool(risk="read")
    async def system_stats(self) -> dict[str, object]:
        """Tell how busy this machine is: processor, memory, disks, graphics card."""
        stats = await asyncio.to_thread(_stats, self._data_dir)
        return {**stats, "gpus": await self._gpus()}

    @tool(risk="read")
    def list_processes(
        self,
        name: Annotated[str, "Part of the name; empty for all"] = "",
        sort: Annotated[Literal["cpu", "memory"], "What comes first"] = "cpu",
        limit: Annotated[int, "How many"] = 20,
    ) -> str:
        """List the programs that run on this machine, with their use of processor and memory."""
        rows = [row for row in _processes() if name.lower() in row["name"].lower()]
        rows.sort(key=lambda row: -row[sort])
        lines = [
            f"{row['pid']:>7} {row['user']:<12} {row['cpu']:5.1f} % {_mb(row['memory']):>8} {row['name']}"
            for row in rows
        ]
        return "\n".join(["    pid user            cpu   memory name", *lines[: max(1, min(limit, 500))]])

    @tool(risk="read", untrusted=True)
    async def read_clipboard(self) -> str:
        """Read the text in the clipboard of this machine."""
        return await self._run(_READERS) or "The clipboard is empty."

    @tool(risk="write")
    async def write_clipboard(self, text: Annotated[str, "The text"]) -> str:
        """Put a text into the clipboard of this machine."""
        await self._run(_WRITERS, text.encode())
        return "It is in the clipboard."

    async def _run(self, programs: Sequence[tuple[str, ...]], stdin: bytes = b"") -> str:
        argv = self._first(programs) if self._clipboard else None
        if argv is None:
            raise ToolError("The clipboard is off (the setting tools.clipboard), or its program is missing.")
        told = program_environment()
        ended = await run(argv, environment=told, stdin=stdin, seconds=10, output=_LARGEST_CLIPBOARD, leave=True)
        if ended.code != 0:
            raise ToolError(f"The clipboard cannot be reached: {ended.complaint[:300]}")
        return ended.text

    def _first(self, programs: Sequence[tuple[str, ...]]) -> list[str] | None:
        """The first of the programs that is there."""
        for name, *options in programs:
            if path := self._find(name):
                return [path, *options]
        return None

    async def _gpus(self) -> list[str]:
        program = self._find("nvidia-smi")
        if not program:
            return []
        argv = [program, _GPU, "--format=csv,noheader"]
        ended = await run(argv, environment=program_environment(), seconds=10)
        return [line.strip() for line in ended.text.splitlines() if line.strip()] if ended.code == 0 else []


def _stats(data_dir: Path) -> dict[str, object]:
    import psutil

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    disks = {}
    for folder in ("/", str(data_dir)):
        use = psutil.disk_usage(folder)
        disks[folder] = f"{use.free / 1e9:.1f} GB free of {use.total / 1e9:.1f} GB"
    return {
        "cpu_percent": psutil.cpu_percent(interval=_MEASURED),
        "cores": psutil.cpu_count(),
        "load": [round(one, 2) for one in psutil.getloadavg()],
        "memory": f"{memory.available / 1e9:.1f} GB free of {memory.total / 1e9:.1f} GB",
        "swap": f"{swap.free / 1e9:.1f} GB free of {swap.total / 1e9:.1f} GB",
        "disks": disks,
        "up_since": datetime.fromtimestamp(psutil.boot_time()).astimezone().isoformat(timespec="minutes"),
    }


def _processes() -> list[dict[str, Any]]:
    """Every process, its processor time measured between two looks. Command lines stay out: they may hold passwords."""
    import psutil

    before = {process.pid: process for process in psutil.process_iter(["cpu_percent"])}
    psutil.cpu_percent(interval=_MEASURED)
    rows = []
    for process in before.values():
        try:
            with process.oneshot():
                rows.append(
                    {
                        "pid": process.pid,
                        "name": process.name(),
                        "user": process.username(),
                        "cpu": process.cpu_percent(),
                        "memory": process.memory_info().rss,
                    }
                )
        except psutil.Error:
            continue
    return rows


def _mb(count: int) -> str:
    return f"{count / 1e6:.0f} MB"
