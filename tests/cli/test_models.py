"""Models for the embedded engine: fetched, checked, stopped and gone on with, by command."""

import hashlib
import http.server
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import PORTAL, Installation, Terminal

from portal.backends.llama_engine import is_installed

MEGABYTE = 2**20
TINY = Path(__file__).resolve().parents[1] / "fixtures/tinymodel/portal-tiny-q8_0.gguf"
LARGE = TINY.read_bytes() + bytes(4 * MEGABYTE)


class SlowStore:
    """Gives a file from where it is asked for; the first time it stops in the middle until told to go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked: list[str | None] = []
        store, content = self, LARGE

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers["Range"]
                store.asked.append(wanted)
                start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("ETag", '"one"')
                self.end_headers()
                half = max(start, len(content) // 2)
                self.wfile.write(content[start:half])
                self.wfile.flush()
                if start == 0:
                    store.go_on.wait()
                self.wfile.write(content[half:])

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/tiny.gguf"
        threading.Thread(target=self.server.serve_forever).start()

    def close(self) -> None:
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def store() -> Iterator[SlowStore]:
    made = SlowStore()
    yield made
    made.close()


def test_a_file_of_this_machine_is_checked_and_taken(installation: Installation) -> None:
    installation.up()
    right = hashlib.sha256(TINY.read_bytes()).hexdigest()

    wrong = installation.run("models", "pull", str(TINY), "--sha256", "0" * 64)
    missing = installation.run("models", "pull", "/no/such/file.gguf")
    good = installation.run("models", "pull", str(TINY), "--sha256", right)
    again = installation.run("models", "pull", str(TINY))

    assert (wrong.returncode, missing.returncode, good.returncode, again.returncode) == (1, 1, 0, 1)
    assert "checksum" in wrong.stderr.lower() or "sha-256" in wrong.stderr.lower()
    assert "There is no file /no/such/file.gguf" in missing.stderr
    assert "The model is there" in good.stderr
    assert "already" in again.stderr
    assert (installation.data_dir / "models" / TINY.name).read_bytes() == TINY.read_bytes()


def test_ctrl_c_stops_a_pull_and_the_same_command_goes_on(installation: Installation, store: SlowStore) -> None:
    server = installation.up()
    words = ["models", "pull", store.url]

    with subprocess.Popen([*PORTAL, *words], stderr=subprocess.PIPE, text=True, env=installation.env) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Fetching")
        while server.client.get("/portal/v1/embedded")["pulls"][0]["done"] < MEGABYTE:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 1
    assert "goes on from here" in said
    store.go_on.set()
    done = installation.run(*words)

    assert done.returncode == 0, done.stderr
    assert store.asked[0] is None
    assert store.asked[-1] is not None
    assert (installation.data_dir / "models/tiny.gguf").read_bytes() == LARGE


def test_on_a_terminal_the_progress_is_one_line(installation: Installation, store: SlowStore) -> None:
    installation.up()

    with Terminal(installation, "models", "pull", store.url) as terminal:
        terminal.until("of 4.9 MB")
        store.go_on.set()
        assert terminal.wait() == 0


def start_with_tools(installation: Installation, **tools: str) -> None:
    """A server that finds these programs, shell scripts, and no others."""
    folder = installation.home / "tools"
    folder.mkdir()
    for name, script in tools.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    command = [sys.executable, *PORTAL[1:], "up", "--detach", "--port", "0"]
    env = installation.env | {"PATH": str(folder)}
    assert subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(is_installed(), reason="the embedded engine is installed here")
def test_the_engine_says_what_it_lacks(installation: Installation) -> None:
    start_with_tools(installation)

    done = installation.run("models", "install-engine")

    assert done.returncode == 1
    assert "about" in done.stderr
    assert "There is no C++ compiler" in done.stderr


@pytest.mark.skipif(is_installed(), reason="the embedded engine is installed here")
def test_a_build_is_watched_to_its_end(installation: Installation) -> None:
    gate = installation.home / "gate"
    wait = f'while [ ! -e "{gate}" ]; do /bin/sleep 0.05; done'
    start_with_tools(installation, **{"c++": "exit 0", "uv": f"echo '[1/2] compiling'; {wait}; echo broken; exit 1"})

    with Terminal(installation, "models", "install-engine") as terminal:
        terminal.until("Building 50 of 100 %")
        gate.touch()
        assert terminal.wait() == 1

    assert "broken" in terminal.seen
    assert "could not be built" in terminal.seen
