"""One question from the shell."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.cli.conftest import PORTAL, Installation, ModelServerThread, Terminal

from portal.testing.model_server import Answer, Fault


def test_the_answer_alone_is_on_standard_output(shared: Installation) -> None:
    done = shared.run("ask", "-m", "tiny:latest", "Say", "this")

    assert (done.returncode, done.stdout, done.stderr) == (0, "Say this\n", "")


def test_standard_input_is_added_to_the_question(shared: Installation, ollama: ModelServerThread) -> None:
    done = shared.run("ask", "summarise", stdin="Line one.\nLine two: ä.\n")

    assert done.returncode == 0
    assert ollama.told()[-1] == "summarise\n\nLine one.\nLine two: ä."


def test_standard_input_alone_is_a_question(shared: Installation) -> None:
    assert shared.run("ask", stdin="Only this").stdout == "Only this\n"


def test_nothing_of_it_is_kept(shared: Installation) -> None:
    before = shared.server_file().client().get("/portal/v1/conversations")["data"]

    shared.run("ask", "Forget me")

    assert shared.server_file().client().get("/portal/v1/conversations")["data"] == before


def test_as_json_it_is_the_whole_response(shared: Installation) -> None:
    response = json.loads(shared.run("ask", "--json", "Hello").stdout)

    assert response["status"] == "completed"
    assert response["output"][-1]["content"][0]["text"] == "Hello"


def test_it_streams(shared: Installation, ollama: ModelServerThread) -> None:
    ollama.server.script(Answer(text=["First ", "second"], fault=Fault.HANG, after=1))

    with subprocess.Popen(
        [*PORTAL, "ask", "Go"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=shared.env
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(6) == b"First "
        process.kill()
    ollama.run(ollama.server.wait_active(0))


@pytest.mark.parametrize(
    ("answer", "said", "message"),
    [
        (Answer(status=500, error="the card is on fire"), "", "the card is on fire"),
        (Answer(text=["Half ", "of it"], fault=Fault.ERROR, after=1, error="out of memory"), "Half ", "out of memory"),
        (Answer(text=["Half ", "of it"], fault=Fault.RESET, after=1), "Half ", "Error:"),
        (Answer(text=["Much"], finish="length"), "Much", "incomplete: max_output_tokens"),
    ],
)
def test_no_whole_answer_is_no_success(
    shared: Installation, ollama: ModelServerThread, answer: Answer, said: str, message: str
) -> None:
    ollama.server.script(answer)

    done = shared.run("ask", "Go")

    assert done.returncode == 1
    assert done.stdout.rstrip("\n") == said.rstrip("\n")
    assert message in done.stderr


def test_an_unknown_model_is_refused_with_its_name(shared: Installation) -> None:
    done = shared.run("ask", "-m", "tiny:latst", "Hello")

    assert done.returncode == 1
    assert "'tiny:latst' does not exist" in done.stderr


def test_no_question_is_a_mistake_of_the_caller(shared: Installation) -> None:
    assert shared.run("ask").returncode == 2


def test_without_a_server_it_says_how_to_start_one(installation: Installation) -> None:
    done = installation.run("ask", "Hello")

    assert done.returncode == 1
    assert "Start it with: portal up" in done.stderr


def test_a_reader_that_goes_away_is_no_crash(shared: Installation) -> None:
    with subprocess.Popen(
        [*PORTAL, "ask", "Go " * 30_000],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=shared.env,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_on_a_terminal_it_is_formatted(shared: Installation, ollama: ModelServerThread) -> None:
    ollama.server.script(Answer(thinking=["Let me see."], text=["# Title\n\n", "Some **bold** text"]))

    with Terminal(shared, "ask", "Go") as terminal:
        assert terminal.wait() == 0

    assert "Title" in terminal.seen
    assert "bold" in terminal.seen
    assert "**" not in terminal.seen


def test_what_an_answer_rests_on_is_told_beside_it(
    shared: Installation, ollama: ModelServerThread, tmp_path: Path
) -> None:
    (tmp_path / "attic.txt").write_text("The attic code is 7315.")
    assert shared.run("knowledge", "add", str(tmp_path / "attic.txt"), "-c", "Attic").returncode == 0

    ollama.server.answer("It is 7315 [1].")
    cited = shared.run("ask", "What is the attic code?")
    ollama.server.answer("Noted.")
    saved = shared.run("ask", "Remember that my attic is dusty.")
    shared.run("memory", "forget", "--all", "--yes")
    shared.run("knowledge", "remove", "-c", "Attic", "--all", "--yes")

    assert (cited.stdout, cited.stderr) == ("It is 7315 [1].\n", "[1] attic.txt\n")
    assert saved.stdout == "Noted.\n"
    assert "Saved to memory" in saved.stderr
