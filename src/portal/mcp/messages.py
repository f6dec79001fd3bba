"""Messages of a server, one a line, bounded: a line that is too long becomes a refusal of the call it answers."""

import re
from collections.abc import Iterator

import mcp_types as types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

_EDGE = 4096
_LARGE = 2**20
_NOTHING = SessionMessage(types.JSONRPCNotification(jsonrpc="2.0", method="notifications/portal/nothing"))
"""Follows a large message, so that no loop holds that one until the next comes, which may be hours."""
_ID = re.compile(rb'"id"\s*:\s*(\d+|"[^"\\]{1,100}")')


class Lines:
    """Puts chunks together to lines of at most `largest` bytes; of a longer one only its edges are kept. A line is one
    piece of memory: thousands of small ones would stay with the process."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._line = bytearray()
        self._size = 0
        self._edges: tuple[bytes, bytes] | None = None

    def feed(self, chunk: bytes) -> Iterator[SessionMessage | str]:
        """Whole messages; as text what is none."""
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            self._add(part)
            line, edges = self._line, self._edges
            self._line, self._size, self._edges = bytearray(), 0, None
            if edges is not None:
                yield self._refused(*edges)
            elif line.strip():
                large = len(line) > _LARGE
                yield parsed(line)
                if large:
                    del line
                    yield _NOTHING
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._edges is not None:
            head, tail = self._edges
            self._edges = head, (tail + part)[-_EDGE:]
        elif self._size > self._largest:
            self._line += part
            self._edges = bytes(self._line[:_EDGE]), bytes(self._line[-_EDGE:])
            self._line = bytearray()
        else:
            self._line += part

    def _refused(self, head: bytes, tail: bytes) -> SessionMessage | str:
        found = _ID.search(head) or _ID.search(tail)
        if found is None:
            return "a message that was too large was dropped"
        identity = found[1].decode("ascii", "replace")
        number: int | str = int(identity) if identity.isdigit() else identity.strip('"')
        error = types.ErrorData(
            code=types.INTERNAL_ERROR, message=f"The answer is larger than {self._largest // 2**20} MB."
        )
        return SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=number, error=error))


def parsed(line: bytearray) -> SessionMessage | str:
    """The message, or the text of what is none."""
    try:
        return SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValidationError:
        return line[:500].decode("utf-8", "replace")
