"""Taking compression off an answer piece by piece, never further than somebody wants to read."""

import zlib

from portal.errors import ToolError

_GZIP_OR_ZLIB, _RAW = 47, -15


class Decoder:
    """One body. `encoding` is its Content-Encoding."""

    def __init__(self, encoding: str) -> None:
        """Raises ToolError for one that was not asked for."""
        name = encoding.strip().lower()
        if name not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise ToolError(f"The answer is compressed as {encoding!r}, which was not asked for.")
        self._plain = name in ("", "identity")
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._begun = False

    def take(self, data: bytes, room: int) -> bytes:
        """What the next piece holds, at most `room` bytes of it, the rest of this piece is lost.

        Raises:
            ToolError: it is damaged.
        """
        if self._plain:
            return data[:room]
        try:
            return self._decompressed(data, room)
        except zlib.error as error:
            raise ToolError("The answer is compressed, but damaged.") from error

    def _decompressed(self, data: bytes, room: int) -> bytes:
        begun, self._begun = self._begun, True
        try:
            return self._stream.decompress(data, room)
        except zlib.error:
            if begun:
                raise
            # some servers send bare deflate, without zlib's header
            self._stream = zlib.decompressobj(_RAW)
            return self._stream.decompress(data, room)
