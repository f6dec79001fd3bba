"""Starting and stopping: what is said, what is private, who may start where, and what a signal leaves behind."""

import gzip
import http.client
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.cli.conftest import Installation, ModelServerThread, Terminal, get
from websockets.sync.client import connect

from portal.cli.client import Client
from portal.errors import PortalError
from portal.testing.model_server import Answer, Fault


def test_a_first_start_says_all_one_needs(installation: Installation, ollama: ModelServerThread) -> None:
    server = installation.up(backends=[ollama.server.url])

    link = re.search(r"http://\S+/sign-in\?token=\S+", server.said)
    assert link
    assert get(f"{server.file.url}/health").status == 200
    first, second = get(link[0]), get(link[0])
    assert first.status == 303
    assert "portal_session=" in (first.headers["set-cookie"] or "")
    assert second.headers["set-cookie"] is None
    assert f"{server.file.url}/v1\n" in server.said
    models = Client(url=server.file.url, token=server.key).get("/v1/models")["data"]
    assert {model["id"] for model in models} >= {"auto", "portal-guide", "tiny:latest"}
    assert f"{ollama.server.url}: tiny:latest" in server.said
    assert str(installation.data_dir) in server.said


def test_a_later_start_keeps_the_key_to_itself(installation: Installation) -> None:
    first = installation.up()
    first.stop()
    second = installation.up()

    assert "keys create NAME" in second.said
    assert "portal-" not in second.said.replace("portal-guide", "")
    assert Client(url=second.file.url, token=first.key).get("/v1/models")["object"] == "list"


def test_without_a_model_server_it_says_how_to_get_one(installation: Installation) -> None:
    said = installation.up().said

    assert "Ollama" in said
    assert "backends add" in said
    assert "models install-engine" in said


def test_on_a_terminal_it_says_when_a_model_was_found(installation: Installation, ollama: ModelServerThread) -> None:
    with Terminal(installation, "up", "--port", "0") as terminal:
        terminal.until("Stop     Ctrl+C")
        assert "No model server was found" in terminal.seen
        assert installation.run("backends", "add", "ollama", ollama.server.url).returncode == 0
        terminal.until(f"Found    ollama {ollama.server.url}: tiny:latest")
        terminal.type("\x03")
        assert terminal.wait() == 0


def test_nobody_else_can_read_what_is_kept(installation: Installation) -> None:
    os.umask(old := os.umask(0))
    server = installation.up()

    assert stat.S_IMODE(installation.data_dir.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in installation.data_dir.rglob("*")}
    assert {"server.json", "portal.db"} <= modes.keys()
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
    assert old is not None
    assert server.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(installation: Installation, number: signal.Signals) -> None:
    server = installation.up()

    assert server.stop(number) == 0
    assert not (installation.data_dir / "server.json").exists()
    assert "No Portal is running" in installation.run("status").stderr


def begin_turn(client: Client, ollama: ModelServerThread) -> str:
    """A background answer that has said something and then says nothing more."""
    ollama.server.script(Answer(text=["Half an ", "answer"], fault=Fault.HANG, after=1))
    request = {"model": "tiny:latest", "input": "Go", "background": True, "stream": True}
    events = client.stream("/v1/responses", request)
    response_id = next(events)["response"]["id"]
    for event in events:
        if event["type"] == "response.output_text.delta":
            return str(response_id)
    raise AssertionError("the answer ended")


def test_a_signal_leaves_a_running_answer_incomplete_with_its_text(
    installation: Installation, ollama: ModelServerThread
) -> None:
    server = installation.up(backends=[ollama.server.url])
    response_id = begin_turn(server.client, ollama)

    began = time.monotonic()
    assert server.stop() == 0
    stopped_after = time.monotonic() - began
    again = installation.up(backends=[ollama.server.url])
    kept = again.client.get(f"/v1/responses/{response_id}")

    assert kept["status"] == "incomplete"
    assert kept["output"][0]["content"][0]["text"] == "Half an "
    assert stopped_after < 30


def test_open_event_streams_do_not_hold_up_the_end(installation: Installation) -> None:
    server = installation.up()
    address = urlsplit(server.file.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.request("GET", "/portal/v1/events", headers={"Authorization": f"Bearer {server.file.token}"})
    stream = connection.getresponse()
    assert stream.readline() == b": connected\n"

    assert server.stop() == 0
    assert b"server.stopping" in stream.read()


def test_a_web_socket_takes_what_a_body_may_have(installation: Installation) -> None:
    file = installation.up().file
    address, key = file.url.replace("http", "ws", 1) + "/v1/responses", {"Authorization": f"Bearer {file.token}"}
    with connect(address, additional_headers=key) as socket:
        socket.send("x" * 17 * 2**20)
        assert json.loads(socket.recv())["type"] == "error"


def test_after_a_kill_the_next_start_finds_everything(installation: Installation, ollama: ModelServerThread) -> None:
    server = installation.up(backends=[ollama.server.url])
    conversation = server.client.send("POST", "/v1/conversations", {})["id"]
    done = server.client.send(
        "POST", "/v1/responses", {"model": "tiny:latest", "input": "Remember this", "conversation": conversation}
    )
    server.stop(signal.SIGKILL)

    assert (installation.data_dir / "server.json").exists()
    assert "No Portal is running" in installation.run("status").stderr
    again = installation.up(backends=[ollama.server.url])
    assert again.client.get(f"/v1/responses/{done['id']}")["output"] == done["output"]


def test_a_process_that_has_the_dead_servers_id_is_left_alone(installation: Installation) -> None:
    server = installation.up()
    server.stop(signal.SIGKILL)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        file = installation.data_dir / "server.json"
        file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "pid": bystander.pid}), "utf-8")

        assert "No Portal is running" in installation.run("down").stdout
        assert installation.run("keys", "create", "beside").returncode == 0
        assert bystander.poll() is None
        bystander.kill()


def test_a_port_in_use_names_its_owner_and_offers_the_next_one(installation: Installation, taken_port: int) -> None:
    done = installation.run("up", "--port", str(taken_port))

    assert done.returncode == 1
    assert f"Port {taken_port} is in use by `" in done.stderr
    assert f"(process {os.getpid()})" in done.stderr
    offered = re.search(r"portal up --port (\d+)", done.stderr)
    assert offered
    assert installation.up(port=int(offered[1])).file.url.endswith(offered[1])


def test_a_second_server_on_a_folder_names_the_first(installation: Installation) -> None:
    first = installation.up()

    second = installation.run("up", "--port", "0")

    assert second.returncode == 1
    assert f"process {first.process.pid}" in second.stderr
    assert first.file.url in second.stderr
    assert get(f"{first.file.url}/health").status == 200


def test_hints_are_about_the_folder_that_was_named(installation: Installation) -> None:
    folder = installation.data_dir.parent / "another folder"
    named = ("--data-dir", str(folder))
    first = installation.run("up", "--detach", "--port", "0", *named)
    hint = re.search(r"Stop +(portal .+ down) ", first.stdout)
    assert hint

    second = installation.run(*named, "up", "--port", "0")
    down = installation.run(*shlex.split(hint[1])[1:])

    assert f"{hint[1]}\n" in second.stderr
    assert down.stdout == "Portal has stopped.\n"
    assert f"portal --data-dir '{folder}' up" in installation.run("status", *named).stderr


def test_in_the_background_it_says_the_same_and_returns(installation: Installation, ollama: ModelServerThread) -> None:
    started = installation.run("up", "--detach", "--port", "0", "--backend", f"ollama={ollama.server.url}")

    assert started.returncode == 0, started.stderr
    assert "sign-in?token=" in started.stdout
    assert "tiny:latest" in started.stdout
    status = installation.run("status")
    assert status.returncode == 0
    assert "is running at http://127.0.0.1:" in status.stdout
    assert str(installation.data_dir) in status.stdout
    log = installation.data_dir / "portal.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "sign-in?token=" not in log.read_text(encoding="utf-8")
    assert installation.run("logs").stderr == f"Nothing has been logged yet in {log}.\n"
    down = installation.run("down")
    assert (down.returncode, down.stdout) == (0, "Portal has stopped.\n")
    assert "No Portal is running" in installation.run("down").stdout


def test_in_the_background_a_failure_is_told(installation: Installation, taken_port: int) -> None:
    done = installation.run("up", "--detach", "--port", str(taken_port))

    assert done.returncode == 1
    assert f"Error: Port {taken_port} is in use by" in done.stderr


def test_a_large_log_is_set_aside(installation: Installation) -> None:
    installation.data_dir.mkdir()
    log = installation.data_dir / "portal.log"
    log.write_bytes(b"old\n" * 3_000_000)

    assert installation.run("up", "--detach", "--port", "0").returncode == 0
    assert installation.run("down").returncode == 0
    assert len(gzip.decompress((installation.data_dir / "portal.log.1.gz").read_bytes())) == 12_000_000
    assert log.stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backend", "ollama"], "must be KIND=URL"),
        (["--backend", "nonsense=http://127.0.0.1:1"], "nonsense"),
        (["--host", "203.0.113.7"], "cannot listen on 203.0.113.7"),
        (["--config", "/nowhere/portal.toml"], "/nowhere/portal.toml"),
        (["--data-dir", "/dev/null/x"], "/dev/null/x"),
        (["--port", "99999"], "99999"),
    ],
)
def test_what_cannot_be_is_refused_by_name(installation: Installation, words: list[str], message: str) -> None:
    for more in ([], ["--detach"]):
        done = installation.run("up", "--port", "0", *words, *more)
        assert done.returncode in (1, 2)
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_a_database_that_is_none_is_left_alone(installation: Installation) -> None:
    installation.data_dir.mkdir()
    database = installation.data_dir / "portal.db"
    database.write_bytes(b"precious, but no database" * 100)

    done = installation.run("up", "--port", "0")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(database) in done.stderr
    assert database.read_bytes() == b"precious, but no database" * 100


@pytest.fixture
def small_disk(installation: Installation) -> Iterator[Path]:
    """The data folder is on a disk of its own."""
    disk = installation.data_dir
    disk.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("NOT RUN: a small disk is needed, and mounting one takes root")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler


@pytest.mark.parametrize("begun", [False, True])
def test_a_start_on_a_full_disk_says_so_and_changes_nothing(
    installation: Installation, small_disk: Path, begun: bool
) -> None:
    if begun:
        installation.up().stop()
    filler = fill(small_disk)

    for words in (["up", "--port", "0"], ["up", "--port", "0", "--detach"]):
        done = installation.run(*words)
        assert done.returncode == 1
        assert "disk" in done.stderr
        assert "full" in done.stderr
        assert "Traceback" not in done.stderr
    filler.unlink()
    assert get(f"{installation.up().file.url}/health").status == 200


def test_the_settings_file_and_the_env_file_are_read(
    installation: Installation, ollama: ModelServerThread, free_port: int
) -> None:
    config = installation.home / "my.toml"
    config.write_text(f"[[backends]]\nkind = 'ollama'\nurl = '{ollama.server.url}'\n", encoding="utf-8")
    env = Path(installation.env["PORTAL_ENV_FILE"])
    env.write_text(f"PORTAL_SERVER__PORT={free_port}\n", encoding="utf-8")

    done = installation.run("up", "--detach", "--config", str(config))

    assert done.returncode == 0, done.stderr
    assert f"http://127.0.0.1:{free_port}/v1" in done.stdout
    assert "tiny:latest" in done.stdout


def test_a_server_that_does_not_answer_is_said_so(installation: Installation, free_port: int) -> None:
    client = Client(url=f"http://127.0.0.1:{free_port}", token="x", timeout=5)

    with pytest.raises(PortalError, match="does not answer"):
        client.get("/health")
