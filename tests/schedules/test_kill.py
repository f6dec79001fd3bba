"""A server that is killed at any moment of runs: each happens once, or says that its outcome is unknown."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.cli.conftest import Installation, ModelServerThread

from portal.cli.client import Client

pytestmark = pytest.mark.slow

KILLS = 6
BURST = 12


@pytest.fixture
def models() -> Iterator[ModelServerThread]:
    thread = ModelServerThread()
    yield thread
    thread.close()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(data_dir=tmp_path / "data", home=tmp_path)
    yield made
    made.end()


def sent(url: str, number: int) -> str | None:
    """The id of the run's response; None where nobody answered."""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
    headers = {"Content-Type": "application/json", "X-Delivery-Id": f"d{number}"}
    try:
        connection.request("POST", address.path, json.dumps({"number": f"<{number}>"}), headers)
        answer = connection.getresponse()
        assert answer.status == 202, answer.read()
        return str(json.loads(answer.read())["response_id"])
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def runs(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/portal/v1/schedules/Hook/runs", limit=200)["data"]
    return found


def test_each_request_is_one_run(installation: Installation, models: ModelServerThread) -> None:
    random = Random(monotonic())
    server = installation.up(backends=[models.server.url])
    fields = {"name": "Hook", "when": "webhook", "prompt": "What is it?", "parallel": 4, "workspace": "tiny"}
    fields["workspace"] = server.client.get("/v1/models")["data"][0]["id"]
    path = urlsplit(server.client.send("POST", "/portal/v1/schedules", fields)["url"]).path
    named: dict[int, str] = {}
    for kill in range(KILLS):
        wanted = range(kill * BURST, (kill + 1) * BURST)
        url = f"{server.file.url}{path}"
        with ThreadPoolExecutor(4) as senders:
            sending = [senders.submit(sent, url, number) for number in wanted]
            sleep(random.uniform(0, 0.4))
            server.stop(signal.SIGKILL)
        named |= {number: one.result() or "" for number, one in zip(wanted, sending, strict=True)}
        server = installation.up(backends=[models.server.url])
        for number in wanted:  # senders that heard nothing, and some that did, send it again
            again = sent(f"{server.file.url}{path}", number)
            assert again is not None
            assert named[number] in ("", again)
            named[number] = again
    until = monotonic() + 120
    while any(run["ended_at"] is None for run in runs(server.client)):
        assert monotonic() < until
        sleep(0.05)

    ended = {run["response_id"]: run["status"] for run in runs(server.client)}
    assert ended.keys() == set(named.values())
    assert set(ended.values()) <= {"completed", "unknown"}
    asked = Counter(
        number
        for request in models.server.requests
        if request.path == "/api/chat"
        for number in named
        if f"<{number}>" in json.dumps(request.body["messages"])
    )
    assert [number for number, count in asked.items() if count > 1] == []
    assert {number for number, one in named.items() if ended[one] == "completed"} <= asked.keys()
    assert "completed" in ended.values()
