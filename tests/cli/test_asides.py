"""What a tool server asks in the middle of a call, on a real terminal and beside one."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cli.conftest import Installation, Terminal
from tests.e2e.tool_desk import able, calls
from tests.mcp.workshop import Workshop

from portal.backends.scripted import ScriptedBackend
from portal.cli.server_file import ServerFile
from portal.core.model import TextDelta
from portal.storage.data_folder import lock_data_folder
from portal.testing.portal import open_test_portal

ENTER = "\r"
FORM = {
    "type": "object",
    "properties": {
        "size": {"type": "string", "enum": ["small", "large"]},
        "count": {"type": "integer", "title": "How many"},
        "gift": {"type": "boolean"},
        "colours": {"type": "array", "items": {"anyOf": [{"const": "red"}, {"const": "blue"}]}},
        "note": {"type": "string"},
    },
    "required": ["size", "count"],
}
SAMPLING = {"messages": [{"role": "user", "content": {"type": "text", "text": "a rhyme"}}], "maxTokens": 50}


@pytest.fixture(scope="module")
def backend() -> ScriptedBackend:
    return able()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, backend: ScriptedBackend) -> Iterator[Installation]:
    """A server in a thread, with a tool server that asks back."""
    home = tmp_path_factory.mktemp("shared")
    made = Installation(data_dir=home / "data", home=home)
    workshop = Workshop(home)
    workshop.marks.mkdir()
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        settings = {"mcp": {"servers": {"f": workshop.faulty(risks={"*": "read"})}}, "tools": {"answer_seconds": 20}}
        async with open_test_portal(made.data_dir, backends=[backend], settings=settings) as running:
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
    assert made.run("mcp", "test", "f").returncode == 0
    yield made
    done.set()
    thread.join()


def asks(backend: ScriptedBackend, method: str, params: dict[str, Any], *then: str) -> None:
    backend.script(*calls(("f__ask", json.dumps({"method": method, "params": params}))))
    for text in then or ("Done.",):
        backend.script(TextDelta(text))


def told(backend: ScriptedBackend) -> Any:
    """What the tool server was told."""
    return json.loads(backend.requests[-1].messages[-1]["content"])


def test_a_form_on_the_terminal(shared: Installation, backend: ScriptedBackend) -> None:
    asks(backend, "elicitation/create", {"message": "Which ones?", "requestedSchema": FORM})
    with Terminal(shared, "ask", "Order something") as terminal:
        terminal.until("The tool server 'f' asks you. Which ones?")
        terminal.until("Answer it")
        terminal.type("y" + ENTER)
        terminal.until("size (small|large)")
        terminal.type("huge" + ENTER)
        terminal.until("size (small|large)", times=2)
        terminal.type("large" + ENTER)
        terminal.until("How many")
        terminal.type("some" + ENTER)
        terminal.until("How many", times=2)
        terminal.type("2" + ENTER)
        terminal.until("gift")
        terminal.type("y" + ENTER)
        terminal.until("colours (red|blue)")
        terminal.type("red, blue" + ENTER)
        terminal.until("note (Enter: none)")
        terminal.type(ENTER)
        terminal.until("Done.")
        assert terminal.wait() == 0
    content = {"size": "large", "count": 2, "gift": True, "colours": ["red", "blue"]}
    assert told(backend) == {"action": "accept", "content": content}


def test_a_no_to_a_form(shared: Installation, backend: ScriptedBackend) -> None:
    asks(backend, "elicitation/create", {"message": "Which ones?", "requestedSchema": FORM})
    with Terminal(shared, "ask", "Order something") as terminal:
        terminal.until("Answer it")
        terminal.type("n" + ENTER)
        terminal.until("Done.")
    assert told(backend) == {"action": "decline"}


def test_an_address_on_the_terminal(shared: Installation, backend: ScriptedBackend) -> None:
    params = {"mode": "url", "message": "Pay.", "url": "https://pay.example/1", "elicitationId": "1"}
    asks(backend, "elicitation/create", params)
    with Terminal(shared, "ask", "Order something") as terminal:
        terminal.until("https://pay.example/1")
        terminal.until("Have you been there")
        terminal.type("y" + ENTER)
        terminal.until("Done.")
    assert told(backend) == {"action": "accept"}


def test_a_model_may_answer(shared: Installation, backend: ScriptedBackend) -> None:
    asks(backend, "sampling/createMessage", SAMPLING, "Free brie.", "Done.")
    with Terminal(shared, "ask", "A rhyme") as terminal:
        terminal.until("wants a model to answer this")
        terminal.until("[y]es, [n]o")
        terminal.type("y" + ENTER)
        terminal.until("Done.")
    assert told(backend)["content"]["text"] == "Free brie."


def test_beside_a_terminal_the_queue_answers(shared: Installation, backend: ScriptedBackend) -> None:
    asks(backend, "elicitation/create", {"message": "Which ones?", "requestedSchema": FORM})
    outcome: list[Any] = []
    asking = threading.Thread(target=lambda: outcome.append(shared.run("ask", "Order something")))
    asking.start()
    while not (rows := shared.run("approvals", "list").stdout.split()):
        pass
    said = shared.run("approvals", "approve", rows[0], "--answer", json.dumps({"size": "small", "count": 1}))
    asking.join()
    assert (said.returncode, said.stderr.strip()) == (0, "Allowed.")
    assert (outcome[0].returncode, outcome[0].stdout.strip()) == (0, "Done.")
    assert "approvals list" in outcome[0].stderr
    assert told(backend) == {"action": "accept", "content": {"size": "small", "count": 1}}
