"""Full-text search on SQLite: FTS5 over folded words."""

from collections.abc import Sequence

from portal.core.records import StoredItem
from portal.storage.database import Row, Statement
from portal.storage.rows import to_json
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

# One statement for the words of many, and their keys in order: otherwise FTS5 writes a segment for each, and merges it
# with others again and again.
INSERT_ALL = """
INSERT INTO search_texts (owner, conversation_id, response_id, side, position, body)
SELECT value ->> 'owner', value ->> 'conversation_id', value ->> 'response_id', value ->> 'side', value ->> 'position',
    value ->> 'body'
FROM json_each(:rows)"""

# The newest keys are those of the rows, one after the other.
INSERT_ALL_WORDS = """
INSERT INTO search_words (rowid, words)
SELECT (SELECT MAX(key) FROM search_texts) - :count + 1 + key, value FROM json_each(:words)"""

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

    def add_all(self, rows: Sequence[Row]) -> Sequence[Statement]:
        """See Search."""
        if not rows:
            return []
        found = to_json([" ".join(words(row["body"])) for row in rows])
        return [
            Statement(INSERT_ALL, {"rows": to_json(rows)}, len(rows)),
            Statement(INSERT_ALL_WORDS, {"words": found, "count": len(rows)}, len(rows)),
        ]

    def remove(self, where: str, **args: object) -> Sequence[Statement]:
        """See Search."""
        return [Statement(DELETE_WORDS.format(where=where), args), Statement(DELETE_TEXTS.format(where=where), args)]
