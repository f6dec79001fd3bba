"""JSON that is too long to be read at once: the values of its outermost array one after the other, each within a
bound. What is broken in one value does not spoil those behind it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

LARGEST = 64 * 2**20
"""Bytes of one value: a conversation of tens of thousands of messages."""
_CHUNK = 2**18
_MARK = b"\xef\xbb\xbf"
_INSIDE = re.compile(rb'[^"\\]*+(?:\\[\s\S][^"\\]*+)*+')
_TEXT = _INSIDE.pattern
_TO_SIGN = re.compile(rb'(?:[^"\[\]{},]++|"' + _TEXT + rb'")*+')
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"' + _TEXT + rb'")*+')
"""Over whole texts and what is between them, to the next sign that matters: within a value, only brackets do."""
_DEEP = "it is nested too deeply"


class Reader(Protocol):
    """A binary file."""

    def read(self, size: int, /) -> bytes:
        """Up to so many bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A value that could not be read."""

    reason: str
    rest: bool = False
    """Whether nothing after it could be read either."""


def elements(file: Reader, largest: int = LARGEST) -> Iterator[Any]:
    """The values of the array that a file is, of an object the object, or of JSON Lines each line; Broken in place of
    those that cannot be read. Raises ValueError where the file is no JSON at all."""
    scan = _Scan(file, largest)
    first = scan.first()
    if first == b"[":
        yield from scan.values()
    elif first == b"{":
        yield from scan.objects()
    else:
        raise ValueError("it is no JSON")


class _Scan:
    """Looks for where values end; only as much is kept as belongs to the one under way."""

    def __init__(self, file: Reader, largest: int) -> None:
        self._file, self._largest = file, largest
        self._buffer = bytearray()
        self._at = 0
        """How far the buffer has been looked at."""
        self._start = 0
        """Where the value under way begins."""
        self._over = False
        self._depth, self._quoted = 0, False
        self._large = False

    def first(self) -> bytes:
        """The first sign that is no space or byte order mark; empty where there is none."""
        while True:
            plain = self._buffer.removeprefix(_MARK).lstrip()
            if (plain and not _MARK.startswith(self._buffer)) or not self._more():
                self._at = len(self._buffer) - len(plain)
                return bytes(plain[:1])
            if len(self._buffer) > _CHUNK * 4:
                return b""

    def values(self) -> Iterator[Any]:
        """Those of an array, whose bracket is next."""
        self._at += 1
        self._start = self._at
        while (sign := self._next()) is not None:
            if sign in b"{[":
                self._depth += 1
            elif sign in b"}]" and self._depth:
                self._depth -= 1
            elif self._depth == 0:
                value = self._taken(self._at - 1)
                if value is not None:
                    yield value
                if sign != b",":
                    return
        left = self._taken(len(self._buffer))
        yield Broken("the file ends in the middle of it" if left is not None else "the file ends too soon", rest=True)

    def objects(self) -> Iterator[Any]:
        """Those that follow each other, whose first bracket is next: one, or a line each."""
        self._start = self._at
        while (sign := self._next()) is not None:
            if sign in b"{[":
                self._depth += 1
            elif sign in b"}]" and self._depth:
                self._depth -= 1
                if not self._depth and (value := self._taken(self._at)) is not None:
                    yield value
        if self._taken(len(self._buffer)) is not None:
            yield Broken("the file ends in the middle of it", rest=True)

    def _next(self) -> bytes | None:
        """The next sign of structure outside a text; None at the end."""
        while True:
            if self._quoted:
                self._at = self._text_end()
                if self._at < len(self._buffer) and self._buffer[self._at] == 0x22:
                    self._quoted, self._at = False, self._at + 1
                    continue
            else:
                match = (_TO_BRACKET if self._depth else _TO_SIGN).match(self._buffer, self._at)
                assert match is not None  # it fits nothing as well
                self._at = match.end()
                if self._at < len(self._buffer):
                    sign = bytes(self._buffer[self._at : self._at + 1])
                    self._at += 1
                    if sign != b'"':
                        return sign
                    self._quoted = True
                    continue
            if not self._more():
                return None

    def _text_end(self) -> int:
        match = _INSIDE.match(self._buffer, self._at)
        assert match is not None  # it fits nothing as well
        return match.end()

    def _more(self) -> bool:
        if self._over:
            return False
        chunk = self._file.read(_CHUNK)
        if self._at - self._start > self._largest:
            self._large = True
        drop = self._at if self._large else self._start
        del self._buffer[:drop]
        self._at -= drop
        self._start = 0
        self._buffer += chunk
        self._over = not chunk
        return bool(chunk)

    def _taken(self, end: int) -> Any:
        """The value that ends there, and what is left begins behind it; None where there is nothing but space."""
        text, large = bytes(self._buffer[self._start : end]), self._large
        self._start, self._large = self._at, False
        if large or len(text) > self._largest:
            return Broken(f"it is larger than {self._largest // 2**20} MB")
        if not text.strip(b" \t\r\n,"):
            return None
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return Broken(
                _DEEP if "depth" in str(error) or "recursion" in str(error) else f"it is no JSON ({error.msg})"
            )
        except RecursionError:
            return Broken(_DEEP)
