"""Passages on SQLite: FTS5 for words, and vectors near by."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from portal.core.passages import Hit, Space, Within
from portal.storage.cells import FORGET, CellKeeper
from portal.storage.database import Database, Row, Statement
from portal.storage.passage_filters import condition
from portal.storage.passage_words import MOST_PLACES, asked, telling
from portal.storage.passages import PASSAGE
from portal.storage.passages_near import Near
from portal.storage.rows import to_json

if TYPE_CHECKING:
    from portal.core.passages import Vectors

TABLES: Mapping[Space, str] = {"documents": "documents_words", "memories": "memories_words", "turns": "turns_words"}

_COLUMNS = [name.strip() for name in PASSAGE.split(",")]
INSERT = f"""
INSERT INTO passages ({PASSAGE})
SELECT {", ".join(f"value ->> '{name}'" for name in _COLUMNS)} FROM json_each(:rows)"""
INSERT_WORDS = """
INSERT INTO {table} (rowid, words)
SELECT p.key, value ->> 'words' FROM json_each(:rows) CROSS JOIN passages p ON p.id = value ->> 'id'"""
DELETE_WORDS = "DELETE FROM {table} WHERE rowid IN (SELECT key FROM passages WHERE {where})"

CHANGES = Statement("SELECT total_changes() AS changes")
MERGE = "INSERT INTO {table} ({table}, rank) VALUES ('merge', :pages)"
MERGED_AT_ONCE = 32
"""Pages; others write in between."""
SELECT_UNMERGED = "SELECT 1 FROM {table}_data WHERE id = 10 AND substr(block, -2) = x'0000'"
"""Whether the oldest level of the index's structure is empty: deleted words may then have outlived the merge, as they
do when most of the index went at once."""
REBUILD = "INSERT INTO {table} ({table}) VALUES ('rebuild')"
OPTIMIZE = "INSERT INTO {table} ({table}) VALUES ('optimize')"
"""Where there is no content to build anew from."""
SAID = "search_words"
"""By which conversations are searched; what goes from it goes together with turns."""

# Stems are as FTS5 makes them, so it is FTS5 that says how often a word occurs.
OFTEN = """
SELECT value AS word, (SELECT COUNT(*) FROM (
    SELECT 1 FROM {table} WHERE {table} MATCH value LIMIT :most)) AS places
FROM json_each(:quoted)"""
WORDS = """
SELECT p.id, -w.rank AS score FROM {table} w CROSS JOIN passages p ON p.key = w.rowid
WHERE w.words MATCH :match AND {within} ORDER BY {order} LIMIT :limit"""


class SqliteIndex:
    """The Index port."""

    embedded = """(
    SELECT key, embedder FROM passage_vectors UNION ALL SELECT key, embedder FROM passage_places)"""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._everywhere: dict[Space, set[str]] = {space: set() for space in TABLES}
        self._keeper = CellKeeper(database=database)
        self._near = Near(database=database, keeper=self._keeper)

    def add(self, space: Space, rows: Sequence[Row]) -> Sequence[Statement]:
        """See Index."""
        args = {"rows": to_json(rows)}
        return [Statement(INSERT, args, len(rows)), Statement(INSERT_WORDS.format(table=TABLES[space]), args)]

    def forget_words(self, space: Space, where: str, args: Mapping[str, object]) -> Sequence[Statement]:
        """See Index."""
        self._everywhere[space].clear()
        return [Statement(DELETE_WORDS.format(table=TABLES[space], where=where), args)]

    def forget_vectors(self, embedder: str) -> Sequence[Statement]:
        """See Index: cells first, so that nothing is erased row by row."""
        return [Statement(FORGET, {"embedder": embedder})]

    async def tend(self) -> bool:
        """See Index."""
        return find_spec("numpy") is not None and await self._keeper.tend()

    async def scrub(self, space: Space) -> None:
        """See Index."""
        await self._merge(TABLES[space], REBUILD)
        if space == "turns":
            await self._merge(SAID, OPTIMIZE)

    async def _merge(self, table: str, otherwise: str) -> None:
        """FTS5 keeps deleted words until all of its segments are one, which is done in short steps."""
        pages = -MERGED_AT_ONCE
        merge = MERGE.format(table=table)
        while True:
            before, _, after = await self._database.batch([CHANGES, Statement(merge, {"pages": pages}), CHANGES])
            if after[0]["changes"] - before[0]["changes"] < 2:  # its way of saying that there was nothing to do
                break
            pages = MERGED_AT_ONCE
        if await self._database.fetch(SELECT_UNMERGED.format(table=table)):
            await self._database.batch([Statement(otherwise.format(table=table))])

    async def words(self, within: Within, text: str, limit: int) -> Sequence[Hit]:
        """See Index."""
        where, args = condition(within, "sqlite")
        times = {_quoted(word): often for word, often in asked(text).items()}
        places = await self._places(within.space, list(times))
        chosen = telling(places)
        if not chosen:
            return []
        # With nothing but a word that is everywhere, any is as good as another: the newest then, and no ranking of all.
        order = "w.rank" if places[chosen[0]] < MOST_PLACES else "w.rowid DESC"
        sql = WORDS.format(table=TABLES[within.space], within=where, order=order)
        match = " OR ".join(word for word in chosen for _ in range(times[word]))
        rows = await self._database.fetch(sql, **args, match=match, limit=limit)
        return sorted((Hit(row["id"], row["score"]) for row in rows), key=lambda hit: -hit.score)

    async def _places(self, space: Space, quoted: Sequence[str]) -> Mapping[str, int]:
        """How often each of these words occurs, as far as it matters; those that are everywhere are remembered."""
        everywhere = self._everywhere[space]
        unknown = to_json([word for word in quoted if word not in everywhere])
        rows = await self._database.fetch(OFTEN.format(table=TABLES[space]), quoted=unknown, most=MOST_PLACES)
        everywhere |= {row["word"] for row in rows if row["places"] >= MOST_PLACES}
        return dict.fromkeys(everywhere.intersection(quoted), MOST_PLACES) | {
            row["word"]: row["places"] for row in rows
        }

    async def nearest(self, within: Within, embedder: str, vector: "Vectors", limit: int) -> Sequence[Hit]:
        """See Index."""
        return await self._near.nearest(within, embedder, vector, limit)

    async def vectors(self, owner: str, embedder: str, ids: Sequence[str]) -> "Mapping[str, Vectors]":
        """See Index."""
        return await self._near.vectors(owner, embedder, ids)


def _quoted(word: str) -> str:
    """As FTS5 takes a word, or the beginning of words."""
    return f'"{word[:-1]}"*' if word.endswith("*") else f'"{word}"'
