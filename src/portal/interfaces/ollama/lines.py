"""Newline-delimited JSON on its way through: whole lines only, so that a failure can be told on a line of its own."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import orjson

from portal.core.items import JsonObject
from portal.core.model import Sink
from portal.errors import BackendError, BackendInterrupted, BackendProtocolError

_LONGEST = 16 * 2**20


class LineWatch:
    """Passes the lines of a server's stream on, and knows how it ended."""

    def __init__(self, server: str, ended: Callable[[JsonObject], bool]) -> None:
        """`ended` tells whether a line is the last of a stream that is whole."""
        self.lines = 0
        """How many there were: about as many as tokens."""
        self.failed = False
        """The server said itself that it failed."""
        self.last: JsonObject = {}
        """The last line that was whole."""
        self._server = server
        self._ended = ended
        self._rest = b""
        self._newest = b""

    async def frames(self, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The bytes as they come, up to the last line's end.

        Raises:
            BackendError: the stream broke off, or is none of JSON lines.
        """
        try:
            async for chunk in body:
                if whole := self._feed(chunk):
                    yield whole
            if self._rest and _is_object(self._rest):
                self._newest = self._rest
                yield self._rest
        except BackendError:
            if not self._is_over():
                raise
        if not self._is_over():
            raise BackendInterrupted(f"The model server {self._server} broke off in the middle of its answer.")

    def before(self, sink: Sink) -> Sink:
        """A sink that hands whole lines on."""

        def whole(chunk: bytes) -> Awaitable[None] | None:
            lines = self._feed(chunk)
            return sink(lines) if lines else None

        return whole

    def _feed(self, chunk: bytes) -> bytes:
        """What is whole of all that came and was not passed on yet."""
        head, newline, tail = chunk.rpartition(b"\n")
        whole = self._rest + head + newline if newline else b""
        self._rest = tail if newline else self._rest + chunk
        for line in whole.splitlines():
            if not line.startswith(b"{"):
                raise self._garbage(line)
        if not self.lines and not whole and self._rest[:1] != b"{":
            raise self._garbage(self._rest)
        if len(self._rest) > _LONGEST:
            raise BackendProtocolError(f"The model server {self._server} sent a line over {_LONGEST} bytes.")
        self.lines += whole.count(b"\n")
        self._newest = whole.rstrip().rpartition(b"\n")[2] or self._newest
        return whole

    def _garbage(self, content: bytes) -> BackendProtocolError:
        shown = content[:80].decode(errors="replace")
        return BackendProtocolError(
            f"The model server {self._server} answered something that is not Ollama's protocol: {shown!r}"
        )

    def _is_over(self) -> bool:
        self.last = orjson.loads(self._newest) if _is_object(self._newest) else {}
        self.failed = "error" in self.last
        return self.failed or self._ended(self.last)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
