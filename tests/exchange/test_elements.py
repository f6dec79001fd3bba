"""Long JSON is read a value at a time: the same as at once, within bounds, and past what is broken."""

import io
import json
import random
from typing import Any

import pytest

from portal.exchange.elements import Broken, elements

VALUES: list[Any] = [
    {"a": 'x"}]{[\\', "b": [1, [2, {"c": "\\\\"}]], "ü": "\u2028\U0001f600"},
    [],
    {},
    'text, with ] and " in it',
    1.5,
    None,
    True,
    [[[]]],
]


class Slow(io.BytesIO):
    """Gives a few bytes at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._most)


def read(data: bytes, **bounds: int) -> list[Any]:
    return list(elements(io.BytesIO(data), **bounds))


@pytest.mark.parametrize("most", [1, 2, 7, 10_000])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_read_as_it_is(most: int, indent: int | None) -> None:
    data = json.dumps(VALUES, indent=indent, ensure_ascii=False).encode()
    found = list(elements(Slow(b"\xef\xbb\xbf \n" + data + b"\n", most)))
    assert found == [each for each in VALUES if each is not None]


@pytest.mark.parametrize("most", [1, 3, 10_000])
def test_an_object_and_lines_of_objects(most: int) -> None:
    assert list(elements(Slow(b'{"a": {"b": [1]}}', most))) == [{"a": {"b": [1]}}]
    assert list(elements(Slow(b'{"a": 1}\n{"b": "}"}\r\n\n{"c": []}', most))) == [{"a": 1}, {"b": "}"}, {"c": []}]


def test_what_is_broken_is_said_and_the_rest_is_read() -> None:
    first, broken, last = read(b'[{"a": 1}, {"b": tru}, {"c": 3}]')
    assert (first, last) == ({"a": 1}, {"c": 3})
    assert isinstance(broken, Broken)
    assert "no JSON" in broken.reason


def test_a_file_that_ends_too_soon() -> None:
    assert read(b'[{"a": 1}, {"b": "')[1:] == [Broken("the file ends in the middle of it", rest=True)]
    assert read(b'[{"a": 1},')[1:] == [Broken("the file ends too soon", rest=True)]
    assert read(b'{"a": 1}\n{"b"')[1:] == [Broken("the file ends in the middle of it", rest=True)]


def test_a_value_that_is_too_large_is_passed_over() -> None:
    huge = b'{"a": "' + b"x" * 3_000_000 + b'"}'
    found = read(b'[{"a": 1}, ' + huge + b', {"c": 3}]', largest=1_000_000)
    assert (found[0], found[2]) == ({"a": 1}, {"c": 3})
    assert isinstance(found[1], Broken)
    assert "larger" in found[1].reason


def test_depth_is_bounded() -> None:
    deep = b"[" * 5000 + b"]" * 5000
    assert read(b"[" + deep + b', {"a": 1}]') == [Broken("it is nested too deeply"), {"a": 1}]


@pytest.mark.parametrize("data", [b"", b"  ", b"nothing", b"7", b'"text"', b"]"])
def test_what_is_no_json_at_all(data: bytes) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        read(data)


def test_any_bytes_end() -> None:
    chance = random.Random(7)
    for _ in range(300):
        data = b"[" + bytes(chance.choice(b'[]{},":\\ ax1\n\xc3') for _ in range(chance.randrange(200)))
        for each in elements(Slow(data, chance.randrange(1, 50))):
            assert each is not None
