"""Full-text search on SQLite: FTS5 over folded words."""

from collections.abc import Sequence

from portal.core.records import StoredItem
from portal.storage.database import Statement
from portal.storage.search import NEWEST, Phrase, is_prefix, searchable, words

HITS = f"""
SELECT conversation_id, MAX(key) AS key FROM (
    SELECT t.conversation_id, t.key
    FROM search_words w CROSS JOIN search_texts t ON t.key = w.rowid
    WHERE w.words MATCH :match AND t.owner = :owner
    ORDER BY w.rowid DESC LIMIT {NEWEST}
) AS newest GROUP BY conversation_id"""

INSERT_ITEM = """
INSERT INTO search_texts (owner, conversation_id, response_id, side, position, body)
SELECT owner, conversation_id, id, :side, :position, :body FROM responses
WHERE id = :response_id AND conversation_id IS NOT NULL"""

INSERT_ITEM_WORDS = """
INSERT INTO search_words (rowid, words) SELECT key, :words FROM search_texts
WHERE response_id = :response_id AND side = :side AND position = :position"""

INSERT_TITLE = """
INSERT INTO search_texts (owner, conversation_id, side, position, body)
VALUES (:owner, :conversation_id, 'title', 0, :body)"""

INSERT_TITLE_WORDS = """
INSERT INTO search_words (rowid, words) SELECT key, :words FROM search_texts
WHERE conversation_id = :conversation_id AND side = 'title'"""

DELETE_WORDS = "DELETE FROM search_words WHERE rowid IN (SELECT key FROM search_texts WHERE {where})"
DELETE_TEXTS = "DELETE FROM search_texts WHERE {where}"


class SqliteSearch:
    """The Search port on FTS5."""

    hits = HITS

    def match(self, phrases: Sequence[Phrase]) -> str:
        """See Search; quoted, so that no word is an operator."""
        quoted = [f'"{" ".join(phrase)}"' for phrase in phrases]
        return " AND ".join(quoted) + ("*" if is_prefix(phrases[-1][-1]) else "")

    def add(self, stored: StoredItem) -> Sequence[Statement]:
        """See Search."""
        body = searchable(stored.item)
        if not body:
            return []
        place = {"response_id": stored.response_id, "side": stored.side, "position": stored.position}
        return [
            Statement(INSERT_ITEM, {**place, "body": body}),
            Statement(INSERT_ITEM_WORDS, {**place, "words": " ".join(words(body))}),
        ]

    def add_title(self, owner: str, conversation_id: str, title: str) -> Sequence[Statement]:
        """See Search."""
        place = {"conversation_id": conversation_id}
        return [
            Statement(INSERT_TITLE, {**place, "owner": owner, "body": title}),
            Statement(INSERT_TITLE_WORDS, {**place, "words": " ".join(words(title))}),
        ]

    def remove(self, where: str, **args: object) -> Sequence[Statement]:
        """See Search."""
        return [Statement(DELETE_WORDS.format(where=where), args), Statement(DELETE_TEXTS.format(where=where), args)]
