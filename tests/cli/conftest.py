"""Real commands in processes of their own, against real servers on loopback with a stand-in Ollama behind them."""

import asyncio
import fcntl
import http.client
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from tests.cli import forked

from portal.cli.client import Client
from portal.cli.server_file import ServerFile, read
from portal.testing.ollama_server import OllamaModel, OllamaServer

T = TypeVar("T")
PORTAL = (sys.executable, "-P", "-m", "portal")


def get(url: str) -> http.client.HTTPResponse:
    """Without any credential, following nothing."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.request("GET", f"{address.path}?{address.query}")
    return connection.getresponse()


class ModelServerThread:
    """The stand-in in a thread of its own, so that blocking tests can talk to it."""

    def __init__(self, models: Sequence[OllamaModel] = (OllamaModel(),)) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.server = self.run(self._make(models))

    @staticmethod
    async def _make(models: Sequence[OllamaModel]) -> OllamaServer:
        server = OllamaServer(models=models)
        await server.start()
        return server

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    def told(self) -> list[str]:
        """What the messages of the newest chat say; a Portal beside it also asks for the models now and then."""
        chats = [request.body["messages"] for request in self.server.requests if request.path == "/api/chat"]
        return [message["content"] for message in chats[-1]]

    def close(self) -> None:
        self.run(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def ollama() -> Iterator[ModelServerThread]:
    thread = ModelServerThread()
    yield thread
    thread.close()


@dataclass(kw_only=True)
class Installation:
    """A data folder of its own, and commands that use it."""

    data_dir: Path
    home: Path
    started: list[forked.Running] = field(default_factory=list)
    discovery: bool = False

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}  # noqa: TID251
        kept["PATH"] = os.environ["PATH"]  # noqa: TID251
        return kept | {
            "HOME": str(self.home),
            "PORTAL_DATA_DIR": str(self.data_dir),
            "PORTAL_DISCOVERY__ENABLED": str(self.discovery),
            "PORTAL_TURNS__TITLES": "false",
            "PORTAL_FAULTS__RETRIES": "0",
            "PORTAL_ENV_FILE": str(self.home / "none.env"),
            "LANG": "C.UTF-8",
        }

    def run(self, *words: str, stdin: str | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        return forked.run(words, env=self.env | env, stdin=stdin, timeout=60)

    def up(self, *words: str, backends: Sequence[str] = (), port: int = 0) -> "Server":
        """Start in the foreground and wait until it has announced itself."""
        named = [word for url in backends for word in ("--backend", f"ollama={url}")]
        process = forked.Running(["up", "--port", str(port), *named, *words], env=self.env)
        self.started.append(process)
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("  Stop"):
                break
        file = read(self.data_dir)
        assert file is not None, "".join(said)
        return Server(process=process, said="".join(said), file=file)

    def server_file(self) -> ServerFile:
        file = read(self.data_dir)
        assert file is not None
        return file

    def end(self) -> None:
        for process in self.started:
            process.close()
        file = read(self.data_dir)
        if file is not None and file.pid not in {process.pid for process in self.started}:
            self.run("down")


@dataclass(kw_only=True)
class Server:
    process: forked.Running
    said: str
    file: ServerFile

    @property
    def client(self) -> Client:
        return self.file.client()

    @property
    def key(self) -> str:
        return re.findall(r"portal-[\w-]{20,}", self.said)[0]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


class Terminal:
    """A command on a terminal of 100 x 30 characters; what it shows is read without colours and cursor moves."""

    def __init__(self, installation: Installation, *words: str, **env: str) -> None:
        self._terminal, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._process = subprocess.Popen(
            [*PORTAL, *words],
            stdin=child,
            stdout=child,
            stderr=child,
            env=installation.env | env | {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(child)
        self.seen = ""
        self._typed = 0

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def type(self, keys: str) -> None:
        self._typed = len(self.seen)
        os.write(self._terminal, keys.encode())

    def until(self, text: str, *, times: int = 1) -> None:
        """Read until the text was shown; so many times in all, where a terminal shows it again."""
        while self.seen.count(text) < times:
            if not self._read():
                raise AssertionError(f"{text!r} was not shown:\n{self.seen}")

    def interrupt(self, text: str) -> None:
        """Press Ctrl+C until the text was shown, as people do: Python's `input` may miss one as it begins."""
        for _ in range(10):
            self.type("\x03")
            while self._read(seconds=2):
                if text in self.seen:
                    return
        raise AssertionError(f"{text!r} was not shown:\n{self.seen}")

    def prompt(self) -> None:
        """Read until it waits for input: what is typed before that a terminal takes as lines, Ctrl+D as their end."""
        while not self.seen[self._typed :].rstrip(" \r\n\b").endswith(">"):
            if not self._read():
                raise AssertionError(f"there was no prompt:\n{self.seen[-200:]!r}")

    def wait(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self._process.wait(timeout=30)

    def _read(self, seconds: float = 30) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], seconds)
        try:
            data = os.read(self._terminal, 65536) if ready else b""
        except OSError:  # what Linux says when the last process has left the terminal
            return False
        self.seen += re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|.)", "", data.decode("utf-8", "replace"))
        return bool(data)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(data_dir=tmp_path / "data", home=tmp_path)
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, ollama: ModelServerThread) -> Iterator[Installation]:
    """One running server for the commands of a file that leave it as it was."""
    home = tmp_path_factory.mktemp("shared")
    made = Installation(data_dir=home / "data", home=home)
    made.up(backends=[ollama.server.url])
    yield made
    made.end()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
