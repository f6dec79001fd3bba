"""What each engine does in its own way to find passages."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from portal.core.passages import Hit, Space, Within
from portal.storage.database import Database, Row, Statement

if TYPE_CHECKING:
    from portal.core.passages import Vectors


class Index(Protocol):
    """What an engine does in its own way."""

    embedded: str
    """SQL of (key, embedder): what has a vector."""

    def add(self, space: Space, rows: Sequence[Row]) -> Sequence[Statement]:
        """Insert passages with the columns of PASSAGE and `words`."""

    def forget_words(self, space: Space, where: str, args: Mapping[str, object]) -> Sequence[Statement]:
        """Before passages that fit a condition are deleted."""

    def forget_vectors(self, embedder: str) -> Sequence[Statement]:
        """Before an embedder is deleted."""

    async def tend(self) -> bool:
        """One step of keeping vectors quick to find; whether there may be more to do."""

    async def scrub(self, space: Space) -> None:
        """Rid the index itself of words that were forgotten."""

    async def words(self, within: Within, text: str, limit: int) -> Sequence[Hit]:
        """See Passages."""

    async def nearest(self, within: Within, embedder: str, vector: "Vectors", limit: int) -> Sequence[Hit]:
        """See Passages; `vector` is of the embedder's size."""

    async def vectors(self, owner: str, embedder: str, ids: Sequence[str]) -> "Mapping[str, Vectors]":
        """Those that are there."""


def index_on(database: Database, url: str = "") -> Index:
    """The engine's own part, for this database; `url` is where a PostgreSQL server's is."""
    if database.dialect == "sqlite":
        from portal.storage.passages_sqlite import SqliteIndex

        return SqliteIndex(database=database)
    from portal.storage.passages_postgres import PostgresIndex
    from portal.storage.postgres_alone import run_alone

    return PostgresIndex(database=database, alone=partial(run_alone, url))
