"""Schedules by command, beside a running server."""

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from tests.cli.conftest import Installation


@pytest.fixture
def empty(shared: Installation) -> Iterator[Installation]:
    yield shared
    for line in shared.run("schedule", "list").stdout.splitlines():
        shared.run("schedule", "delete", line.split("\t")[-1])


def test_making_running_pausing_and_deleting(empty: Installation) -> None:
    made = empty.run(
        *("schedule", "add", "every weekday at 8:00", "Tell me the news", "--name", "News", "--zone", "Europe/Berlin"),
        *("--continued", "--catch-up", "skip", "--jitter", "5", "--to", "page", "--parallel", "2"),
    )
    assert made.returncode == 0, made.stderr
    name, when, then, last, identity = made.stdout.strip().split("\t")
    assert (name, when, last) == ("News", "every weekday at 8:00 (Europe/Berlin)", "-")
    assert ":00:00" in then
    assert empty.run("schedule", "list").stdout == made.stdout
    assert empty.run("schedule", "pause", "News").stdout.split("\t")[2] == "paused"
    assert empty.run("schedule", "resume", identity).stdout.split("\t")[2] == then
    response = empty.run("schedule", "run", "news").stdout.strip()
    assert response.startswith("resp_")
    until = iter(range(600))
    while "\tcompleted\t" not in empty.run("schedule", "runs", "News").stdout:
        next(until)
    _, cause, status, shown, went = empty.run("schedule", "runs", "News", "--limit", "1").stdout.strip().split("\t")
    assert (cause, status, shown, went) == ("person", "completed", response, "page sent")
    assert "Deleted" in empty.run("schedule", "delete", "News").stderr
    assert empty.run("schedule", "list").stdout == ""


def test_a_webhook(empty: Installation) -> None:
    made = empty.run(
        *("schedule", "add", "webhook", "What is this?", "--name", "Hook", "--signed", "github", "--secret", "x")
    )
    assert made.stdout.split("\t")[:3] == ["Hook", "webhook", "-"]
    url = made.stdout.strip().splitlines()[-1]
    another = empty.run("schedule", "token", "Hook").stdout.strip()
    assert another != url
    for address, status in ((url, 404), (another, 401)):
        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        connection.request("POST", parts.path, body="{}", headers={"Content-Type": "application/json"})
        assert connection.getresponse().status == status
        connection.close()


def test_what_it_means_and_what_cannot_be(empty: Installation) -> None:
    told = empty.run("schedule", "preview", "every 2 hours", "--zone", "UTC").stdout.splitlines()
    assert told[0] == "every 2 hours (UTC)"
    assert len(told) == 4
    for words, reason in (
        (("preview", "soon"), "no time to run at"),
        (("add", "soon", "x"), "no time to run at"),
        (("run", "zzz"), "There is no schedule 'zzz'"),
        (("add", "webhook", "x", "--signed", "github"), "say --secret"),
    ):
        done = empty.run("schedule", *words)
        assert done.returncode != 0
        assert reason in done.stderr
