"""Approvals and tools from the shell, and questions on a real terminal."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner
from tests.cli.conftest import Installation, Terminal
from tests.e2e.tool_desk import Desk, able, calls

from portal.backends.scripted import ScriptedBackend
from portal.cli.asking import asked
from portal.cli.server_file import ServerFile
from portal.core.model import TextDelta
from portal.storage.data_folder import lock_data_folder
from portal.testing.portal import open_test_portal

ENTER, END = "\r", "\x04"
QUESTION = {"question": "Which colour?", "choices": ["Red", "Blue"]}
NOTE = {"path": "a.md", "text": "Milk"}


@pytest.fixture(scope="module")
def backend() -> ScriptedBackend:
    return able()


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, backend: ScriptedBackend, desk: Desk) -> Iterator[Installation]:
    """A server with tools of these tests' own, in a thread, as commands find any other."""
    home = tmp_path_factory.mktemp("shared")
    made = Installation(data_dir=home / "data", home=home)
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with open_test_portal(made.data_dir, backends=[backend], toolsets=desk.toolsets()) as running:
            file = ServerFile(
                pid=os.getpid(), url=running.url, token=running.portal.local_token, started_at=0, version="0"
            )
            with lock_data_folder(made.data_dir, f"Portal (process {os.getpid()})"):
                file.write(made.data_dir)
                ready.set()
                await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    yield made
    done.set()
    thread.join()


def asks(backend: ScriptedBackend, then: str, *questions: dict[str, Any]) -> None:
    """The model asks the person, then says something."""
    backend.script(*calls(*(("ask_user", json.dumps(arguments)) for arguments in questions or (QUESTION,))))
    backend.script(TextDelta(then))


def last_said(backend: ScriptedBackend, at: int = -1) -> str:
    said: str = backend.requests[-1].messages[at]["content"]
    return said


def waiting(shared: Installation) -> list[list[str]]:
    return [line.split("\t") for line in shared.run("approvals", "list").stdout.splitlines()]


def test_without_a_terminal_it_says_where_to_answer(shared: Installation, backend: ScriptedBackend) -> None:
    asks(backend, "Blue it is.")
    done = shared.run("ask", "Paint it")
    assert (done.returncode, done.stdout.strip()) == (3, "")
    assert "/approvals" in done.stderr
    assert "approvals list" in done.stderr
    ((approval, status, tool, about, until),) = waiting(shared)
    assert (status, tool) == ("pending", "ask_user")
    assert about.startswith("question: Which colour?")
    assert until.startswith("until ")

    told = shared.run("approvals", "approve", approval[-8:], "--answer", "Blue")
    assert (told.returncode, told.stdout) == (0, "Blue it is.\n")
    assert last_said(backend) == "Blue"
    assert waiting(shared) == []
    assert "Nothing waits" in shared.run("approvals", "list").stderr
    assert approval in shared.run("approvals", "list", "--all").stdout


def test_a_no_and_questions_that_wait_for_each_other(shared: Installation, backend: ScriptedBackend) -> None:
    asks(backend, "As you wish.", QUESTION, {"question": "How many?"})
    shared.run("ask", "Paint it")
    second, first = (row[0] for row in waiting(shared))
    told = shared.run("approvals", "deny", first, "--reason", "Not now")
    assert "once the other questions" in told.stderr
    assert shared.run("approvals", "deny", second).stdout == "As you wish.\n"
    assert "Not now" in last_said(backend, -2)


def test_what_cannot_be_decided(shared: Installation) -> None:
    assert "No waiting approvals are named 'nobody'" in shared.run("approvals", "approve", "nobody").stderr
    assert "is not JSON" in shared.run("approvals", "approve", "x", "--arguments", "{").stderr
    assert "a JSON object" in shared.run("approvals", "approve", "x", "--arguments", "[]").stderr


def test_an_answer_that_asks_again(shared: Installation, backend: ScriptedBackend) -> None:
    backend.script(*calls(("ask_user", json.dumps(QUESTION))))
    asks(backend, "Thank you.", {"question": "Sure?"})
    shared.run("ask", "Paint it")
    told = shared.run(
        "approvals", "approve", waiting(shared)[0][0], "--answer", "Red", "--arguments", json.dumps(QUESTION)
    )
    assert "It asks again" in told.stderr
    assert shared.run("approvals", "approve", waiting(shared)[0][0], "--answer", "yes").stdout == "Thank you.\n"


def test_a_question_on_the_terminal(shared: Installation, backend: ScriptedBackend) -> None:
    asks(backend, "Blue it is.")
    with Terminal(shared, "ask", "Paint it") as terminal:
        terminal.until("Which colour?")
        terminal.until("2  Blue")
        terminal.until("Answer (Enter: none)")
        terminal.type("2" + ENTER)
        terminal.until("[ask_user: done]")
        terminal.until("Blue it is.")
        assert terminal.wait() == 0
    assert last_said(backend) == "Blue"
    assert waiting(shared) == []


def test_a_call_is_allowed_on_the_terminal(shared: Installation, backend: ScriptedBackend, desk: Desk) -> None:
    backend.script(*calls(("write_note", json.dumps(NOTE)), saying="Let me write. "))
    backend.script(TextDelta("It is written."))
    with Terminal(shared, "ask", "Keep it") as terminal:
        terminal.until("write_note (write): It changes something.")
        terminal.until("path: a.md")
        terminal.until("Allow it:")
        terminal.type("y" + ENTER)
        terminal.until("[write_note: done]")
        terminal.until("It is written.")
        assert terminal.wait() == 0
    assert desk.done == [("a.md", "Milk", 1, False)]


def test_a_question_in_a_chat(shared: Installation, backend: ScriptedBackend) -> None:
    asks(backend, "Then not.")
    asks(backend, "Never said.")
    with Terminal(shared, "chat") as terminal:
        terminal.until("Ctrl+D leaves")
        terminal.type("Paint it" + ENTER)
        terminal.until("Answer (Enter: none)")
        terminal.type(ENTER)
        terminal.until("Then not.")
        terminal.prompt()
        terminal.type("Again" + ENTER)
        terminal.until("Answer (Enter: none)", times=2)
        terminal.interrupt("It waits for you")
        terminal.prompt()
        terminal.type(END)
        assert terminal.wait() == 0
    assert shared.run("approvals", "deny", waiting(shared)[0][0]).stdout == "Never said.\n"


def test_tools_are_listed_and_shown(shared: Installation) -> None:
    (line,) = [line for line in shared.run("tools", "list").stdout.splitlines() if line.startswith("ask_user")]
    assert line.split("\t")[1:3] == ["read", "person"]
    shown = json.loads(shared.run("tools", "show", "ask_user").stdout)
    assert "question" in shown["parameters"]["properties"]
    assert "There is no tool 'nothing'" in shared.run("tools", "show", "nothing").stderr


WRITE: dict[str, Any] = {
    "tool": "write_note",
    "risk": "write",
    "why": "It changes something.",
    "question": False,
    "arguments": {"path": "a.txt", "pages": 2},
    "extents": ["once", "conversation", "arguments", "folder"],
    "scope": "/srv/notes",
}


@pytest.mark.parametrize(
    ("typed", "verdict"),
    [
        ("y\n", {"approve": True, "extent": "once"}),
        ("x\nc\n", {"approve": True, "extent": "conversation"}),
        ("a\n", {"approve": True, "extent": "arguments"}),
        ("f\n", {"approve": True, "extent": "folder"}),
        ("n\n\n", {"approve": False, "answer": ""}),
        ("n\n not there \n", {"approve": False, "answer": "not there"}),
        ("e\nb.txt\nmany\n3\ny\n", {"approve": True, "extent": "once", "arguments": {"path": "b.txt", "pages": 3}}),
        ("e\n\n\nf\na\n", {"approve": True, "extent": "arguments", "arguments": {"path": "a.txt", "pages": 2}}),
    ],
)
def test_what_is_typed_is_the_verdict(typed: str, verdict: dict[str, Any]) -> None:
    with CliRunner().isolation(input=typed) as (_, shown, *_):
        assert asked(WRITE) == verdict
        said = shown.getvalue().decode() if shown else ""
    assert "write_note (write): It changes something." in said
    assert "always in this [f]older (/srv/notes)" in said


def test_leaving_decides_nothing() -> None:
    with CliRunner().isolation(input=""), pytest.raises(click.Abort):
        asked(WRITE)


@pytest.mark.parametrize(("typed", "answer"), [("2\n", "Blue"), ("3\n", "3"), ("Green\n", "Green"), ("\n", "")])
def test_answers(typed: str, answer: str) -> None:
    with CliRunner().isolation(input=typed):
        assert asked({"question": True, "arguments": QUESTION}) == {"approve": bool(answer), "answer": answer}
