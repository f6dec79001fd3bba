"""What is counted here and holds for several servers together: added up, and told to the others every moment."""

from collections import defaultdict
from collections.abc import Callable

Count = tuple[str, str, int]
"""What kind, whose, and a number that tells several of one name apart."""


class Counts:
    """Adding never waits. The others hear of it within a second or two, so that bounds are kept about, not to the
    last request."""

    def __init__(self) -> None:
        self._new: defaultdict[Count, int] = defaultdict(int)
        self._heard: dict[str, Callable[[str, int, int], None]] = {}

    def add(self, kind: str, whose: str, number: int, more: int) -> None:
        """So much happened here."""
        self._new[kind, whose, number] += more

    def take(self) -> list[tuple[str, str, int, int]]:
        """What happened since it was last taken."""
        taken = [(*key, more) for key, more in self._new.items()]
        self._new.clear()
        return taken

    def on(self, kind: str, heard: Callable[[str, int, int], None]) -> None:
        """Call this with whose, number and how much when it happened elsewhere."""
        self._heard[kind] = heard

    def elsewhere(self, kind: str, whose: str, number: int, more: int) -> None:
        """So much happened on another server."""
        if kind in self._heard:
            self._heard[kind](whose, number, more)
