"""Settings that are read again while Portal runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """What came of it."""

    at: int
    """Microseconds."""
    problem: str = ""
    """Why they were refused, all of them; the old ones are in force."""
    applied: Sequence[str] = ()
    """Names of settings that are in force now, and were not before."""
    waiting: Sequence[str] = ()
    """Names of those that need a restart."""


class Rereads(Protocol):
    """Whoever reads them."""

    @property
    def last(self) -> Reread:
        """What came of it the last time."""

    async def now(self) -> Reread:
        """Read them now."""
