"""A server that is a program of this machine: started, spoken to over its standard streams, and ended with Portal."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from portal.errors import ToolError
from portal.mcp.messages import Lines
from portal.mcp.pace import Pace
from portal.mcp.shipped import find
from portal.mcp.voice import Voice
from portal.settings import Settings
from portal.settings.mcp import ToolServerSettings

_CHUNK = 2**16
_GRACE = 2.0
_LEASH = """import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[3:])"""
"""Ties a program to the process that started it: the kernel kills it when that one dies, however it dies."""


class Program:
    """One run of a server's command."""

    def __init__(self, process: asyncio.subprocess.Process, *, largest: int, voice: Voice) -> None:
        self._process = process
        self._lines = Lines(largest)
        self._voice = voice
        self._pace = Pace()
        self._out, self.reading = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        self.writing, self._in = anyio.create_memory_object_stream[SessionMessage](0)

    @classmethod
    async def start(cls, settings: ToolServerSettings, *, around: Settings, voice: Voice) -> "Program":
        """Start it, with nothing of Portal's own environment.

        Raises:
            ToolError: there is no such program, or it cannot be started.
        """
        environment = get_default_environment()
        environment |= {name: value.get_secret_value() for name, value in settings.env.items()}
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(_words(settings, around), environment),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                cwd=settings.cwd,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            name = settings.command or settings.shipped
            raise ToolError(f"The program {name!r} cannot be started: {error}.") from error
        return cls(process, largest=around.mcp.max_message, voice=voice)

    async def read(self) -> None:
        """Pass on what it says until it ends."""
        output = self._process.stdout
        assert output is not None
        async with self._out:
            while chunk := await output.read(_CHUNK):
                for message in self._lines.feed(chunk):
                    if isinstance(message, str):
                        self._voice.say(message)
                    elif await self._pace.passes(message):
                        with suppress(anyio.BrokenResourceError):
                            await self._out.send(message)

    async def listen(self) -> None:
        """Pass on its standard error."""
        errors = self._process.stderr
        assert errors is not None
        rest = b""
        while chunk := await errors.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._voice.say(line.decode("utf-8", "replace"))
            rest = rest[:_CHUNK]
        self._voice.say(rest.decode("utf-8", "replace"))

    async def write(self) -> None:
        """Tell it what it is asked."""
        pipe = self._process.stdin
        assert pipe is not None
        async with self._in:
            async for message in self._in:
                try:
                    pipe.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                    await pipe.drain()
                except (ConnectionError, RuntimeError):  # it is gone, which its reader notices
                    return

    async def stop(self) -> None:
        """Close its input and wait a moment; then end it, and all that it started."""
        pipe = self._process.stdin
        assert pipe is not None
        pipe.close()
        for last in (signal.SIGTERM, signal.SIGKILL):
            if await self._ends():
                break
            self._signal(last)
        else:
            await self._ends()
        self._signal(signal.SIGKILL)

    async def _ends(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await self._process.wait()
        return self._process.returncode is not None

    def _signal(self, number: signal.Signals) -> None:
        """To its whole group, which may outlive it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _words(settings: ToolServerSettings, around: Settings) -> Sequence[str]:
    """Program and arguments. One that Portal ships gets its data folder and the folders that tools may work in."""
    if not settings.shipped:
        return [settings.command, *settings.args]
    known = find(settings.shipped)
    if known is None or not known.startable:
        raise ToolError(f"Portal ships no tool server {settings.shipped!r} that it could start.")
    words = [sys.executable, "-m", "portal", "mcp", "serve", settings.shipped, "--data-dir", str(around.data_dir)]
    for folder in around.tools.folders:
        words += ["--folder", str(folder.expanduser())]
    return [*words, *settings.args]


def _command(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    program = shutil.which(words[0], path=environment.get("PATH"))
    if program is None:
        raise ToolError(f"There is no program {words[0]!r} on this machine.")
    whole = [program, *words[1:]]
    if sys.platform != "linux":
        return whole
    return [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()), program, *whole]
