"""Full-text search on PostgreSQL: a tsvector of the folded words, built here, so that no server setting matters."""

from collections.abc import Sequence

from portal.core.records import StoredItem
from portal.storage.database import Row, Statement
from portal.storage.rows import to_json
from portal.storage.search import NEWEST, Phrase, is_prefix, searchable, words

HITS = f"""
SELECT conversation_id, MAX(key) AS key FROM (
    SELECT conversation_id, key FROM search_texts
    WHERE owner = :owner AND words @@ CAST(:match AS tsquery)
    ORDER BY key DESC LIMIT {NEWEST}
) AS newest GROUP BY conversation_id"""

INSERT_ITEM = """
INSERT INTO search_texts (owner, conversation_id, response_id, side, position, body, words)
SELECT owner, conversation_id, id, :side, :position, :body, CAST(:words AS tsvector) FROM responses
WHERE id = :response_id AND conversation_id IS NOT NULL"""

INSERT_ALL = """
INSERT INTO search_texts (owner, conversation_id, response_id, side, position, body, words)
SELECT value ->> 'owner', value ->> 'conversation_id', value ->> 'response_id', value ->> 'side',
    CAST(value ->> 'position' AS BIGINT), value ->> 'body', CAST(value ->> 'words' AS tsvector)
FROM json_array_elements(CAST(:rows AS json))"""

DELETE_TEXTS = "DELETE FROM search_texts WHERE {where}"

_LAST_POSITION = 16_383
_LONGEST_WORD = 500
"""PostgreSQL's limits, the second in bytes there."""


class PostgresSearch:
    """The Search port on tsvector."""

    hits = HITS

    def match(self, phrases: Sequence[Phrase]) -> str:
        """See Search; words are letters and digits only, quoting makes them literals."""
        joined = [" <-> ".join(f"'{word[:_LONGEST_WORD]}'" for word in phrase) for phrase in phrases]
        return " & ".join(joined) + (":*" if is_prefix(phrases[-1][-1]) else "")

    def add(self, stored: StoredItem) -> Sequence[Statement]:
        """See Search."""
        body = searchable(stored.item)
        if not body:
            return []
        place = {"response_id": stored.response_id, "side": stored.side, "position": stored.position}
        return [Statement(INSERT_ITEM, {**place, "body": body, "words": vector_literal(body)})]

    def add_all(self, rows: Sequence[Row]) -> Sequence[Statement]:
        """See Search."""
        every = [{**row, "words": vector_literal(row["body"])} for row in rows]
        return [Statement(INSERT_ALL, {"rows": to_json(every)}, len(rows))] if rows else []

    def remove(self, where: str, **args: object) -> Sequence[Statement]:
        """See Search."""
        return [Statement(DELETE_TEXTS.format(where=where), args)]


def vector_literal(body: str) -> str:
    """A tsvector literal: every word with its positions."""
    found = enumerate(words(body), start=1)
    return " ".join(f"'{word[:_LONGEST_WORD]}':{min(at, _LAST_POSITION)}" for at, word in found)
