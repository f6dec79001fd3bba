"""Lines and server-sent events, fed in any pieces."""

import pytest

from portal.backends.framing import Lines, ServerEvent, ServerEvents
from portal.backends.naming import count_in, parameters_in_name
from portal.errors import BackendProtocolError

TEXT = b"a\r\nb\rc\n\r\n\nd"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_lines_in_any_pieces(size: int) -> None:
    lines = Lines()
    made = [line for at in range(0, len(TEXT), size) for line in lines.feed(TEXT[at : at + size])]
    assert made == [b"a", b"b", b"c", b"", b""]
    assert lines.rest() == b"d"


def test_a_line_has_a_limit() -> None:
    lines = Lines(limit=10)
    assert lines.feed(b"0123456789\n0123456") == [b"0123456789"]
    with pytest.raises(BackendProtocolError):
        lines.feed(b"78901")


def test_an_event_has_a_limit() -> None:
    events = ServerEvents(limit=10)
    assert events.feed(b"data: 12345\n\n") == [ServerEvent(b"12345")]
    with pytest.raises(BackendProtocolError):
        events.feed(b"data: 1234567\ndata: 1234567\n")


def test_events() -> None:
    events = ServerEvents()
    made = events.feed(b": hi\nevent: e\ndata: a\ndata:b\ndata\nunknown: x\n\n\nevent: empty\n\ndata: c")
    assert made == [ServerEvent(b"a\nb\n", "e")]
    assert events.end() == [ServerEvent(b"c")]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("qwen3-8b", 8_000_000_000),
        ("mixtral:8x7b-instruct", 56_000_000_000),
        ("smollm2-135M", 135_000_000),
        ("llama-3.2-1.5b.gguf", 1_500_000_000),
        ("gpt-4", None),
        ("q4b8", None),
    ],
)
def test_parameters_in_a_name(name: str, count: int | None) -> None:
    assert parameters_in_name(name) == count


@pytest.mark.parametrize(
    ("text", "count"), [("8.0B", 8_000_000_000), ("137M", 137_000_000), ("8x7B", 56_000_000_000), ("", None), (3, None)]
)
def test_counts(text: object, count: int | None) -> None:
    assert count_in(text) == count
