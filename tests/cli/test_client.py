"""The commands' HTTP client against servers that misbehave."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from portal.cli.answer import Answer
from portal.cli.client import Client, segment
from portal.errors import PortalError

Serve = Callable[[bytes], Client]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server that gives one fixed answer to one request."""
    threads: list[threading.Thread] = []

    def start(answer: bytes) -> Client:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with listener, listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)
        return Client(url=f"http://127.0.0.1:{listener.getsockname()[1]}", token="t", timeout=5)

    yield start
    for thread in threads:
        thread.join()


def http(status: int, body: str, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def stream(*events: str) -> bytes:
    return http(200, "".join(f"data: {event}\n\n" for event in events), "text/event-stream; charset=utf-8")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (http(200, "<html>"), "did not answer with JSON"),
        (http(404, '{"error": {"message": "No such thing.", "code": "not_found"}}'), "No such thing"),
        (http(502, "<html>"), "answered with status 502"),
        (http(500, '{"error": null}'), "answered with status 500"),
        (b"SSH-2.0-OpenSSH\r\n", "does not answer"),
        (b"", "does not answer"),
    ],
)
def test_what_is_no_good_answer_is_an_error_that_says_so(serve: Serve, answer: bytes, message: str) -> None:
    with pytest.raises(PortalError, match=message):
        serve(answer).get("/v1/models", limit=1)


def test_a_refusal_keeps_its_status_and_code(serve: Serve) -> None:
    client = serve(http(409, '{"error": {"message": "There is one.", "code": "conflict", "param": "name"}}'))

    with pytest.raises(PortalError) as refusal:
        client.send("POST", "/portal/v1/keys", {"name": "x"})

    assert (refusal.value.status, refusal.value.code, refusal.value.param) == (409, "conflict", "name")


def test_an_empty_answer_and_a_list_are_objects(serve: Serve) -> None:
    assert serve(http(200, "")).send("DELETE", "/x") == {}
    assert serve(http(200, "[1]")).get("/x") == {"data": [1]}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (http(200, "{}"), "did not answer with a stream"),
        (stream('{"type": "response.created", "response": {"id": "resp_1"}}'), "ended before it was finished"),
        (stream('{"type": "error", "error": {"message": "Too much."}}'), "Too much"),
        (stream('{"type": "error", "code": "odd"}'), "odd"),
        (stream('{"type": "response.failed", "response": {"status": "failed", "error": null}}'), "The answer failed"),
        (stream("no json"), "did not answer with JSON"),
    ],
)
def test_an_answer_that_is_not_whole_raises(serve: Serve, answer: bytes, message: str) -> None:
    with pytest.raises(PortalError, match=message):
        list(Answer(serve(answer), {"input": "x", "store": False}))


def test_pieces_come_in_order_and_what_is_not_known_is_passed_over(serve: Serve) -> None:
    client = serve(
        stream(
            '{"type": "portal:progress", "state": "loading", "detail": "loading the model"}',
            '{"type": "response.reasoning_text.delta", "delta": "Hm"}',
            '{"type": "response.output_text.delta", "delta": "Yes"}',
            '{"type": "somebody:else"}',
            '{"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": null}}',
            "[DONE]",
        )
    )
    answer = Answer(client, {"input": "x", "store": False})

    pieces = [(piece.kind, piece.text) for piece in answer]

    assert pieces == [("progress", "loading the model"), ("reasoning", "Hm"), ("text", "Yes")]
    assert answer.cut_short == "unknown"
    answer.cancel()


def test_a_segment_of_a_path_is_escaped() -> None:
    assert segment("a/b c?") == "a%2Fb%20c%3F"
