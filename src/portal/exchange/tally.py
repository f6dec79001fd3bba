"""The count check: all that was found in an export is stored, was there already, or is left out for a reason."""

from collections import Counter
from collections.abc import Mapping

from portal.core.items import JsonObject

_EXAMPLES = 200
"""Things that are named with their reason; the others are counted."""
_LONGEST_NAME = 200


class Tally:
    """Counts by kind: conversations, messages, files, folders, memories, workspaces."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.stored: Counter[str] = Counter()
        self.known: Counter[str] = Counter()
        self._left: Counter[tuple[str, str]] = Counter()
        self._examples: list[JsonObject] = []

    def find(self, kind: str, count: int = 1) -> None:
        """So many more were in the export."""
        self.found[kind] += count

    def take(self, kind: str, *, new: int = 0, known: int = 0) -> None:
        """So many of them are here: stored just now, or before."""
        self.stored[kind] += new
        self.known[kind] += known

    def leave(self, kind: str, name: str, reason: str, count: int = 1) -> None:
        """So many of them are not taken over."""
        self._left[kind, reason] += count
        if kind != "messages" and len(self._examples) < _EXAMPLES:
            self._examples.append({"kind": kind, "name": name[:_LONGEST_NAME], "reason": reason})

    def leave_messages(self, conversation: str, reasons: Mapping[str, int]) -> None:
        """Messages of a conversation."""
        for reason, count in reasons.items():
            self.leave("messages", conversation, reason, count)

    @property
    def whole(self) -> bool:
        """Whether all that was found is accounted for."""
        left: Counter[str] = Counter()
        for (kind, _), count in self._left.items():
            left[kind] += count
        kinds = {*self.found, *self.stored, *self.known, *left}
        return all(self.found[kind] == self.stored[kind] + self.known[kind] + left[kind] for kind in kinds)

    def report(self) -> JsonObject:
        """As it is kept and shown."""
        return {
            "found": _plain(self.found),
            "stored": _plain(self.stored),
            "known": _plain(self.known),
            "reasons": [
                {"kind": kind, "reason": reason, "count": count}
                for (kind, reason), count in sorted(self._left.items(), key=lambda each: (each[0][0], -each[1]))
                if count
            ],
            "skipped": list(self._examples),
            "whole": self.whole,
        }


def _plain(counts: Counter[str]) -> JsonObject:
    return {kind: count for kind, count in counts.items() if count}
