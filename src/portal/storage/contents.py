"""Where the content of files may be beside the database."""

from collections.abc import AsyncIterator
from typing import Protocol


class Contents(Protocol):
    """A store of bytes by name. Content is written once, under a name of its own, and never changed.

    All methods raise StorageUnavailable while the store cannot be reached.
    """

    place: str
    """What the rows of files say of it."""

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Keep all of it, in bounded memory; what breaks off is never found under the name."""

    def get(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """From byte `start` to before `end`, which is at most its size. Raises NotFound."""

    async def delete(self, name: str) -> None:
        """It need not be there."""

    async def clear(self, before: int) -> int:
        """Forget what is left of content that was begun before then, in microseconds, and never ended; how many there
        were."""

    async def check(self) -> None:
        """Whether it can be written to. Raises StorageUnavailable, which says why not."""
