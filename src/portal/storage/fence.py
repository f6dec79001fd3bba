"""What a process that was taken for dead, and is not, must not write any more: its batches fail as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.errors import TakenOver
from portal.storage.database import Statement

# Held until the batch is stored, so that nobody takes over in between. A row of a server may be renewed meanwhile, not
# deleted: however long a batch takes, the server goes on showing that it lives.
REGISTERED = "SELECT 1 FROM instances WHERE id = :instance FOR KEY SHARE"
ON_DUTY = "SELECT 1 FROM duties WHERE name = :name AND holder = :instance AND term = :term FOR SHARE"

LEADER = "leader"
"""The one duty there is: what one server does for all."""


@dataclass(slots=True)
class Fence:
    """As whom this process writes. Nothing is fenced in where it is alone, as on SQLite."""

    instance: str = ""
    """Its id among the servers; empty where it is alone."""
    term: int = 0
    """Of the duty it has; each holder has a higher one than the one before."""

    def registered(self) -> Sequence[Statement]:
        """To put before what only a server that the others count on may write."""
        return [Statement(REGISTERED, {"instance": self.instance}, 1, _lost())] if self.instance else ()

    def on_duty(self) -> Sequence[Statement]:
        """To put before what one server does for all."""
        if not self.instance:
            return ()
        args = {"name": LEADER, "instance": self.instance, "term": self.term}
        return [Statement(ON_DUTY, args, 1, _lost())]


def _lost() -> TakenOver:
    return TakenOver("Another server has taken over meanwhile: nothing was stored.")
