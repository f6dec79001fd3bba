"""Running one command with bounds on its time, its output, and whatever a watcher looks at."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from portal.errors import ToolError

_CHUNK = 64 * 1024
_FLOOD = 64 * 2**20
"""Bytes on one output after which nobody wants to hear more."""
_LAST_WORDS = 1.0
"""Seconds that output may still take once the command has ended."""
_WATCH_EVERY = 0.25

Watcher = Callable[[int], str]
"""Given the process id, why it must end, or nothing. It is called in a thread."""


Stopper = Callable[[], Awaitable[object]]
"""Ends what the command started elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start, and its bounds."""

    argv: Sequence[str]
    environment: Mapping[str, str] | None
    """None is this process's own."""
    stdin: bytes
    descriptors: Sequence[int] = ()
    seconds: float
    output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How it ended; `killed` says why it did not by itself. `code` counts signals from 128, as shells do."""

    code: int
    stdout: bytes
    stderr: bytes
    cut: bool
    killed: str
    seconds: float


class _Kept:
    """The beginning of a stream."""

    def __init__(self, most: int) -> None:
        self.data = bytearray()
        self.cut = False
        self._most = most

    async def read(self, stream: asyncio.StreamReader, decide: Callable[[str], None]) -> None:
        """Until its end; a flood is a reason to end it."""
        total = 0
        while chunk := await stream.read(_CHUNK):
            total += len(chunk)
            self.cut = total > self._most
            self.data += chunk[: self._most - len(self.data)]
            if total > _FLOOD:
                decide("output")


async def run(command: Command, watch: Watcher, stop: Stopper | None = None) -> Ended:
    """Run it to its end; cancelling kills it. What it started itself must die with it, or by `stop`.

    Raises:
        ToolError: it cannot be started.
    """
    began = time.monotonic()
    process = await _started(command)
    out, err = _Kept(command.output), _Kept(command.output)
    try:
        killed = await _attended(process, command, watch, stop, (out, err))
    finally:
        if process.returncode is None:
            await _kill(process, stop)
        code = await process.wait()
    return Ended(
        code=128 - code if code < 0 else code,
        stdout=bytes(out.data),
        stderr=bytes(err.data),
        cut=out.cut or err.cut,
        killed=killed,
        seconds=time.monotonic() - began,
    )


async def _started(command: Command) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=None if command.environment is None else dict(command.environment),
            cwd="/",
            pass_fds=command.descriptors,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(f"The program cannot be started: {error.strerror}.") from error


async def _attended(
    process: asyncio.subprocess.Process,
    command: Command,
    watch: Watcher,
    stop: Stopper | None,
    kept: tuple[_Kept, _Kept],
) -> str:
    """Why it had to be killed; nothing where it ended by itself."""
    verdict: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def decide(reason: str) -> None:
        if not verdict.done():
            verdict.set_result(reason)

    async with asyncio.TaskGroup() as group:
        streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
        readers = [group.create_task(one.read(stream, decide)) for one, stream in zip(kept, streams, strict=True)]
        others = [group.create_task(each) for each in (_feed(process, command.stdin), _watched(process, watch, decide))]
        others.append(group.create_task(_ended(process, decide)))
        try:
            async with asyncio.timeout(command.seconds):
                killed = await verdict
        except TimeoutError:
            killed = "time"
        if killed:
            await _kill(process, stop)
        await asyncio.wait(readers, timeout=_LAST_WORDS)
        for task in (*readers, *others):
            task.cancel()
    return killed


async def _kill(process: asyncio.subprocess.Process, stop: Stopper | None) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # with what it started and did not yet bind to its own life
    if stop is not None:
        await stop()


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    if process.stdin is not None and not process.stdin.is_closing():  # a program may have ended before it was fed
        with suppress(ConnectionError):
            process.stdin.write(data)
            await process.stdin.drain()
        process.stdin.close()


async def _watched(process: asyncio.subprocess.Process, watch: Watcher, decide: Callable[[str], None]) -> None:
    """Look now and then; where looking takes long, less often."""
    reason = ""
    while not reason:
        began = time.monotonic()
        reason = await asyncio.to_thread(watch, process.pid)
        await asyncio.sleep(max(_WATCH_EVERY, 4 * (time.monotonic() - began)) if not reason else 0)
    decide(reason)


async def _ended(process: asyncio.subprocess.Process, decide: Callable[[str], None]) -> None:
    await process.wait()
    decide("")
