"""Streams of lines without I/O: newline-delimited JSON and server-sent events, fed with bytes as they come."""

from typing import NamedTuple

from portal.errors import BackendProtocolError

MAX_LINE = 16 * 2**20
"""Longest line in bytes; a tool call with a whole file in it is one line."""


class Lines:
    """Cuts bytes into lines ending in LF, CRLF or CR; the ends are dropped."""

    def __init__(self, *, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now.

        Raises:
            BackendProtocolError: a line is longer than the limit.
        """
        if b"\r" in chunk or self._after_cr:
            chunk = self._unified(chunk)
        if b"\n" not in chunk:
            self._keep(chunk)
            return []
        lines = b"".join((*self._parts, chunk)).split(b"\n")
        self._parts, self._size = [], 0
        self._keep(lines.pop())
        return lines

    def _unified(self, chunk: bytes) -> bytes:
        """A CR ends its line at once; the LF that may follow it, also in the next chunk, is dropped."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, rest: bytes) -> None:
        self._size += len(rest)
        if self._size > self._limit:
            raise BackendProtocolError(f"The model server sent a line of more than {self._limit} bytes.")
        if rest:
            self._parts.append(rest)

    def rest(self) -> bytes:
        """What came after the last line end."""
        return b"".join(self._parts)


class ServerEvent(NamedTuple):
    """One server-sent event; `name` is empty where none was given."""

    data: bytes
    name: str = ""


class ServerEvents:
    """Decodes server-sent events: comments skipped, several data lines joined."""

    def __init__(self, *, limit: int = MAX_LINE) -> None:
        self._lines = Lines(limit=limit)
        self._limit = limit
        self._begun = False
        self._data: list[bytes] = []
        self._size = 0
        self._name = ""

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that are complete now. Raises BackendProtocolError for one over the limit."""
        events: list[ServerEvent] = []
        for line in self._lines.feed(chunk):
            self._line(line, events)
        return events

    def end(self) -> list[ServerEvent]:
        """At the end of the stream: an event whose empty line was left out."""
        events: list[ServerEvent] = []
        self._line(self._lines.rest(), events)
        self._line(b"", events)
        return events

    def _line(self, line: bytes, events: list[ServerEvent]) -> None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            if self._data:
                events.append(ServerEvent(b"\n".join(self._data), self._name))
            self._data, self._size, self._name = [], 0, ""
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > self._limit:
                raise BackendProtocolError(f"The model server sent an event of more than {self._limit} bytes.")
        elif field == b"event":
            self._name = value.decode(errors="replace")
