"""Full-text search: what both engines share, and the port they implement.

Text is folded to words here (case, accents and width away; one word per character in scripts without spaces), so
that both engines find the same, and nothing a user types is ever query syntax.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from portal.core.items import Item, text_of
from portal.core.records import StoredItem
from portal.storage.database import Row, Statement, storable

LONGEST = 100_000
"""Characters of one item that are searched."""

NEWEST = 2_000
"""A query that fits more passages than this looks at the newest of them only."""

SNIPPET = 160
"""Characters of the passage shown with a hit."""

_BEFORE = 40
_SHORTEST_PREFIX = 2

# Scripts written without spaces: Thai to Tibetan, Myanmar, Khmer, kana, Han, Hangul, and Han beyond the basic plane.
SPACELESS = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{SPACELESS}]|[^\W_{SPACELESS}]+")
_BETWEEN = {code: " " for code in range(128) if not chr(code).isalnum()}

TITLE = "conversation_id = :conversation_id AND side = 'title'"
"""Condition on search_texts: a conversation's title."""

Phrase = tuple[str, ...]
"""Words that follow each other."""


class Search(Protocol):
    """The index of one engine, as statements that go into the caller's batch and a query to build on."""

    hits: str
    """SQL of (conversation_id, key): the newest fitting passage of each conversation, for :owner and :match."""

    def match(self, phrases: Sequence[Phrase]) -> str:
        """The :match argument for phrases that all must be there, the last one's last word as a prefix."""

    def add(self, stored: StoredItem) -> Sequence[Statement]:
        """Index an item of a response that is in a conversation; nothing for one that is in none."""

    def add_all(self, rows: Sequence[Row]) -> Sequence[Statement]:
        """Index many titles and items of conversations at once: rows of `title_row` and `item_row`. An earlier title
        must have been removed (by TITLE)."""

    def remove(self, where: str, **args: object) -> Sequence[Statement]:
        """Forget the rows of search_texts that fit a condition."""


def searchable(item: Item) -> str:
    """The text of an item that searching looks at; empty for what nobody would search."""
    if item.get("type") != "message" or item.get("role") not in ("user", "assistant"):
        return ""
    return text_of(item)[:LONGEST]


def title_row(owner: str, conversation_id: str, title: str) -> Row:
    """What `add_all` takes of a title."""
    return _row(owner, conversation_id, None, "title", 0, title)


def item_row(owner: str, conversation_id: str, stored: StoredItem) -> Row | None:
    """What `add_all` takes of an item; None for one that nobody would search."""
    body = searchable(stored.item)
    return _row(owner, conversation_id, stored.response_id, stored.side, stored.position, body) if body else None


def _row(owner: str, conversation_id: str, response_id: str | None, side: str, position: int, body: str) -> Row:
    place = {"owner": owner, "conversation_id": conversation_id, "response_id": response_id}
    return dict(storable({**place, "side": side, "position": position, "body": body}))


def words(text: str) -> list[str]:
    """The folded words of a text, in order."""
    folded = fold(text)
    return ascii_words(folded) if folded.isascii() else _WORD.findall(folded)


def ascii_words(folded: str) -> list[str]:
    """The words of a folded text in which all is ASCII."""
    return folded.translate(_BETWEEN).split()


class _Bare(dict[int, int | None]):
    """What `str.translate` takes accents away with; it remembers the commoner signs."""

    def __missing__(self, code: int) -> int | None:
        kept = None if unicodedata.combining(chr(code)) else code
        if code < 0x10000:
            self[code] = kept
        return kept


_BARE = _Bare()


def fold(text: str) -> str:
    """Without case, accents and width."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", decomposed.translate(_BARE))


def phrases(query: str) -> list[Phrase]:
    """What a user's query asks for: one phrase for each part between spaces that has a word in it."""
    found = (tuple(words(part)) for part in query[:1000].split())
    return [phrase for phrase in found if phrase][:32]


def is_prefix(word: str) -> bool:
    """Whether an unfinished last word is worth completing: one letter alone fits too much to be of use."""
    return len(word) >= _SHORTEST_PREFIX or _WORD.fullmatch(word) is None or bool(re.match(rf"[{SPACELESS}]", word))


def snippet(body: str, query: str) -> str:
    """The passage of a text around the first word of the query, on one line."""
    start = max(_place(body, query) - _BEFORE, 0)
    cut = body[start : start + SNIPPET * 2]
    line = " ".join(cut.split())[:SNIPPET]
    return f"{'…' if start else ''}{line}{'…' if start + len(cut) < len(body) or len(line) == SNIPPET else ''}"


def _place(body: str, query: str) -> int:
    for part in query.split():
        if words(part) and (found := re.search(re.escape(part), body, re.IGNORECASE)):
            return found.start()
    wanted = [phrase[0] for phrase in phrases(query)]
    folded = "".join(map(_fold_char, body))
    return min((at for word in wanted if (at := folded.find(word)) >= 0), default=0)


@lru_cache(maxsize=4096)
def _fold_char(char: str) -> str:
    """One character for one, so that places stay."""
    return (fold(char) or " ")[0]
