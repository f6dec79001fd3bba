"""Programs that make sound out of text or other sound: one after the other, their output as it comes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TypeVar

T = TypeVar("T")

_CHUNK = 2**16
_COMPLAINT = 4000
_PATH = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"
SECONDS = 120.0
"""Of silence from a program, at most."""


class ProgramError(Exception):
    """A program could not be started, failed, or fell silent; the message is its own complaint."""


class Flow:
    """Programs that are connected as by a shell's pipes. Iterate once; leave by `aclose`."""

    def __init__(self, *commands: Sequence[str], given: bytes = b"", seconds: float = SECONDS) -> None:
        """`given` is the first one's input."""
        self._commands = commands
        self._given = given
        self._seconds = seconds
        self._complaints: list[IO[bytes]] = []

    def complaint(self, which: int = -1) -> str:
        """What one of them has said besides its output so far."""
        if not self._complaints:
            return ""
        file = self._complaints[which].fileno()
        size = os.fstat(file).st_size
        return os.pread(file, _COMPLAINT, max(0, size - _COMPLAINT)).decode("utf-8", "replace").strip()

    def beginning(self, which: int = -1) -> str:
        """The first of what one of them has said besides its output."""
        file = self._complaints[which].fileno()
        return os.pread(file, _COMPLAINT, 0).decode("utf-8", "replace")

    async def output(self) -> AsyncGenerator[bytes, None]:
        """What the last one writes. They end with this iterator, whatever happens. Raises ProgramError."""
        with ExitStack() as stack:
            started: list[asyncio.subprocess.Process] = []
            try:
                await self._start(started, stack)
                out = started[-1].stdout
                while out is not None and (chunk := await self._within(out.read(_CHUNK))):
                    yield chunk
                for which, process in enumerate(started):
                    if await self._within(process.wait()):
                        raise ProgramError(self.complaint(which) or f"exit code {process.returncode}")
            finally:
                for process in started:
                    await _end(process)

    async def _within(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                return await work
        except TimeoutError as error:
            raise ProgramError(f"nothing came for {self._seconds:g} seconds") from error

    async def _start(self, started: list[asyncio.subprocess.Process], stack: ExitStack) -> None:
        given: IO[bytes] = stack.enter_context(TemporaryFile())  # noqa: SIM115
        given.write(self._given)
        given.seek(0)
        for number, command in enumerate(self._commands):
            last = number + 1 == len(self._commands)
            complaints: IO[bytes] = stack.enter_context(TemporaryFile())  # noqa: SIM115
            self._complaints.append(complaints)
            after, out = (None, asyncio.subprocess.PIPE) if last else _pipe(stack)
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=given,
                    stdout=out,
                    stderr=complaints,
                    env={"PATH": _PATH, "LANG": "C.UTF-8"},
                    start_new_session=True,
                )
            except OSError as error:
                raise ProgramError(f"{Path(command[0]).name} cannot be started: {error.strerror}") from error
            started.append(process)
            given.close()
            if after is not None and not isinstance(out, int):
                out.close()
                given = after


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return (
        stack.enter_context(os.fdopen(reading, "rb", buffering=0)),
        stack.enter_context(os.fdopen(writing, "wb", buffering=0)),
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
    while process.stdout is not None and await process.stdout.read(_CHUNK):
        pass  # asyncio does not see the end of a process whose output nobody takes
    await process.wait()
