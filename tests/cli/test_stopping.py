"""Stopping under load, a second signal, and what a service's signals do."""

import asyncio
import http.client
import json
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.cli.conftest import Installation, ModelServerThread, Server, Terminal, get
from tests.cli.test_tls import configured, make, served, shown

from portal.errors import PortalError
from portal.testing.model_server import Answer, Fault

TURNS = 20


class Turn:
    """A streamed turn, read to whatever end in a thread of its own."""

    def __init__(self, server: Server, number: int) -> None:
        self.events: list[dict[str, Any]] = []
        self.cut = ""
        self.begun = threading.Event()
        self._request = {"model": "tiny:latest", "input": f"Question {number}", "stream": True}
        self._client = server.client
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for event in self._client.stream("/v1/responses", self._request):
                self.events.append(event)
                if event["type"] == "response.output_text.delta":
                    self.begun.set()
        except PortalError as error:
            self.cut = error.message
        finally:
            self.begun.set()

    def ended(self) -> None:
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()

    @property
    def id(self) -> str:
        return str(self.events[0]["response"]["id"])

    @property
    def said(self) -> str:
        return "".join(one["delta"] for one in self.events if one["type"] == "response.output_text.delta")


async def opened(gate: asyncio.Event) -> None:
    gate.set()


def test_under_load_nothing_is_lost(installation: Installation, ollama: ModelServerThread) -> None:
    configured(installation, "[server]\ndrain_seconds = 10\n")
    server = installation.up(backends=[ollama.server.url])
    gate = asyncio.Event()
    finishing = Answer(text=["One ", "two ", "three"], gate=gate, after=2)
    hanging = Answer(text=["Half ", "an ", "answer"], fault=Fault.HANG, after=2)
    ollama.server.script(*(finishing if number % 2 else hanging for number in range(TURNS)))
    turns = [Turn(server, number) for number in range(TURNS)]
    for turn in turns:
        assert turn.begun.wait(30)

    server.process.send_signal(signal.SIGTERM)
    late = Turn(server, TURNS)
    late.ended()
    ollama.run(opened(gate))
    assert "Portal is stopping" in late.cut or "does not answer" in late.cut
    assert server.process.wait(timeout=60) == 0
    for turn in turns:
        turn.ended()

    again = installation.up(backends=[ollama.server.url])
    ends = []
    for turn in turns:
        kept = again.client.get(f"/v1/responses/{turn.id}")
        text = kept["output"][0]["content"][0]["text"]
        ends.append(kept["status"])
        assert kept["status"] in ("completed", "incomplete")
        assert text == ("One two three" if kept["status"] == "completed" else turn.said)
        assert turn.events[-1]["type"] == f"response.{kept['status']}", "its client was told how it ended"
    assert ends.count("completed") == TURNS // 2
    assert ends.count("incomplete") == TURNS // 2


def test_a_second_signal_is_at_once(installation: Installation, ollama: ModelServerThread) -> None:
    configured(installation, "[server]\ndrain_seconds = 600\n")
    server = installation.up(backends=[ollama.server.url])
    ollama.server.script(Answer(text=["Half ", "an answer"], fault=Fault.HANG, after=1))
    turn = Turn(server, 1)
    assert turn.begun.wait(30)

    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 20
    while (answer := get(f"{server.file.url}/health/ready")).status == 200:
        assert time.monotonic() < deadline
        answer.close()
    assert json.loads(answer.read()) == {"status": "not ready", "reasons": ["draining"]}
    assert server.process.poll() is None, "it waits for the answer"
    server.process.send_signal(signal.SIGTERM)

    assert server.process.wait(timeout=30) == 0
    turn.ended()
    again = installation.up(backends=[ollama.server.url])
    assert again.client.get(f"/v1/responses/{turn.id}")["status"] == "incomplete"


def test_a_service_is_told_to_read_its_settings_by_the_signal_of_a_closed_terminal(installation: Installation) -> None:
    server = installation.up()
    configured(installation, "[limits]\nperson = 5\n")
    server.process.send_signal(signal.SIGHUP)

    deadline = time.monotonic() + 20
    while server.client.get("/portal/v1/config")["applied"] != ["limits.person"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.process.poll() is None
    (installation.data_dir / "portal.toml").write_text("[limits]\nperson = 5\n[turns]\ntitles = false\nperson = 3")
    told = server.client.send("POST", "/portal/v1/config/reload")
    assert "(line 5 of the settings file)" in told["problem"]
    checked = installation.run("config", "check")
    assert checked.returncode == 1
    assert "(line 5 of the settings file)" in checked.stderr
    wrong = "[[rules]]\nuse = 3\n[limits]\nperson = 'x'\n[turn]\n[server]\nport = 'y'\n"
    (installation.data_dir / "portal.toml").write_text(wrong)
    several = installation.run("config", "check").stderr
    for part in ("turn: Portal does not know this setting (line 5", "limits.person", "server.port", "rules"):
        assert part in several
    (installation.data_dir / "portal.toml").write_text("[limits]\nperson = 5\n[turns]\ntitles = false\nperson = 3")
    for command in (["link"], ["keys", "list"], ["log", "level"], ["usage"], ["audit", "log"], ["audit", "verify"]):
        assert installation.run(*command).returncode == 0, command
    (installation.data_dir / "portal.log").write_text("what it said\n", encoding="utf-8")
    assert installation.run("logs").stdout == "what it said\n"
    configured(installation, "[limits]\nperson = 6\n[server]\nsession_days = 3\n")
    assert installation.run("config", "check").stdout == "The settings are fine.\n"
    said = installation.run("config", "reload").stdout
    assert "limits.person" in said or "nothing that was not before" in said
    assert re.search(r"Needs a restart .*: server.session_days", said)


def test_a_closed_terminal_ends_what_was_started_in_it(installation: Installation) -> None:
    with Terminal(installation, "up", "--port", "0") as terminal:
        terminal.until("Ctrl+C")
        os.kill(installation.server_file().pid, signal.SIGHUP)
        assert terminal.wait() == 0


def test_a_renewed_certificate_is_taken_while_it_runs(installation: Installation, tmp_path: Path) -> None:
    certificate, key = make(tmp_path / "tls", name="old.example")
    served(installation, certificate, key)
    server = installation.up()
    assert shown(server.file.url) == "old.example"
    make(tmp_path / "tls", name="new.example")
    deadline = time.monotonic() + 20
    while shown(server.file.url) != "new.example":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert installation.run("status").returncode == 0, "the commands trust the new one"


def test_a_connection_that_is_kept_open_ends_while_it_drains(installation: Installation) -> None:
    server = installation.up()
    address = urlsplit(server.file.url)
    kept = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    kept.request("GET", "/health")
    kept.getresponse().read()
    assert server.stop() == 0


@pytest.mark.parametrize("token", ["changeme", "your-key-here"])
def test_a_placeholder_for_a_secret_is_no_secret(installation: Installation, token: str) -> None:
    configured(installation, f'[ollama]\ntoken = "{token}"\n')
    ended = installation.run("up", "--port", "0")
    assert ended.returncode == 1
    assert "openssl rand -hex 32" in ended.stderr
