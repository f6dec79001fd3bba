"""Running a program of this machine: no shell, little environment, bounded output, a deadline, nothing left behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from portal.errors import ToolError

_CHUNK = 2**16
_GRACE = 0.5
"""Seconds for the last output of a program that ended, where something else still holds its streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended."""

    code: int | None
    """None where its time was over."""
    stdout: bytes
    stderr: bytes
    cut: bool
    """Whether output was dropped."""

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode("utf-8", errors="replace")

    @property
    def complaint(self) -> str:
        """What it said went wrong."""
        return (self.stderr or self.stdout).decode("utf-8", errors="replace").strip()


async def run(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path | None = None,
    stdin: bytes = b"",
    seconds: float = 60,
    output: int = 2**20,
    leave: bool = False,
) -> Ended:
    """Run to its end. `output` bytes of each stream are kept. At the end, or when cancelled, all its group is killed;
    with `leave` only when cancelled or too slow.

    Raises:
        ToolError: the program cannot be started.
    """
    code, kept = None, (_Kept(output), _Kept(output))
    async with _pipe() as (stdout, out), _pipe() as (stderr, err):
        process = await _started(argv, environment, folder, stdin, stdout, stderr)
        stdout.close()
        stderr.close()
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                drains = [group.create_task(one.drain(stream)) for one, stream in zip(kept, (out, err), strict=True)]
                code = await process.wait()
                if not leave:
                    _kill(process.pid)
                await asyncio.wait(drains, timeout=_GRACE)
                for drain in drains:
                    drain.cancel()
        except TimeoutError:
            pass
        finally:
            if code is None or not leave:
                _kill(process.pid)
            await process.wait()
    return Ended(code=code, stdout=bytes(kept[0].data), stderr=bytes(kept[1].data), cut=kept[0].cut or kept[1].cut)


async def _started(
    argv: Sequence[str],
    environment: Mapping[str, str],
    folder: Path | None,
    stdin: bytes,
    stdout: IO[bytes],
    stderr: IO[bytes],
) -> asyncio.subprocess.Process:
    with TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        try:
            return await asyncio.create_subprocess_exec(
                *argv,
                cwd=folder,
                env=dict(environment),
                stdin=given,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ToolError(f"{argv[0]} cannot be started: {error}") from error


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[IO[bytes], asyncio.StreamReader]]:
    """A pipe of our own: asyncio's wait for a process does not end while anything holds the pipes it makes."""
    reader = asyncio.StreamReader()
    inner, outer = os.pipe()
    with os.fdopen(outer, "wb", buffering=0) as writer:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(inner, "rb", buffering=0)
        )
        try:
            yield writer, reader
        finally:
            transport.close()


class _Kept:
    """The beginning of a stream."""

    def __init__(self, most: int) -> None:
        self.data, self.cut, self._most = bytearray(), False, most

    async def drain(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(_CHUNK):
            room = self._most - len(self.data)
            self.data += chunk[:room]
            self.cut = self.cut or len(chunk) > room


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
