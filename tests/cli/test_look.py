"""Commands that look: status, logs, doctor, config, version, models, backends."""

import json
import re
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.cli.conftest import PORTAL, Installation, ModelServerThread

from portal import __version__
from portal.testing.ollama_server import OllamaModel


def test_version_and_help(installation: Installation) -> None:
    assert installation.run("version").stdout == f"{__version__}\n"
    assert installation.run("--version").stdout == f"Portal {__version__}\n"
    assert "Start Portal" in installation.run("--help").stdout
    assert installation.run("nonsense").returncode == 2


def test_hints_repeat_the_name_portal_was_called_by(installation: Installation) -> None:
    done = installation.run("--called-as", "./launch.sh", "status")

    assert done.returncode == 1
    assert "Start it with: ./launch.sh up" in done.stderr
    assert "Usage: ./launch.sh keys" in installation.run("--called-as", "./launch.sh", "keys", "--help").stdout


def test_settings_are_shown_without_their_secrets(installation: Installation) -> None:
    config = installation.home / "portal.toml"
    config.write_text(
        "database = 'postgresql://me:hidden1@db/portal'\n"
        "[[backends]]\nkind = 'ollama'\nurl = 'http://x'\napi_key = 'hidden2'\n",
        encoding="utf-8",
    )

    shown = installation.run("config", "show", "--config", str(config), PORTAL_SERVER__PORT="9000").stdout

    assert "* server.port = 9000\n" in shown
    assert '  server.host = "127.0.0.1"\n' in shown
    assert '* database = "postgresql://me:**********@db/portal"\n' in shown
    assert f'* data_dir = "{installation.data_dir}"' in shown
    assert "hidden" not in shown


def test_a_wrong_setting_is_named(installation: Installation) -> None:
    done = installation.run("config", "show", PORTAL_SERVER__PORT="many")

    assert done.returncode == 1
    assert "server.port" in done.stderr


def test_the_doctor_before_the_first_start(installation: Installation, free_port: int) -> None:
    done = installation.run("doctor", PORTAL_SERVER__PORT=str(free_port), PORTAL_SEVER="x")

    assert done.returncode == 0, done.stdout
    assert "does not exist yet" in done.stdout
    assert f"Port {free_port} is free" in done.stdout
    assert "PORTAL_SEVER is no setting" in done.stdout
    assert "No model server was found" in done.stdout
    assert re.search(
        r"^(ok  |note) (The sandbox for code of models works|Programs cannot be run safely here)", done.stdout, re.M
    )
    assert "ok   Speech: ready (espeak-ng)" in done.stdout
    assert re.search(
        r"^note Transcription: .* hf download Systran/faster-whisper-small --local-dir ", done.stdout, re.M
    )
    assert not installation.data_dir.exists()


def test_the_doctor_beside_a_server(shared: Installation, ollama: ModelServerThread) -> None:
    done = shared.run("doctor")

    assert done.returncode == 0
    assert "its database answers" in done.stdout
    assert f"Model server ollama {ollama.server.url} answers with 1 model\n" in done.stdout


def test_the_doctor_finds_what_is_wrong(installation: Installation, taken_port: int, free_port: int) -> None:
    installation.data_dir.mkdir(mode=0o755)
    (installation.data_dir / "portal.db").write_bytes(b"no database" * 1000)
    config = installation.data_dir / "portal.toml"
    config.write_text(
        f"[[backends]]\nkind = 'ollama'\nurl = 'http://127.0.0.1:{free_port}'\n"
        f"[[backends]]\nkind = 'openai_compatible'\nurl = 'http://127.0.0.1:{taken_port}'\n"
        "[[backends]]\nkind = 'embedded'\n",
        encoding="utf-8",
    )

    done = installation.run("doctor", PORTAL_SERVER__PORT=str(taken_port))

    assert done.returncode == 1
    assert f"note Others can read {installation.data_dir}" in done.stdout
    assert re.search(r"BAD  .*portal\.db", done.stdout)
    assert f"BAD  Port {taken_port} is in use" in done.stdout
    assert f"BAD  Model server ollama http://127.0.0.1:{free_port} cannot be reached" in done.stdout
    assert f"openai_compatible http://127.0.0.1:{taken_port} can be reached" in done.stdout
    assert "3 of these need mending" in done.stderr


def test_the_doctor_opens_a_good_database(installation: Installation) -> None:
    installation.run("keys", "create", "x")

    assert "The database opens" in installation.run("doctor").stdout


def test_the_doctor_beside_a_server_that_hangs(installation: Installation) -> None:
    server = installation.up()
    (installation.data_dir / "server.json").write_text(
        (installation.data_dir / "server.json").read_text().replace(server.file.url, "http://127.0.0.1:9"), "utf-8"
    )

    done = installation.run("doctor")

    assert done.returncode == 1
    assert "BAD  Portal at http://127.0.0.1:9 does not answer" in done.stdout


def test_a_broken_server_file_is_named(installation: Installation) -> None:
    installation.data_dir.mkdir()
    (installation.data_dir / "server.json").write_text("{", encoding="utf-8")

    done = installation.run("status")
    (installation.data_dir / "server.json").unlink()

    assert done.returncode == 1
    assert "server.json cannot be read" in done.stderr


def test_models_and_servers(shared: Installation, ollama: ModelServerThread) -> None:
    listed = shared.run("models", "list")
    refreshed = shared.run("models", "refresh")

    for done in (listed, refreshed):
        assert done.returncode == 0
        assert re.search(r"^tiny:latest\tollama\t1000000 Q4_K_M\tcontext 8192\tchat .*tools", done.stdout, re.MULTILINE)
        assert "auto\t-> tiny:latest" in done.stdout
    assert f"ollama\tollama\t{ollama.server.url}\tup\tsettings" in shared.run("backends", "list").stdout


def test_a_model_server_is_added_and_removed(shared: Installation, ollama: ModelServerThread, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("hush\n", encoding="utf-8")

    added = shared.run(
        "backends", "add", "ollama", ollama.server.url, "--name", "second", "--api-key-file", str(secret)
    )
    listed = shared.run("backends", "list").stdout
    removed = shared.run("backends", "remove", "second")

    assert (added.returncode, removed.returncode) == (0, 0), added.stderr + removed.stderr
    assert f"second\tollama\t{ollama.server.url}" in listed
    assert "hush" not in listed
    assert "second" not in shared.run("backends", "list").stdout
    assert shared.run("backends", "remove", "second").returncode == 1
    assert shared.run("backends", "add", "nonsense", "http://127.0.0.1:1").returncode == 1


def test_logs_are_followed(installation: Installation) -> None:
    missing = installation.run("logs")
    installation.data_dir.mkdir()
    log = installation.data_dir / "portal.log"
    log.write_text("one\ntwo\nthree\n", encoding="utf-8")

    assert missing.returncode == 1
    assert "up --detach" in missing.stderr
    assert installation.run("logs", "-n", "2").stdout == "two\nthree\n"
    with subprocess.Popen([*PORTAL, "logs", "-f"], stdout=subprocess.PIPE, text=True, env=installation.env) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == ["one\n", "two\n", "three\n"]
        with log.open("a", encoding="utf-8") as file:
            file.write("four\n")
        assert process.stdout.readline() == "four\n"
        log.rename(installation.data_dir / "portal.log.full")
        log.write_text("five\n", encoding="utf-8")
        assert process.stdout.readline() == "five\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 1


def test_a_configured_server_that_is_away_is_named_everywhere(installation: Installation, free_port: int) -> None:
    server = installation.up(backends=[f"http://127.0.0.1:{free_port}"])

    for said in (server.said, installation.run("status").stdout, installation.run("doctor").stdout):
        assert f"http://127.0.0.1:{free_port}" in said
        assert "guide" not in said.replace("the guide answers", "")
    assert installation.run("doctor").returncode == 1


def test_a_limit_of_calls_is_shown_with_its_use(installation: Installation, ollama: ModelServerThread) -> None:
    installation.data_dir.mkdir(mode=0o700, exist_ok=True)
    named = f"[[backends]]\nkind = 'ollama'\nname = 'box'\nurl = '{ollama.server.url}'\nmax_concurrency = 2\n"
    (installation.data_dir / "portal.toml").write_text(named, encoding="utf-8")
    installation.up()

    assert f"box\tollama\t{ollama.server.url}\tup\tsettings\t0 of 2 calls run\n" in (
        installation.run("backends", "list").stdout
    )


def test_places_where_nothing_answers_are_one_line(installation: Installation, ollama: ModelServerThread) -> None:
    installation.discovery = True
    installation.up(backends=[ollama.server.url])

    done = installation.run("backends", "list")

    assert f"ollama\tollama\t{ollama.server.url}\tup\tsettings" in done.stdout
    assert "\twaiting\t" not in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("Nothing has answered yet at ")
    assert "http://127.0.0.1:30000/v1" in line


def test_many_models_are_counted(installation: Installation) -> None:
    many = ModelServerThread(models=[OllamaModel(name=f"model{number}:latest") for number in range(9)])

    said = installation.up(backends=[many.server.url]).said
    many.close()

    assert " and 3 more" in said


def test_logs_are_filtered_and_put_into_json(installation: Installation) -> None:
    installation.data_dir.mkdir()
    (installation.data_dir / "portal.log").write_text(
        "stray\n"
        "2026-01-01T00:00:00Z info    portal.a: good\n"
        "2026-01-01T00:00:01Z error   portal.b: bad\nTraceback\n  more\n"
        '{"time": "2026-01-01T00:00:02+00:00", "level": "warning", "logger": "portal.c", "message": "so so"}\n'
        "{not json\n",
        encoding="utf-8",
    )

    bad = installation.run("logs", "--level", "warning").stdout
    told = [json.loads(line) for line in installation.run("logs", "--json").stdout.splitlines()]

    assert [line[:12] for line in bad.splitlines()] == ["2026-01-01T0", "Traceback", "  more", '{"time": "20']
    assert [one["message"] for one in told] == ["stray", "good", "bad\nTraceback\n  more", "so so", "{not json"]
    assert (told[1]["level"], told[1]["logger"]) == ("info", "portal.a")


def test_the_level_is_changed_while_it_runs(shared: Installation) -> None:
    assert shared.run("log", "level").stdout.startswith("everything\tinfo\n")
    changed = shared.run("log", "level", "debug", "--logger", "portal.routing", "--for", "1h30m")
    assert "portal.routing\tdebug\tuntil " in changed.stdout
    assert shared.run("log", "level", "debug", "--for", "soon").returncode == 2
    assert shared.run("log", "level", "loud").returncode == 2


def test_what_was_used(shared: Installation) -> None:
    assert shared.run("ask", "--model", "tiny:latest", "hello").returncode == 0

    table = shared.run("usage").stdout.splitlines()
    rows = json.loads(shared.run("usage", "--by", "user", "--by", "day", "--json").stdout)

    assert table[0].split() == ["model", "calls", "failed", "tokens", "in", "tokens", "out", "first", "token"]
    assert any(line.startswith("tiny:latest") for line in table)
    assert rows[0]["calls"] >= 1
    assert {"user", "name", "day"} <= rows[0].keys()
    assert "Nothing was used" in shared.run("usage", "--since", "2020-01-01", "--until", "2020-01-02").stderr


def test_model_servers_of_a_portal_of_before_are_listed(installation: Installation) -> None:
    box = {"name": "box", "kind": "ollama", "url": "http://x", "status": "up", "error": None, "models": 1}
    box |= {"source": "settings", "running": 1, "queued": 2, "max_concurrency": 4, "resting": []}
    old = json.dumps({"backends": [box]}).encode()

    class Old(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(old)))
            self.end_headers()
            self.wfile.write(old)

    server = installation.up()
    with ThreadingHTTPServer(("127.0.0.1", 0), Old) as there:
        threading.Thread(target=there.serve_forever).start()
        file = installation.data_dir / "server.json"
        told = file.read_text("utf-8")
        file.write_text(told.replace(server.file.url, f"http://127.0.0.1:{there.server_port}"), "utf-8")
        done = installation.run("backends", "list")
        file.write_text(told, "utf-8")
        there.shutdown()

    assert done.stdout == "box\tollama\thttp://x\tup\tsettings\t1 of 4 calls run; 2 wait\n", done.stderr
