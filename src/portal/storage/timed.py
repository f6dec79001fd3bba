"""A Database whose batches are timed, and which remembers why it takes none."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Literal

from portal.errors import StorageFull, StorageReadOnly
from portal.storage.database import Database, Row, Statement

READ_ONLY = "SELECT current_setting('transaction_read_only') AS read_only"
TRY = """
INSERT INTO key_values (name, value) VALUES (:name, '{}') ON CONFLICT (name) DO UPDATE SET value = excluded.value"""


class TimedDatabase:
    """Implements Database around another one."""

    def __init__(self, database: Database, stored: Callable[[float], None]) -> None:
        """`stored` is told how many seconds each batch took, those that failed included."""
        self.within = database
        self._stored = stored
        self.dialect: Literal["sqlite", "postgres"] = database.dialect
        self.own, self.fetch, self.snapshot = database.own, database.fetch, database.snapshot
        self.scrub = database.scrub
        self.refused: StorageFull | StorageReadOnly | None = None
        """Why the last batch was refused, if it was for want of room or of leave to write."""

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """See Database."""
        began = perf_counter()
        try:
            rows = await self.within.batch(statements)
        except (StorageFull, StorageReadOnly) as error:
            self.refused = error
            raise
        finally:
            self._stored(perf_counter() - began)
        self.refused = None
        return rows

    async def look(self) -> None:
        """Raises StorageError where the database does not answer, and where it takes no changes: that is asked, or
        tried where it was so before."""
        for row in await self.fetch(READ_ONLY if self.dialect == "postgres" else "SELECT 'off' AS read_only"):
            if row["read_only"] == "on":
                raise StorageReadOnly
        if self.refused is not None:
            await self.batch([Statement(TRY, {"name": "room"})])
