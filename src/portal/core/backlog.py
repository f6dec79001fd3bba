"""What waits to be done, all of an installation together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """Answers that a channel has not sent yet; `since` is the oldest one's time, in microseconds UTC."""

    channel: str
    count: int
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How much there is of each."""

    approvals: int = 0
    """Questions that people have not answered."""
    documents: int = 0
    """To be read into knowledge."""
    media_queued: int = 0
    media_running: int = 0
    sessions: int = 0
    """Browsers that are signed in."""
    unsent: Sequence[Unsent] = ()


class Backlog(Protocol):
    """Counts what waits."""

    async def waiting(self) -> Waiting:
        """At one moment."""
