"""Looking for a first model: until there is one, in the cloud as well, and ever less often."""

from collections.abc import Iterator
from itertools import accumulate, islice, pairwise, repeat, takewhile
from queue import SimpleQueue
from typing import Any

import pytest
from tests.cli.conftest import Installation, ModelServerThread, Server, Terminal

from portal.cli.announcement import announce
from portal.cli.chat import Talk
from portal.cli.lookout import Lookout, pauses
from portal.testing.ollama_server import OllamaModel

CLOUD = "far:120b-cloud"
ENTER, END = "\r", "\x04"
SECONDS_OF_AN_HOUR = 3600


@pytest.fixture(scope="module")
def cloud() -> Iterator[ModelServerThread]:
    """What it has is in the cloud, as the name of the model says."""
    thread = ModelServerThread([OllamaModel(name=CLOUD)])
    yield thread
    thread.close()


def announced(server: Server) -> bool:
    return announce(server.client, version="1", data_dir="/", called_as="portal", stop="Ctrl+C", say=lambda line: None)


def waits(server: Server) -> bool:
    talk = Talk(server.client, model="auto", called_as="portal")
    talk.greet()
    return talk.waits_for_model


def asked(server: ModelServerThread) -> int:
    return sum(request.path == "/api/tags" for request in server.server.requests)


def test_looking_ends_with_a_model_to_chat_with_in_the_cloud_as_well(
    installation: Installation, cloud: ModelServerThread
) -> None:
    embeds = ModelServerThread([OllamaModel(name="nomic-embed-text:latest", capabilities=("embedding",))])
    server = installation.up(backends=[embeds.server.url])
    assert not announced(server)
    assert waits(server)

    found: SimpleQueue[dict[str, Any]] = SimpleQueue()
    with Lookout(server.client, found.put, waits=repeat(0.05, 400)):
        server.client.send("POST", "/portal/v1/backends", {"kind": "ollama", "url": cloud.server.url})
        seen = found.get(timeout=30)
        looks = asked(cloud)
        server.client.send("POST", "/portal/v1/models/refresh")
        assert asked(cloud) == looks + 1

    assert seen["auto"] is None
    assert announced(server)
    assert not waits(server)
    embeds.close()


def test_it_looks_less_and_less_often() -> None:
    each = list(islice(pauses(), 200))

    assert each[0] == 3
    assert all(before < after or after == 60 for before, after in pairwise(each))
    assert each[-1] == 60
    assert len(list(takewhile(lambda at: at <= SECONDS_OF_AN_HOUR, accumulate(each)))) < 80


def test_a_chat_says_how_to_choose_one_in_the_cloud(installation: Installation, cloud: ModelServerThread) -> None:
    installation.up()

    with Terminal(installation, "chat") as terminal:
        terminal.until("portal-guide answers")
        terminal.prompt()
        assert installation.run("backends", "add", "ollama", cloud.server.url).returncode == 0
        terminal.until(f"Found ollama {cloud.server.url}: {CLOUD}")
        terminal.until("/model NAME chooses one.")
        terminal.type(f"/model {CLOUD}" + ENTER)
        terminal.until(f"{CLOUD} answers from now on.")
        terminal.prompt()
        terminal.type(END)
        assert terminal.wait() == 0
