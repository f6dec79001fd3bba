"""A server that is killed in the middle of reading documents: after the next start each is there, once."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import monotonic, sleep

import pytest
from tests.cli.conftest import Installation, Server

from portal.cli.client import Client

pytestmark = pytest.mark.slow

FILES = 30
KILLS = 5
PARAGRAPHS = 12


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(data_dir=tmp_path / "data", home=tmp_path)
    yield made
    made.end()


def text(number: int) -> str:
    return "\n\n".join(f"Paragraph {at} of paper{number} says it. " * 12 for at in range(PARAGRAPHS))


def counts(client: Client, store: str) -> dict[str, int]:
    found: dict[str, int] = client.get(f"/v1/vector_stores/{store}")["file_counts"]
    return found


def wait(client: Client, store: str, completed: int) -> None:
    """Until so many are completed, or nothing is left to do."""
    until = monotonic() + 240
    while monotonic() < until:
        now = counts(client, store)
        if now["completed"] >= completed or not now["in_progress"]:
            return
        sleep(0.01)
    raise AssertionError("It takes too long.")


def killed(server: Server) -> None:
    server.stop(signal.SIGKILL)


def test_every_document_is_completed_exactly_once(installation: Installation, tmp_path: Path) -> None:
    random = Random(7)
    client = installation.up().client
    papers = []
    for number in range(FILES):
        papers.append(tmp_path / f"{number}.txt")
        papers[-1].write_text(text(number))
    store = client.send("POST", "/v1/vector_stores", {"name": "Papers"})["id"]
    files = [client.upload(paper, "user_data")["id"] for paper in papers]
    client.send("POST", f"/v1/vector_stores/{store}/file_batches", {"file_ids": files})
    server = Server(process=installation.started[-1], said="", file=installation.server_file())
    for _ in range(KILLS):
        done = counts(client, store)["completed"]
        wait(client, store, done + random.randint(1, 5))
        killed(server)
        server = installation.up()
        client = server.client
    wait(client, store, FILES)

    assert counts(client, store) == {"in_progress": 0, "completed": FILES, "failed": 0, "cancelled": 0, "total": FILES}
    for number, file_id in enumerate(files):
        passages = client.get(f"/portal/v1/knowledge/documents/{file_id}/text", limit=200)["passages"]
        told = Counter(sentence for one in passages for sentence in one["text"].split(". ") if sentence)
        assert {f"Paragraph {at} of paper{number} says it" for at in range(PARAGRAPHS)} <= {*told}
        assert [one["position"] for one in passages] == list(range(len(passages)))
        found = client.send("POST", "/portal/v1/knowledge/search", {"query": f"paper{number}", "limit": 50})["data"]
        assert {one["document"]["file_id"] for one in found if f"paper{number} " in one["text"]} == {file_id}
