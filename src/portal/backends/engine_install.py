"""Building the embedded engine: what it needs, said before; then pip or uv in the background, with progress."""

import asyncio
import importlib
import math
import os
import re
import shutil
import signal
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from portal.core.items import JsonObject
from portal.errors import BadRequest, Conflict
from portal.extras import NO_INSTALLER, installer, requirements

_CORE_MINUTES = 14
"""Minutes that one core takes to compile llama.cpp, measured on an ordinary x86 machine."""
_SPACE_MB = 1500
_TAIL = 40
_STEP = re.compile(r"\[\s*(\d+)/(\d+)\]|\[\s*(\d+)%\]")
_COMPILERS = ("c++", "g++", "clang++", "cl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the build takes. `problems` are sentences, each with the way out; empty means it can begin."""

    compiler: str | None
    cmake: str | None
    minutes: int
    space_mb: int
    problems: Sequence[str]


def needs(*, which: Callable[[str], str | None] = shutil.which, site: Path | None = None) -> Needs:
    """Look at this machine; nothing is changed. Without a cmake of its own the build fetches one."""
    site = site or Path(sysconfig.get_path("purelib"))
    compiler = next((found for name in _COMPILERS if (found := which(name))), None)
    return Needs(
        compiler=compiler,
        cmake=which("cmake"),
        minutes=max(2, math.ceil(_CORE_MINUTES / (os.cpu_count() or 1))),
        space_mb=_SPACE_MB,
        problems=problems(
            compiler=compiler is not None,
            free_mb=shutil.disk_usage(site).free // 2**20,
            writable=os.access(site, os.W_OK),
            installer=installer(which) is not None,
            site=site,
        ),
    )


def problems(*, compiler: bool, free_mb: int, writable: bool, installer: bool, site: Path) -> Sequence[str]:
    """What stands in the way, in sentences for a person."""
    found = []
    if not compiler:
        found.append("There is no C++ compiler. On Debian or Ubuntu: sudo apt install g++")
    if free_mb < _SPACE_MB:
        found.append(f"The disk has {free_mb} MB left at {site}; the build needs {_SPACE_MB} MB.")
    if not writable:
        found.append(f"Portal's environment {site} cannot be written to.")
    if not installer:
        found.append(NO_INSTALLER)
    return tuple(found)


class EngineInstall:
    """One build at a time. `on_change` is called whenever there is something new to show."""

    def __init__(self, *, on_change: Callable[[], None] | None = None, command: Sequence[str] | None = None) -> None:
        """`command` replaces pip or uv with all their arguments."""
        self.state: Literal["idle", "running", "done", "failed"] = "idle"
        self.progress = 0.0
        self._on_change = on_change
        self._command = command
        self._tail: deque[str] = deque(maxlen=_TAIL)

    def view(self) -> JsonObject | None:
        """{state, progress (0..1), log_tail}; None while nothing was ever begun."""
        if self.state == "idle":
            return None
        return {"state": self.state, "progress": round(self.progress, 3), "log_tail": list(self._tail)}

    def prepare(self) -> Sequence[str]:
        """Claim the build and give its command.

        Raises:
            Conflict: one is under way.
            BadRequest: something it needs is not there; the message says what to do.
        """
        if self.state == "running":
            raise Conflict("The embedded engine is being built already.")
        command = self._command
        if command is None:
            missing = needs().problems
            if missing:
                raise BadRequest(" ".join(missing))
            command = (*(installer() or ()), "--verbose", *requirements("embedded"))
        self.state, self.progress = "running", 0.0
        self._tail.clear()
        return command

    async def run(self, command: Sequence[str]) -> None:
        """Build to the end; cancelling stops the compiler too. Failure is a state, not an exception."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                limit=2**20,
            )
        except (OSError, ValueError) as error:
            self.fail(f"The build could not be started: {error}")
            return
        try:
            await self._follow(process)
        finally:
            if process.returncode is None:
                _kill(process)
                await process.wait()
        importlib.invalidate_caches()
        self._finish("" if process.returncode == 0 else f"The build ended with code {process.returncode}.")

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        output = process.stdout
        while output is not None and (line := await _line(output)):
            self._note(line.decode(errors="replace").rstrip())
        await process.wait()

    def _note(self, line: str) -> None:
        self._tail.append(line[:500])
        step = _STEP.search(line)
        if step:
            done, total, percent = step.groups()
            now = int(percent) / 100 if percent else int(done) / max(int(total), 1)
            self.progress = max(self.progress, min(now, 0.99))
        self._changed()

    def fail(self, reason: str) -> None:
        """It ended without a result, for this reason."""
        self._finish(reason)

    def _finish(self, failure: str) -> None:
        self.state = "failed" if failure else "done"
        if failure:
            self._tail.append(failure)
        else:
            self.progress = 1.0
        self._changed()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change()


def _kill(process: asyncio.subprocess.Process) -> None:
    """With the compilers it started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(process.pid, signal.SIGKILL)


async def _line(output: asyncio.StreamReader) -> bytes:
    """The next line; of one without an end, what fits."""
    try:
        return await output.readuntil(b"\n")
    except asyncio.IncompleteReadError as rest:
        return rest.partial
    except asyncio.LimitOverrunError as long:
        return await output.read(long.consumed)
