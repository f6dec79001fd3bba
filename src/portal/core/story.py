"""A conversation as a model is told it: its turns, what is said now, and a summary of what came before them."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.chat import to_messages
from portal.core.items import Item
from portal.core.model import ChatMessage
from portal.core.records import TurnRecord
from portal.core.tokens import estimate_messages

COVERS = "portal:covers"
"""Of a compaction that Portal made by itself: the id of the last response that it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Attachments are resolved, compactions are readable."""

    turns: Sequence[tuple[str, Sequence[Item]]]
    """Earlier ones, oldest first: the response's id and its items."""
    said: Sequence[Item]
    """This turn's own."""
    instructions: str | None
    summary: str = ""
    """Of what came before those turns."""

    def messages(self, *, since: int = 0, summary: str | None = None) -> list[ChatMessage]:
        """All of it; or with another summary the turns from number `since` on. Raises BadRequest, as to_messages."""
        told = self.summary if summary is None else summary
        earlier: list[Item] = [{"type": "compaction", "summary": told}] if told else []
        items = (item for _, items in self.turns[since:] for item in items)
        return to_messages([*earlier, *items, *self.said], self.instructions)

    def cut(self, tokens: int) -> int:
        """The first turn of the newest ones that fit into so many tokens, beside what is said now."""
        left = tokens - estimate_messages(to_messages(self.said, self.instructions))
        since = len(self.turns)
        while since > 0:
            left -= estimate_messages(to_messages(self.turns[since - 1][1]))
            if left < 0:
                break
            since -= 1
        return since

    def before(self, since: int) -> list[ChatMessage]:
        """The turns before that one, alone."""
        return to_messages(item for _, items in self.turns[:since] for item in items)


def summarised(turns: Sequence[TurnRecord]) -> tuple[Item | None, int]:
    """The newest summary that Portal made of these turns, and the place of the first one that it does not stand for."""
    places = {record.response.id: at for at, record in enumerate(turns)}
    for record in reversed(turns):
        for stored in record.items:
            if stored.item["type"] == "compaction" and stored.item.get(COVERS) in places:
                return stored.item, places[stored.item[COVERS]] + 1
    return None, 0
