"""An export read a bunch at a time: each bunch is one piece of work for a thread and one step for the database, and
holds little, so that memory stays bounded however long the export is."""

from collections.abc import Iterator, Sequence

from portal.errors import BadRequest
from portal.exchange.archive import Archive
from portal.exchange.shape import Piece

_BYTES = 2**19
"""Of the export, read for one bunch; one that has a longer piece ends with it."""
_MOST = 200
"""Pieces of one."""


class Bunches:
    """The pieces of an archive, in order."""

    def __init__(self, pieces: Iterator[Piece], archive: Archive) -> None:
        self._pieces, self._archive = pieces, archive
        self._failed: BadRequest | ValueError | None = None

    def next(self) -> Sequence[Piece]:
        """None at the end. To be called in a thread. Raises BadRequest and ValueError for what cannot be read, once
        what came before it was given out."""
        if self._failed is not None:
            raise self._failed
        found: list[Piece] = []
        end = self._archive.count + _BYTES
        try:
            for piece in self._pieces:
                found.append(piece)
                if len(found) >= _MOST or self._archive.count >= end:
                    break
        except (BadRequest, ValueError) as error:
            if not found:
                raise
            self._failed = error
        return found
