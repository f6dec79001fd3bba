"""A Database whose batches are timed."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Literal

from portal.storage.database import Database, Row, Statement


class TimedDatabase:
    """Implements Database around another one."""

    def __init__(self, database: Database, stored: Callable[[float], None]) -> None:
        """`stored` is told how many seconds each batch took, those that failed included."""
        self.within = database
        self._stored = stored
        self.dialect: Literal["sqlite", "postgres"] = database.dialect
        self.own, self.fetch, self.snapshot = database.own, database.fetch, database.snapshot
        self.scrub = database.scrub

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """See Database."""
        began = perf_counter()
        try:
            return await self.within.batch(statements)
        finally:
            self._stored(perf_counter() - began)
