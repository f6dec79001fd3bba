"""An export is read a bunch at a time: little of it at once, and what cannot be read is said behind what can."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from portal.exchange.archive import Archive
from portal.exchange.bunches import Bunches
from portal.exchange.recognise import reader
from portal.exchange.shape import Left, Piece

MB = 2**20


def talks(path: Path, count: int, size: int) -> Archive:
    """A file of LibreChat's conversations of so many characters each."""
    message = {"messageId": "m", "parentMessageId": None, "isCreatedByUser": True, "text": "x" * size}
    found = [{"conversationId": f"c{number}", "title": "t", "messages": [message]} for number in range(count)]
    path.write_bytes(orjson.dumps(found))
    return Archive(path, path.name)


def sizes(bunches: Bunches) -> list[int]:
    found = []
    while bunch := bunches.next():
        found.append(len(bunch))
    return found


@pytest.mark.parametrize(("count", "size", "most"), [(1000, 10, 200), (100, MB // 16, 16), (6, 2 * MB, 1)])
def test_a_bunch_holds_little(tmp_path: Path, count: int, size: int, most: int) -> None:
    with talks(tmp_path / "x.json", count, size) as archive:
        found = sizes(Bunches(reader(archive, "librechat", owner="o", login="").pieces(), archive))
    assert (sum(found), max(found) <= most) == (count, True)


def test_what_came_before_a_fault_is_given_out_first(tmp_path: Path) -> None:
    def pieces() -> Iterator[Piece]:
        yield Left(kind="conversations", name="a", reason="r")
        yield Left(kind="conversations", name="b", reason="r")
        raise ValueError("it is damaged")

    with talks(tmp_path / "x.json", 1, 1) as archive:
        bunches = Bunches(pieces(), archive)
        assert [piece.name for piece in bunches.next() if isinstance(piece, Left)] == ["a", "b"]
        for _ in range(2):
            with pytest.raises(ValueError, match="damaged"):
                bunches.next()
