"""Passages on PostgreSQL: a tsvector of the same words, ranked like BM25, and vectors near by."""

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from portal.core.passages import Hit, Space, Within
from portal.storage.database import Database, Row, Statement
from portal.storage.near_postgres import Alone, Near, NearKeeper
from portal.storage.passage_filters import ELEMENTS, condition
from portal.storage.passage_words import MOST_PLACES, asked, telling
from portal.storage.passages import PASSAGE
from portal.storage.rows import to_json

if TYPE_CHECKING:
    from portal.core.passages import Vectors

_BIGINTS = ("position", "page", "starts_at", "ends_at", "created_at")
_COLUMNS = [name.strip() for name in PASSAGE.split(",")]
_VALUES = ", ".join(
    f"CAST(value ->> '{name}' AS BIGINT)" if name in _BIGINTS else f"value ->> '{name}'" for name in _COLUMNS
)
INSERT = f"""
INSERT INTO passages ({PASSAGE}, words)
SELECT {_VALUES}, passage_words(value ->> 'words') FROM json_array_elements(CAST(:rows AS json))"""

OFTEN = f"""
SELECT word, times, (SELECT COUNT(*) FROM (
    SELECT 1 FROM passages WHERE space = :space AND words @@ CAST(word AS tsquery) LIMIT :most) AS few) AS places,
    (SELECT MAX(key) FROM passages) AS passages
FROM (
    SELECT quote_literal(passage_stem(rtrim(value, '*'))) || CASE WHEN value LIKE '%*' THEN ':*' ELSE '' END, COUNT(*)
    FROM ({ELEMENTS["postgres"].format("words")}) AS asked (value) GROUP BY 1
) AS stems (word, times)"""

# Like BM25: each word weighs by how rare it is; how often it occurs counts less and less, and less in a long passage.
WORDS = """
SELECT id, (
    SELECT SUM(CAST(weight AS DOUBLE PRECISION) * ts_rank(words, CAST(word AS tsquery), 1))
    FROM json_each_text(CAST(:weights AS json)) AS asked (word, weight)
) AS score
FROM (SELECT p.id, p.key, p.words FROM passages p
    WHERE p.words @@ CAST(:match AS tsquery) AND {within} LIMIT :most) AS fitting
ORDER BY score DESC, key LIMIT :limit"""


class PostgresIndex:
    """The Index port."""

    embedded = """(
    SELECT key, embedder FROM passage_vectors UNION ALL SELECT key, embedder FROM passage_near)"""

    def __init__(self, *, database: Database, alone: Alone) -> None:
        """`alone` runs statements that no transaction may be around."""
        self._database = database
        self._keeper, self._near = NearKeeper(database=database, alone=alone), Near(database=database)

    def add(self, space: Space, rows: Sequence[Row]) -> Sequence[Statement]:
        """See Index."""
        return [Statement(INSERT, {"rows": to_json(rows)})]

    def forget_words(self, space: Space, where: str, args: Mapping[str, object]) -> Sequence[Statement]:
        """See Index; they are in the passages' own rows."""
        return []

    def forget_vectors(self, embedder: str) -> Sequence[Statement]:
        """See Index."""
        return []

    async def tend(self) -> bool:
        """See Index."""
        return find_spec("numpy") is not None and await self._keeper.tend()

    async def scrub(self, space: Space) -> None:
        """See Index; PostgreSQL does, in its own time."""

    async def words(self, within: Within, text: str, limit: int) -> Sequence[Hit]:
        """See Index."""
        where, args = condition(within, "postgres")
        sent = [word for word, times in asked(text).items() for _ in range(times)]
        terms = {"words": to_json(sent), "space": within.space}
        counted = await self._database.fetch(OFTEN, **terms, most=MOST_PLACES)
        places = {row["word"]: row["places"] for row in counted}
        chosen = telling(places)
        if not chosen:
            return []
        times = {row["word"]: row["times"] for row in counted}
        weights = {word: times[word] * math.log(1 + counted[0]["passages"] / places[word]) for word in chosen}
        sought = {"match": " | ".join(chosen), "weights": to_json(weights), "limit": limit, "most": MOST_PLACES}
        rows = await self._database.fetch(WORDS.format(within=where), **args, **sought)
        return [Hit(row["id"], row["score"]) for row in rows]

    async def nearest(self, within: Within, embedder: str, vector: "Vectors", limit: int) -> Sequence[Hit]:
        """See Index."""
        return await self._near.nearest(within, embedder, vector, limit)

    async def vectors(self, owner: str, embedder: str, ids: Sequence[str]) -> "Mapping[str, Vectors]":
        """See Index."""
        return await self._near.vectors(owner, embedder, ids)
